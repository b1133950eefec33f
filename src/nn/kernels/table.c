/* The one place that knows which tiers this build has. */
#include "head_kernels.h"
#include "kernels.h"

/* Defines `of`, which gives the table of a tier: the reference tier's where no other is built. That
 * is built twice, the second time for processors that have fused multiply-adds. */
#if defined(__x86_64__)
#define TABLE_OF_TIER(type, of, table)                                                             \
    extern const type table##__ref, table##__ref_fma, table##__avx2, table##__avx512;              \
    const type *of(pulmo_isa isa)                                                                  \
    {                                                                                              \
        if (isa == PULMO_ISA_REF && __builtin_cpu_supports("fma"))                                 \
            return &table##__ref_fma;                                                              \
        static const type *const tables[PULMO_ISA_COUNT] = {&table##__ref, &table##__avx2,         \
                                                            &table##__avx512};                     \
        return tables[isa];                                                                        \
    }
#else
#define TABLE_OF_TIER(type, of, table)                                                             \
    extern const type table##__ref;                                                                \
    const type *of(pulmo_isa isa)                                                                  \
    {                                                                                              \
        (void)isa;                                                                                 \
        return &table##__ref;                                                                      \
    }
#endif

TABLE_OF_TIER(pulmo_kernels, pulmo_kernels_of, pulmo_kernels_table)
TABLE_OF_TIER(head_kernels, head_kernels_of, head_kernels_table)
