/* The head's arithmetic is written once for `real`. The program uses float; the gradient test
 * builds the same source with PULMO_HEAD_DOUBLE, where central differences are exact enough to
 * judge it. */
#ifndef PULMO_HEAD_REAL_H
#define PULMO_HEAD_REAL_H

#include <cblas.h>
#include <stdint.h>

#include "head_kernels.h"

#ifdef PULMO_HEAD_DOUBLE
typedef double real;
#define real_gemm    cblas_dgemm
#define REAL_EPSILON 0x1p-53
typedef int64_t real_bits;
#define REAL_SIGN INT64_MIN
typedef struct head_group {
    const real *x;
    real *y;
} head_group;
#else
typedef float real;
#define real_gemm    cblas_sgemm
#define REAL_EPSILON 0x1p-24
typedef int32_t real_bits;
#define REAL_SIGN    INT32_MIN
typedef head_rows head_group;
#endif

#endif
