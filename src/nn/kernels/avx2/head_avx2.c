/* The head on AVX2+FMA: register blocks of 4 samples x 3 outputs, and of 2 x 16 gradients with
 * their integers. */
#include <stdint.h>

#include "vector.h"

typedef struct wide {
    __m256i low, high;
} wide;
#define DOT_OUTS    3
#define BACK_VECS   2
#define SUM_ROWS    2
#define SUM_VECS    2
#define prefetch(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)

static inline __attribute__((always_inline)) float reduce(vec x)
{
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
}
static inline __attribute__((always_inline)) wide wide_zero(void)
{
    return (wide){_mm256_setzero_si256(), _mm256_setzero_si256()};
}
/* The scale is a power of two, so that the product is exact and fusing it changes nothing. */
static inline __attribute__((always_inline)) wide wide_add(wide sum, vec x, double scale)
{
    const __m256d factor = _mm256_set1_pd(scale), magic = _mm256_set1_pd(0x1.8p52);
    __m256d low = _mm256_fmadd_pd(_mm256_cvtps_pd(_mm256_castps256_ps128(x)), factor, magic);
    __m256d high = _mm256_fmadd_pd(_mm256_cvtps_pd(_mm256_extractf128_ps(x, 1)), factor, magic);
    sum.low = _mm256_add_epi64(sum.low, _mm256_castpd_si256(low));
    sum.high = _mm256_add_epi64(sum.high, _mm256_castpd_si256(high));
    return sum;
}
static inline __attribute__((always_inline)) void wide_store(int64_t *to, wide sum, int64_t back)
{
    const __m256i less = _mm256_set1_epi64x(back);
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_sub_epi64(sum.low, less));
    _mm256_storeu_si256((__m256i *)(void *)(to + 4), _mm256_sub_epi64(sum.high, less));
}
static inline __attribute__((always_inline)) __m128 half_finish(__m256i sum, double back, double by)
{
    const __m256d magic = _mm256_set1_pd(0x1.8p52);
    __m256d value = _mm256_sub_pd(
        _mm256_castsi256_pd(_mm256_add_epi64(sum, _mm256_castpd_si256(magic))), magic);
    return _mm256_cvtpd_ps(
        _mm256_mul_pd(_mm256_mul_pd(value, _mm256_set1_pd(back)), _mm256_set1_pd(by)));
}
static inline __attribute__((always_inline)) vec wide_finish(wide sum, int64_t less, double back,
                                                             double by)
{
    const __m256i take = _mm256_set1_epi64x(less);
    __m128 low = half_finish(_mm256_sub_epi64(sum.low, take), back, by),
           high = half_finish(_mm256_sub_epi64(sum.high, take), back, by);
    return _mm256_insertf128_ps(_mm256_castps128_ps256(low), high, 1);
}

#include "../head_body.h"
