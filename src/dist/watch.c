/* A thread that ends the process when the job gets nowhere: a peer that hangs or a link that is
 * down leaves the others waiting inside MPI for ever, where nothing else can reach them.
 *
 * Only rank 0 hears all (heartbeat.h). What it knows of each rank:
 *
 *     UNHEARD ── first heartbeat ──► WORKING ◄── begins or ends a wait ──► WAITING
 *                                       └──────── BYE: watched no more ───────┴────► GONE
 *
 * and what ends the job (limit: of pulmo_watch_start; extra: what pulmo_watch_allow granted):
 *
 *     WORKING or WAITING, no heartbeat for the limit ─────────► SILENT, named
 *     WORKING, no progress for limit + extra ─────────────────► STUCK, named
 *     none WORKING, each WAITING one for limit + extra ───────► DEADLOCK, all named
 *
 * Waiting is no fault while another rank works. A rank that hears nobody judges by its own clock
 * alone; where rank 0 is heard, other ranks look only for its silence.
 * _exit and not MPI_Abort, which may itself wait for the lost peer. */
#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "comm.h"
#include "pulmo/clock.h"
#include "heartbeat.h"

#define PERIOD_MAX_S      1.0
#define PERIODS_PER_LIMIT 20
#define GAP_PERIODS       5
#define LAST_WORDS_S      1.0

static void nap_for(double seconds)
{
    struct timespec nap = {.tv_sec = (time_t)seconds};
    nap.tv_nsec = (long)((seconds - (double)nap.tv_sec) * 1e9);
    nanosleep(&nap, NULL);
}

_Noreturn static void give_up(const pulmo_comm *comm, const char *verdict)
{
    if (*verdict) {
        fprintf(stderr, "pulmo: rank %d of %d on host %s: %s; ending the job (%s sets the limit)\n",
                comm->rank, comm->size, comm->host, verdict, comm->limit_name);
        fflush(stderr);
        /* A launcher drops what it has not yet forwarded when the first rank ends. */
        nap_for(LAST_WORDS_S);
        if (comm->heartbeat)
            heartbeat_tell(comm, comm->heartbeat);
    }
    _exit(1);
}

/* This rank's own clock, where no other rank can be heard. */
static int judge_alone(const pulmo_comm *comm, char verdict[VERDICT_BYTES])
{
    double age_s = pulmo_now_s() - atomic_load(&comm->beat_s);
    const char *waiting = atomic_load(&comm->waiting), *doing = atomic_load(&comm->doing);
    if (age_s <= comm->limit_s + atomic_load(&comm->extra_s))
        return 0;
    if (waiting)
        snprintf(verdict, VERDICT_BYTES,
                 "has waited %.0f s for %s; which rank is missing is not known, as no datagrams of "
                 "the watch get through",
                 age_s, waiting);
    else
        snprintf(verdict, VERDICT_BYTES, "no progress for %.0f s (%s)", age_s, doing);
    return 1;
}

static int look(pulmo_comm *comm)
{
    char verdict[VERDICT_BYTES] = "";
    int alone = 1, end = 0;
    if (comm->heartbeat)
        end = heartbeat_tick(comm, comm->heartbeat, comm->limit_s, verdict, &alone);
    if (!end && alone)
        end = judge_alone(comm, verdict);
    if (end && !atomic_load(&comm->stop))
        give_up(comm, verdict);
    return end;
}

/* The whole process was stopped (suspended job, debugger): the time does not count. */
static void forgive(pulmo_comm *comm, double seconds)
{
    atomic_store(&comm->beat_s, pulmo_now_s());
    if (comm->heartbeat)
        heartbeat_forgive(comm->heartbeat, seconds);
}

static void *watch(void *argument)
{
    pulmo_comm *comm = argument;
    double period_s = fmin(comm->limit_s / PERIODS_PER_LIMIT, PERIOD_MAX_S);
    double last_s = pulmo_now_s();
    while (!atomic_load(&comm->stop)) {
        double now_s = pulmo_now_s(), gap_s = now_s - last_s;
        if (gap_s > GAP_PERIODS * period_s)
            forgive(comm, gap_s);
        last_s = now_s;
        (void)look(comm);
        nap_for(period_s);
    }
    return NULL;
}

pulmo_status pulmo_watch_start(pulmo_comm *comm, double limit_s, const char *limit_name)
{
    if (limit_s <= 0 || comm->watching)
        return PULMO_OK;
    comm->limit_s = limit_s;
    comm->limit_name = limit_name;
    atomic_store(&comm->stop, 0);
    PULMO_TRY(heartbeat_open(comm, &comm->heartbeat));
    pulmo_watch_beat(comm, "starting");
    if (pthread_create(&comm->watcher, NULL, watch, comm) != 0) {
        heartbeat_close(comm, comm->heartbeat);
        comm->heartbeat = NULL;
        return pulmo_fail(PULMO_RUNTIME, "cannot start the thread that watches for stalls");
    }
    comm->watching = 1;
    return PULMO_OK;
}

void pulmo_watch_allow(pulmo_comm *comm, const char *doing, double extra_s)
{
    atomic_store(&comm->doing, doing);
    atomic_store(&comm->beat_s, pulmo_now_s());
    atomic_store(&comm->extra_s, extra_s);
}

void pulmo_watch_beat(pulmo_comm *comm, const char *doing)
{
    pulmo_watch_allow(comm, doing, 0);
}

void pulmo_watch_stop(pulmo_comm *comm)
{
    if (!comm->watching)
        return;
    atomic_store(&comm->stop, 1);
    pthread_join(comm->watcher, NULL);
    heartbeat_close(comm, comm->heartbeat);
    comm->heartbeat = NULL;
    comm->watching = 0;
}
