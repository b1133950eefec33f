/* The compiler's generic vector: portable C, no fused operations. */
#include <string.h>

#include "../real.h"

typedef real vec __attribute__((vector_size(16)));
#define LANES          ((int)(16 / sizeof(real)))
#define TIER(name)     name##__ref
#define TIER_NAME      "ref"
#define add(a, b)      ((a) + (b))
#define sub(a, b)      ((a) - (b))
#define mul(a, b)      ((a) * (b))
#define fma_(a, b, c)  ((a) * (b) + (c))
#define fnma_(a, b, c) ((c) - (a) * (b))

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
