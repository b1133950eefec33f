/* Which kernels OpenBLAS took, and why. It chooses while it is loaded; for a processor that is
 * newer than itself it falls back to those of an SSE3 processor (Prescott), as Debian 12's does on
 * Intel's Emerald Rapids. The program leaves it at that: kernels are part of what makes a model,
 * and the head's products, a few rows at a time, wait for memory with either. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "pulmo/head.h"
#include "pulmo/isa.h"

/* AVX-512 with bfloat16: what OpenBLAS calls Cooperlake, also on Zen 4 and later. */
static bool has_bfloat16(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512bf16");
#else
    return false;
#endif
}

/* The kernels that OpenBLAS has for the processor's tier, or NULL where the fallback is right. */
static const char *kernels_of_processor(void)
{
    switch (pulmo_isa_widest()) {
    case PULMO_ISA_AVX512:
        return has_bfloat16() ? "Cooperlake" : "SkylakeX";
    case PULMO_ISA_AVX2:
        return "Haswell";
    default:
        return NULL;
    }
}

void print_blas(FILE *out)
{
    const char *wider = kernels_of_processor();
    bool fell_back = strstr(pulmo_blas_library(), " Prescott ") != NULL;
    fputs(pulmo_blas_library(), out);
    if (getenv("OPENBLAS_CORETYPE"))
        fputs(" (OPENBLAS_CORETYPE)", out);
    else if (fell_back && wider)
        fprintf(out,
                " (its fallback: it does not know this processor; OPENBLAS_CORETYPE=%s has wider "
                "kernels)",
                wider);
    fputc('\n', out);
}
