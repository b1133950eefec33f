/* The head on NEON: register blocks of 4 samples x 6 outputs, and of 4 x 8 gradients with their
 * integers. */
#include <stdint.h>

#include "vector.h"

typedef struct wide {
    int64x2_t low, high;
} wide;
#define DOT_OUTS    6
#define BACK_VECS   4
#define SUM_ROWS    4
#define SUM_VECS    2
#define prefetch(p) __builtin_prefetch(p, 0, 3)

/* Halves first: vaddvq would add neighbours. */
static inline __attribute__((always_inline)) float reduce(vec x)
{
    float32x2_t half = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(half, 0) + vget_lane_f32(half, 1);
}
static inline __attribute__((always_inline)) wide wide_zero(void)
{
    return (wide){vdupq_n_s64(0), vdupq_n_s64(0)};
}
/* The scale is a power of two, so that the product is exact and fusing it changes nothing. */
static inline __attribute__((always_inline)) int64x2_t rounded(float64x2_t x, double scale)
{
    return vreinterpretq_s64_f64(vfmaq_f64(vdupq_n_f64(0x1.8p52), x, vdupq_n_f64(scale)));
}
static inline __attribute__((always_inline)) wide wide_add(wide sum, vec x, double scale)
{
    sum.low = vaddq_s64(sum.low, rounded(vcvt_f64_f32(vget_low_f32(x)), scale));
    sum.high = vaddq_s64(sum.high, rounded(vcvt_high_f64_f32(x), scale));
    return sum;
}
static inline __attribute__((always_inline)) void wide_store(int64_t *to, wide sum, int64_t back)
{
    const int64x2_t less = vdupq_n_s64(back);
    vst1q_s64(to, vsubq_s64(sum.low, less));
    vst1q_s64(to + 2, vsubq_s64(sum.high, less));
}
static inline __attribute__((always_inline)) float32x2_t half_finish(int64x2_t sum, double back,
                                                                     double by)
{
    float64x2_t value = vcvtq_f64_s64(sum);
    return vcvt_f32_f64(vmulq_f64(vmulq_f64(value, vdupq_n_f64(back)), vdupq_n_f64(by)));
}
static inline __attribute__((always_inline)) vec wide_finish(wide sum, int64_t less, double back,
                                                             double by)
{
    const int64x2_t take = vdupq_n_s64(less);
    float32x2_t low = half_finish(vsubq_s64(sum.low, take), back, by);
    float32x2_t high = half_finish(vsubq_s64(sum.high, take), back, by);
    return vcombine_f32(low, high);
}

#include "../head_body.h"
