# What the job scripts share. Each of them reads this file; it is not run by itself. Its variables are
# explained in docs/how-to/run-on-a-cluster.md.

# This site's lines, and the program: PULMO, else the one that the scripts came with, else the first in PATH.
site_setup() { # directory of the scripts
    set +u # sites' own lines rarely bear it
    if [ -n "${PULMO_SETUP:-}" ]; then
        [ -r "$PULMO_SETUP" ] || { echo "PULMO_SETUP: $PULMO_SETUP cannot be read" >&2; exit 2; }
        # A name without a slash would be looked for in PATH first.
        . "$(realpath "$PULMO_SETUP")"
    fi
    if [ -n "${PULMO_MODULES:-}" ]; then
        if ! type module > /dev/null 2>&1 && [ -r "$MODULESHOME/init/bash" ]; then
            . "$MODULESHOME/init/bash"
        fi
        type module > /dev/null 2>&1 ||
            { echo "PULMO_MODULES: there is no command \"module\" here; define it in the file that PULMO_SETUP names" >&2; exit 2; }
        # shellcheck disable=SC2086 # names of modules are words
        module load $PULMO_MODULES || { echo "PULMO_MODULES: module load $PULMO_MODULES failed" >&2; exit 2; }
    fi
    set -u
    [[ ${PULMO_CHAIN:-20} =~ ^[0-9]+$ ]] || { echo "PULMO_CHAIN is a number of jobs, not \"$PULMO_CHAIN\"" >&2; exit 2; }
    local place
    pulmo=${PULMO:-}
    for place in "$1/../build/release/bin/pulmo" "$1/../../../bin/pulmo" "$(command -v pulmo)"; do
        if [ -z "$pulmo" ] && [ -x "$place" ]; then pulmo=$place; fi
    done
    [ -n "$pulmo" ] || { echo "there is no pulmo; name the program in PULMO" >&2; exit 2; }
    # Without the first three mpirun notices a lost node after eight minutes, with them after half a minute: before
    # pulmo's own watch (train.stall_seconds, 120) ends the ranks, an end that mpirun might not survive. The last
    # one gives ranks ten seconds for a checkpoint when mpirun is told to end, where they have one by default.
    export OMPI_MCA_oob_tcp_keepalive_time=15 OMPI_MCA_oob_tcp_keepalive_intvl=5 OMPI_MCA_oob_tcp_keepalive_probes=3
    export OMPI_MCA_odls_base_sigkill_timeout=10
}

# Will the same command end the same way the next time?
is_final() { # status
    case $1 in 0 | 2 | 65 | 74 | 126 | 127) return 0 ;; esac
    return 1
}

# May this run have another job? PULMO_CHAINED counts those that it has had.
may_succeed() {
    [ "${PULMO_CHAINED:-0}" -lt "${PULMO_CHAIN:-20}" ] && return 0
    echo "no further job: PULMO_CHAIN allows ${PULMO_CHAIN:-20}; the same command resumes" >&2
    return 1
}

# ---- Slurm ----

# Begins a script of Slurm: site_setup, what older Slurms do not export, and where the job may not be put
# back into the queue, a successor that waits for its end.
slurm_begin() { # directory of the scripts, arguments of this one
    site_setup "$1"
    arguments=("${@:2}")
    # The number of an array's last task is that of the array.
    job=$SLURM_JOB_ID
    if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
    successor=''
    if [ -n "${PULMO_PREDECESSOR:-}" ] && [ "$(slurm_field JobState "$PULMO_PREDECESSOR")" = CANCELLED ]; then
        echo "job $PULMO_PREDECESSOR was cancelled: job $job, its successor, ends" >&2
        exit 1
    fi
    if [ "$(slurm_field Requeue)" = 0 ]; then slurm_succeed; fi
    # The CPUs per rank, and the end of the job, in case the signal does not come.
    export SRUN_CPUS_PER_TASK=${SLURM_CPUS_PER_TASK:-1}
    if [ -z "${SLURM_JOB_END_TIME:-}" ]; then
        local end
        # A job without a limit has no end that date could read.
        if end=$(date -d "$(squeue -h -j "$job" -o %e)" +%s 2> /dev/null); then export SLURM_JOB_END_TIME=$end; fi
    fi
}

# What scontrol says of a job, of this one if none is named. A value may hold spaces: it ends where the next
# name, which begins with a capital, stands.
slurm_field() { # name [job]
    scontrol show job "${2:-$job}" 2> /dev/null | sed -nE "s#^(.* )?$1=##; T; s# +[A-Z][A-Za-z/:]*=.*##; p" | head -n 1
}

# The script that this job runs a copy of; Command has its arguments as well.
slurm_script() {
    slurm_field Command | sed -E 's#(/[^/ ]*\.sbatch).*#\1#'
}

# This job's request as options of sbatch: those of the command line are nowhere else.
slurm_options() {
    local field option value
    while read -r field option; do
        value=$(slurm_field "$field")
        case $value in "" | 0 | N/A | "(null)") ;; *) echo "--$option=$value" ;; esac
    done <<'FIELDS'
Account account
Partition partition
QOS qos
Reservation reservation
Features constraint
Licenses licenses
TimeLimit time
MinMemoryNode mem
MinMemoryCPU mem-per-cpu
JobName job-name
WorkDir chdir
StdOut output
StdErr error
FIELDS
    echo "--nodes=$SLURM_JOB_NUM_NODES"
    if [ -n "${SLURM_NTASKS:-}" ]; then echo "--ntasks=$SLURM_NTASKS"; fi
    if [ -n "${SLURM_NTASKS_PER_NODE:-}" ]; then echo "--ntasks-per-node=$SLURM_NTASKS_PER_NODE"; fi
    if [ -n "${SLURM_CPUS_PER_TASK:-}" ]; then echo "--cpus-per-task=$SLURM_CPUS_PER_TASK"; fi
    if [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then echo "--array=$SLURM_ARRAY_TASK_ID"; fi
}

# Submits the job that resumes when this one ends without having finished.
slurm_succeed() {
    may_succeed || return 0
    local options
    mapfile -t options < <(slurm_options)
    successor=$(
        # This job's own variables would be taken for the successor's.
        mapfile -t own < <(compgen -e | grep -E '^(SLURM|SRUN)_' | grep -vx SLURM_CONF)
        unset "${own[@]}"
        export PULMO_CHAINED=$((${PULMO_CHAINED:-0} + 1)) PULMO_PREDECESSOR=$job
        sbatch --parsable --no-requeue --open-mode=append --dependency="afternotok:$job" --kill-on-invalid-dep=yes \
            "${options[@]}" "$(slurm_script)" "${arguments[@]}"
    ) || { successor=''; echo "no further job: sbatch refused it; the same command resumes" >&2; return 0; }
    successor=${successor%%;*}
    echo "job $successor resumes if job $job does not finish (\"scancel $job $successor\" ends both)"
}

# Ends a script of Slurm with the program's status.
slurm_end() { # status
    if is_final "$1"; then
        if [ -n "$successor" ]; then scancel "$successor"; fi
    elif [ -n "$successor" ]; then
        echo "status $1: job $successor resumes"
    elif [ "$1" = 75 ] && [ "$(slurm_field Requeue)" != 0 ]; then
        echo "interrupted after a checkpoint: requeueing job $job"
        scontrol requeue "$job" || slurm_succeed
    fi
    exit "$1"
}
