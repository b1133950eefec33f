#!/usr/bin/env bash
# Starts a training command again until it is done, where no scheduler does:
#
#   bash jobs/supervise.sh 10 mpirun -n 2 pulmo train -c recommended --set ...
#
# The first argument is how many times, at most, it is started again: after status 75 (stopped with a
# checkpoint) and after a lost rank or host (any status but those that will be the same the next
# time: 2 usage or settings, 65 damaged data or weights, 74 files that cannot be read or written).
# Pauses grow from 5 seconds to 5 minutes, so that a host can come back; PULMO_PAUSE sets the first, in
# whole seconds. Ctrl-C, SIGTERM and the end of its terminal (SIGHUP; not under nohup) are passed on (to
# mpirun as SIGUSR1, which it hands to its ranks: they write a checkpoint) and end it; the same command
# resumes later.
set -u

usage() {
    echo "usage: bash jobs/supervise.sh TIMES COMMAND..., as in: bash jobs/supervise.sh 10 mpirun -n 2 pulmo train ..." >&2
    exit 2
}
[ $# -ge 2 ] || usage
times=$1
shift
[[ $times =~ ^[0-9]{1,9}$ ]] || usage

pause=${PULMO_PAUSE:-5}
[[ $pause =~ ^[0-9]{1,9}$ ]] || { echo "supervise: PULMO_PAUSE is a whole number of seconds, not \"$pause\"" >&2; exit 2; }
pause=$((10#$pause))
longest=300
asked=''
running=''

# A second one is passed on as it is.
ask() {
    local signal=$1
    if [ -n "$asked" ]; then kill -s "$signal" "$running"; else kill -s USR1 "$running"; fi 2> /dev/null
    asked=$signal
}
trap 'ask INT' INT
trap 'ask TERM' TERM
trap 'ask HUP' HUP
# In the background, which must not read from the terminal, with process groups of their own.
if [ -t 0 ]; then exec < /dev/null; fi

run() {
    set -m
    "$@" &
    running=$!
    set +m
    wait "$running"
    status=$?
    while kill -0 "$running" 2> /dev/null; do
        wait "$running"
        status=$?
    done
}

# It cannot be told from a status of 1 whether a rank was lost or the run fails every time: that is what TIMES is for.
for ((start = 0; ; start++)); do
    run "$@"
    [ "$status" != 0 ] || exit 0
    [ -z "$asked" ] || { echo "supervise: stopped by SIG$asked; the same command resumes" >&2; exit "$status"; }
    case $status in
    2 | 65 | 74 | 126 | 127)
        echo "supervise: status $status will be the same the next time; not started again" >&2
        exit "$status"
        ;;
    esac
    [ "$start" -lt "$times" ] || { echo "supervise: status $status; given up after $times more starts" >&2; exit "$status"; }
    echo "supervise: status $status; starting again in $pause s ($((start + 1)) of $times)" >&2
    sleep "$pause" &
    running=$!
    wait "$running"
    [ -z "$asked" ] || { kill "$running" 2> /dev/null; echo "supervise: stopped by SIG$asked; the same command resumes" >&2; exit 75; }
    pause=$((pause * 2 < longest ? pause * 2 : longest))
done
