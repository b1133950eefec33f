/* The vector of AArch64's NEON. */
#include <arm_neon.h>

typedef float32x4_t vec;
#define LANES          4
#define TIER(name)     name##__neon
#define TIER_NAME      "neon"
#define load(p)        vld1q_f32(p)
#define store(p, x)    vst1q_f32(p, x)
#define splat(x)       vdupq_n_f32(x)
#define add(a, b)      vaddq_f32(a, b)
#define sub(a, b)      vsubq_f32(a, b)
#define mul(a, b)      vmulq_f32(a, b)
#define fma_(a, b, c)  vfmaq_f32(c, a, b)
#define fnma_(a, b, c) vfmsq_f32(c, a, b)
/* Not vmaxq: the second where one is not a number or both are zero, as in the other tiers. */
#define max_(a, b) vbslq_f32(vcgtq_f32(a, b), a, b)
