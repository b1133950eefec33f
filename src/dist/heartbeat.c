/* Datagrams between each rank and rank 0, and rank 0's judgement of what they say. */
#include "heartbeat.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pulmo/clock.h"

#define ADDRESSES_MAX 16
#define TEXT_BYTES    96
#define NAMED_MAX     4 /* ranks named in a verdict; the others are counted */

enum { HEARTBEAT, ANSWER, VERDICT, BYE };

typedef struct word {
    uint64_t token[2];
    int32_t kind, rank, waiting;
    double age_s, extra_s;
    char text[VERDICT_BYTES];
} word;

/* What rank 0 knows of a rank. Times are 0 while nothing was heard. */
typedef struct peer {
    double heard_s, beat_s, extra_s;
    int waiting, gone;
    char text[TEXT_BYTES];
    char host[HOST_BYTES];
    struct sockaddr_in address;
} peer;

/* What rank 0 tells all at the start: where to reach it. */
typedef struct card {
    uint64_t token[2];
    int32_t addresses; /* 0: there is no channel */
    uint32_t address[ADDRESSES_MAX];
    uint16_t port;
    char host[HOST_BYTES];
} card;

struct heartbeat {
    int socket;
    card card;
    peer *peers; /* (size) on rank 0; one, rank 0 itself, elsewhere */
    int peer_count;
};

/* ---- opening ---- */

/* This host's addresses; the loopback comes last: it serves ranks on this host alone. */
static int list_addresses(uint32_t *out)
{
    int count = 0;
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0)
        return 0;
    for (int loopback = 0; loopback <= 1; loopback++) {
        for (struct ifaddrs *i = list; i && count < ADDRESSES_MAX; i = i->ifa_next) {
            struct sockaddr_in address;
            if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET || !(i->ifa_flags & IFF_UP))
                continue;
            if (((i->ifa_flags & IFF_LOOPBACK) != 0) != loopback)
                continue;
            memcpy(&address, i->ifa_addr, sizeof address);
            out[count++] = address.sin_addr.s_addr;
        }
    }
    freeifaddrs(list);
    return count;
}

/* A socket on any address and a free port; -1 if there is none. */
static int open_socket(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t bytes = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        getsockname(fd, (struct sockaddr *)&address, &bytes) == 0) {
        *port = address.sin_port;
        return fd;
    }
    close(fd);
    return -1;
}

static void make_card(const pulmo_comm *comm, int fd, uint16_t port, card *out)
{
    memset(out, 0, sizeof *out);
    snprintf(out->host, sizeof out->host, "%s", comm->host);
    out->port = port;
    if (fd < 0 || getrandom(out->token, sizeof out->token, 0) != (ssize_t)sizeof out->token)
        return;
    out->addresses = list_addresses(out->address);
}

static pulmo_status name_peers(pulmo_comm *comm, heartbeat *it)
{
    char *hosts = comm->rank == 0 ? calloc((size_t)comm->size, HOST_BYTES) : NULL;
    pulmo_status status = PULMO_OK;
    if (comm->rank == 0 && !hosts)
        status = pulmo_fail(PULMO_MEMORY, "cannot allocate host names");
    PULMO_GOTO(pulmo_agree(comm, status));
    wait_begin(comm, "the host names of all ranks");
    status = wait_end(comm, MPI_Gather(comm->host, HOST_BYTES, MPI_BYTE, hosts, HOST_BYTES,
                                       MPI_BYTE, 0, comm->world));
    for (int r = 0; hosts && r < comm->size; r++)
        memcpy(it->peers[r].host, hosts + (size_t)r * HOST_BYTES, HOST_BYTES);
    if (comm->rank != 0)
        memcpy(it->peers[0].host, it->card.host, HOST_BYTES);
out:
    free(hosts);
    return status;
}

static void release(heartbeat *it)
{
    if (!it)
        return;
    if (it->socket >= 0)
        close(it->socket);
    free(it->peers);
    free(it);
}

static pulmo_status open_local(const pulmo_comm *comm, heartbeat **out)
{
    uint16_t port = 0;
    heartbeat *it = calloc(1, sizeof *it);
    if (!it)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the watch");
    *out = it;
    it->peer_count = comm->rank == 0 ? comm->size : 1;
    it->peers = calloc((size_t)it->peer_count, sizeof *it->peers);
    it->socket = open_socket(&port);
    if (comm->rank == 0)
        make_card(comm, it->socket, port, &it->card);
    return it->peers
               ? PULMO_OK
               : pulmo_fail(PULMO_MEMORY, "cannot allocate the watch of %d ranks", it->peer_count);
}

