/* Inside the train room: who may write to a run directory. By rank 0. Not collective.
 *
 * A job that is cut off from its cluster can live on while Slurm starts it again on other nodes:
 * two programs on one run directory. The file RUN/owner says whose it is: a number drawn at random,
 * and where its owner runs. It is taken before anything is written, looked at before every file
 * that is published, and removed at the end. Who finds another's number there has lost the
 * directory, writes nothing more and ends.
 *
 * An owner that is there is alive unless it proves not to be:
 *   its host runs (same boot, same process namespace) and its process does not; or
 *   it belongs to this Slurm job and an earlier start of it: Slurm takes that one for dead; or
 *   it gave no sign for LEASE_SILENCE_S, watched from here.
 * It gives one every LEASE_SIGN_S, from a thread of its own. No clocks of two hosts are compared,
 * and no locks are needed, which network file systems often lack.
 *
 * What this cannot exclude: an owner that looks, is held up for longer than the lease, and then
 * renames one file. That file is a whole checkpoint of the same data, configuration and seed, so
 * that training resumes from it to the same bits: work is lost, no result is wrong. */
#ifndef PULMO_LEASE_H
#define PULMO_LEASE_H

#include "pulmo/status.h"

#define LEASE_SIGN_S    5.0
#define LEASE_SILENCE_S 30.0

typedef struct lease lease;

/* PULMO_USAGE where the directory has a living owner, naming it and the way out; waits for
 * LEASE_SILENCE_S at most to find out. Owned by the caller. */
pulmo_status lease_take(const char *directory, lease **out);
/* PULMO_RUNTIME when the directory has another owner by now. */
pulmo_status lease_check(const lease *f);
/* Gives the directory up, if it is still one's own. NULL is a no-op. */
void lease_release(lease *f);

#endif
