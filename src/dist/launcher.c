/* Was this process started as one of several by a launcher that MPI knows nothing of? Then each
 * would be rank 0 of 1 and write the same files. Only launchers' own variables can tell.
 *
 * What must not be taken for such a start: the shell of sbatch or salloc (a job's SLURM_NTASKS,
 * but no step of several tasks), "mpirun -n 1" inside a job (its daemons are a Slurm step, but
 * Open MPI says how many ranks there are), and a single task. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "comm.h"
#include "pulmo/log.h"

#define WAY_OUT                                                                                    \
    "start with \"srun --mpi=pmix pulmo ...\", or with \"mpirun pulmo ...\" inside the job"

/* A whole number in the environment, or -1. */
static long number_in(const char *name)
{
    const char *text = getenv(name);
    if (!text || !isdigit((unsigned char)*text))
        return -1;
    char *end = NULL;
    long value = strtol(text, &end, 10);
    return *end ? -1 : value;
}

/* How many tasks of srun this process is one of; 0 if srun did not start it. */
static long srun_tasks(void)
{
    if (getenv("OMPI_COMM_WORLD_SIZE"))
        return 0; /* the step is mpirun's daemons */
    if (number_in("SLURM_STEP_ID") < 0 && number_in("SLURM_STEPID") < 0)
        return 0;
    if (number_in("SLURM_PROCID") < 0)
        return 0;
    long tasks = number_in("SLURM_STEP_NUM_TASKS");
    return tasks > 1 ? tasks : 0;
}

static pulmo_status refuse_srun(long tasks)
{
    return pulmo_fail(PULMO_USAGE,
                      "srun started %ld tasks, but MPI was not told of the others: each would be "
                      "rank 0 of 1; " WAY_OUT,
                      tasks);
}

bool launcher_is_there(void)
{
    static const char *const variables[] = {
        "OMPI_COMM_WORLD_SIZE", /* Open MPI's mpirun */
        "PMIX_RANK",            /* PMIx: srun --mpi=pmix, prterun */
        "PMI_RANK",             /* PMI-1 and PMI-2: Hydra, srun --mpi=pmi2 */
        "PMI_FD",
        "PMI_PORT",
        "PMI_SIZE",
        "MPI_LOCALNRANKS",
        "MV2_COMM_WORLD_SIZE",
        "PALS_RANKID", /* HPE Cray */
        "ALPS_APP_PE",
    };
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        if (getenv(variables[i]))
            return true;
    }
    return srun_tasks() > 0;
}

pulmo_status launcher_check_before(void)
{
    long tasks = srun_tasks();
    if (tasks == 0 || getenv("PMIX_RANK"))
        return PULMO_OK;
    /* MPI_Init would end the process here, in many words that do not help. */
    if (!getenv("PMI_RANK") && !getenv("PMI_FD"))
        return refuse_srun(tasks);
    /* Some builds of MPI can talk to this plugin. One that cannot does not come back. */
    if (number_in("SLURM_PROCID") == 0)
        pulmo_info("srun was started with --mpi=pmi2 or a default like it; if MPI does not "
                   "start, " WAY_OUT);
    return PULMO_OK;
}

pulmo_status launcher_check_after(int size)
{
    static const struct {
        const char *variable, *launcher;
    } sizes[] = {
        {"OMPI_COMM_WORLD_SIZE", "another Open MPI's mpirun"},
        {"PMI_SIZE", "another MPI's launcher"},
        {"MPI_LOCALNRANKS", "MPICH's or Intel MPI's mpiexec"},
        {"MV2_COMM_WORLD_SIZE", "MVAPICH's mpirun"},
    };
    if (size > 1)
        return PULMO_OK;
    long tasks = srun_tasks();
    if (tasks > 0)
        return refuse_srun(tasks);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        long ranks = number_in(sizes[i].variable);
        if (ranks > 1)
            return pulmo_fail(PULMO_USAGE,
                              "%s started %ld ranks (%s=%ld), but MPI sees one in each: each would "
                              "be rank 0 of 1; start "
                              "with the mpirun of the MPI that pulmo was built with",
                              sizes[i].launcher, ranks, sizes[i].variable, ranks);
    }
    return PULMO_OK;
}

pulmo_killer pulmo_launcher_killer(void)
{
    if (getenv("PULMO_MPIRUN")) /* jobs/mpirun.sh */
        return PULMO_KILLER_NONE;
    if (getenv("PRTE_LAUNCHED"))
        return PULMO_KILLER_PRTERUN;
    bool is_mpirun = getenv("OMPI_MCA_orte_hnp_uri") != NULL;
    if (is_mpirun && number_in("OMPI_MCA_odls_base_sigkill_timeout") <= 1)
        return PULMO_KILLER_MPIRUN;
    return PULMO_KILLER_NONE;
}

void pulmo_dist_library(char *out, size_t bytes)
{
    char words[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(words, &length);
    words[strcspn(words, "\n,")] = '\0';
    /* MPICH sets its version in columns. */
    size_t kept = 0;
    for (const char *at = words; *at && kept + 1 < bytes; at++) {
        bool is_space = isspace((unsigned char)*at);
        if (is_space && isspace((unsigned char)at[1]))
            continue;
        out[kept++] = is_space ? ' ' : *at;
    }
    out[kept] = '\0';
}