pulmo_status heartbeat_open(pulmo_comm *comm, heartbeat **out)
{
    heartbeat *it = NULL;
    pulmo_status status = PULMO_OK;
    *out = NULL;
    if (comm->size == 1)
        return PULMO_OK;
    PULMO_GOTO(pulmo_agree(comm, open_local(comm, &it)));
    PULMO_GOTO(pulmo_bcast(comm, &it->card, sizeof it->card, 0));
    PULMO_GOTO(name_peers(comm, it));
    if (it->card.addresses > 0 && it->socket >= 0) {
        *out = it;
        it = NULL;
    }
out:
    release(it);
    return status;
}

/* ---- sending and hearing ---- */

static void send_to(const heartbeat *it, const word *what, const struct sockaddr_in *address)
{
    /* Best effort: a datagram that is lost is one heartbeat late. */
    (void)sendto(it->socket, what, sizeof *what, MSG_DONTWAIT, (const struct sockaddr *)address,
                 sizeof *address);
}

/* This rank's state as a word. */
static void fill(const pulmo_comm *comm, const heartbeat *it, int kind, word *out)
{
    const char *waiting = atomic_load(&comm->waiting);
    memset(out, 0, sizeof *out);
    memcpy(out->token, it->card.token, sizeof out->token);
    out->kind = kind;
    out->rank = comm->rank;
    out->waiting = waiting != NULL;
    out->age_s = pulmo_now_s() - atomic_load(&comm->beat_s);
    out->extra_s = atomic_load(&comm->extra_s);
    snprintf(out->text, TEXT_BYTES, "%s", waiting ? waiting : atomic_load(&comm->doing));
}

/* To rank 0: where its answer came from, or else everywhere it might be. */
static void send_to_root(const heartbeat *it, const word *what)
{
    if (it->peers[0].heard_s > 0) {
        send_to(it, what, &it->peers[0].address);
        return;
    }
    for (int i = 0; i < it->card.addresses; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = it->card.port};
        address.sin_addr.s_addr = it->card.address[i];
        send_to(it, what, &address);
    }
}

static void note(const word *what, const struct sockaddr_in *from, peer *out)
{
    out->heard_s = pulmo_now_s();
    out->beat_s = out->heard_s - what->age_s;
    out->extra_s = what->extra_s;
    out->waiting = what->waiting;
    out->gone = what->kind == BYE;
    out->address = *from;
    memcpy(out->text, what->text, sizeof out->text - 1);
}

/* Takes in what has come. Returns 1 if it was rank 0's verdict. */
static int hear(const pulmo_comm *comm, heartbeat *it)
{
    word what, answer;
    struct sockaddr_in from;
    socklen_t bytes = sizeof from;
    fill(comm, it, ANSWER, &answer);
    for (;;) {
        ssize_t got = recvfrom(it->socket, &what, sizeof what, MSG_DONTWAIT,
                               (struct sockaddr *)&from, &bytes);
        if (got < 0)
            return 0;
        bytes = sizeof from;
        if (got != (ssize_t)sizeof what ||
            memcmp(what.token, it->card.token, sizeof what.token) != 0)
            continue;
        if (what.kind == VERDICT && comm->rank != 0)
            return 1;
        if (what.rank < 0 || what.rank >= it->peer_count || what.rank == comm->rank)
            continue;
        note(&what, &from, &it->peers[what.rank]);
        if (comm->rank == 0 && what.kind == HEARTBEAT)
            send_to(it, &answer, &from);
    }
}

/* ---- judging ---- */

typedef struct sentence {
    char *text;
    size_t at;
    int named;
} sentence;

__attribute__((format(printf, 2, 3))) static void say(sentence *s, const char *format, ...)
{
    va_list arguments;
    s->named++;
    if (s->named > NAMED_MAX || s->at >= VERDICT_BYTES)
        return;
    if (s->named > 1)
        s->at += (size_t)snprintf(s->text + s->at, VERDICT_BYTES - s->at, "; ");
    if (s->at >= VERDICT_BYTES)
        return;
    va_start(arguments, format);
    s->at += (size_t)vsnprintf(s->text + s->at, VERDICT_BYTES - s->at, format, arguments);
    va_end(arguments);
}

static void say_how_many(sentence *s)
{
    if (s->named > NAMED_MAX && s->at < VERDICT_BYTES)
        snprintf(s->text + s->at, VERDICT_BYTES - s->at, "; and %d more ranks",
                 s->named - NAMED_MAX);
}

