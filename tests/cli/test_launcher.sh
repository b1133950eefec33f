#!/bin/bash
# A process that some launcher started as one of several, but that MPI takes for the only one, is
# refused with the command that works; everything that only looks like it is let run.
# Usage: test_launcher.sh PATH-OF-PULMO
set -u
pulmo=$1
failed=0
unset "${!SLURM_@}" "${!PMI_@}" "${!PMIX_@}" "${!OMPI_COMM_@}"
out=$(mktemp)
trap 'rm -f "$out"' EXIT

# started STATUS NAME=VALUE...: with these variables the program ends with that status
started() {
    local wanted=$1 status
    shift
    timeout 60 env "$@" "$pulmo" bench allreduce --elements 16 > "$out" 2>&1
    status=$?
    if [ $status = "$wanted" ]; then echo "ok   $wanted: $*"; return; fi
    echo "FAIL status $status, not $wanted: $*"
    cat "$out"
    failed=1
}

says() { grep -qF -- "$1" "$out" || { echo "FAIL does not say: $1"; cat "$out"; failed=1; }; }

echo "-- refused"
started 2 SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_STEP_ID=0 SLURM_PROCID=0 SLURM_STEP_NUM_TASKS=4
says "srun started 4 tasks"
says "srun --mpi=pmix pulmo"
says "mpirun pulmo"
started 2 PMI_SIZE=3 PMI_RANK=0
says "PMI_SIZE=3"
started 2 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=0
says "OMPI_COMM_WORLD_SIZE=2"
started 2 MPI_LOCALNRANKS=2 MPI_LOCALRANKID=0

echo "-- let run"
# the shell of a batch job, of an allocation, and a single task
started 0 SLURM_JOB_ID=7 SLURM_NTASKS=4 SLURM_NPROCS=4 SLURM_PROCID=0
started 0 SLURM_JOB_ID=7 SLURM_NTASKS=4
started 0 PMI_SIZE=1 PMI_RANK=0
started 0 PATH="$PATH"

echo "-- MPI starts under a launcher alone: a process by itself waits for no daemon"
started 0 OMPI_MCA_pml=none_such
if "$pulmo" --version | grep -q "Open MPI v4"; then
    started 1 OMPI_MCA_pml=none_such OMPI_COMM_WORLD_SIZE=1 OMPI_COMM_WORLD_RANK=0
else
    echo "left out: Open MPI's own refusal, since this is built with another MPI, or release of it"
fi
exit $failed
