/* For LD_PRELOAD: rank FAILING_RANK cannot find the ranks of its node, as if memory had run out. */
#include <mpi.h>
#include <stdlib.h>

int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *out)
{
    int rank = 0;
    const char *failing = getenv("FAILING_RANK");
    PMPI_Comm_rank(comm, &rank);
    if (failing && atoi(failing) == rank)
        return MPI_ERR_NO_MEM;
    return PMPI_Comm_split_type(comm, type, key, info, out);
}
