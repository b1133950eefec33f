# What tests that start many ranks share: more of them than there are CPUs, as root; the launcher of the build's MPI is "mpirun".
# Sourced with the program's path in $1.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
if [ -d "$(dirname "$1")/../tests/launcher" ]; then PATH=$(cd "$(dirname "$1")/../tests/launcher" && pwd):$PATH; fi

# rank_below PID: the first process of pulmo below a launcher's, whose ranks may be a helper's children (Hydra).
rank_below() {
    local child
    for child in $(pgrep -P "$1"); do
        if [ "$(readlink "/proc/$child/exe")" = "$(readlink -f "$PULMO")" ]; then echo "$child" && return; fi
        rank_below "$child" && return
    done
    return 1
}
