/* Counts: the smaller and the larger, whole parts, multiples. */
#ifndef PULMO_COUNTS_H
#define PULMO_COUNTS_H

#include <stddef.h>

#define LINE_OF_FLOATS ((size_t)16) /* a cache line */

static inline int smaller(int a, int b)
{
    return a < b ? a : b;
}

static inline size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Parts of at most `by` in `count`. */
static inline int divide_up(int count, int by)
{
    return (count + by - 1) / by;
}

static inline int round_up(int value, int unit)
{
    return divide_up(value, unit) * unit;
}

/* Rounded up to whole cache lines of floats, so that what is laid out in one block is aligned. */
static inline size_t whole_lines(size_t reals)
{
    return (reals + LINE_OF_FLOATS - 1) / LINE_OF_FLOATS * LINE_OF_FLOATS;
}

#endif
