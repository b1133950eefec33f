/* The AVX-512 tier: register blocks of 6 tiles x 64 channels (24 of 32 registers), and of 6 x 64
 * for the gradient by the weights. */
#include "vector.h"

#define PANEL_BLOCKS  4
#define TILE_ROWS     6
#define OUTER_ROWS    6
#define OUTER_BLOCKS  4
#define GEMM_CHANNELS 128
#define OUTER_TILES   96
#define prefetch(p)   _mm_prefetch((const char *)(p), _MM_HINT_T1)
#define where_positive(x, y)                                                                       \
    _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), y)
#define where_equal(a, b, y) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), y)
#define where_other(a, b, y) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ), y)
#define store_past(p, x)     _mm512_stream_ps(p, x)
#define past_is_done()       _mm_sfence()

#include "../forward_body.h"
#include "../gradient_body.h"
