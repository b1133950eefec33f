/* The exact sum's arithmetic on one tier, for the test that all tiers give the same bits. */
#ifndef PULMO_EXACT_TIER_H
#define PULMO_EXACT_TIER_H

#include "pulmo/exact.h"
#include "pulmo/isa.h"

/* As pulmo_exact_add and pulmo_exact_finish; the tier must be available. */
void pulmo_exact_add_tier(pulmo_isa isa, int64_t *sums, const float *values, size_t count,
                          int exponent);
void pulmo_exact_finish_tier(pulmo_isa isa, const int64_t *sums, size_t count, int exponent,
                             double scale, float *out);

#endif
