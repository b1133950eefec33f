#!/usr/bin/env bash
# Ctrl-C on mpirun, as a terminal sends it: SIGINT to the whole process group. Whatever mpirun makes of it, the same
# command resumes and ends with the bytes of the run that was never stopped; with jobs/mpirun.sh, and where mpirun is
# told to wait, there is a checkpoint of the moment.
. "$(dirname "$0")/common.sh"
"$TOOLS/make_weights" weights.safetensors
export PULMO_WEIGHTS=$WORK/weights.safetensors
"$PULMO" demo-data demo --train 64 --val 11 --test 9 --seed 3 -q
"$PULMO" pack demo packed --size 64 -q
unset OMPI_MCA_odls_base_sigkill_timeout

# Open MPI 5's launcher is known by what it leaves in the environment.
brief() { "$PULMO" train --set data.path=packed --set train.run_dir="$1" --set train.epochs=1 --set model.hidden='[12]' > "$1.txt" 2> "$1.err"; }
PRTE_LAUNCHED=1 brief five || { cat five.err; fail "it does not train"; }
grep -q "pkill -USR1 prterun" five.err || { cat five.err; fail "nobody is told how a run under Open MPI 5 is stopped"; }
PRTE_LAUNCHED=1 PULMO_MPIRUN=1 brief asked-for || { cat asked-for.err; fail "it does not train"; }
if grep -q "pkill" asked-for.err; then fail "advice that was followed is given"; fi
mpirun --version | grep -q "Open MPI) 4\." || { echo "skipped: the rest is about Open MPI 4's mpirun"; exit 77; }

wrapper=(bash "$PULMO_SOURCE/jobs/mpirun.sh")

# run RUN LAUNCHER...: on two ranks, with convolutions trained from block4 on; long enough to outlast the two seconds that
# mpirun is told to wait, on a fast machine too.
run() {
    local run=$1
    shift
    "$@" --oversubscribe --bind-to none -n 2 "$PULMO" train --set data.path=packed --set train.run_dir="$run" \
        --set train.epochs=90 --set train.batch=8 --set train.microbatch=2 --set model.hidden='[12]' --set train.patience=0 \
        --set model.trainable=block4 --set train.threads=1 > "$run.txt" 2> "$run.err"
}
run whole mpirun
wanted=$(head_of whole.txt)
[ -n "$wanted" ] || { cat whole.err; fail "no Head SHA-256"; }
grep -q "pkill -USR1 mpirun" whole.err || { cat whole.err; fail "nobody is told how a run under mpirun is stopped"; }

# stop SIGNAL group|launcher RUN LAUNCHER...: sets `status`; a group of its own is what a terminal gives a command.
stop() {
    local signal=$1 whom=$2 run=$3 pid
    export -f run
    set -m
    run "$run" "${@:4}" &
    pid=$!
    set +m
    for _ in $(seq 400); do
        grep -q "^Epoch 2" "$run.err" 2> /dev/null && break
        sleep 0.05
    done
    if [ "$whom" = group ]; then kill "-$signal" -- "-$pid"; else kill "-$signal" "$(pgrep -P "$pid")"; fi
    status=0
    wait "$pid" || status=$?
}

# resume RUN: by another launch, to the end.
resume() {
    run "$1" mpirun || { cat "$1.err"; fail "$1 does not resume"; }
    grep -q "resuming from" "$1.err" || { cat "$1.err"; fail "$1 began anew"; }
    [ "$(head_of "$1.txt")" = "$wanted" ] || fail "$1: another model"
    cmp whole/history.csv "$1/history.csv"
}

stop INT group asked "${wrapper[@]}"
[ "$status" = 75 ] || { cat asked.err; fail "jobs/mpirun.sh, Ctrl-C: status $status, not 75"; }
grep -q "checkpoint written" asked.err || { cat asked.err; fail "jobs/mpirun.sh, Ctrl-C: no checkpoint"; }
if grep -q "pkill -USR1 mpirun" asked.err; then fail "advice that was followed is given"; fi
resume asked

stop TERM launcher ended "${wrapper[@]}"
[ "$status" = 75 ] || { cat ended.err; fail "jobs/mpirun.sh, SIGTERM: status $status, not 75"; }
resume ended

OMPI_MCA_odls_base_sigkill_timeout=2 stop INT group patient mpirun
[ "$status" != 0 ] || fail "an interrupted run ended with status 0"
grep -q "checkpoint written" patient.err || { cat patient.err; fail "mpirun that waits, Ctrl-C: no checkpoint"; }
resume patient

# By itself mpirun kills: what is lost is what came after the last checkpoint.
stop INT group killed mpirun
[ "$status" != 0 ] || fail "a killed run ended with status 0"
run killed mpirun || { cat killed.err; fail "a killed run does not resume"; }
[ "$(head_of killed.txt)" = "$wanted" ] || fail "killed: another model"
echo "Ctrl-C under mpirun: one model"
