/* The one table of tiers. */
#include "kernels.h"

extern const pulmo_kernels pulmo_kernels_table__ref;
#if defined(__x86_64__)
extern const pulmo_kernels pulmo_kernels_table__avx2, pulmo_kernels_table__avx512;
#endif

const pulmo_kernels *pulmo_kernels_of(pulmo_isa isa)
{
#if defined(__x86_64__)
    static const pulmo_kernels *const tables[PULMO_ISA_COUNT] = {
        &pulmo_kernels_table__ref, &pulmo_kernels_table__avx2, &pulmo_kernels_table__avx512};
    return tables[isa];
#else
    (void)isa;
    return &pulmo_kernels_table__ref;
#endif
}
