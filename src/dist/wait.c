/* Around every MPI call that waits for other ranks. */
#include <stdio.h>

#include "comm.h"
#include "pulmo/clock.h"

pulmo_status mpi_status(int code, const char *what)
{
    char words[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    if (code == MPI_SUCCESS)
        return PULMO_OK;
    MPI_Error_string(code, words, &length);
    return pulmo_fail(PULMO_MPI, "%s: MPI says: %s", what, words);
}

void wait_begin(pulmo_comm *comm, const char *what)
{
    atomic_store(&comm->beat_s, pulmo_now_s());
    atomic_store(&comm->waiting, what);
    pthread_mutex_lock(&comm->mpi);
}

pulmo_status wait_end(pulmo_comm *comm, int code)
{
    char phrase[96];
    pthread_mutex_unlock(&comm->mpi);
    snprintf(phrase, sizeof phrase, "waiting for %s", atomic_exchange(&comm->waiting, NULL));
    atomic_store(&comm->beat_s, pulmo_now_s());
    atomic_store(&comm->extra_s, 0);
    return mpi_status(code, phrase);
}
