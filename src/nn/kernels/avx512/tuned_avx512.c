/* The trainable convolutions on AVX-512: register blocks of 6 tiles x 64 channels, 6 x 64 for the
 * weights' gradient. */
#include "vector.h"

#define PANEL_BLOCKS   4
#define TILE_ROWS      6
#define OUTER_ROWS     6
#define OUTER_BLOCKS   4
#define GEMM_CHANNELS  128
#define OUTER_TILES    96
#define PREFETCH_REALS 16
#define prefetch(p)    _mm_prefetch((const char *)(p), _MM_HINT_T1)
#define where_positive(x, y)                                                                       \
    _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), y)
#define where_equal(a, b, y) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), y)
#define where_other(a, b, y) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ), y)
#define store_past(p, x)     _mm512_stream_ps(p, x)
#define past_is_done()       _mm_sfence()

#include "../tuned_body.h"
