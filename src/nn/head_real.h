/* The head's arithmetic is written once for `real`. The program uses float; the gradient test
 * builds the same source with PULMO_HEAD_DOUBLE, where central differences are exact enough to
 * judge it. */
#ifndef PULMO_HEAD_REAL_H
#define PULMO_HEAD_REAL_H

#include <cblas.h>

#ifdef PULMO_HEAD_DOUBLE
typedef double real;
#define real_gemm cblas_dgemm
#define REAL_EPSILON 0x1p-53
#else
typedef float real;
#define real_gemm cblas_sgemm
#define REAL_EPSILON 0x1p-24
#endif

#endif
