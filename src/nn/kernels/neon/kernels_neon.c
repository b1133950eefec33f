/* The NEON tier: register blocks of 6 tiles x 16 channels (24 of 32 registers), and of 6 x 16 for
 * the gradient by the weights. */
#include "vector.h"

#define PANEL_BLOCKS  1
#define TILE_ROWS     6
#define OUTER_ROWS    6
#define OUTER_BLOCKS  1
#define GEMM_CHANNELS 256
#define OUTER_TILES   192
#define prefetch(p)   __builtin_prefetch(p, 0, 2)

static inline __attribute__((always_inline)) vec where(uint32x4_t mask, vec y)
{
    return vreinterpretq_f32_u32(vandq_u32(mask, vreinterpretq_u32_f32(y)));
}
#define where_positive(x, y) where(vcgtzq_f32(x), y)
#define where_equal(a, b, y) where(vceqq_f32(a, b), y)
#define where_other(a, b, y) where(vmvnq_u32(vceqq_f32(a, b)), y)
#define store_past(p, x)     store(p, x)
#define past_is_done()       (void)0

#include "../forward_body.h"
#include "../gradient_body.h"