/* Ranks that are silent, or at work on the same thing for too long. */
static void name_culprits(const heartbeat *it, double limit_s, sentence *s)
{
    double now_s = pulmo_now_s();
    for (int r = 0; r < it->peer_count; r++) {
        const peer *p = &it->peers[r];
        if (p->heard_s == 0 || p->gone)
            continue;
        if (now_s - p->heard_s > limit_s)
            say(s, "rank %d on host %s has not been heard from for %.0f s (last word: %s%s)", r,
                p->host, now_s - p->heard_s, p->waiting ? "waiting for " : "", p->text);
        else if (!p->waiting && now_s - p->beat_s > limit_s + p->extra_s)
            say(s, "rank %d on host %s has made no progress for %.0f s (%s)", r, p->host,
                now_s - p->beat_s, p->text);
    }
}

/* True if every rank that is heard waits, and has waited for too long. Counts those never heard
 * and those that are watched no more, with the last of each. */
static int all_wait(const heartbeat *it, double limit_s, int unheard[2], int left[2])
{
    double now_s = pulmo_now_s();
    for (int r = 0; r < it->peer_count; r++) {
        const peer *p = &it->peers[r];
        int *kind = NULL;
        if (p->heard_s == 0)
            kind = unheard;
        else if (p->gone)
            kind = left;
        if (!kind && (!p->waiting || now_s - p->beat_s <= limit_s + p->extra_s))
            return 0;
        if (!kind)
            continue;
        kind[0]++;
        kind[1] = r;
    }
    return 1;
}

/* Nobody will get on any more: why? */
static void name_deadlock(const heartbeat *it, double limit_s, sentence *s)
{
    int unheard[2] = {0}, left[2] = {0}, last = it->peer_count - 1;
    if (!all_wait(it, limit_s, unheard, left))
        return;
    if (left[0] > 0)
        say(s,
            "rank %d on host %s%s has come to its end, and the others have waited for more than "
            "%.0f s for %s",
            left[1], it->peers[left[1]].host, left[0] > 1 ? " (not alone)" : "", limit_s,
            it->peers[0].text);
    else if (unheard[0] > 0)
        say(s,
            "%d of %d ranks, rank %d on host %s among them, have never been heard from, and all "
            "others have waited for "
            "more than %.0f s for %s",
            unheard[0], it->peer_count, unheard[1], it->peers[unheard[1]].host, limit_s,
            it->peers[0].text);
    else
        say(s,
            "all ranks are alive and have waited for each other for more than %.0f s (rank 0 for "
            "%s, rank %d for %s): a "
            "link between two hosts may be down",
            limit_s, it->peers[0].text, last, it->peers[last].text);
}

/* Rank 0's own row, so that it is judged like all others. */
static void note_self(const pulmo_comm *comm, heartbeat *it)
{
    word what;
    fill(comm, it, HEARTBEAT, &what);
    const struct sockaddr_in nowhere = {.sin_family = AF_INET};
    note(&what, &nowhere, &it->peers[0]);
}

int heartbeat_tick(pulmo_comm *comm, heartbeat *it, double limit_s, char verdict[VERDICT_BYTES],
                   int *alone)
{
    sentence s = {.text = verdict};
    word what;
    verdict[0] = '\0';
    if (hear(comm, it))
        return 1;
    if (comm->rank == 0) {
        note_self(comm, it);
        *alone = 0;
        name_culprits(it, limit_s, &s);
        if (s.named == 0)
            name_deadlock(it, limit_s, &s);
        say_how_many(&s);
        return s.named > 0;
    }
    fill(comm, it, HEARTBEAT, &what);
    send_to_root(it, &what);
    *alone = it->peers[0].heard_s == 0 || it->peers[0].gone;
    /* Rank 0 judges all; what only this rank can see is rank 0's own silence. */
    if (!*alone && pulmo_now_s() - it->peers[0].heard_s > limit_s)
        name_culprits(it, limit_s, &s);
    return s.named > 0;
}

void heartbeat_tell(const pulmo_comm *comm, const heartbeat *it)
{
    word what;
    fill(comm, it, VERDICT, &what);
    for (int again = 0; again < 2; again++) /* one may be lost */
        for (int r = 1; comm->rank == 0 && r < it->peer_count; r++)
            if (it->peers[r].heard_s > 0)
                send_to(it, &what, &it->peers[r].address);
}

void heartbeat_forgive(heartbeat *it, double seconds)
{
    for (int r = 0; r < it->peer_count; r++) {
        if (it->peers[r].heard_s == 0)
            continue;
        it->peers[r].heard_s += seconds;
        it->peers[r].beat_s += seconds;
    }
}

void heartbeat_close(pulmo_comm *comm, heartbeat *it)
{
    word what;
    if (!it)
        return;
    fill(comm, it, BYE, &what);
    if (comm->rank != 0)
        send_to_root(it, &what);
    for (int r = 1; comm->rank == 0 && r < it->peer_count; r++)
        if (it->peers[r].heard_s > 0)
            send_to(it, &what, &it->peers[r].address);
    release(it);
}
