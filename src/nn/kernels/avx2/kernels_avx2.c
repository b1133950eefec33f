/* The AVX2+FMA tier: register blocks of 6 tiles x 16 channels (12 of 16 registers), and of 6 x 16
 * for the gradient by the weights. */
#include "vector.h"

#define PANEL_BLOCKS         1
#define TILE_ROWS            6
#define OUTER_ROWS           6
#define OUTER_BLOCKS         1
#define GEMM_CHANNELS        256
#define OUTER_TILES          192
#define prefetch(p)          _mm_prefetch((const char *)(p), _MM_HINT_T1)
#define where_positive(x, y) _mm256_and_ps(_mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ), y)
#define where_equal(a, b, y) _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ), y)
#define where_other(a, b, y) _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_NEQ_UQ), y)
#define store_past(p, x)     _mm256_stream_ps(p, x)
#define past_is_done()       _mm_sfence()

#include "../forward_body.h"
#include "../gradient_body.h"
