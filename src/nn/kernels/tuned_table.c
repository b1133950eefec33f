/* The one table of tiers of the trainable convolutions. */
#include "tuned_kernels.h"

extern const tuned_kernels tuned_kernels_table__ref;
#if defined(__x86_64__)
extern const tuned_kernels tuned_kernels_table__avx2, tuned_kernels_table__avx512;
#endif

const tuned_kernels *tuned_kernels_of(pulmo_isa isa)
{
#if defined(__x86_64__)
    static const tuned_kernels *const tables[PULMO_ISA_COUNT] = {
        &tuned_kernels_table__ref, &tuned_kernels_table__avx2, &tuned_kernels_table__avx512};
    return tables[isa];
#else
    (void)isa;
    return &tuned_kernels_table__ref;
#endif
}
