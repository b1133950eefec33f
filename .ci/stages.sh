#!/usr/bin/env bash
# Stages of a check, to be sourced: each runs whatever became of those before it, and the end says
# what became of all. Whoever sees the last lines alone learns which stage failed, and how.
#
#   stage NAME MOST_SECONDS COMMAND...   runs it; its output is shown and kept
#   settle NAME OUTCOME [WORD]           OUTCOME passed, skipped or FAILED, in place of the exit status
#   summary                              returns 0 only if no stage failed

stage_logs=$(mktemp -d)
trap 'rm -rf "$stage_logs"' EXIT
stage_names=()
declare -A stage_outcome stage_word stage_took_s

failed_test='[*][*][*](Failed|Timeout|Exception)|[*][*][*]Not Run|^FAIL'

# Sets `result`: the exit status; 124 where the time limit ended the stage before any test had failed.
stage() {
    local name=$1 most_s=$2 began=$SECONDS
    local log=$stage_logs/$name
    shift 2
    result=0
    ("$@") > >(tee "$log") 2>&1 || result=$? # no pipe, which daemons left behind would hold open
    sleep 1
    if [ "$result" = 137 ] && [ $((SECONDS - began)) -ge "$most_s" ]; then result=124; fi
    if [ "$result" = 124 ] && grep -qE "$failed_test" "$log"; then result=1; fi
    stage_took_s[$name]=$((SECONDS - began))
    case $result in
    0) settle "$name" passed ;;
    124) settle "$name" FAILED "not done after $most_s s" ;;
    *) settle "$name" FAILED "exit status $result" ;;
    esac
}

settle() {
    [[ " ${stage_names[*]} " == *" $1 "* ]] || stage_names+=("$1")
    stage_outcome[$1]=$2
    stage_word[$1]=${3:-}
    echo "== $1: $2${3:+, $3}"
}

# The lines of a failed stage's log that name a failure, and its end.
show_failure() {
    local log=$stage_logs/$1
    echo
    echo "== $1 FAILED, ${stage_word[$1]}. Lines that name a failure:"
    grep -nE "$failed_test|(error|warning): |runtime error|ERROR: [A-Z][a-z]+Sanitizer" "$log" | cut -c 1-300 | head -n 20 || true
    echo "== $1: the last 40 lines of its output"
    tail -n 40 "$log" | cut -c 1-300
}

summary() {
    local name failed=0
    for name in "${stage_names[@]}"; do
        [ "${stage_outcome[$name]}" != FAILED ] || { show_failure "$name"; failed=1; }
    done
    echo
    echo "== all stages"
    for name in "${stage_names[@]}"; do
        printf '%-12s %-8s %5d s  %s\n' "$name" "${stage_outcome[$name]}" "${stage_took_s[$name]:-0}" "${stage_word[$name]}"
    done
    return "$failed"
}
