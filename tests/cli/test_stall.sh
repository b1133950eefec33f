#!/bin/bash
# A rank that hangs, stops, dies or waits for nobody ends the job in time, and is named.
# Usage: test_stall.sh PATH-OF-PULMO; the scenarios are played by the test program beside it.
set -u
player=$(dirname "$1")/../tests/t_dist_watch
[ -x "$player" ] || { echo "$player is missing: build it first"; exit 1; }
. "$(dirname "$0")/launcher.sh"
limit_s=2
slack_s=15 # the launcher's own time, on a busy machine
failed=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# play SCENARIO STATUS WORDS...: ends in time, with that status ("not 0": any other), saying each of the words
play() {
    local scenario=$1 wanted=$2 began=$SECONDS status ok=1
    shift 2
    timeout -k 5 60 mpirun -n 3 "$player" "$scenario" $limit_s > "$out" 2>&1
    status=$?
    [ $((SECONDS - began)) -le $((limit_s + slack_s)) ] || { echo "  took $((SECONDS - began)) s"; ok=0; }
    if [ "$wanted" = "not 0" ]; then [ $status != 0 ]; else [ $status = "$wanted" ]; fi ||
        { echo "  status $status, not $wanted"; ok=0; }
    for words in "$@"; do
        grep -qF -- "$words" "$out" || { echo "  does not say: $words"; ok=0; }
    done
    if [ $ok = 1 ]; then echo "ok   $scenario"; else echo "FAIL $scenario"; cat "$out"; failed=1; fi
}

# Other launchers than Open MPI's end with what their own killing of the ranks left, and do not name the rank that a signal ended.
ended=1 lost="rank 2"
mpirun --version 2>&1 | grep -qE "Open MPI|OpenRTE" || { ended="not 0" lost="signal"; echo "statuses, and the name of a killed rank, are the launcher's: not looked at"; }
play fine 0 "status 0"
play stuck "$ended" "rank 2 on host $(hostname) has made no progress for 2 s (a long task)"
play overdue "$ended" "rank 2 on host $(hostname) has made no progress for 5 s (writing a large file)"
play stopped "$ended" "rank 2 on host $(hostname) has not been heard from for"
play root "$ended" "rank 0 on host $(hostname) has not been heard from for"
play deadlock "$ended" "all ranks are alive and have waited for each other"
play left "$ended" "rank 2 on host $(hostname) has come to its end"
play killed "not 0" "$lost" "signal 9"
exit $failed
