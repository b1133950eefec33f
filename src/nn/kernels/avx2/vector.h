/* The vector of AVX2+FMA. */
#include <immintrin.h>

typedef __m256 vec;
#define LANES          8
#define TIER(name)     name##__avx2
#define TIER_NAME      "avx2"
#define load(p)        _mm256_loadu_ps(p)
#define store(p, x)    _mm256_storeu_ps(p, x)
#define splat(x)       _mm256_set1_ps(x)
#define add(a, b)      _mm256_add_ps(a, b)
#define sub(a, b)      _mm256_sub_ps(a, b)
#define mul(a, b)      _mm256_mul_ps(a, b)
#define fma_(a, b, c)  _mm256_fmadd_ps(a, b, c)
#define fnma_(a, b, c) _mm256_fnmadd_ps(a, b, c)
#define max_(a, b)     _mm256_max_ps(a, b)
