/* Random numbers that are looked up, not drawn: Philox4x32-10, a counter-based generator.
 *
 * Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC'11,
 * section 3.2 and table 2. The numbers for a (seed, stream, a, b) are the same wherever and
 * whenever they are asked for, which makes augmentation, dropout and shuffling independent
 * of the number of ranks and threads. Pure functions; nothing is shared. */
#ifndef PULMO_RNG_H
#define PULMO_RNG_H

#include <stdint.h>

/* What a number is for. Values are part of what a seed means: never renumber. */
typedef enum pulmo_rng_stream {
    PULMO_RNG_INIT = 1,        /* initial weights; a = tensor, b = 0 */
    PULMO_RNG_SHUFFLE = 2,     /* the order of an epoch; a = epoch */
    PULMO_RNG_AUGMENT = 3,     /* a = epoch (or view), b = sample */
    PULMO_RNG_DROPOUT = 4,     /* a = epoch, b = sample */
    PULMO_RNG_SPLIT = 5,       /* splitting train; a = class */
    PULMO_RNG_DEMO = 6,        /* phantoms; a = split and class, b = patient and image */
    PULMO_RNG_TEST = 7,        /* tests and benchmarks */
    PULMO_RNG_BOOTSTRAP = 8,   /* patients drawn again; a = resample */
    PULMO_RNG_AUDIT = 9,       /* folds of the shortcut audit; a = 0 */
    PULMO_RNG_RECALIBRATE = 10 /* parts of patients; a = b = 0 */
} pulmo_rng_stream;

typedef struct pulmo_rng {
    uint32_t key[2];
    uint32_t counter[4];
    uint32_t block[4];
    uint32_t used; /* words of `block` already given out */
} pulmo_rng;

/* A sequence of its own for each (seed, stream, a, b). a and b below 2^32. */
void pulmo_rng_at(pulmo_rng *rng, uint64_t seed, pulmo_rng_stream stream, uint64_t a, uint64_t b);

uint32_t pulmo_rng_u32(pulmo_rng *rng);
/* Uniform in [0, 1): 24 bits. */
float pulmo_rng_uniform(pulmo_rng *rng);
/* Uniform in [low, high). */
double pulmo_rng_range(pulmo_rng *rng, double low, double high);
/* Uniform integer in [0, n), without bias (rejection); n > 0. */
uint32_t pulmo_rng_below(pulmo_rng *rng, uint32_t n);
/* Standard normal, by Box and Muller. */
double pulmo_rng_normal(pulmo_rng *rng);

/* Fills order[0..n-1] with a permutation of 0..n-1 (Fisher and Yates). */
void pulmo_rng_permutation(pulmo_rng *rng, uint32_t n, uint32_t *order);

#endif
