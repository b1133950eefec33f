#!/bin/bash
# pulmo on a real Slurm cluster of three hosts, each with its own network link, name and processes:
#
#   PULMO_LAB=DIR bash tests/cluster/run.sh [--short] [BUILD_DIR]
#
# --short leaves out what waits for time limits and lost nodes: two minutes instead of nine.
# DIR holds the lab's scripts (lab-up.sh, lab-down.sh, lab-node.sh, netns-rsh). Ends with 77
# (skipped) where there is no lab or this machine cannot run one.
set -u
short=no
if [ "${1:-}" = --short ]; then short=yes; shift; fi
here=$(dirname "$(readlink -f "$0")")
build=$(readlink -f "${1:-$here/../../build/release}")
[ -n "${PULMO_LAB:-}" ] || { echo "skipped: PULMO_LAB does not name the lab's directory"; exit 77; }
lab=$(readlink -f "$PULMO_LAB")
for program in bin/pulmo tests/t_dist_comm tests/t_dist_exact tests/t_dist_shared tests/t_dist_watch tests/make_weights; do
    [ -x "$build/$program" ] || { echo "$build/$program is missing; build first: cmake --build $build"; exit 1; }
done

ulimit -c 0
export LAB_DIR=${LAB_DIR:-/tmp/pulmo-lab.$$}
work=$(mktemp -d)
failed=0
end() { "$lab/lab-down.sh" --purge > /dev/null; rm -rf "$work"; }
"$lab/lab-up.sh" 3 || { status=$?; [ $status = 77 ] && echo "skipped: this machine cannot run the lab"; exit $status; }
trap end EXIT

on_login() { timeout -k 5 "$1" "$lab/netns-rsh" ctl "${@:2}" > "$work/out" 2>&1; }
ok() { echo "ok   $* ($((SECONDS - began)) s)"; }
fail() { echo "FAIL $*"; sed 's/^/     /' "$work/out"; failed=1; }
says() { grep -qE -- "$1" "$work/out"; }

# check NAME COMMAND...: the condition that ends a check
check() { local name=$1; shift; if "$@"; then ok "$name"; else fail "$name"; fi; }

# Brings back what has failed. A node that Slurm has not heard from lately still counts as idle to the lab, but gets no jobs: its
# daemon is started anew.
come_back() {
    local node
    for _ in $(seq 60); do
        "$lab/lab-up.sh" 3 > "$work/up" 2>&1 || { cat "$work/up"; echo "FAIL the lab does not come back"; exit 1; }
        "$lab/netns-rsh" ctl "sinfo -h -N -p lab -t all -o '%N %T'" > "$work/nodes"
        grep -qvE ' (idle|completing)$' "$work/nodes" || return 0
        for node in $(sed -n 's/ drain.*//p' "$work/nodes"); do # a task that would not die
            "$lab/netns-rsh" ctl "scontrol update nodename=$node state=resume" > /dev/null 2>&1
        done
        for node in $(sed -n 's/ .*\*$//p' "$work/nodes"); do
            "$lab/lab-node.sh" kill-slurm "$node" && "$lab/lab-node.sh" boot "$node"
        done > /dev/null 2>&1
        sleep 0.5
    done
    cat "$work/nodes"
}

launchers=("srun --mpi=pmix -N3" "mpirun --host n1:2,n2:1,n3:2")

# ---- the test programs over hosts ----
for launcher in "${launchers[@]}"; do
    for name in comm exact shared; do
        began=$SECONDS
        on_login 60 "$launcher $build/tests/t_dist_$name"
        status=$?
        check "$name: $launcher" [ $status = 0 ]
    done
done

# ---- launchers that do not fit ----
began=$SECONDS
on_login 30 "srun --mpi=none -N2 $build/bin/pulmo bench allreduce --elements 16"
status=$?
refused() { [ $status = 2 ] && says 'srun --mpi=pmix pulmo' && ! says '"ranks": 1'; }
check "srun --mpi=none is refused" refused

