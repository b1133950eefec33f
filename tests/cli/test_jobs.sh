#!/usr/bin/env bash
# What jobs/train.pbs and jobs/common.sh decide, with stand-ins for the schedulers' commands: what a machine
# without PBS or Slurm can show. tests/cluster runs the scripts for Slurm under a real one.
source "$(dirname "$0")/common.sh"
ln -s "$PULMO_SOURCE/jobs" "a site"
jobs="$WORK/a site"
mkdir bin
export PATH=$WORK/bin:$PATH LOG=$WORK/log
stand_in() { printf '#!/usr/bin/env bash\n%s\n' "$2" > "bin/$1"; chmod +x "bin/$1"; }
logged() { grep -qE -e "$1" "$LOG" || { cat "$LOG"; fail "no \"$1\" was asked for"; }; }
not_logged() { ! grep -qE -e "$1" "$LOG" || { cat "$LOG"; fail "\"$1\" was asked for"; }; }
stand_in pulmo 'printf "pulmo:"; printf " <%s>" "$@"; echo; exit "${PROGRAM_STATUS:-0}"'

# ---- PBS: the program's arguments ----
stand_in qsub 'echo "qsub $*" >> "$LOG"; echo 8.server'
stand_in qstat 'printf "Job Id: 7.server\n    Job_Name = lungs\n    queue = short\n    Account_Name = heart\n"
printf "    Resource_List.select = 1:ncpus=4:mpi\n\tprocs=2\n    Resource_List.walltime = 01:00:00\n"'
printf 'localhost\nlocalhost\n' > nodes
export PBS_O_WORKDIR=$WORK PBS_JOBID=7.server PBS_NODEFILE=$WORK/nodes PULMO_JOBS=$jobs
pbs() { (cd / && env PULMO="$WORK/bin/pulmo" PULMO_MPIRUN="$WORK/bin/launch" "$@" bash "$jobs/train.pbs"); }
stand_in launch 'echo "ranks: $2"; exec "${@:3}"'
pbs PULMO_ARGS='-c head --set "train.run_dir=a run" --set model.hidden=[12]' > said.txt
grep -q '^ranks: 2$' said.txt || { cat said.txt; fail "a rank for each line of PBS_NODEFILE"; }
grep -q '<train> <-c> <head> <--set> <train.run_dir=a run> <--set> <model.hidden=\[12\]> <--set> <train.time_limit_seconds=35[34][0-9]>$' said.txt ||
    { cat said.txt; fail "the words of PULMO_ARGS, and the walltime of qstat less a minute"; }
pbs PBS_WALLTIME=100 OMP_NUM_THREADS=4 > said.txt
grep -qE '<train.threads=4> <--set> <train.time_limit_seconds=(90|8[0-9])>$' said.txt || { cat said.txt; fail "threads, and the walltime of PBS_WALLTIME"; }
[ ! -e "$LOG" ] || { cat "$LOG"; fail "a finished run has another job"; }

# ---- PBS: the job that resumes ----
for status in 2 1 137; do
    got=0; pbs PROGRAM_STATUS=$status > said.txt || got=$?
    [ "$got" = $status ] && [ ! -e "$LOG" ] || fail "status $status: ended with $got"
done
got=0; pbs PROGRAM_STATUS=75 PULMO_CHAINED=2 PULMO_WEIGHTS=w > said.txt || got=$?
[ "$got" = 75 ] || fail "status $got, not 75"
logged '^qsub -W depend=afterany:7.server -v PULMO_ARGS,.*PULMO_CHAINED.*PULMO_WEIGHTS.* -qshort -Aheart -Nlungs -lselect=1:ncpus=4:mpiprocs=2 -lwalltime=01:00:00 .*/train.pbs$'
grep -q "8.server resumes" said.txt || { cat said.txt; fail "the job that resumes is not said"; }
rm "$LOG"
got=0; pbs PROGRAM_STATUS=75 PULMO_CHAINED=3 PULMO_CHAIN=3 > said.txt 2>&1 || got=$?
[ "$got" = 75 ] && [ ! -e "$LOG" ] && grep -q "PULMO_CHAIN allows 3" said.txt || { cat said.txt; fail "PULMO_CHAIN is no limit"; }

# ---- PBS: a job that is told to end, and the one that resumes it, on real ranks ----
make_small
export PULMO_ARGS="--set data.path=packed --set train.run_dir=pbs --set train.epochs=40 --set train.batch=8 --set train.microbatch=2 \
    --set model.hidden=[12] --set train.patience=0 --set train.checkpoint_batches=1"
export EXTRA="--set train.epochs=40 --set train.checkpoint_batches=1"
small_train whole env > whole.txt 2>&1
PULMO=$PULMO bash "$jobs/train.pbs" > first.txt 2>&1 &
script=$!
for _ in $(seq 3000); do [ -s pbs/checkpoint.h5 ] && break; sleep 0.02; done
kill -TERM "$script"
got=0; wait "$script" || got=$?
[ "$got" = 75 ] || { cat first.txt; fail "SIGTERM: status $got, not 75"; }
logged '^qsub -W depend=afterany:7.server'
PULMO=$PULMO bash "$jobs/train.pbs" > second.txt 2>&1 || { cat second.txt; fail "the second job"; }
grep -q "^resuming from" second.txt || { cat second.txt; fail "it did not resume"; }
[ "$(head_of second.txt)" = "$(head_of whole.txt)" ] || fail "another model"
rm "$LOG"

