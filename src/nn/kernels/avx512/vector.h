/* The vector of AVX-512. */
#include <immintrin.h>

typedef __m512 vec;
#define LANES          16
#define TIER(name)     name##__avx512
#define TIER_NAME      "avx512"
#define load(p)        _mm512_loadu_ps(p)
#define store(p, x)    _mm512_storeu_ps(p, x)
#define splat(x)       _mm512_set1_ps(x)
#define add(a, b)      _mm512_add_ps(a, b)
#define sub(a, b)      _mm512_sub_ps(a, b)
#define mul(a, b)      _mm512_mul_ps(a, b)
#define fma_(a, b, c)  _mm512_fmadd_ps(a, b, c)
#define fnma_(a, b, c) _mm512_fnmadd_ps(a, b, c)
#define max_(a, b)     _mm512_max_ps(a, b)
