/* The gradient by a layer's inputs, 8 samples by 256 outputs by 25,088 inputs, one thread, three
 * ways: pulmo's kernel, sgemm, and dgemm on operands cut into slices whose products and sums are
 * exact in double (Ozaki et al. 2012): delta in two slices of 12 bits, the weights whole. Prints
 * the best of ROUNDS, by turns. From the top of a checkout, after a build:
 *
 *   gcc -O3 -march=native -Iinclude -Isrc/nn/kernels $(pkg-config --cflags openblas)
 * bench/head_backward.c -o head_backward \
 *       build/release/libpulmo_nn.a build/release/libpulmo_kernels.a build/release/libpulmo_core.a
 * \
 *       $(pkg-config --libs openblas) -lcrypto -lxxhash -lm -lpthread
 *   OPENBLAS_NUM_THREADS=1 ./head_backward
 */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "head_kernels.h"

enum { ROWS = 8, IN = 25088, OUTS = 256, ROUNDS = 25, WAYS = 3, SLICES = 2 };
#define SLICE_UNIT 0x1p-12 /* delta is below 1 in magnitude */

static float delta[ROWS * OUTS], weight[(size_t)OUTS * IN], out[(size_t)ROWS * IN];
static double wide[(size_t)OUTS * IN], slice[ROWS * OUTS], sum[(size_t)ROWS * IN];
static const head_kernels *kernels;

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void draw(float *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)rand() / (float)RAND_MAX - 0.5f;
}

static void by_kernel(void)
{
    kernels->back(delta, ROWS, weight, IN, OUTS, out);
}

static void by_sgemm(void)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, ROWS, IN, OUTS, 1, delta, OUTS, weight,
                IN, 0, out, IN);
}

static void cut(int which)
{
    for (int i = 0; i < ROWS * OUTS; i++) {
        double value = (double)delta[i];
        double high = (double)(long)(value / SLICE_UNIT) * SLICE_UNIT;
        slice[i] = which == 0 ? high : value - high;
    }
}

static void by_slices(void)
{
    for (size_t i = 0; i < (size_t)OUTS * IN; i++)
        wide[i] = (double)weight[i];
    for (int s = 0; s < SLICES; s++) {
        cut(s);
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, ROWS, IN, OUTS, 1, slice, OUTS, wide,
                    IN, s, sum, IN);
    }
    for (size_t i = 0; i < (size_t)ROWS * IN; i++)
        out[i] = (float)sum[i];
}

int main(void)
{
    void (*const ways[WAYS])(void) = {by_kernel, by_sgemm, by_slices};
    double best[WAYS] = {1, 1, 1};
    draw(delta, ROWS * OUTS);
    draw(weight, (size_t)OUTS * IN);
    kernels = head_kernels_of(pulmo_isa_widest());
    for (int round = 0; round < ROUNDS; round++) {
        for (int w = 0; w < WAYS; w++) {
            double began = now_s();
            ways[w]();
            double took = now_s() - began;
            if (took < best[w])
                best[w] = took;
        }
    }
    printf("kernel %.2f ms, sgemm %.2f ms, slices %.2f ms\n", best[0] * 1e3, best[1] * 1e3,
           best[2] * 1e3);
    return 0;
}
