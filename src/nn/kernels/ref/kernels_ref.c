/* The reference tier: portable C with the compiler's generic vectors. With PULMO_HEAD_DOUBLE
 * the same in double, for the gradient tests. */
#include "vector.h"

#define PANEL_BLOCKS  1
#define TILE_ROWS     2
#define OUTER_ROWS    2
#define OUTER_BLOCKS  1
#define GEMM_CHANNELS 256
#define OUTER_TILES   192
#define prefetch(p)   (void)(p)

static inline __attribute__((always_inline)) vec where_positive(vec x, vec y)
{
    vec out;
    for (int i = 0; i < LANES; i++)
        out[i] = x[i] > 0 ? y[i] : 0;
    return out;
}
static inline __attribute__((always_inline)) vec where_equal(vec a, vec b, vec y)
{
    vec out;
    for (int i = 0; i < LANES; i++)
        out[i] = a[i] == b[i] ? y[i] : 0;
    return out;
}
static inline __attribute__((always_inline)) vec where_other(vec a, vec b, vec y)
{
    vec out;
    for (int i = 0; i < LANES; i++)
        out[i] = a[i] == b[i] ? 0 : y[i];
    return out;
}
#define store_past(p, x) store(p, x)
#define past_is_done()   (void)0

#include "../forward_body.h"
#include "../gradient_body.h"
