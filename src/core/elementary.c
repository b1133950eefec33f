/* Reduction of the argument by a constant in parts, of which the first times a small integer is
 * exact (Cody and Waite 1980), and Taylor's series of what is left (Muller 2016, chapters 3 and
 * 11). Nothing of libm but what is exact: floor, frexp, ldexp. */
#include "pulmo/elementary.h"

#include <math.h>

#include "pulmo/memory.h"

/* c[0] + x (c[1] + x (c[2] + ...)) */
static double polynomial(double x, const double *c, size_t count)
{
    double sum = c[count - 1];
    for (size_t i = count - 1; i > 0; i--)
        sum = sum * x + c[i - 1];
    return sum;
}

static double nearest(double x)
{
    return floor(x + 0.5);
}

/* ---- exponential and logarithm ---- */

static const double ln2_high = 0x1.62e42fee00000p-1; /* 32 bits */
static const double ln2_low = 0x1.a39ef35793c76p-33;
static const double ln2_inverse = 0x1.71547652b82fep+0;

/* exp(x) = 2^k exp(r), |r| <= ln 2 / 2. */
double pulmo_exp(double x)
{
    static const double factor[] = {
        1.0 / 2,        1.0 / 6,         1.0 / 24,        1.0 / 120,
        1.0 / 720,      1.0 / 5040,      1.0 / 40320,     1.0 / 362880,
        1.0 / 3628800., 1.0 / 39916800., 1.0 / 479001600, 1.0 / 6227020800.,
    };
    if (isnan(x))
        return x;
    if (x > 709.79)
        return INFINITY;
    if (x < -745.2)
        return 0;
    const double k = nearest(x * ln2_inverse);
    const double high = x - k * ln2_high;
    const double low = k * ln2_low;
    const double r = high - low;
    const double lost = (high - r) - low;
    const double rest = r * r * polynomial(r, factor, PULMO_COUNT_OF(factor)) + lost;
    return ldexp(1 + (r + rest), (int)k);
}

/* log(x) = e ln 2 + log(m), m near 1: of s = (m - 1) / (m + 1), 2 (s + s^3 / 3 + s^5 / 5 + ...). */
double pulmo_log(double x)
{
    static const double factor[] = {
        1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11, 1.0 / 13,
        1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23,
    };
    int exponent;
    if (isnan(x) || x < 0)
        return NAN;
    if (x == 0)
        return -INFINITY;
    if (isinf(x))
        return x;
    double m = frexp(x, &exponent);
    if (m < 0x1.6a09e667f3bcdp-1) { /* the root of 1/2 */
        m *= 2;
        exponent--;
    }
    /* With f = m - 1: log(m) = f - f^2 / 2 + s (f^2 / 2 + 2 s^2 (1/3 + s^2 / 5 + ...)). */
    const double f = m - 1;
    const double s = f / (2 + f);
    const double half = 0.5 * f * f;
    const double series = 2 * s * s * polynomial(s * s, factor, PULMO_COUNT_OF(factor));
    const double e = exponent;
    return e * ln2_high - ((half - (s * (half + series) + e * ln2_low)) - f);
}

double pulmo_pow(double x, double y)
{
    if (y == 0)
        return 1;
    return pulmo_exp(y * pulmo_log(x));
}

/* ---- sine and cosine ---- */

static const double half_pi[] = {0x1.921fb54400000p+0, 0x1.0b4611a600000p-34, /* 33 bits each */
                                 0x1.3198a2e037073p-69};
static const double half_pi_inverse = 0x1.45f306dc9c883p-1;

/* x = quarter pi/2 + high + low, |high| <= pi/4. */
typedef struct reduced {
    double high, low;
    int quarter; /* modulo 4 */
} reduced;

static reduced reduce(double x)
{
    const double k = nearest(x * half_pi_inverse);
    const double first = x - k * half_pi[0]; /* exact, as is the product that follows */
    const double second = k * half_pi[1];
    const double middle = first - second;
    const double lost = (first - middle) - second;
    const double last = k * half_pi[2] - lost;
    reduced out = {.high = middle - last, .quarter = (int)(k - 4 * floor(k / 4))};
    out.low = (middle - out.high) - last;
    return out;
}

static double sine_of(const reduced *x)
{
    static const double factor[] = {
        -1.0 / 6,         1.0 / 120,         -1.0 / 5040,           1.0 / 362880,
        -1.0 / 39916800., 1.0 / 6227020800., -1.0 / 1307674368000., 1.0 / 355687428096000.,
    };
    const double r = x->high;
    const double square = r * r;
    const double series = square * r * polynomial(square, factor, PULMO_COUNT_OF(factor));
    return r + (series + x->low * (1 - 0.5 * square));
}

static double cosine_of(const reduced *x)
{
    static const double factor[] = {
        1.0 / 24,        -1.0 / 720,          1.0 / 40320,           -1.0 / 3628800.,
        1.0 / 479001600, -1.0 / 87178291200., 1.0 / 20922789888000.,
    };
    const double r = x->high;
    const double square = r * r;
    const double half = 0.5 * square;
    const double near_one = 1 - half;
    const double series = square * square * polynomial(square, factor, PULMO_COUNT_OF(factor));
    return near_one + (((1 - near_one) - half) + (series - r * x->low));
}

/* The sine of x plus so many quarters of a turn. */
static double turned_sine(double x, int quarters)
{
    if (!(fabs(x) < 0x1p20))
        return NAN;
    const reduced part = reduce(x);
    const int quarter = (part.quarter + quarters) % 4;
    const double value = quarter % 2 ? cosine_of(&part) : sine_of(&part);
    return quarter < 2 ? value : -value;
}

double pulmo_sin(double x)
{
    return turned_sine(x, 0);
}

double pulmo_cos(double x)
{
    return turned_sine(x, 1);
}