cat > "$work/job.sh" <<END
#!/bin/bash
$build/bin/pulmo bench allreduce --elements 16                     # one rank, in the job's own shell
mpirun -n 1 --host \$(scontrol show hostnames | tail -n 1) $build/bin/pulmo bench allreduce --elements 16
mpirun $build/bin/pulmo bench allreduce --elements 16
srun --mpi=pmix $build/bin/pulmo bench allreduce --elements 16
echo finished
END
began=$SECONDS
job=$("$lab/netns-rsh" ctl sbatch --parsable -N3 --ntasks-per-node=1 -o "$work/out" "$work/job.sh")
for _ in $(seq 100); do grep -q "^finished" "$work/out" 2> /dev/null && break; sleep 0.2; done
ranks() { [ "$(grep -o '"ranks": [0-9]*' "$work/out" | tr -dc '0-9\n' | tr '\n' ' ')" = "1 1 3 3 " ]; }
check "batch job $job: alone, mpirun -n 1, mpirun, srun" ranks

# ---- training ----
# One model wherever it runs: on one rank, on three hosts, on a slow network, and in a batch job that
# is told to stop, puts itself back into the queue and resumes, there on another number of hosts' ranks.
cd "$work" || exit 1
export PULMO=$build/bin/pulmo PULMO_WEIGHTS=$work/weights.safetensors
"$build/tests/make_weights" weights.safetensors
"$PULMO" demo-data demo --train 26 --val 11 --test 9 --seed 3 -q && "$PULMO" pack demo packed --size 64 -q || exit 1
settings="--set data.path=$work/packed --set train.epochs=120 --set train.batch=8 --set train.microbatch=2 \
    --set model.hidden=[12] --set train.patience=0 --set train.checkpoint_batches=20 --set train.stall_seconds=20"
head_of() { sed -n 's/^Head SHA-256: //p' "$1"; }
# shellcheck disable=SC2086 # settings are words
"$PULMO" train $settings --set train.run_dir=alone > alone.txt 2> alone.err
wanted=$(head_of alone.txt)
same() { [ -n "$wanted" ] && [ "$(head_of "$work/out")" = "$wanted" ]; }

began=$SECONDS
on_login 60 "srun --mpi=pmix -K -N3 $PULMO train $settings --set train.run_dir=$work/hosts"
check "training on three hosts gives one rank's model" same
began=$SECONDS
"$lab/lab-node.sh" slow n2 100mbit 1
on_login 60 "mpirun --host n1,n2 $PULMO train $settings --set train.run_dir=$work/slow"
"$lab/lab-node.sh" fast n2
check "so does a network of 100 Mbit/s and 1 ms" same

began=$SECONDS
: > "$work/out"
job=$("$lab/netns-rsh" ctl "sbatch --parsable -N2 --ntasks-per-node=1 -o $work/out $here/../../jobs/train.sbatch \
    $settings --set train.run_dir=$work/job")
for _ in $(seq 200); do [ -s "$work/job/checkpoint.h5" ] && break; sleep 0.05; done
"$lab/netns-rsh" ctl "scancel --signal=USR1 $job"
for _ in $(seq 300); do grep -q "^Head SHA-256" "$work/out" && break; sleep 0.2; done
requeued() { same && says "resuming from" && says "requeue"; }
check "job $job, told to stop, requeues itself and finishes the same model" requeued

# Where a job may not be requeued, one that waits for its end resumes, with the first one's request; a run that has ended leaves no
# job behind. What a site sets is in a file.
jobs=$here/../../jobs
cat > site <<END
module() { echo "module \$*"; }
export PULMO_MODULES="openmpi hdf5" PULMO_MPI=$("$lab/netns-rsh" ctl "srun --mpi=list" 2>&1 | grep -om 1 'pmix_v[0-9]*' || echo pmix)
END
began=$SECONDS
: > "$work/out"
job=$("$lab/netns-rsh" ctl "PULMO_SETUP=$work/site sbatch --parsable --no-requeue -N2 --ntasks-per-node=1 -p high --account=heart \
    -J chained -o $work/out $jobs/train.sbatch $settings --set train.run_dir=$work/chained")
