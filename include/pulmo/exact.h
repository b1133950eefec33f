/* Sums over ranks that do not depend on order: integers with a shared power-of-two scale.
 *
 * Each tensor's microbatch gradients g are bounded in magnitude by B (the same on all ranks, by one
 * small maximum). With n microbatches in the global batch and E the exponent with
 *     n * (B * 2^E + 1/2) <= 2^50,                                                            (1)
 * every g becomes q = round(g * 2^E) and the q are summed as 64-bit integers by a plain
 * MPI_Iallreduce. (50 bits, so that rounding is one addition of 1.5 * 2^52 in double, the same
 * on every tier.)
 *
 * No overflow. |q| <= B * 2^E + 1/2, so any sum of any of the n integers is at most 2^50 by (1):
 * far from 2^63, whatever is added to what first. Integer addition is associative, so any number
 * of ranks, any order and any algorithm give the same sum.
 *
 * Error. g * 2^E is exact in double (24 bits times a power of two, far from its limits:
 * |E| <= 1007), so |q - g * 2^E| <= 1/2 and
 *     |sum q * 2^-E - sum g| <= n * 2^(-E-1).                                                 (2)
 * E is chosen with at most 3 bits to spare, 2^E >= 2^47 / (n * B) (about), hence (2) is at most
 * n * n * B * 2^-48. A float sum of n terms up to B, in the best order, may err by n * B * 2^-25
 * and more where terms cancel: (2) is smaller for n below 2^23. The finished value is (2) plus one
 * rounding to float. Where all g are denormal, E reaches beyond 2^-149 and the sum is exact; a
 * gradient below 2^-E-1 beside a B that much larger counts as 0, as it would in the float sum.
 *
 * Not finite. A bound that is NaN or infinite must be refused before anything is added: its maximum
 * over ranks reaches all of them. */
#ifndef PULMO_EXACT_H
#define PULMO_EXACT_H

#include <stddef.h>
#include <stdint.h>

#include "pulmo/dist.h"
#include "pulmo/status.h"

/* The exponent E for a bound B (finite, >= 0) and n >= 1 microbatches; 0 for B = 0. */
int pulmo_exact_exponent(double bound, uint32_t microbatches);

/* sums[i] += round(values[i] * 2^exponent), ties to even. Pure. */
void pulmo_exact_add(int64_t *sums, const float *values, size_t count, int exponent);

/* out[i] = (float)(sums[i] * 2^-exponent * scale), computed in double. Pure. */
void pulmo_exact_finish(const int64_t *sums, size_t count, int exponent, double scale, float *out);

/* Sums that fly together, in buckets. Only one flight at a time a communicator. */
typedef struct pulmo_exact_sum pulmo_exact_sum;

/* Room for at most `buckets` in a flight, so that beginning one cannot fail. `comm` is kept. Owned
 * by the caller. Not collective: agree on the status. */
pulmo_status pulmo_exact_create(pulmo_comm *comm, int buckets, pulmo_exact_sum **out);
void pulmo_exact_destroy(pulmo_exact_sum *sum); /* between flights; NULL is a no-op */
/* Collective. Starts the sum of `count` integers over all ranks, in place; `sums` is kept and must
 * not be touched until wait. A thread of the room moves it on while the caller computes. Buckets
 * are pushed as they come to be known, in the same order on all ranks; a push that failed is
 * reported by wait. Other collective calls may stand in between. */
void pulmo_exact_push(pulmo_exact_sum *sum, int64_t *sums, size_t count);
/* Joins the ranks' parts in the same flight, for factors (head.h) from which each rank makes the
 * sum itself: `all` holds counts[r] floats of each rank r, one after the other, at most INT_MAX
 * together, with this rank's own in their place; the others' are there after wait. `counts` has
 * room for twice as many ints as there are ranks. Both are kept till then. */
void pulmo_exact_push_parts(pulmo_exact_sum *sum, float *all, int *counts);
/* Lets MPI make progress; cheap. Needed now and then only where that thread could not be had. */
void pulmo_exact_poll(pulmo_exact_sum *sum);
/* Collective. Waits for all that was pushed; the next push begins a new flight. Watched: a peer
 * that does not arrive within the watch's limit ends the process, naming who was missing where that
 * is known. */
pulmo_status pulmo_exact_wait(pulmo_exact_sum *sum);

#endif
