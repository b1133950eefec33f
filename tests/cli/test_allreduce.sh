#!/bin/bash
# The exact sum has the same bits whichever way MPI goes about it: every algorithm of the nonblocking allreduce that it
# travels by (coll_libnbc) and of the blocking one that bounds and checks go by (coll_tuned), shared memory and TCP, 1 to 8
# ranks. The test program compares with a known digest. Then the benchmark says what it should.
# Usage: test_allreduce.sh PATH-OF-PULMO
set -u
pulmo=$1
program=$(dirname "$1")/../tests/t_dist_exact
[ -x "$program" ] || { echo "$program is missing: build it first"; exit 1; }
. "$(dirname "$0")/launcher.sh"
failed=0
out=$(mktemp)
trap 'rm -f "$out" "$out.2"' EXIT

same() {
    local ranks=$1
    shift
    if timeout 120 mpirun -n "$ranks" "$@" "$program" > "$out" 2>&1; then echo "ok   $ranks ranks $*"
    else echo "FAIL $ranks ranks $*"; tail -n 30 "$out"; failed=1; fi
}

for ranks in 5 8; do same $ranks; done
if mpirun --version 2>&1 | grep -q "Open MPI"; then
    for algorithm in 1 2 3 4 5 6; do
        same 4 -mca coll_tuned_use_dynamic_rules 1 -mca coll_tuned_allreduce_algorithm $algorithm
    done
    for algorithm in 1 2 3 4; do same 3 -mca coll_libnbc_iallreduce_algorithm $algorithm; done
    same 3 -mca btl tcp,self
    same 2 -mca btl vader,self
else # MPICH's names
    for algorithm in recursive_doubling reduce_scatter_allgather; do
        same 4 -x MPIR_CVAR_ALLREDUCE_INTRA_ALGORITHM=$algorithm
        same 3 -x MPIR_CVAR_IALLREDUCE_INTRA_ALGORITHM=sched_$algorithm
    done
    same 3 -x MPIR_CVAR_IALLREDUCE_INTRA_ALGORITHM=sched_naive
    same 3 -x MPIR_CVAR_NOLOCAL=1
fi

timeout 120 mpirun -n 2 "$pulmo" bench allreduce --elements 1000 > "$out" 2> "$out.2" || { echo "FAIL bench"; failed=1; }
for key in bytes seconds threads ranks isa; do
    tail -n 1 "$out" | grep -q "\"$key\":" || { echo "FAIL bench: no $key in: $(cat "$out")"; cat "$out.2"; failed=1; }
done
exit $failed
