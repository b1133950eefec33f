/* All ranks go the same way: the first failure is everybody's. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "comm.h"

#define REPORT_BYTES 4096

typedef struct failure {
    int status;
    char host[HOST_BYTES];
    char report[REPORT_BYTES];
} failure;

pulmo_status(pulmo_agree)(pulmo_comm *comm, pulmo_status local)
{
    failure it;
    int mine = local == PULMO_OK ? INT32_MAX : comm->rank, first = INT32_MAX;
    if (comm->size == 1)
        return local;
    wait_begin(comm, "all ranks to agree");
    PULMO_TRY(wait_end(comm, MPI_Allreduce(&mine, &first, 1, MPI_INT, MPI_MIN, comm->world)));
    if (first == INT32_MAX)
        return PULMO_OK;
    memset(&it, 0, sizeof it);
    it.status = local;
    snprintf(it.host, sizeof it.host, "%s", comm->host);
    snprintf(it.report, sizeof it.report, "%s",
             *pulmo_error() ? pulmo_error() : pulmo_status_text(local));
    wait_begin(comm, "a failed rank's report");
    PULMO_TRY(wait_end(comm, MPI_Bcast(&it, sizeof it, MPI_BYTE, first, comm->world)));
    /* What failed on rank 0 needs no address: it speaks for everybody anyway. */
    if (first == 0)
        return pulmo_fail((pulmo_status)it.status, "%s", it.report);
    return pulmo_fail((pulmo_status)it.status, "rank %d on host %s: %s", first, it.host, it.report);
}

bool pulmo_any(pulmo_comm *comm, bool flag)
{
    int mine = flag != 0, any = mine;
    if (comm->size == 1)
        return mine;
    wait_begin(comm, "all ranks to say yes or no");
    return wait_end(comm, MPI_Allreduce(&mine, &any, 1, MPI_INT, MPI_MAX, comm->world)) == PULMO_OK
               ? any
               : mine;
}
