/* The head on AVX-512: register blocks of 4 samples x 6 outputs, and of 4 x 32 gradients with their
 * integers. */
#include <stdint.h>

#include "vector.h"

typedef struct wide {
    __m512i low, high;
} wide;
#define DOT_OUTS    6
#define BACK_VECS   4
#define SUM_ROWS    4
#define SUM_VECS    2
#define prefetch(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)

static inline __attribute__((always_inline)) float reduce(vec x)
{
    __m256 y = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}
static inline __attribute__((always_inline)) wide wide_zero(void)
{
    return (wide){_mm512_setzero_si512(), _mm512_setzero_si512()};
}
/* The scale is a power of two, so that the product is exact and fusing it changes nothing. */
static inline __attribute__((always_inline)) wide wide_add(wide sum, vec x, double scale)
{
    const __m512d factor = _mm512_set1_pd(scale), magic = _mm512_set1_pd(0x1.8p52);
    __m512d low = _mm512_fmadd_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(x)), factor, magic);
    __m512d high = _mm512_fmadd_pd(_mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)), factor, magic);
    sum.low = _mm512_add_epi64(sum.low, _mm512_castpd_si512(low));
    sum.high = _mm512_add_epi64(sum.high, _mm512_castpd_si512(high));
    return sum;
}
static inline __attribute__((always_inline)) void wide_store(int64_t *to, wide sum, int64_t back)
{
    const __m512i less = _mm512_set1_epi64(back);
    _mm512_storeu_si512(to, _mm512_sub_epi64(sum.low, less));
    _mm512_storeu_si512(to + 8, _mm512_sub_epi64(sum.high, less));
}
static inline __attribute__((always_inline)) __m256 half_finish(__m512i sum, double back, double by)
{
    const __m512d magic = _mm512_set1_pd(0x1.8p52);
    __m512d value = _mm512_sub_pd(
        _mm512_castsi512_pd(_mm512_add_epi64(sum, _mm512_castpd_si512(magic))), magic);
    return _mm512_cvtpd_ps(
        _mm512_mul_pd(_mm512_mul_pd(value, _mm512_set1_pd(back)), _mm512_set1_pd(by)));
}
static inline __attribute__((always_inline)) vec wide_finish(wide sum, int64_t less, double back,
                                                             double by)
{
    const __m512i take = _mm512_set1_epi64(less);
    __m256 low = half_finish(_mm512_sub_epi64(sum.low, take), back, by),
           high = half_finish(_mm512_sub_epi64(sum.high, take), back, by);
    return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}

#include "../head_body.h"
