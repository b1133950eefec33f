/* The horizontal pass with AVX2: eight rows fill a vector of 32-bit sums. */
#include "resize.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m128i load16(const uint8_t *from)
{
    const void *at = from;
    return _mm_loadu_si128(at);
}

/* Four columns of rows 0 to 3 and of rows 4 to 7, merged. Returns where they end. */
AVX2 static inline uint8_t *store_eights(__m128i upper, __m128i lower, uint8_t *restrict out)
{
    void *first = out;
    void *second = out + 16;
    _mm_storeu_si128(first, _mm_unpacklo_epi32(upper, lower));
    _mm_storeu_si128(second, _mm_unpackhi_epi32(upper, lower));
    return out + 32;
}

/* Sixteen columns of eight rows, turned by three rounds of merging neighbours. */
AVX2 static inline void turn16(const uint8_t *const rows[RESIZE_ROWS], size_t at,
                               uint8_t *restrict out)
{
    __m128i pairs[8];
    __m128i fours[8];
    for (int k = 0; k < 4; k++) {
        const __m128i even = load16(rows[2 * k] + at);
        const __m128i odd = load16(rows[2 * k + 1] + at);
        pairs[k] = _mm_unpacklo_epi8(even, odd);
        pairs[k + 4] = _mm_unpackhi_epi8(even, odd);
    }
    for (int k = 0; k < 8; k += 2) { /* k: rows 0 to 3 or 4 to 7, of the first or last 8 columns */
        const __m128i first = pairs[k];
        const __m128i second = pairs[k + 1];
        fours[k] = _mm_unpacklo_epi16(first, second);
        fours[k + 1] = _mm_unpackhi_epi16(first, second);
    }
    for (int half = 0; half < 2; half++) {
        const __m128i *four = fours + 4 * half;
        out = store_eights(four[0], four[2], out);
        out = store_eights(four[1], four[3], out);
    }
}

AVX2 void resize_interleave_avx2(const uint8_t *const rows[RESIZE_ROWS], size_t n,
                                 uint8_t *restrict out)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        turn16(rows, i, out + i * RESIZE_ROWS);
    for (; i < n; i++) {
        uint8_t *column = out + i * RESIZE_ROWS;
        for (size_t r = 0; r < RESIZE_ROWS; r++)
            column[r] = rows[r][i];
    }
}

AVX2 static inline __m128i load8(const uint8_t *from)
{
    const void *at = from;
    return _mm_loadl_epi64(at);
}

/* Two columns of eight rows, neighbours by row, as 16-bit numbers. */
AVX2 static inline __m256i two_columns(const uint8_t *first, const uint8_t *second)
{
    const __m128i a = load8(first);
    const __m128i b = load8(second);
    const __m128i bytes = _mm_unpacklo_epi8(a, b);
    return _mm256_cvtepu8_epi16(bytes);
}

/* The sums and two columns' products with a pair of weights. */
AVX2 static inline __m256i add_products(__m256i sums, __m256i pixels, uint32_t pair)
{
    const __m256i weights = _mm256_set1_epi32((int)pair);
    const __m256i products = _mm256_madd_epi16(pixels, weights);
    return _mm256_add_epi32(sums, products);
}

/* Eight sums as bytes, from their low and high parts. */
AVX2 static inline uint64_t clip_rows(__m256i low, __m256i high)
{
    const __m256i scaled = _mm256_slli_epi32(high, RESIZE_LOW_BITS);
    const __m256i whole = _mm256_add_epi32(low, scaled);
    const __m256i sum = _mm256_srai_epi32(whole, RESIZE_BITS);
    const __m128i first = _mm256_castsi256_si128(sum);
    const __m128i last = _mm256_extracti128_si256(sum, 1);
    const __m128i words = _mm_packs_epi32(first, last);
    const __m128i bytes = _mm_packus_epi16(words, words);
    return (uint64_t)_mm_cvtsi128_si64(bytes);
}

/* Eight rows' sums, a byte each. Sums wrap where a product of 32 bits would. */
AVX2 static inline uint64_t weighted_rows(const uint32_t *pair, int count, const uint8_t *from,
                                          size_t step)
{
    const int half = 1 << (RESIZE_BITS - 1);
    __m256i low = _mm256_set1_epi32(half);
    __m256i high = _mm256_setzero_si256();
    for (int i = 0; i < count; i += 2) {
        const bool has_second = i + 1 < count;
        const uint8_t *second = has_second ? from + step : from; /* of no weight where missing */
        const __m256i pixels = two_columns(from, second);
        low = add_products(low, pixels, pair[0]);
        high = add_products(high, pixels, pair[1]);
        from += 2 * step;
        pair += 2;
    }
    return clip_rows(low, high);
}

AVX2 void resize_horizontal_avx2(const resize_taps *taps, const uint8_t *restrict in, int channels,
                                 int outputs, uint8_t *const rows[RESIZE_ROWS])
{
    const size_t step = (size_t)channels * RESIZE_ROWS;
    const size_t pairs = ((size_t)taps->most + 1) / 2;
    const uint32_t *pair = taps->pair;
    for (int x = 0; x < outputs; x++) {
        const int count = taps->count[x];
        const uint8_t *from = in + (size_t)taps->first[x] * step;
        for (int c = 0; c < channels; c++) {
            const uint64_t column = weighted_rows(pair, count, from, step);
            const int at = x * channels + c;
            for (int r = 0; r < RESIZE_ROWS; r++)
                rows[r][at] = (uint8_t)(column >> 8 * r);
            from += RESIZE_ROWS;
        }
        pair += 2 * pairs;
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
