/* The one table of tiers of the trainable convolutions. */
#include "tail_kernels.h"

extern const tail_kernels tail_kernels_table__ref;
#if defined(__x86_64__)
extern const tail_kernels tail_kernels_table__avx2, tail_kernels_table__avx512;
#endif

const tail_kernels *tail_kernels_of(pulmo_isa isa)
{
#if defined(__x86_64__)
    static const tail_kernels *const tables[PULMO_ISA_COUNT] = {
        &tail_kernels_table__ref, &tail_kernels_table__avx2, &tail_kernels_table__avx512};
    return tables[isa];
#else
    (void)isa;
    return &tail_kernels_table__ref;
#endif
}
