#!/usr/bin/env bash
# jobs/supervise.sh: a command that is started again until it is done, where no scheduler does it.
source "$(dirname "$0")/common.sh"
supervise() { bash "$PULMO_SOURCE/jobs/supervise.sh" "$@"; }
export PULMO_PAUSE=0

# ---- what ends it ----
attempt() { # ends with the N-th of these statuses at its N-th start
    printf '#!/bin/sh\necho x >> %s; set -- %s; shift $(($(wc -l < %s) - 1)); exit $1\n' "$1" "$2" "$1" > "$1.sh"
    chmod +x "$1.sh"
}
starts() { wc -l < "$1"; }
attempt good "75 1 137 0"; supervise 5 ./good.sh 2> said.txt || fail "a run that gets done is no failure"
[ "$(starts good)" = 4 ] || fail "$(starts good) starts, not 4"
grep -q "status 137; starting again" said.txt || fail "a start is not said"
for last in 2 65 74; do
    attempt "bad$last" "75 $last 0"; got=0; supervise 5 "./bad$last.sh" 2> said.txt || got=$?
    [ "$got" = "$last" ] && [ "$(starts "bad$last")" = 2 ] || fail "status $last was tried again"
done
attempt never "1 1 1 1 1 1"; got=0; supervise 3 ./never.sh 2> said.txt || got=$?
[ "$got" = 1 ] && [ "$(starts never)" = 4 ] || fail "$(starts never) starts of at most 4"
grep -q "given up after 3 more starts" said.txt || fail "the end is not said"
expect 2 "usage: " supervise ./good.sh
expect 2 "usage: " supervise 3
for pause in 0.5 abc -1; do PULMO_PAUSE=$pause expect 2 "PULMO_PAUSE is a whole number" supervise 3 true; done

# ---- a rank that is lost, a real run: the model of one that was not ----
make_small
export EXTRA="--set train.epochs=200 --set train.checkpoint_batches=1"
small_train whole ranks 2 > whole.txt 2>&1
small_train lost supervise 5 mpirun --oversubscribe --bind-to none -n 2 env FIRST="$WORK/first" bash -c '
    if [ "${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}" = 1 ] && mkdir "$FIRST" 2> /dev/null; then (until [ -s lost/checkpoint.h5 ]; do sleep 0.02; done; kill -9 $$) & fi; exec "$@"' _ > lost.txt 2>&1 ||
    { cat lost.txt; fail "a lost rank ends it"; }
[ "$(head_of lost.txt)" = "$(head_of whole.txt)" ] || fail "another model"

grep -q "^resuming from" lost.txt || fail "it did not resume"

# ---- its own signal: a checkpoint, and no further start ----
for signal in INT TERM HUP; do
    set -m
    bash "$PULMO_SOURCE/jobs/supervise.sh" 9 "$PULMO" train --set data.path=packed --set train.run_dir="own$signal" --set train.epochs=100000 \
        --set train.patience=0 --set train.batch=8 --set model.hidden='[12]' > /dev/null 2> said.txt &
    supervisor=$!
    set +m
    for _ in $(seq 100); do [ -s "own$signal/events.jsonl" ] && break; sleep 0.1; done
    kill -s "$signal" "$supervisor"
    got=0; wait "$supervisor" || got=$?
    [ "$got" = 75 ] || { cat said.txt; fail "SIG$signal: status $got, not 75"; }
    grep -q "stopped by SIG$signal" said.txt || { cat said.txt; fail "SIG$signal is not said"; }
    [ -s "own$signal/checkpoint.h5" ] || fail "SIG$signal: no checkpoint"
done
