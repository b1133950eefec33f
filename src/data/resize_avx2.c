/* The horizontal pass with AVX2: eight rows fill a vector of 32-bit sums. */
#include "resize.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))

/* Sixteen columns of eight rows, turned by three rounds of merging neighbours. */
AVX2 static inline void turn16(const uint8_t *const rows[RESIZE_ROWS], size_t at,
                               uint8_t *restrict out)
{
    __m128i r[RESIZE_ROWS], pairs[8], fours[8];
    for (int k = 0; k < 8; k++)
        r[k] = _mm_loadu_si128((const __m128i *)(const void *)(rows[k] + at));
    for (int k = 0; k < 4; k++) {
        pairs[k] = _mm_unpacklo_epi8(r[2 * k], r[2 * k + 1]);
        pairs[k + 4] = _mm_unpackhi_epi8(r[2 * k], r[2 * k + 1]);
    }
    for (int k = 0; k < 8; k += 2) { /* k: rows 0 to 3 or 4 to 7, of the first or last 8 columns */
        fours[k] = _mm_unpacklo_epi16(pairs[k], pairs[k + 1]);
        fours[k + 1] = _mm_unpackhi_epi16(pairs[k], pairs[k + 1]);
    }
    __m128i *to = (__m128i *)(void *)out;
    for (int half = 0; half < 2; half++)
        for (int k = 0; k < 2; k++) {
            _mm_storeu_si128(to++,
                             _mm_unpacklo_epi32(fours[4 * half + k], fours[4 * half + 2 + k]));
            _mm_storeu_si128(to++,
                             _mm_unpackhi_epi32(fours[4 * half + k], fours[4 * half + 2 + k]));
        }
}

AVX2 void resize_interleave_avx2(const uint8_t *const rows[RESIZE_ROWS], size_t n,
                                 uint8_t *restrict out)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        turn16(rows, i, out + i * RESIZE_ROWS);
    for (; i < n; i++)
        for (size_t r = 0; r < RESIZE_ROWS; r++)
            out[i * RESIZE_ROWS + r] = rows[r][i];
}

/* Two columns of eight rows, neighbours by row, as 16-bit numbers. */
AVX2 static inline __m256i two_columns(const uint8_t *first, const uint8_t *second)
{
    __m128i a = _mm_loadl_epi64((const __m128i *)(const void *)first),
            b = _mm_loadl_epi64((const __m128i *)(const void *)second);
    return _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(a, b));
}

AVX2 static inline __m256i all_lanes(uint32_t pair)
{
    return _mm256_set1_epi32((int)pair);
}

/* Eight rows' sums, a byte each. Sums wrap where a product of 32 bits would. */
AVX2 static inline uint64_t weighted_rows(const uint32_t *pair, int count, const uint8_t *from,
                                          size_t step)
{
    __m256i low = _mm256_set1_epi32(1 << (RESIZE_BITS - 1)), high = _mm256_setzero_si256();
    for (int i = 0; i < count; i += 2, from += 2 * step, pair += 2) {
        __m256i pixels = two_columns(
            from, i + 1 < count ? from + step : from); /* the weight of what is not there is 0 */
        low = _mm256_add_epi32(low, _mm256_madd_epi16(pixels, all_lanes(pair[0])));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(pixels, all_lanes(pair[1])));
    }
    __m256i sum = _mm256_srai_epi32(_mm256_add_epi32(low, _mm256_slli_epi32(high, RESIZE_LOW_BITS)),
                                    RESIZE_BITS);
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    return (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(words, words));
}

AVX2 void resize_horizontal_avx2(const resize_taps *taps, const uint8_t *restrict in, int channels,
                                 int outputs, uint8_t *const rows[RESIZE_ROWS])
{
    size_t step = (size_t)channels * RESIZE_ROWS, pairs = ((size_t)taps->most + 1) / 2;
    for (int x = 0; x < outputs; x++)
        for (int c = 0; c < channels; c++) {
            const uint8_t *from = in + (size_t)taps->first[x] * step + (size_t)c * RESIZE_ROWS;
            uint64_t column =
                weighted_rows(taps->pair + 2 * pairs * (size_t)x, taps->count[x], from, step);
            for (int r = 0; r < RESIZE_ROWS; r++)
                rows[r][x * channels + c] = (uint8_t)(column >> 8 * r);
        }
}

#else

void resize_interleave_avx2(const uint8_t *const rows[RESIZE_ROWS], size_t n, uint8_t *restrict out)
{
    resize_interleave_ref(rows, n, out);
}

void resize_horizontal_avx2(const resize_taps *taps, const uint8_t *restrict in, int channels,
                            int outputs, uint8_t *const rows[RESIZE_ROWS])
{
    resize_horizontal_ref(taps, in, channels, outputs, rows);
}

#endif
