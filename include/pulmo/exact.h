/* Sums over ranks that do not depend on order: integers with a shared power-of-two scale.
 *
 * Each tensor's slot gradients g are bounded in magnitude by B (the same on all ranks, by one
 * small maximum). With n slots in the global batch and E the exponent with
 *     n * (B * 2^E + 1/2) <= 2^50,
 * every g becomes q = round(g * 2^E) and the q are summed as 64-bit integers by a plain
 * MPI_Iallreduce. Integer addition is associative and cannot overflow here, so any number of
 * ranks, any order and any algorithm give the same sum. The error of the sum is at most
 * n * 2^(-E-1) <= n * n * B * 2^-49 (about), far below float32's own rounding of a sum of n
 * terms of magnitude B. (50 bits, so that rounding is one addition of 1.5 * 2^52 in double,
 * the same on every tier.) */
#ifndef PULMO_EXACT_H
#define PULMO_EXACT_H

#include <stddef.h>
#include <stdint.h>

#include "pulmo/dist.h"
#include "pulmo/status.h"

/* The exponent E for a bound B (finite, >= 0) and n >= 1 slots; PULMO_EXACT_ZERO for B = 0. */
#define PULMO_EXACT_ZERO 0
int pulmo_exact_exponent(double bound, uint32_t slots);

/* sums[i] += round(values[i] * 2^exponent), ties to even. Pure. */
void pulmo_exact_add(int64_t *sums, const float *values, size_t count, int exponent);

/* out[i] = (float)(sums[i] * 2^-exponent * scale), computed in double. Pure. */
void pulmo_exact_finish(const int64_t *sums, size_t count, int exponent, double scale, float *out);

/* A sum in flight. Only one at a time a communicator; it may take off in buckets. */
typedef struct pulmo_exact_sum pulmo_exact_sum;

/* Collective. Starts the sum of `count` integers over all ranks, in place; `sums` is kept and
 * must not be touched until wait. A thread of the room moves it on while the caller computes. */
pulmo_status pulmo_exact_start(pulmo_comm *comm, int64_t *sums, size_t count, pulmo_exact_sum **out);
/* The same in buckets: begin, then push each as it comes to be known, in the same order on all ranks; at most
 * `buckets` of them. A failed push is reported by wait. Other
 * collective calls may stand in between. Collective. */
pulmo_status pulmo_exact_begin(pulmo_comm *comm, int buckets, pulmo_exact_sum **out);
void pulmo_exact_push(pulmo_exact_sum *sum, int64_t *sums, size_t count);
/* Lets MPI make progress; cheap. Needed now and then only where that thread could not be had. */
void pulmo_exact_poll(pulmo_exact_sum *sum);
/* Collective. Waits, then frees the handle in every case. Watched: a peer that does not arrive within the
 * watch's limit ends the process, naming who was missing where that is known. */
pulmo_status pulmo_exact_wait(pulmo_exact_sum *sum);

#endif
