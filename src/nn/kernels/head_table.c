/* The one table of tiers of the head. */
#include "head_kernels.h"

extern const head_kernels head_kernels_table__ref;
#if defined(__x86_64__)
extern const head_kernels head_kernels_table__avx2, head_kernels_table__avx512;
#endif

const head_kernels *head_kernels_of(pulmo_isa isa)
{
#if defined(__x86_64__)
    static const head_kernels *const tables[PULMO_ISA_COUNT] = {
        &head_kernels_table__ref, &head_kernels_table__avx2, &head_kernels_table__avx512};
    return tables[isa];
#else
    (void)isa;
    return &head_kernels_table__ref;
#endif
}
