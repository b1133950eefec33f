/* The trainable convolutions, reference tier: portable C with the compiler's generic vectors, no fused
 * operations. With PULMO_HEAD_DOUBLE the same in double, for the gradient test. */
#include <string.h>

#include "../tail_kernels.h"

typedef real vec __attribute__((vector_size(16)));
#define LANES          ((int)(16 / sizeof(real)))
#define PANEL_BLOCKS   1
#define TILE_ROWS      2
#define OUTER_ROWS     2
#define OUTER_BLOCKS   1
#define GEMM_CHANNELS  256
#define OUTER_TILES    192
#define PREFETCH_REALS 16
#define prefetch(p)    (void)(p)
#define TIER(name)     name##__ref
#define TIER_NAME      "ref"

static inline __attribute__((always_inline)) vec load(const real *p)
{
    vec x;
    memcpy(&x, p, sizeof x);
    return x;
}
static inline __attribute__((always_inline)) void store(real *p, vec x) { memcpy(p, &x, sizeof x); }
static inline __attribute__((always_inline)) vec splat(real x)
{
    vec out;
    for (int i = 0; i < LANES; i++) out[i] = x;
    return out;
}
static inline __attribute__((always_inline)) vec max_(vec a, vec b)
{
    vec out;
    for (int i = 0; i < LANES; i++) out[i] = a[i] > b[i] ? a[i] : b[i];
    return out;
}
static inline __attribute__((always_inline)) vec where_positive(vec x, vec y)
{
    vec out;
    for (int i = 0; i < LANES; i++) out[i] = x[i] > 0 ? y[i] : 0;
    return out;
}
static inline __attribute__((always_inline)) vec where_equal(vec a, vec b, vec y)
{
    vec out;
    for (int i = 0; i < LANES; i++) out[i] = a[i] == b[i] ? y[i] : 0;
    return out;
}
static inline __attribute__((always_inline)) vec where_other(vec a, vec b, vec y)
{
    vec out;
    for (int i = 0; i < LANES; i++) out[i] = a[i] == b[i] ? 0 : y[i];
    return out;
}
#define add(a, b)        ((a) + (b))
#define sub(a, b)        ((a) - (b))
#define mul(a, b)        ((a) * (b))
#define fma_(a, b, c)    ((a) * (b) + (c))
#define fnma_(a, b, c)   ((c) - (a) * (b))
#define store_past(p, x) store(p, x)
#define past_is_done()   (void)0

#include "../tail_body.h"
