#!/usr/bin/env bash
# A run that knows its time limit, by its own setting or from the batch system, stops before it with a checkpoint and
# status 75, gets on at every start however short the time, and in the end has trained the model of one long run.
. "$(dirname "$0")/common.sh"
make_small
export EXTRA="--set train.epochs=4000 --set train.checkpoint_seconds=0"
limit_s=6
slack_s=5 # mpirun takes its time to start and to end, more so on a busy machine

# stopped RUN LIMIT COMMAND...: ends with 75 before the limit
stopped() {
    local run=$1 limit=$2 began=$SECONDS status=0 took
    shift 2
    "$@" > out.txt 2>&1 || status=$?
    took=$((SECONDS - began))
    [ "$status" = 75 ] || { tail -n 5 out.txt >&2; fail "$run: status $status after $took s, not 75"; }
    grep -q "^pulmo: stopped: the time limit is near" out.txt || { tail -n 5 out.txt >&2; fail "$run: no word of the time limit"; }
    [ "$took" -le "$limit" ] || fail "$run: stopped after $took s; the limit was $limit s"
    [ -s "$run/checkpoint.h5" ] || fail "$run: no checkpoint"
}

EXTRA="$EXTRA --set train.time_limit_seconds=$limit_s" stopped own $((limit_s + slack_s)) small_train own ranks 2
[ "$(grep -c '^Epoch' out.txt)" -gt 1 ] || fail "stopped at once: the margin is too large"
SLURM_JOB_END_TIME=$(($(date +%s) + limit_s)) stopped job $((limit_s + slack_s)) small_train job ranks 2
[ "$(grep -c '^Epoch' out.txt)" -gt 1 ] || fail "stopped at once: the margin is too large"
grep -q "the time limit is near (SLURM_JOB_END_TIME)" out.txt || fail "no word of whose limit it is"

# No time at all: a batch a start, and the model of the run that was never stopped.
short="--set train.epochs=2"
EXTRA=$short small_train whole ranks 1 > whole.txt 2> whole.err
starts=0 status=75
while [ "$status" = 75 ]; do
    starts=$((starts + 1)) status=0
    [ "$starts" -le 20 ] || fail "does not get on: $(tail -n 1 out.txt)"
    EXTRA="$short --set train.time_limit_seconds=0.001" small_train bits ranks $((starts % 2 + 1)) > out.txt 2>&1 || status=$?
done
[ "$status" = 0 ] || { cat out.txt; fail "status $status"; }
[ "$starts" -gt 4 ] || fail "ended after $starts starts: the limit was not kept"
[ "$(head_of out.txt)" = "$(head_of whole.txt)" ] || fail "in pieces it is another model"

SLURM_JOB_END_TIME=tomorrow expect 2 'SLURM_JOB_END_TIME is "tomorrow"' small_train wrong ranks 2
# A time that is past is of a job that a shell outlived: said, and no limit.
EXTRA=$short SLURM_JOB_ID=77 SLURM_JOB_END_TIME=1000000 small_train past ranks 2 > out.txt 2>&1 || { cat out.txt; fail "a job of 1970 limits a run"; }
grep -q "SLURM_JOB_END_TIME is in the past" out.txt || { cat out.txt; fail "no word of a time that is past"; }
[ "$(head_of out.txt)" = "$(head_of whole.txt)" ] || fail "after a time that is past it is another model"
echo "stopped before the limit; the same model after $starts starts"
