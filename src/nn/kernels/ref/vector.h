/* The compiler's generic vector: portable C. Fused multiply-adds are C's own, a lane at a time: a
 * function of the library, or with PULMO_REF_FMA, which kernels.cmake sets for a second build of
 * the same sources, the processor's. Both round once. */
#include <math.h>
#include <string.h>

#include "../real.h"

typedef real vec __attribute__((vector_size(16)));
#define LANES ((int)(16 / sizeof(real)))
#ifdef PULMO_REF_FMA
#define TIER(name) name##__ref_fma
#else
#define TIER(name) name##__ref
#endif
#define TIER_NAME "ref"
#define add(a, b) ((a) + (b))
#define sub(a, b) ((a) - (b))
#define mul(a, b) ((a) * (b))

#ifdef PULMO_HEAD_DOUBLE
#define fused fma
#else
#define fused fmaf
#endif

/* Four calls, which inlined everywhere would take a compiler minutes; one instruction otherwise. */
#ifdef PULMO_REF_FMA
#define FUSED static inline __attribute__((always_inline))
#else
#define FUSED static __attribute__((noinline))
#endif

FUSED vec fma_(vec a, vec b, vec c)
{
    vec out;
    for (int i = 0; i < LANES; i++)
        out[i] = fused(a[i], b[i], c[i]);
    return out;
}
static inline __attribute__((always_inline)) vec fnma_(vec a, vec b, vec c)
{
    return fma_(-a, b, c);
}
static inline __attribute__((always_inline)) vec load(const real *p)
{
    vec x;
    memcpy(&x, p, sizeof x);
    return x;
}
static inline __attribute__((always_inline)) void store(real *p, vec x)
{
    memcpy(p, &x, sizeof x);
}
static inline __attribute__((always_inline)) vec splat(real x)
{
    vec out;
    for (int i = 0; i < LANES; i++)
        out[i] = x;
    return out;
}
static inline __attribute__((always_inline)) vec max_(vec a, vec b)
{
    vec out;
    for (int i = 0; i < LANES; i++)
        out[i] = a[i] > b[i] ? a[i] : b[i];
    return out;
}
