#!/bin/bash
# One run directory, one owner: two programs at once, dead owners, owners on other hosts, a job that Slurm started again.
source "$(dirname "$0")/common.sh"
make_small

long_run() { EXTRA="--set train.epochs=20000 --set train.checkpoint_batches=4" small_train "$@"; }
await() { for _ in $(seq 600); do [ -e "$1" ] && return; sleep 0.1; done; fail "$1 does not appear"; }
owner_elsewhere() { # DIRECTORY JOB RESTARTS
    mkdir -p "$1"
    printf 'nonce %s\nhost elsewhere\nspace another-boot/pid:[1]\npid 4711\nbegan 99\njob %s\nrestarts %s\n' \
        0123456789abcdef0123456789abcdef "$2" "$3" > "$1/owner.new"
    mv "$1/owner.new" "$1/owner"
}

# Two at once, also under mpirun: the second is refused on every rank, the first notices nothing.
long_run run env > first.txt 2>&1 & first=$!
await run/owner
expect 2 "another pulmo is at work here" long_run run env
expect 2 "another pulmo is at work here" long_run run ranks 2
kill -0 $first || { cat first.txt; fail "the first run ended"; }
await run/checkpoint.h5

# A killed owner is dead for certain on its own host; temporary files that it left go.
kill -9 "$(sed -n 's/^pid //p' run/owner)"; wait $first 2> /dev/null || true
[ -e run/owner ] || fail "a killed run gave its directory up"
touch run/checkpoint.h5.tmp.1.ab
touch second.txt
long_run run env > second.txt 2>&1 & second=$!
for _ in $(seq 600); do grep -q "resuming from" second.txt && break; sleep 0.1; done
grep -q "its process is gone" second.txt || { cat second.txt; fail "no takeover from a dead process"; }
grep -q "resuming from" second.txt || { cat second.txt; fail "the checkpoint was not used"; }
[ ! -e run/checkpoint.h5.tmp.1.ab ] || fail "a killed run's temporary file stays"

# Someone else takes the directory over: the run ends and writes nothing more, but for the epoch that it was writing.
owner_elsewhere run 12 0
epochs=$(wc -l < run/history.csv)
status=0; wait $second || status=$?
[ $status = 1 ] || { cat second.txt; fail "status $status, not 1, after the directory was lost"; }
grep -q "host elsewhere, process 4711 (job 12, restart 0) has taken this run over" second.txt || { cat second.txt; fail "who took over is not said"; }
[ "$(wc -l < run/history.csv)" -le $((epochs + 1)) ] || fail "a run wrote to a directory that it had lost"
grep -q "nonce 0123456789abcdef" run/owner || fail "another's ownership was removed"

# Slurm starts a job again: its earlier start counts as dead at once. The end gives the directory up.
owner_elsewhere again 77 0
SLURM_JOB_ID=77 SLURM_RESTART_COUNT=1 small_train again env > again.txt 2>&1 || { cat again.txt; fail "a requeued job"; }
grep -q "Slurm started its job again" again.txt || fail "a requeued job waits"
[ ! -e again/owner ] || fail "a finished run keeps its directory"
small_train plain env > plain.txt 2>&1
[ "$(head_of plain.txt)" = "$(head_of again.txt)" ] || fail "taking over changes the model"

# An owner on another host that gives a sign of life is not disturbed; one that gives none is dead.
owner_elsewhere alive - 0
(sleep 2; touch alive/owner) &
expect 2 "host elsewhere, process 4711" small_train alive env
owner_elsewhere gone - 0
small_train gone ranks 2 > gone.txt 2>&1 || { cat gone.txt; fail "a dead owner's directory"; }
grep -q "it gave no sign of life" gone.txt || fail "no word on the takeover"
[ "$(head_of gone.txt)" = "$(head_of plain.txt)" ] || fail "taking over changes the model"
echo "one owner at a time"
