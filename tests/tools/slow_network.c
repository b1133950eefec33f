/* For LD_PRELOAD under mpirun: a network of SLOW_MB_S megabytes a second a rank, one message after
 * the other. A sum that was started is not complete before its bytes have had their time; whoever
 * tests it is told so, whoever waits for it waits. At the end each rank says on stderr how long its
 * sums travelled and how much of that anyone waited for them: the rest was hidden behind work.
 * docs/explanation/fine-tuning.md says how it is used. */
#define _GNU_SOURCE
#include <mpi.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MOST 256

typedef struct travelling {
    MPI_Request request;
    double until_s;
} travelling;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static travelling table[MOST];
static int used;
static double free_s, travelled_s, waited_s;
static long sums;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double rate(void)
{
    const char *text = getenv("SLOW_MB_S");
    double value = text ? atof(text) : 0;
    return value > 0 ? value * 1e6 : 1e30;
}

static double until_of(MPI_Request request)
{
    double until = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < used; i++)
        if (table[i].request == request)
            until = table[i].until_s;
    pthread_mutex_unlock(&lock);
    return until;
}

static void forget(MPI_Request request)
{
    pthread_mutex_lock(&lock);
    for (int i = 0; i < used; i++)
        if (table[i].request == request)
            table[i--] = table[--used];
    pthread_mutex_unlock(&lock);
}

int MPI_Iallreduce(const void *from, void *to, int count, MPI_Datatype type, MPI_Op op,
                   MPI_Comm comm, MPI_Request *request)
{
    int code = PMPI_Iallreduce(from, to, count, type, op, comm, request), size = 0;
    PMPI_Type_size(type, &size);
    double now = now_s(), takes = (double)count * size / rate();
    pthread_mutex_lock(&lock);
    if (used == MOST)
        abort();
    free_s = (free_s > now ? free_s : now) + takes;
    travelled_s += takes;
    sums++;
    table[used++] = (travelling){*request, free_s};
    pthread_mutex_unlock(&lock);
    return code;
}

int MPI_Test(MPI_Request *request, int *flag, MPI_Status *status)
{
    MPI_Request asked = *request;
    if (now_s() < until_of(asked)) {
        int progressed;
        *flag = 0;
        return PMPI_Request_get_status(asked, &progressed, status);
    }
    int code = PMPI_Test(request, flag, status);
    if (*flag)
        forget(asked);
    return code;
}

int MPI_Wait(MPI_Request *request, MPI_Status *status)
{
    double began_s = now_s(), left_s = until_of(*request) - began_s;
    MPI_Request asked = *request;
    if (left_s > 0) {
        struct timespec t = {.tv_sec = (time_t)left_s,
                             .tv_nsec = (long)((left_s - (double)(time_t)left_s) * 1e9)};
        nanosleep(&t, NULL);
    }
    int code = PMPI_Wait(request, status);
    forget(asked);
    waited_s += now_s() - began_s;
    return code;
}

int MPI_Finalize(void)
{
    fprintf(stderr, "slow_network: %ld sums, on their way %.2f s, waited for %.2f s\n", sums,
            travelled_s, waited_s);
    return PMPI_Finalize();
}
