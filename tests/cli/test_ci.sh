#!/usr/bin/env bash
# The check of a change tells at its end which stage failed and how, whatever passed after it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ends BODY: the end of the output of stages, and their exit status in $status
ends() {
    status=0
    bash -c "set -euo pipefail; . '$PULMO_SOURCE/.ci/stages.sh'; $1" > "$work/out" 2>&1 || status=$?
    tail -n "${2:-50}" "$work/out" > "$work/end"
}
has() { grep -qE -- "$1" "$work/end" || { echo "the end does not have \"$1\":"; cat "$work/end"; exit 1; }; }
has_not() { if grep -qE -- "$1" "$work/end"; then echo "the end has \"$1\":"; cat "$work/end"; exit 1; fi; }

# A failure above many lines of what passed.
ends 'bad() { echo "src/x.c:3:1: error: a finding"; seq 100; echo the last of it; return 3; }
      good() { seq -f "line %g of what passed" 1000; }
      stage first 60 bad; stage second 60 good; summary' 47
[ "$status" = 1 ] || { echo "exit status $status in place of 1"; exit 1; }
has '== first FAILED, exit status 3'
has '1:src/x.c:3:1: error: a finding'
has '^the last of it$'
has '^first +FAILED +[0-9]+ s  exit status 3$'
has '^second +passed '
has_not 'line 1000 of what passed'

# All passed: a short end, status 0.
ends 'stage only 60 true; settle other skipped "no means"; summary'
[ "$status" = 0 ] || { echo "exit status $status in place of 0"; exit 1; }
has '^only +passed '
has '^other +skipped +0 s  no means$'
has_not 'FAILED'

# A time limit fails a stage, unless it is excused; a test that had failed before is not excused.
ends 'stage slow 1 timeout 1 sleep 5; [ "$result" = 124 ]; summary'
[ "$status" = 1 ] || { echo "exit status $status in place of 1"; exit 1; }
has '^slow +FAILED +[0-9]+ s  not done after 1 s$'
ends 'stage slow 1 timeout 1 sleep 5; settle slow skipped "cut short"; summary'
[ "$status" = 0 ] || { echo "exit status $status in place of 0"; exit 1; }
has '^slow +skipped +[0-9]+ s  cut short$'
ends 'late() { echo "1/9 Test #1: core.file ...***Failed"; timeout 1 sleep 5; }
      stage slow 1 late; [ "$result" = 1 ]; summary'
[ "$status" = 1 ] || { echo "exit status $status in place of 1"; exit 1; }
has '1:1/9 Test #1: core.file'

# A stage that is run once more counts as its second run.
ends 'once() { [ -e "'"$work"'/ran" ] || { touch "'"$work"'/ran"; return 1; }; }
      stage twice 60 once; stage twice 60 once; summary'
[ "$status" = 0 ] || { echo "exit status $status in place of 0"; exit 1; }
[ "$(grep -c '^twice ' "$work/end")" = 1 ] || { echo "a stage stands twice in the summary"; exit 1; }
echo "the end of a check names what failed"
