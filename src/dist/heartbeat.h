/* Word from rank to rank beside MPI: who is alive, and what is each at?
 *
 * MPI does not say who is missing, and its calls cannot be made by a second thread here. So each
 * rank's watch sends a small datagram to rank 0 now and then, and rank 0 answers. Where no
 * datagrams get through (firewalls, IPv6 only) nothing is known and nothing is claimed.
 *
 *   word (native byte order; all ranks run the same program):
 *     token[2]   the run's own random number: strangers are not listened to
 *     kind       HEARTBEAT to rank 0, ANSWER and VERDICT from it, BYE either way
 *     rank       the sender
 *     age_s      since the sender's main thread last got on
 *     extra_s    how much longer than the limit it may take
 *     waiting    1: inside MPI, waiting for others; 0: at work
 *     text       what for, or with what */
#ifndef PULMO_DIST_HEARTBEAT_H
#define PULMO_DIST_HEARTBEAT_H

#include "comm.h"

#define VERDICT_BYTES 512

/* Collective. *out is NULL on all ranks if there is no such channel. */
pulmo_status heartbeat_open(pulmo_comm *comm, heartbeat **out);
/* Says that this rank is no longer watched. NULL is a no-op. */
void heartbeat_close(pulmo_comm *comm, heartbeat *heartbeat);

/* Sends, hears, judges; called by the watch thread every so often. Returns 1 with the reason in
 * `verdict` when a rank has been silent or stuck for limit_s, or all wait for each other for so
 * long. An empty verdict: rank 0 has said it already. *alone is 1 while this rank hears nobody
 * and must judge by itself. */
int heartbeat_tick(pulmo_comm *comm, heartbeat *heartbeat, double limit_s,
                   char verdict[VERDICT_BYTES], int *alone);
/* Rank 0 tells all that the job ends; they end without a word of their own. */
void heartbeat_tell(const pulmo_comm *comm, const heartbeat *heartbeat);
/* The process was stopped for so long; nobody shall be blamed for that time. */
void heartbeat_forgive(heartbeat *heartbeat, double seconds);

#endif
