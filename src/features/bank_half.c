/* IEEE 754 binary16 from and to binary32. */
#include <string.h>

#include "bank_room.h"
#include "pulmo/features.h"
#include "pulmo/specs.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static uint16_t half_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x47800000u)
        return (uint16_t)(sign |
                          (magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u)); /* 2^16 and beyond */
    if (magnitude < 0x38800000u) { /* below 2^-14: adding 2^-1 puts the last bit of a subnormal half
                                      at the end, rounded */
        float x, shift = 0.5f;
        memcpy(&x, &magnitude, sizeof x);
        x += shift;
        memcpy(&magnitude, &x, sizeof magnitude);
        return (uint16_t)(sign | (magnitude - 0x3f000000u));
    }
    magnitude += 0xc8000fffu +
                 (magnitude >> 13 &
                  1u); /* the exponent's bias from 127 to 15; half a unit, less one where even */
    return (uint16_t)(sign | magnitude >> 13);
}

static float float_of(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16, magnitude = half & 0x7fffu,
             bits = magnitude << 13;
    float out;
    if (magnitude >= 0x7c00u) {
        bits |= 0x7f800000u;
        memcpy(&out, &bits, sizeof out);
    } else {
        memcpy(&out, &bits, sizeof out);
        out *= 0x1p112f; /* the bias back, subnormals too */
    }
    memcpy(&bits, &out, sizeof bits);
    bits |= sign;
    memcpy(&out, &bits, sizeof out);
    return out;
}

bool bank_to_half(size_t count, const float *values, uint16_t *out)
{
    bool finite = true;
    for (size_t i = 0; i < count; i++) {
        out[i] = half_of(values[i]);
        finite = finite && (out[i] & 0x7c00u) != 0x7c00u;
    }
    return finite;
}

#if defined(__x86_64__)
/* Each group is read before it is written, and nothing further on is: `bits` may end where `out`
 * does. */
__attribute__((target("avx,f16c"))) static size_t convert_groups(size_t count, const uint16_t *bits,
                                                                 float *out)
{
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(
            out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(bits + i))));
    return i;
}
static bool has_instruction(void)
{
#ifdef __clang__ /* version 14 cannot ask for f16c; all with AVX2 have it */
    return __builtin_cpu_supports("avx2");
#else
    return __builtin_cpu_supports("f16c") && __builtin_cpu_supports("avx");
#endif
}
#else
static size_t convert_groups(size_t count, const uint16_t *bits, float *out)
{
    (void)count;
    (void)bits;
    (void)out;
    return 0;
}
static bool has_instruction(void)
{
    return false;
}
#endif

void bank_from_half(size_t count, const uint16_t *bits, float *out)
{
    size_t i = has_instruction() ? convert_groups(count, bits, out) : 0;
    for (; i < count; i++) {
        uint16_t half;
        memcpy(&half, (const char *)bits + 2 * i,
               sizeof half); /* memory that `out` shares: no type is assumed */
        float value = float_of(half);
        memcpy((char *)out + 4 * i, &value, sizeof value);
    }
}
