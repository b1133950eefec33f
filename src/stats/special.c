/* Quantiles and tails of distributions. */
#include <math.h>
#include <stdbool.h>

#include "pulmo/elementary.h"
#include "stats_room.h"

#define PI          3.14159265358979323846
#define SMALL       1e-300
#define ROUNDS      100000
#define NEAR_ENOUGH 1e-16

/* ---- the gamma function ---- */

/* log of gamma(x), x > 0: Stirling's series (NIST's Digital Library of Mathematical Functions,
 * 5.11.1) from 15 on, where six terms are exact to double; smaller arguments are raised to that by
 * gamma(x + 1) = x gamma(x). */
static double log_gamma(double x)
{
    double raised = 1;
    while (x < 15) {
        raised *= x;
        x++;
    }
    const double y = 1 / (x * x);
    double sum = 1.0 / 1680 - y / 1188;
    sum = 1.0 / 1260 - y * sum;
    sum = 1.0 / 360 - y * sum;
    sum = 1.0 / 12 - y * sum;
    const double main_part = (x - 0.5) * pulmo_log(x) - x;
    const double constant = pulmo_log(2 * PI) / 2;
    return main_part + constant + sum / x - pulmo_log(raised);
}

/* ---- the beta distribution ---- */

/* A partial denominator or numerator of Lentz's method must not vanish. */
static double kept_from_zero(double value)
{
    if (fabs(value) < SMALL)
        return SMALL;
    return value;
}

/* The two steps of the continued fraction (DLMF 8.17.22) that go with m. */
static double even_term(double m, double x, double a, double b)
{
    const double at = a + 2 * m;
    const double divisor = (at - 1) * at;
    return m * (b - m) * x / divisor;
}

static double odd_term(double m, double x, double a, double b)
{
    const double at = a + 2 * m;
    const double divisor = at * (at + 1);
    return -(a + m) * (a + b + m) * x / divisor;
}

/* By Lentz's method (Thompson and Barnett 1986). */
typedef struct fraction {
    double value, c, d;
} fraction;

static double fraction_add(fraction *f, double term)
{
    f->d = 1 / kept_from_zero(1 + term * f->d);
    f->c = kept_from_zero(1 + term / f->c);
    const double factor = f->c * f->d;
    f->value *= factor;
    return factor;
}

static double beta_fraction(double x, double a, double b)
{
    fraction f = {1, 1, 0};
    const double first = odd_term(0, x, a, b);
    f.d = 1 / kept_from_zero(1 + first);
    f.value = f.d;
    for (int m = 1; m < ROUNDS; m++) {
        const double even = even_term(m, x, a, b);
        const double odd = odd_term(m, x, a, b);
        fraction_add(&f, even);
        const double factor = fraction_add(&f, odd);
        if (fabs(factor - 1) < NEAR_ENOUGH)
            break;
    }
    return f.value;
}

double stats_beta(double x, double a, double b)
{
    if (x <= 0)
        return 0;
    if (x >= 1)
        return 1;
    const double front = log_gamma(a + b) - log_gamma(a) - log_gamma(b);
    const double scale = pulmo_exp(front + a * pulmo_log(x) + b * pulmo_log(1 - x));
    if (x < (a + 1) / (a + b + 2))
        return scale * beta_fraction(x, a, b) / a;
    return 1 - scale * beta_fraction(1 - x, b, a) / b;
}

double stats_beta_quantile(double share, double a, double b)
{
    double low = 0, high = 1;
    for (;;) {
        const double middle = low + (high - low) / 2;
        if (middle <= low || middle >= high)
            return middle;
        if (stats_beta(middle, a, b) < share)
            low = middle;
        else
            high = middle;
    }
}

double stats_t95(double freedom)
{
    /* |t| > T is as likely as a beta variate below freedom / (freedom + T^2) (DLMF 8.17, 26.7). */
    const double x = stats_beta_quantile(0.05, freedom / 2, 0.5);
    return sqrt(freedom * (1 - x) / x);
}

/* ---- the normal distribution ---- */

#define TAIL_FROM 2.0

/* Phi(z) - 1/2 for a small z: DLMF 7.6.2, all of whose terms are positive. */
static double normal_middle(double z)
{
    double term = z, sum = z;
    for (int n = 1; term > sum * NEAR_ENOUGH; n++) {
        term *= z * z / (2 * n + 1);
        sum += term;
    }
    return sum * pulmo_exp(-z * z / 2) / sqrt(2 * PI);
}

/* 1 - Phi(z) for a large z: Laplace's continued fraction (DLMF 7.9.3), from its end. */
static double normal_tail(double z)
{
    double under = z;
    for (int n = 300; n > 0; n--)
        under = z + n / under;
    return pulmo_exp(-z * z / 2) / sqrt(2 * PI) / under;
}

double stats_normal_p(double z)
{
    const double far = fabs(z);
    if (!(far <= TAIL_FROM))
        return isnan(z) ? z : 2 * normal_tail(far);
    return 1 - 2 * normal_middle(far);
}
