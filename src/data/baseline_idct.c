/* The accurate integer inverse transform (Loeffler, Ligtenberg, Moschytz 1989, in libjpeg's fixed
 * point: 13 bits of constants, 2 more bits between the passes), two blocks at once with AVX2; and
 * libjpeg's reduced ones. */
#include "baseline.h"

#include <string.h>

#define CONST_BITS 13
#define PASS1_BITS 2

#define FIX(x) ((int32_t)((x) * (1 << CONST_BITS) + 0.5))

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/* ---- reduced ---- */

/* Factors for a pair of 16-bit numbers. */
AVX2 static inline __m128i factors(int32_t p, int32_t q)
{
    return _mm_set1_epi32((int)(((uint32_t)p & 0xFFFF) | (uint32_t)q << 16));
}
/* The lower four 16-bit lanes, times a power of two, as 32-bit ones. */
AVX2 static inline __m128i raised(__m128i x, int bits)
{
    return _mm_srai_epi32(_mm_unpacklo_epi16(_mm_setzero_si128(), x), 16 - bits);
}
AVX2 static inline __m128i lowered(__m128i x, int bits)
{
    return _mm_srai_epi32(_mm_add_epi32(x, _mm_set1_epi32(1 << (bits - 1))), bits);
}
AVX2 static inline __m128i row_of(const int16_t *coefficients, int y)
{
    return _mm_loadu_si128((const __m128i *)(const void *)(coefficients + 8 * y));
}
AVX2 static inline __m128i upper(__m128i x)
{
    return _mm_unpackhi_epi64(x, x);
}

/* Four lanes of a four-point transform: inputs 0, the pairs (2, 6), (1, 3), (5, 7). */
AVX2 static inline void four_of(__m128i zero, __m128i p26, __m128i p13, __m128i p57, int bits,
                                __m128i out[4])
{
    __m128i even = raised(zero, CONST_BITS + 1),
            cross = _mm_madd_epi16(p26, factors(FIX(1.847759065), -FIX(0.765366865)));
    __m128i a = _mm_add_epi32(_mm_madd_epi16(p13, factors(FIX(1.061594337), -FIX(2.172734803))),
                              _mm_madd_epi16(p57, factors(FIX(1.451774981), -FIX(0.211164243))));
    __m128i b = _mm_add_epi32(_mm_madd_epi16(p13, factors(FIX(2.562915447), FIX(0.899976223))),
                              _mm_madd_epi16(p57, factors(-FIX(0.601344887), -FIX(0.509795579))));
    __m128i outer = _mm_add_epi32(even, cross), inner = _mm_sub_epi32(even, cross);
    out[0] = lowered(_mm_add_epi32(outer, b), bits);
    out[1] = lowered(_mm_add_epi32(inner, a), bits);
    out[2] = lowered(_mm_sub_epi32(inner, a), bits);
    out[3] = lowered(_mm_sub_epi32(outer, b), bits);
}

