/* IEEE 754 binary16 from and to binary32. */
#include <string.h>

#include "bank_room.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float value_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Of a magnitude below 2^-14, a subnormal half: adding 2^-1 puts its last bit at the end, rounded.
 */
static uint32_t subnormal_half(uint32_t magnitude)
{
    const float shift = 0.5f;
    float shifted = value_of(magnitude) + shift;
    return bits_of(shifted) - 0x3f000000u;
}

static uint16_t half_of(float value)
{
    uint32_t bits = bits_of(value);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;
    uint32_t half;
    if (magnitude > 0x7f800000u) {
        half = 0x7e00u; /* not a number */
    } else if (magnitude >= 0x47800000u) {
        half = 0x7c00u; /* 2^16 and beyond */
    } else if (magnitude < 0x38800000u) {
        half = subnormal_half(magnitude);
    } else {
        /* The exponent's bias from 127 to 15; half a unit, less one where even. */
        uint32_t odd = magnitude >> 13 & 1u;
        magnitude += 0xc8000fffu + odd;
        half = magnitude >> 13;
    }
    return (uint16_t)(sign | half);
}

static float float_of(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000u) << 16;
    uint32_t magnitude = half & 0x7fffu;
    uint32_t bits = magnitude << 13;
    if (magnitude >= 0x7c00u)
        bits |= 0x7f800000u;
    else
        bits = bits_of(value_of(bits) * 0x1p112f); /* the bias back, subnormals too */
    return value_of(bits | sign);
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
    for (; i + 8 <= count; i += 8) {
        const void *group = bits + i;
        __m128i halves = _mm_loadu_si128(group);
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(halves));
    }
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
        /* Memory that `out` shares: no type is assumed. */
        uint16_t half;
        memcpy(&half, (const char *)bits + 2 * i, sizeof half);
        float value = float_of(half);
        memcpy((char *)out + 4 * i, &value, sizeof value);
    }
}
