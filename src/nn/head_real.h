/* The head's arithmetic is written once for `real`: what else differs between float and double. */
#ifndef PULMO_HEAD_REAL_H
#define PULMO_HEAD_REAL_H

#include <stdint.h>

#include "head_kernels.h"
#include "real.h"

#ifdef PULMO_HEAD_DOUBLE
#include <cblas.h>
#define real_gemm    cblas_dgemm
#define REAL_EPSILON 0x1p-53
typedef int64_t real_bits;
#define REAL_SIGN INT64_MIN
typedef struct head_group {
    const real *x;
    real *y;
} head_group;
#else
#define REAL_EPSILON 0x1p-24
typedef int32_t real_bits;
#define REAL_SIGN    INT32_MIN
typedef head_rows head_group;
#endif

#endif
