/* The trainable convolutions on AVX-512: register blocks of 6 tiles x 64 channels, 6 x 64 for the weights' gradient. */
#include <immintrin.h>

typedef __m512 vec;
#define LANES                16
#define PANEL_BLOCKS         4
#define TILE_ROWS            6
#define OUTER_ROWS           6
#define OUTER_BLOCKS         4
#define GEMM_CHANNELS        128
#define OUTER_TILES          96
#define PREFETCH_REALS       16
#define prefetch(p)          _mm_prefetch((const char *)(p), _MM_HINT_T1)
#define TIER(name)           name##__avx512
#define TIER_NAME            "avx512"
#define load(p)              _mm512_loadu_ps(p)
#define store(p, x)          _mm512_storeu_ps(p, x)
#define splat(x)             _mm512_set1_ps(x)
#define add(a, b)            _mm512_add_ps(a, b)
#define sub(a, b)            _mm512_sub_ps(a, b)
#define mul(a, b)            _mm512_mul_ps(a, b)
#define fma_(a, b, c)        _mm512_fmadd_ps(a, b, c)
#define fnma_(a, b, c)       _mm512_fnmadd_ps(a, b, c)
#define max_(a, b)           _mm512_max_ps(a, b)
#define where_positive(x, y) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_GT_OQ), y)
#define where_equal(a, b, y) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), y)
#define where_other(a, b, y) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_NEQ_UQ), y)
#define store_past(p, x)     _mm512_stream_ps(p, x)
#define past_is_done()       _mm_sfence()

#include "../tail_body.h"
