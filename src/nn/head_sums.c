/* Microbatches' gradients as integers, summed over microbatches: from their factors, wherever these
 * come from. */
#include <math.h>

#include "head_kernels.h"
#include "pulmo/head.h"

/* All tiers give the same bits. */
static const head_kernels *widest(void)
{
    return head_kernels_of(pulmo_isa_widest());
}

void pulmo_sufficient_sums(const pulmo_sufficient_factors *microbatches, int count,
                           const pulmo_block *block, int exponent, int64_t *sums, size_t stride)
{
    widest()->sums(microbatches, count, block, ldexp(1.0, exponent), sums, stride);
}

void pulmo_sufficient_gradient(const pulmo_sufficient_factors *microbatches, int count,
                               const pulmo_block *block, int exponent, double scale,
                               const pulmo_prefetch *prefetch, float *out)
{
    widest()->gradient(microbatches, count, block, ldexp(1.0, exponent), scale, prefetch, out);
}