AVX2 static void idct_4(const int16_t *c, uint8_t *out, size_t stride)
{
    __m128i r0 = row_of(c, 0), r1 = row_of(c, 1), r2 = row_of(c, 2), r3 = row_of(c, 3),
            r5 = row_of(c, 5), r6 = row_of(c, 6), r7 = row_of(c, 7);
    __m128i left[4], right[4], row[4], column[4];
    four_of(r0, _mm_unpacklo_epi16(r2, r6), _mm_unpacklo_epi16(r1, r3), _mm_unpacklo_epi16(r5, r7),
            CONST_BITS - PASS1_BITS + 1, left);
    four_of(upper(r0), _mm_unpackhi_epi16(r2, r6), _mm_unpackhi_epi16(r1, r3),
            _mm_unpackhi_epi16(r5, r7), CONST_BITS - PASS1_BITS + 1, right);
    for (int y = 0; y < 4; y++)
        row[y] = _mm_packs_epi32(left[y], right[y]);
    /* Columns 2k and 2k + 1, four rows each. */
    __m128i a = _mm_unpacklo_epi16(row[0], row[1]), b = _mm_unpacklo_epi16(row[2], row[3]);
    __m128i d = _mm_unpackhi_epi16(row[0], row[1]), e = _mm_unpackhi_epi16(row[2], row[3]);
    __m128i c01 = _mm_unpacklo_epi32(a, b), c23 = _mm_unpackhi_epi32(a, b),
            c45 = _mm_unpacklo_epi32(d, e), c67 = _mm_unpackhi_epi32(d, e);
    four_of(c01, _mm_unpacklo_epi16(c23, c67), _mm_unpackhi_epi16(c01, c23),
            _mm_unpackhi_epi16(c45, c67), CONST_BITS + PASS1_BITS + 3 + 1, column);
    __m128i bytes = _mm_packs_epi16(_mm_packs_epi32(column[0], column[1]),
                                    _mm_packs_epi32(column[2], column[3]));
    bytes = _mm_xor_si128(bytes, _mm_set1_epi8((char)-128)); /* saturated, plus 128; by columns */
    bytes = _mm_shuffle_epi8(bytes,
                             _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    uint32_t rows[4];
    _mm_storeu_si128((__m128i *)(void *)rows, bytes);
    for (size_t y = 0; y < 4; y++)
        memcpy(out + y * stride, &rows[y], 4);
}

AVX2 static void idct_2(const int16_t *c, uint8_t *out, size_t stride)
{
    const __m128i f13 = factors(FIX(3.624509785), -FIX(1.272758580)),
                  f57 = factors(FIX(0.850430095), -FIX(0.720959822));
    const __m128i along = _mm_setr_epi16(0, (short)FIX(3.624509785), 0, (short)-FIX(1.272758580), 0,
                                         (short)FIX(0.850430095), 0, (short)-FIX(0.720959822));
    __m128i r0 = row_of(c, 0), r1 = row_of(c, 1), r3 = row_of(c, 3), r5 = row_of(c, 5),
            r7 = row_of(c, 7);
    __m128i odd_left = _mm_add_epi32(_mm_madd_epi16(_mm_unpacklo_epi16(r1, r3), f13),
                                     _mm_madd_epi16(_mm_unpacklo_epi16(r5, r7), f57));
    __m128i odd_right = _mm_add_epi32(_mm_madd_epi16(_mm_unpackhi_epi16(r1, r3), f13),
                                      _mm_madd_epi16(_mm_unpackhi_epi16(r5, r7), f57));
    __m128i even_left = raised(r0, CONST_BITS + 2), even_right = raised(upper(r0), CONST_BITS + 2);
    const int bits = CONST_BITS - PASS1_BITS + 2;
    __m128i top = _mm_packs_epi32(lowered(_mm_add_epi32(even_left, odd_left), bits),
                                  lowered(_mm_add_epi32(even_right, odd_right), bits));
    __m128i bottom = _mm_packs_epi32(lowered(_mm_sub_epi32(even_left, odd_left), bits),
                                     lowered(_mm_sub_epi32(even_right, odd_right), bits));
    __m128i odd = _mm_hadd_epi32(_mm_madd_epi16(top, along), _mm_madd_epi16(bottom, along));
    odd = _mm_hadd_epi32(odd, odd); /* top, bottom, top, bottom */
    __m128i even =
        raised(_mm_unpacklo_epi16(top, bottom), CONST_BITS + 2); /* of column 0: top, bottom, ... */
    __m128i values = _mm_unpacklo_epi32(_mm_add_epi32(even, odd), _mm_sub_epi32(even, odd));
    values = lowered(values, CONST_BITS + PASS1_BITS + 3 + 2);
    values = _mm_xor_si128(_mm_packs_epi16(_mm_packs_epi32(values, values), values),
                           _mm_set1_epi8((char)-128));
    uint32_t all = (uint32_t)_mm_cvtsi128_si32(values);
    memcpy(out, &all, 2);
    memcpy(out + stride, (const uint8_t *)&all + 2, 2);
}

AVX2 void baseline_idct_small(const int16_t *coefficients, int side, uint8_t *out, size_t stride)
{
    if (side == 4)
        idct_4(coefficients, out, stride);
    else if (side == 2)
        idct_2(coefficients, out, stride);
    else {
        int level = ((coefficients[0] + 4) >> 3) + 128;
        *out = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
}

/* ---- full ---- */

/* 32-bit sums of 16-bit lanes: the lower and the upper four of each 128 bits. */
typedef struct wide {
    __m256i low, high;
} wide;

AVX2 static inline wide plus(wide a, wide b)
{
    return (wide){_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
AVX2 static inline wide minus(wide a, wide b)
{
    return (wide){_mm256_sub_epi32(a.low, b.low), _mm256_sub_epi32(a.high, b.high)};
}

/* a * p + b * q, for the pair (a, b) interleaved. */
typedef struct pair {
    __m256i low, high;
} pair;
AVX2 static inline pair pair_of(__m256i a, __m256i b)
{
    return (pair){_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b)};
}
AVX2 static inline wide rotate(pair v, int32_t p, int32_t q)
{
    __m256i factors = _mm256_set1_epi32((int)(((uint32_t)p & 0xFFFF) | (uint32_t)q << 16));
    return (wide){_mm256_madd_epi16(v.low, factors), _mm256_madd_epi16(v.high, factors)};
}
/* x * 2^13 as 32-bit lanes. */
AVX2 static inline wide shifted(__m256i x)
{
    __m256i zero = _mm256_setzero_si256();
    return (wide){_mm256_srai_epi32(_mm256_unpacklo_epi16(zero, x), 16 - CONST_BITS),
                  _mm256_srai_epi32(_mm256_unpackhi_epi16(zero, x), 16 - CONST_BITS)};
}

AVX2 static inline __m256i narrow(wide x, int bits)
{
    __m256i half = _mm256_set1_epi32(1 << (bits - 1));
    __m128i count = _mm_cvtsi32_si128(bits);
    return _mm256_packs_epi32(_mm256_sra_epi32(_mm256_add_epi32(x.low, half), count),
                              _mm256_sra_epi32(_mm256_add_epi32(x.high, half), count));
}

#define F(x) FIX(x)
/* One pass over eight vectors: lane by lane, eight inputs become eight outputs, less `bits` bits.
 */
AVX2 static inline void pass(__m256i v[8], int bits)
{
    pair even = pair_of(v[2], v[6]);
    wide t2 = rotate(even, F(0.541196100), F(0.541196100) - F(1.847759065));
    wide t3 = rotate(even, F(0.541196100) + F(0.765366865), F(0.541196100));
    wide t0 = shifted(_mm256_add_epi16(v[0], v[4])), t1 = shifted(_mm256_sub_epi16(v[0], v[4]));
    wide e0 = plus(t0, t3), e3 = minus(t0, t3), e1 = plus(t1, t2), e2 = minus(t1, t2);

    pair sums = pair_of(_mm256_add_epi16(v[7], v[3]), _mm256_add_epi16(v[5], v[1]));
    wide z3 = rotate(sums, F(1.175875602) - F(1.961570560), F(1.175875602));
    wide z4 = rotate(sums, F(1.175875602), F(1.175875602) - F(0.390180644));
    pair outer = pair_of(v[7], v[1]), inner = pair_of(v[5], v[3]);
    wide o0 = plus(rotate(outer, F(0.298631336) - F(0.899976223), -F(0.899976223)), z3);
    wide o3 = plus(rotate(outer, -F(0.899976223), F(1.501321110) - F(0.899976223)), z4);
    wide o1 = plus(rotate(inner, F(2.053119869) - F(2.562915447), -F(2.562915447)), z4);
    wide o2 = plus(rotate(inner, -F(2.562915447), F(3.072711026) - F(2.562915447)), z3);

    v[0] = narrow(plus(e0, o3), bits);
    v[7] = narrow(minus(e0, o3), bits);
    v[1] = narrow(plus(e1, o2), bits);
    v[6] = narrow(minus(e1, o2), bits);
    v[2] = narrow(plus(e2, o1), bits);
    v[5] = narrow(minus(e2, o1), bits);
    v[3] = narrow(plus(e3, o0), bits);
    v[4] = narrow(minus(e3, o0), bits);
}

/* 8 x 8 in each 128 bits. */
AVX2 static inline void transpose(__m256i v[8])
{
    __m256i a[8], b[8];
    for (int i = 0; i < 4; i++) {
        a[2 * i] = _mm256_unpacklo_epi16(v[2 * i], v[2 * i + 1]);
        a[2 * i + 1] = _mm256_unpackhi_epi16(v[2 * i], v[2 * i + 1]);
    }
    for (int i = 0; i < 2; i++) { /* rows 4i to 4i + 3 */
        b[4 * i] = _mm256_unpacklo_epi32(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm256_unpackhi_epi32(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm256_unpacklo_epi32(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm256_unpackhi_epi32(a[4 * i + 1], a[4 * i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        v[2 * i] = _mm256_unpacklo_epi64(b[i], b[i + 4]);
        v[2 * i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 4]);
    }
}

AVX2 void baseline_idct_pair(const int16_t *first, const int16_t *second, uint8_t *out)
{
    __m256i v[8];
    for (int y = 0; y < 8; y++) {
        v[y] =
            _mm256_inserti128_si256(_mm256_castsi128_si256(row_of(first, y)), row_of(second, y), 1);
    }
    pass(v, CONST_BITS - PASS1_BITS);
    transpose(v);
    pass(v, CONST_BITS + PASS1_BITS + 3);
    /* Vector x holds column x of both blocks, its lanes rows. */
    const __m256i middle = _mm256_set1_epi8((char)-128);
    for (int x = 0; x < 8; x += 2) {
        __m256i bytes =
            _mm256_xor_si256(_mm256_packs_epi16(v[x], v[x + 1]), middle); /* saturated, plus 128 */
        _mm_storeu_si128((__m128i *)(void *)(out + 8 * x), _mm256_castsi256_si128(bytes));
        _mm_storeu_si128((__m128i *)(void *)(out + 64 + 8 * x), _mm256_extracti128_si256(bytes, 1));
    }
}

#else

/* Never called: baseline_decode asks for AVX2. */
void baseline_idct_small(const int16_t *coefficients, int side, uint8_t *out, size_t stride)
{
    (void)coefficients, (void)side, (void)stride;
    *out = 0;
}

void baseline_idct_pair(const int16_t *first, const int16_t *second, uint8_t *out)
{
    (void)first, (void)second;
    memset(out, 0, 128);
}

#endif
