/* Philox4x32-10 (Salmon et al., SC'11) and what is drawn from it. */
#include "pulmo/rng.h"

#include "core_room.h"

#include <math.h>

#include "pulmo/elementary.h"

#define PHILOX_M0     0xD2511F53u
#define PHILOX_M1     0xCD9E8D57u
#define PHILOX_W0     0x9E3779B9u /* the golden ratio */
#define PHILOX_W1     0xBB67AE85u /* sqrt(3) - 1 */
#define PHILOX_ROUNDS 10

void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = (uint64_t)PHILOX_M0 * c0;
        uint64_t p1 = (uint64_t)PHILOX_M1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += PHILOX_W0;
        k1 += PHILOX_W1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void pulmo_rng_at(pulmo_rng *rng, uint64_t seed, pulmo_rng_stream stream, uint64_t a, uint64_t b)
{
    rng->key[0] = (uint32_t)seed;
    rng->key[1] = (uint32_t)(seed >> 32);
    rng->counter[0] = 0; /* the block's number */
    rng->counter[1] = (uint32_t)stream;
    rng->counter[2] = (uint32_t)a;
    rng->counter[3] = (uint32_t)b;
    rng->used = 4;
}

uint32_t pulmo_rng_u32(pulmo_rng *rng)
{
    if (rng->used == 4) {
        philox(rng->counter, rng->key, rng->block);
        rng->counter[0]++;
        rng->used = 0;
    }
    return rng->block[rng->used++];
}

float pulmo_rng_uniform(pulmo_rng *rng)
{
    return (float)(pulmo_rng_u32(rng) >> 8) * 0x1p-24f;
}

double pulmo_rng_range(pulmo_rng *rng, double low, double high)
{
    return low + (high - low) * ((double)pulmo_rng_u32(rng) * 0x1p-32);
}

uint32_t pulmo_rng_below(pulmo_rng *rng, uint32_t n)
{
    /* Values from 2^32 mod n upwards fall evenly into n classes. */
    uint32_t uneven = (uint32_t)-n % n;
    uint32_t value;
    do
        value = pulmo_rng_u32(rng);
    while (value < uneven);
    return value % n;
}

double pulmo_rng_normal(pulmo_rng *rng)
{
    double u = ((double)pulmo_rng_u32(rng) + 1.0) * 0x1p-32; /* (0, 1] */
    double v = (double)pulmo_rng_u32(rng) * 0x1p-32;
    return sqrt(-2.0 * pulmo_log(u)) * pulmo_cos(6.283185307179586 * v);
}

void pulmo_rng_permutation(pulmo_rng *rng, uint32_t n, uint32_t *order)
{
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        uint32_t j = pulmo_rng_below(rng, i);
        uint32_t swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}
