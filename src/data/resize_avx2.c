/* The horizontal pass with AVX2: eight rows fill a vector of 32-bit sums. */
#include "resize.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))

/* Sixteen columns of eight rows, turned by three rounds of merging neighbours. */
AVX2 static inline void turn16(const uint8_t *const rows[RESIZE_ROWS], size_t at, uint8_t *restrict out)
{
    __m128i r[RESIZE_ROWS], pairs[8], fours[8];
    for (int k = 0; k < 8; k++) r[k] = _mm_loadu_si128((const __m128i *)(const void *)(rows[k] + at));
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
            _mm_storeu_si128(to++, _mm_unpacklo_epi32(fours[4 * half + k], fours[4 * half + 2 + k]));
            _mm_storeu_si128(to++, _mm_unpackhi_epi32(fours[4 * half + k], fours[4 * half + 2 + k]));
        }
}

AVX2 void resize_interleave_avx2(const uint8_t *const rows[RESIZE_ROWS], size_t n, uint8_t *restrict out)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16) turn16(rows, i, out + i * RESIZE_ROWS);
    for (; i < n; i++)
        for (size_t r = 0; r < RESIZE_ROWS; r++) out[i * RESIZE_ROWS + r] = rows[r][i];
}

AVX2 void resize_horizontal_avx2(const resize_taps *taps, const uint8_t *restrict in, int channels, int outputs,
                                 uint8_t *const rows[RESIZE_ROWS])
{
    size_t step = (size_t)channels * RESIZE_ROWS;
    for (int x = 0; x < outputs; x++) {
        const int32_t *weight = taps->weight + (size_t)x * (size_t)taps->most;
        for (int c = 0; c < channels; c++) {
            const uint8_t *from = in + (size_t)taps->first[x] * step + (size_t)c * RESIZE_ROWS;
            __m256i sum = _mm256_set1_epi32(1 << (RESIZE_BITS - 1));
            for (int i = 0; i < taps->count[x]; i++, from += step) {
                __m256i pixels = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from));
                sum = _mm256_add_epi32(sum, _mm256_mullo_epi32(pixels, _mm256_set1_epi32(weight[i])));
            }
            sum = _mm256_srai_epi32(sum, RESIZE_BITS);
            __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
            uint64_t column = (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi16(words, words));
            for (int r = 0; r < RESIZE_ROWS; r++) rows[r][x * channels + c] = (uint8_t)(column >> 8 * r);
        }
    }
}

#else

void resize_interleave_avx2(const uint8_t *const rows[RESIZE_ROWS], size_t n, uint8_t *restrict out)
{
    resize_interleave_ref(rows, n, out);
}

void resize_horizontal_avx2(const resize_taps *taps, const uint8_t *restrict in, int channels, int outputs,
                            uint8_t *const rows[RESIZE_ROWS])
{
    resize_horizontal_ref(taps, in, channels, outputs, rows);
}

#endif
