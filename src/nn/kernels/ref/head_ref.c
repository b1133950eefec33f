/* The head, reference tier: portable C with the compiler's generic vectors. */
#include <stdint.h>

#include "vector.h"

typedef struct wide {
    int64_t lane[4];
} wide;
#define DOT_OUTS    2
#define BACK_VECS   1
#define SUM_ROWS    2
#define SUM_VECS    1
#define prefetch(p) ((void)(p))

static inline __attribute__((always_inline)) float reduce(vec x)
{
    return (x[0] + x[2]) + (x[1] + x[3]);
}
static inline __attribute__((always_inline)) wide wide_zero(void)
{
    return (wide){{0}};
}
static inline __attribute__((always_inline)) wide wide_add(wide sum, vec x, double scale)
{
    for (int i = 0; i < 4; i++) {
        double shifted = (double)x[i] * scale + 0x1.8p52;
        uint64_t total = (uint64_t)sum.lane[i];
        uint64_t bits;
        memcpy(&bits, &shifted, sizeof bits);
        total += bits;
        sum.lane[i] = (int64_t)total;
    }
    return sum;
}
static inline __attribute__((always_inline)) void wide_store(int64_t *to, wide sum, int64_t back)
{
    for (int i = 0; i < 4; i++)
        to[i] = (int64_t)((uint64_t)sum.lane[i] - (uint64_t)back);
}
static inline __attribute__((always_inline)) vec wide_finish(wide sum, int64_t less, double back,
                                                             double by)
{
    vec out;
    for (int i = 0; i < 4; i++) {
        uint64_t bits = (uint64_t)sum.lane[i] - (uint64_t)less;
        double value = (double)(int64_t)bits;
        out[i] = (float)(value * back * by);
    }
    return out;
}

#include "../head_body.h"
