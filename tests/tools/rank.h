/* Which rank a shim works in, as launchers tell it before MPI is started. */
#ifndef PULMO_TEST_RANK_H
#define PULMO_TEST_RANK_H

#include <stddef.h>
#include <stdlib.h>

/* "" where no launcher started this process. */
static inline const char *rank_told(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", /* Open MPI */
                                        "PMIX_RANK",            /* its daemons, prterun */
                                        "PMI_RANK"};            /* Hydra: MPICH, Intel MPI */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *rank = getenv(names[i]);
        if (rank)
            return rank;
    }
    return "";
}

#endif
