/* The one place that knows which tiers this build has. */
#include "head_kernels.h"
#include "kernels.h"

/* Defines `of`, which gives the table of a tier, the reference tier's where that one is not built.
 * On x86-64 the latter is built twice: again for processors with fused multiply-adds. */
#if defined(__x86_64__)
#define TABLE_OF_TIER(type, of, table)                                                             \
    extern const type table##__ref, table##__ref_fma, table##__avx2, table##__avx512;              \
    const type *of(pulmo_isa isa)                                                                  \
    {                                                                                              \
        if (isa == PULMO_ISA_REF && __builtin_cpu_supports("fma"))                                 \
            return &table##__ref_fma;                                                              \
        if (isa == PULMO_ISA_AVX2)                                                                 \
            return &table##__avx2;                                                                 \
        return isa == PULMO_ISA_AVX512 ? &table##__avx512 : &table##__ref;                         \
    }
#elif defined(__aarch64__)
#define TABLE_OF_TIER(type, of, table)                                                             \
    extern const type table##__ref, table##__neon;                                                 \
    const type *of(pulmo_isa isa)                                                                  \
    {                                                                                              \
        return isa == PULMO_ISA_NEON ? &table##__neon : &table##__ref;                             \
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
