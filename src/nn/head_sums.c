/* Slots' gradients as integers, summed over slots: from their factors, wherever these come from. */
#include <math.h>
#include <stdatomic.h>

#include "head_kernels.h"
#include "pulmo/head.h"

/* The widest that this CPU has: all give the same bits. */
static const head_kernels *widest(void)
{
    static const head_kernels *_Atomic known = NULL;
    const head_kernels *kernels = atomic_load_explicit(&known, memory_order_relaxed);
    if (kernels) return kernels;
    int isa = PULMO_ISA_COUNT - 1;
    while (!pulmo_isa_available((pulmo_isa)isa)) isa--;
    kernels = head_kernels_of((pulmo_isa)isa);
    atomic_store_explicit(&known, kernels, memory_order_relaxed);
    return kernels;
}

void pulmo_factors_sums(const pulmo_factors *slots, int count, const pulmo_block *block, int exponent, int64_t *sums, size_t stride)
{
    widest()->sums(slots, count, block, ldexp(1.0, exponent), sums, stride);
}

void pulmo_factors_gradient(const pulmo_factors *slots, int count, const pulmo_block *block, int exponent, double scale,
                            const pulmo_soon *soon, float *out)
{
    widest()->gradient(slots, count, block, ldexp(1.0, exponent), scale, soon, out);
}