# ---- Slurm: modules, and what becomes of the job that waits ----
stand_in scontrol 'case "$1 $*" in
"requeue "*) echo "scontrol $*" >> "$LOG"; exit "${REFUSED:-0}" ;;
*" 6") echo "JobId=6 JobState=${BEFORE:-FAILED}" ;;
*) echo "JobId=7 JobName=a run"
   echo "   JobState=RUNNING Requeue=${REQUEUE:-0} Partition=short Account=(null) TimeLimit=01:00:00"
   echo "   Command='"$jobs"'/train.sbatch --set a=b"
   echo "   WorkDir=/home/of a user" ;;
esac'
stand_in sbatch '{ echo -n "sbatch ${PULMO_CHAINED:-0} ${SLURM_JOB_END_TIME:-none} $*"; printf " <%s>" "$@"; echo; } >> "$LOG"; echo 8'
stand_in squeue 'echo "${END:-N/A}"'
stand_in mpirun 'shift 4; exec "$@"'
stand_in scancel 'echo "scancel $*" >> "$LOG"'
stand_in srun 'exec "${@:3}"'
slurm() { # status, words; ends with the status
    local wanted=$1 got=0
    shift
    rm -f "$LOG"; touch "$LOG"
    env -u PULMO_JOBS PULMO="$WORK/bin/pulmo" PROGRAM_STATUS="$wanted" SLURM_JOB_ID=7 SLURM_JOB_NUM_NODES=2 SLURM_JOB_END_TIME=99 \
        "$@" bash "$jobs/${SCRIPT:-train.sbatch}" --set a=b > said.txt 2>&1 || got=$?
    [ "$got" = "${STATUS:-$wanted}" ] || { cat said.txt; fail "status $got, not $wanted: $*"; }
}
slurm 75
logged "^sbatch 1 none .*--dependency=afternotok:7 .*<--partition=short> <--time=01:00:00> <--job-name=a run> <--chdir=/home/of a user> <--nodes=2> <$jobs/train.sbatch> <--set> <a=b>$"
not_logged 'scancel|^requeue|account'
for status in 0 2 65 74; do slurm $status; logged '^scancel 8$'; done
slurm 137
logged '^sbatch'
not_logged scancel
slurm 75 PULMO_CHAIN=2 PULMO_CHAINED=2
not_logged .
slurm 75 REQUEUE=1
logged 'requeue 7'
not_logged sbatch
slurm 75 REQUEUE=1 REFUSED=1
logged '^sbatch 1 none'
STATUS=1 slurm 0 PULMO_PREDECESSOR=6 BEFORE=CANCELLED
not_logged .
! grep -q '^pulmo:' said.txt || fail "the successor of a cancelled job trains"

# A job without a time limit: squeue knows no end.
for script in train.sbatch train-mpirun.sbatch; do
    SCRIPT=$script slurm 0 SLURM_JOB_END_TIME=
    grep -q '^pulmo: <train> <--set> <a=b>$' said.txt || { cat said.txt; fail "$script without an end of the job"; }
    [ "$(wc -l < said.txt)" = 2 ] || { cat said.txt; fail "$script without an end of the job says something"; }
done

printf 'module() { echo "module $*"; }\n' > site
slurm 0 PULMO_SETUP=site PULMO_MODULES="openmpi hdf5"
grep -q '^module load openmpi hdf5$' said.txt || { cat said.txt; fail "modules are not loaded"; }
printf '#!/bin/sh\nexit 1\n' > bin/site
chmod +x bin/site
slurm 0 PULMO_SETUP=site PULMO_MODULES="openmpi hdf5" # not the one in PATH
STATUS=2 slurm 0 PULMO_CHAIN=many
grep -q 'PULMO_CHAIN is a number' said.txt || { cat said.txt; fail "PULMO_CHAIN that is no number"; }
STATUS=2 slurm 0 PULMO_SETUP=nowhere
grep -q 'PULMO_SETUP: nowhere cannot be read' said.txt || { cat said.txt; fail "a missing PULMO_SETUP"; }
STATUS=2 slurm 0 MODULESHOME=/nowhere PULMO_MODULES=hdf5
grep -q 'no command "module"' said.txt || { cat said.txt; fail "no modules here"; }

# ---- Slurm: a bank, then an array ----
rm "$LOG"
bash "$jobs/sweep-bank.sh" 0-3 --partition=short -- -c head --set train.run_dir=s --grid train.seed=0,1 --grid=optim.lr=1,2 > said.txt
logged '^sbatch .*--partition=short .*/train.sbatch -c head --set train.run_dir=s --set train.features=bank --set eval.audit=false --set train.run_dir=s-bank <'
logged '^sbatch .*--dependency=afterany:8 --array=0-3 --partition=short .*/sweep.sbatch -c head --set train.run_dir=s --grid train.seed=0,1 --grid=optim.lr=1,2 --set train.features=bank <'
expect 2 "train.run_dir=SWEEP is missing" bash "$jobs/sweep-bank.sh" 0-3 -- -c head
expect 2 "usage: " bash "$jobs/sweep-bank.sh" 0-3 -c head
