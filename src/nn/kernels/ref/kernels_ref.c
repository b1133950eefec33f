/* The reference tier: portable C with the compiler's generic vectors; no fused operations. */
#include <string.h>

typedef float vec __attribute__((vector_size(16)));
#define LANES 4
#define PANEL_VECTORS 2
#define TILE_ROWS 4
#define GEMM_CHANNELS 256
#define prefetch(p) (void)(p)
#define TIER(name) name##__ref
#define TIER_NAME "ref"

static inline vec load(const float *p)
{
    vec x;
    memcpy(&x, p, sizeof x);
    return x;
}
static inline void store(float *p, vec x) { memcpy(p, &x, sizeof x); }
static inline vec splat(float x) { return (vec){x, x, x, x}; }
static inline vec max_(vec a, vec b)
{
    vec out;
    for (int i = 0; i < 4; i++) out[i] = a[i] > b[i] ? a[i] : b[i];
    return out;
}
#define add(a, b) ((a) + (b))
#define sub(a, b) ((a) - (b))
#define mul(a, b) ((a) * (b))
#define fma_(a, b, c) ((a) * (b) + (c))
#define fnma_(a, b, c) ((c) - (a) * (b))

#include "../body.h"