for _ in $(seq 600); do [ -s "$work/chained/checkpoint.h5" ] && break; sleep 0.05; done
"$lab/netns-rsh" ctl "scancel --signal=USR1 $job"
for _ in $(seq 300); do grep -q "^Head SHA-256" "$work/out" && break; sleep 0.2; done
for _ in $(seq 50); do [ -z "$("$lab/netns-rsh" ctl "squeue -h -n chained -o %i")" ] && break; sleep 0.2; done
successor=$(sed -nE 's/^job ([0-9]+) resumes if job '"$job"' .*/\1/p' "$work/out")
"$lab/netns-rsh" ctl "squeue -h -n chained -o %i; scontrol show job ${successor:-none}" > "$work/last" 2>&1
chained() {
    same && says "resuming from" && says "status 75: job $successor resumes" && says "^module load openmpi hdf5" &&
        ! says "requeueing" && ! grep -qE '^[0-9]' "$work/last" && grep -q "Partition=high" "$work/last" &&
        grep -q "Account=heart" "$work/last" && grep -q "NumNodes=2 " "$work/last" && grep -q "JobState=COMPLETED" "$work/last"
}
check "job $job, not to be requeued, has job $successor finish the same model" chained

# A cancelled job has no successor.
began=$SECONDS
: > "$work/out"
job=$("$lab/netns-rsh" ctl "sbatch --parsable --no-requeue -N1 --ntasks-per-node=1 -J cancelled -o $work/out $jobs/train.sbatch \
    $settings --set train.epochs=90000 --set train.run_dir=$work/cancelled")
for _ in $(seq 600); do [ -s "$work/cancelled/checkpoint.h5" ] && break; sleep 0.05; done
"$lab/netns-rsh" ctl "scancel $job"
for _ in $(seq 100); do [ -z "$("$lab/netns-rsh" ctl "squeue -h -n cancelled -o %i")" ] && break; sleep 0.2; done
left=$("$lab/netns-rsh" ctl "squeue -h -n cancelled -o %i")
cancelled() { [ -s "$work/cancelled/checkpoint.h5" ] && [ -z "$left" ] && says "resumes if job $job" && says "job $job was cancelled"; }
check "job $job, cancelled, has no successor train" cancelled

# An array from one bank: the job before it makes all of the bank, the array's parts read it and make one table.
began=$SECONDS
: > "$work/out"
"$lab/netns-rsh" ctl "bash $jobs/sweep-bank.sh 0-2 --ntasks-per-node=1 -o $work/out -- $settings --set bank.views=2 --set bank.seed=0 \
    --set bank.path=$work/bank --set train.epochs=3 --set train.run_dir=$work/banked --grid optim.lr=0.01,0.001 --grid train.seed=1,2,3"
banked() { [ "$(grep -c ,finished, "$work/banked/sweep.csv" 2> /dev/null)" = 6 ]; }
for _ in $(seq 300); do banked && break; sleep 0.2; done
built_once() { banked && [ -z "$(find "$work/bank" -newer "$work/banked-bank/results.h5" -name '*.h5')" ] && [ -n "$(ls "$work/bank")" ]; }
check "an array trains every trial from the bank that the job before it built" built_once

[ $short = no ] || exit $failed

