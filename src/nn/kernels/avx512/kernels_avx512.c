/* The AVX-512 tier: 16 lanes, register blocks of 6 tiles x 64 channels (24 of 32 registers). */
#include <immintrin.h>

typedef __m512 vec;
#define LANES 16
#define PANEL_VECTORS 4
#define TILE_ROWS 6
#define GEMM_CHANNELS 128
#define prefetch(p) _mm_prefetch((const char *)(p), _MM_HINT_T1)
#define TIER(name) name##__avx512
#define TIER_NAME "avx512"
#define load(p) _mm512_loadu_ps(p)
#define store(p, x) _mm512_storeu_ps(p, x)
#define splat(x) _mm512_set1_ps(x)
#define add(a, b) _mm512_add_ps(a, b)
#define sub(a, b) _mm512_sub_ps(a, b)
#define mul(a, b) _mm512_mul_ps(a, b)
#define fma_(a, b, c) _mm512_fmadd_ps(a, b, c)
#define fnma_(a, b, c) _mm512_fnmadd_ps(a, b, c)
#define max_(a, b) _mm512_max_ps(a, b)

#include "../body.h"