# ---- the job scripts, ended by time limits ----
# A minute is Slurm's shortest limit, and a signal asked for comes up to a minute early. One job has the signal, one knows from its
# script when it will end, and stops half a minute before. Both go back into the queue until they are done.
long="${settings/train.epochs=120/train.epochs=$((120 * ${SPEED:-8}))}"
# shellcheck disable=SC2086 # settings are words
"$PULMO" train $long --set train.run_dir=long > long.txt 2> long.err
short_wanted=$wanted
wanted=$(head_of long.txt)
sed '/--signal/d' "$jobs/train-mpirun.sbatch" > no-signal.sbatch
export PULMO_JOBS=$jobs
submit() { "$lab/netns-rsh" ctl "sbatch --parsable --time=1 --ntasks-per-node=1 $*"; }
began=$SECONDS
touch "$work/timed.out" "$work/told.out"
declare -A job_of
job_of[timed]=$(submit -N2 --signal=USR1@20 -o "$work/timed.out" "$jobs/train.sbatch" "$long" --set "train.run_dir=$work/timed")
job_of[told]=$(submit -N2 -o "$work/told.out" "$work/no-signal.sbatch" "$long" --set "train.run_dir=$work/told")
for _ in $(seq 900); do
    grep -q "^Head SHA-256" "$work/timed.out" && grep -q "^Head SHA-256" "$work/told.out" && break
    sleep 0.2
done
for job in timed told; do
    mv "$work/$job.out" "$work/out"
    check "job ${job_of[$job]}, ended by its time limit ($job), requeues itself and finishes the same model" requeued
done

# An array's parts make one table; with mpirun the signal goes through the script to the ranks.
began=$SECONDS
: > "$work/out"
array=$("$lab/netns-rsh" ctl "sbatch --parsable --array=3-5 --ntasks-per-node=1 -o $work/out $jobs/sweep.sbatch $settings \
    --set train.epochs=3 --set train.run_dir=$work/swept --grid optim.lr=0.01,0.001 --grid train.seed=1,2,3,4")
swept() { [ "$(grep -c ,finished, "$work/swept/sweep.csv" 2> /dev/null)" = 8 ]; }
for _ in $(seq 200); do swept && break; sleep 0.2; done
check "array $array trains every trial once" swept
wanted=$short_wanted
began=$SECONDS
: > "$work/out"
job=$(submit -N2 --time=2 -o "$work/out" "$jobs/train-mpirun.sbatch" "$settings" --set "train.run_dir=$work/signalled")
for _ in $(seq 200); do [ -s "$work/signalled/checkpoint.h5" ] && break; sleep 0.05; done
"$lab/netns-rsh" ctl "scancel --batch --signal=USR1 $job"
for _ in $(seq 300); do grep -q "^Head SHA-256" "$work/out" && break; sleep 0.2; done
check "job $job under mpirun, told to stop, requeues itself and finishes the same model" requeued

# ---- one job in two places ----
# A cut link: Slurm starts the job again elsewhere while its first start lives on, on the same files, unless Slurm's own daemon ends it.
began=$SECONDS
: > "$work/out"
job=$("$lab/netns-rsh" ctl "sbatch --parsable -N1 --ntasks-per-node=1 -o $work/first.out --open-mode=truncate \
    --wrap 'srun --mpi=pmix $PULMO train $settings --set train.epochs=90000 --set train.run_dir=$work/twice > $work/start\$SLURM_RESTART_COUNT 2>&1'")
for _ in $(seq 200); do [ -s "$work/twice/checkpoint.h5" ] && break; sleep 0.05; done
first_host=$("$lab/netns-rsh" ctl "squeue -h -j $job -o %N")
"$lab/lab-node.sh" cut "$first_host"
for _ in $(seq 500); do grep -q "^resuming from" "$work/start1" 2> /dev/null && break; sleep 0.2; done
for _ in $(seq 75); do grep -q "has taken this run over" "$work/start" && break; sleep 0.2; done
said=$(wc -l < "$work/start") and=$(wc -l < "$work/start1")
sleep 3
fenced() { # the second one is at work, the first one is not
    grep -q "^restarts 1" "$work/twice/owner" && [ "$(wc -l < "$work/start1")" -gt "$and" ] && [ "$(wc -l < "$work/start")" = "$said" ]
}
tail -n 4 "$work/start" "$work/start1" > "$work/out" 2>&1
check "job $job, started twice at once: the first one gives way" fenced
"$lab/netns-rsh" ctl "scancel $job"
"$lab/lab-node.sh" heal "$first_host"
come_back

# ---- failures ----
limit_s=5
# The launcher must not wait longer for a lost host than we do: its own keepalive is 490 s.
keepalive="-mca oob_tcp_keepalive_time 2 -mca oob_tcp_keepalive_intvl 1 -mca oob_tcp_keepalive_probes 2"
declare -A start=(
    [srun -K]="srun --mpi=pmix --kill-on-bad-exit=1 -N3"
    [srun]="srun --mpi=pmix -N3"
    [mpirun]="mpirun $keepalive --host n1,n2,n3"
)
patience_s=50

# After a failed run nothing of it may be left on any node.
nothing_left() {
    local node
    for node in n1 n2 n3; do
        for _ in $(seq 100); do
            "$lab/netns-rsh" $node "pgrep -x t_dist_watch" > /dev/null || continue 2
            sleep 0.1
        done
        echo "     left on $node"
        return 1
    done
}
# play SCENARIO LAUNCHER [ACT]: the scenario's exit in $status, its time in $took; n3 fails as ACT says while it plays
play() {
    local again act
    for again in 1 0; do
        began=$SECONDS
        if [ -n "${3:-}" ]; then { sleep 4; "$lab/lab-node.sh" "$3" n3; } & act=$!; fi
        on_login $patience_s "${start[$2]} $build/tests/t_dist_watch $1 $limit_s"
        status=$?
        took=$((SECONDS - began))
        # A scenario that never began must not find n3 failing when it is played once more.
        if [ -n "${3:-}" ]; then [ $took -ge 4 ] || kill $act 2> /dev/null; wait $act; fi
        # Open MPI has a race in MPI_Init (its issue 12495) that few starts in a hundred run into.
        [ $again = 1 ] || return 0
        if [ $took -lt $limit_s ] && says "Segmentation fault"; then
            echo "     once more: Open MPI crashed in MPI_Init"
        elif says "Required node not available"; then
            echo "     once more: Slurm had lost a node"
            come_back
        else
            return 0
        fi
    done
}
# by itself, with a failure that names who, on all nodes
ended() { [ $status != 0 ] && [ $took -lt $patience_s ] && says "$1" && nothing_left; }

for launcher in "srun -K" srun mpirun; do
    play killed "$launcher"
    check "rank killed, $launcher" ended 'rank 2.* n3|task 2'
    play stuck "$launcher"
    check "rank stuck, $launcher" ended 'rank 2 on host n3 has made no progress for 5 s'
done

# A link that goes down while a sum travels. mpirun may notice by its own keepalive first.
for launcher in "srun -K" srun mpirun; do
    play summing "$launcher" cut
    "$lab/lab-node.sh" heal n3
    check "link cut, $launcher" ended 'rank 2 on host n3 has not been heard from|Remote daemon.* on node n3'
    come_back
done

# fails ACT UNDO LAUNCHER: a sum travels, and n3 fails as said
fails() {
    play summing "$3" "$1"
    "$lab/lab-node.sh" "$2" n3 > /dev/null
    come_back
}
fails freeze thaw "srun -K"
check "node frozen, srun -K" ended 'rank 2 on host n3 has not been heard from'
# Open MPI waits for the daemon of a node whose network answers, for ever: ranks end, mpirun is ended by the timeout around it.
patience_s=25
fails freeze thaw mpirun
ranks_ended() { says 'rank 2 on host n3 has not been heard from' && nothing_left; }
check "node frozen, mpirun under timeout" ranks_ended
patience_s=50
fails crash boot "srun -K"
check "node crashed, srun -K" ended 'rank 2 on host n3 has not been heard from|[Nn]ode failure on n3'
fails kill-slurm boot "srun -K"
check "slurmd killed, srun -K" ended 'rank 2 on host n3 has not been heard from|[Nn]ode failure on n3'
exit $failed
