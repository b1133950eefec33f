/* Logistic regression with a ridge: le Cessie and van Houwelingen, "Ridge Estimators in Logistic
 * Regression", Applied Statistics 41 (1992), 191-201, section 2. It minimises
 *
 *     sum_i log(1 + exp(-s_i (b + w . z_i))) + AUDIT_RIDGE / 2 |w|^2,   s_i = 1 or -1,
 *
 * over standardised cues z, the intercept b free: what scikit-learn's LogisticRegression(C=1) does.
 * Newton's steps are iteratively reweighted least squares (Hastie, Tibshirani, Friedman, "The
 * Elements of Statistical Learning", 2nd edition, equations 4.26 to 4.28), halved where one would
 * go uphill. One thread, one order of sums and pulmo/elementary.h: the same bits everywhere. */
#include "audit_room.h"

#include <math.h>
#include <string.h>

#include "pulmo/elementary.h"

#define UNKNOWNS  (PULMO_CUES + 1) /* the intercept is the last */
#define STEPS_MAX 100
#define HALVINGS  40
#define CLOSE     1e-10 /* a step below this is the last: the next would be about its square */

void audit_standardise(const audit_images *of, int left_out, double mean[PULMO_CUES],
                       double deviation[PULMO_CUES])
{
    double sums[PULMO_CUES] = {0}, squares[PULMO_CUES] = {0};
    double images = 0;
    for (uint32_t i = 0; i < of->count; i++) {
        const float *cues = of->cues + (size_t)i * PULMO_CUES;
        if (of->folds[i] == left_out)
            continue;
        images++;
        for (int c = 0; c < PULMO_CUES; c++)
            sums[c] += (double)cues[c];
    }
    for (int c = 0; c < PULMO_CUES; c++)
        mean[c] = images > 0 ? sums[c] / images : 0;
    for (uint32_t i = 0; i < of->count; i++) {
        const float *cues = of->cues + (size_t)i * PULMO_CUES;
        for (int c = 0; c < PULMO_CUES && of->folds[i] != left_out; c++) {
            const double off = (double)cues[c] - mean[c];
            squares[c] += off * off;
        }
    }
    for (int c = 0; c < PULMO_CUES; c++)
        deviation[c] = images > 0 ? sqrt(squares[c] / images) : 0;
}

static void standardised(const audit_line *line, const float *cues, double z[UNKNOWNS])
{
    for (int c = 0; c < PULMO_CUES; c++) {
        const double off = (double)cues[c] - line->mean[c];
        z[c] = line->deviation[c] > 0 ? off / line->deviation[c] : 0;
    }
    z[PULMO_CUES] = 1;
}

static double product(const double *a, const double *b, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

double audit_margin(const audit_line *line, const float cues[PULMO_CUES])
{
    double z[UNKNOWNS];
    standardised(line, cues, z);
    return product(line->weight, z, PULMO_CUES) + line->intercept;
}

/* ---- Newton ---- */

typedef struct newton {
    const audit_images *images;
    const audit_line *line; /* what cues are standardised by */
    int left_out, class;
    double at[UNKNOWNS];
    double step[UNKNOWNS]; /* first the gradient, negative; then Newton's */
    double curvature[UNKNOWNS][UNKNOWNS];
} newton;

static bool is_used(const newton *n, uint32_t image)
{
    return n->images->folds[image] != n->left_out;
}

/* 1 for an image of the class, -1 for another. */
static double side_of(const newton *n, uint32_t image)
{
    return n->images->labels[image] == n->class ? 1 : -1;
}

/* log(1 + exp(-m)), of which exp may not be too large. */
static double loss_of(double m)
{
    const double small = pulmo_exp(-fabs(m));
    return fmax(-m, 0) + pulmo_log(1 + small);
}

static double objective(const newton *n, const double at[UNKNOWNS])
{
    double z[UNKNOWNS];
    double sum = AUDIT_RIDGE / 2 * product(at, at, PULMO_CUES);
    for (uint32_t i = 0; i < n->images->count; i++) {
        if (!is_used(n, i))
            continue;
        standardised(n->line, n->images->cues + (size_t)i * PULMO_CUES, z);
        sum += loss_of(side_of(n, i) * product(at, z, UNKNOWNS));
    }
    return sum;
}

static void add_image(newton *n, uint32_t image)
{
    double z[UNKNOWNS];
    standardised(n->line, n->images->cues + (size_t)image * PULMO_CUES, z);
    const double m = product(n->at, z, UNKNOWNS);
    const double p = 1 / (1 + pulmo_exp(-m));
    const double of_class = side_of(n, image) > 0 ? 1 : 0;
    const double variance = p * (1 - p);
    for (int i = 0; i < UNKNOWNS; i++) {
        double *row = n->curvature[i];
        const double weighted = variance * z[i];
        n->step[i] += (of_class - p) * z[i];
        for (int j = 0; j <= i; j++)
            row[j] += weighted * z[j];
    }
}

/* Downhill and curvature, its lower half, at n->at. */
static void look_around(newton *n)
{
    memset(n->step, 0, sizeof n->step);
    memset(n->curvature, 0, sizeof n->curvature);
    for (uint32_t i = 0; i < n->images->count; i++)
        if (is_used(n, i))
            add_image(n, i);
    for (int c = 0; c < PULMO_CUES; c++) {
        n->step[c] -= AUDIT_RIDGE * n->at[c];
        n->curvature[c][c] += AUDIT_RIDGE;
    }
}

/* Cholesky's factor in place of the lower half; false where it is not positive definite. */
static bool factorise(double a[UNKNOWNS][UNKNOWNS])
{
    for (int i = 0; i < UNKNOWNS; i++) {
        for (int j = 0; j < i; j++)
            a[i][j] = (a[i][j] - product(a[i], a[j], j)) / a[j][j];
        const double rest = a[i][i] - product(a[i], a[i], i);
        if (!(rest > 0))
            return false;
        a[i][i] = sqrt(rest);
    }
    return true;
}

/* curvature x = step, into step. */
static bool solve(newton *n)
{
    double *x = n->step;
    if (!factorise(n->curvature))
        return false;
    for (int i = 0; i < UNKNOWNS; i++)
        x[i] = (x[i] - product(n->curvature[i], x, i)) / n->curvature[i][i];
    for (int i = UNKNOWNS - 1; i >= 0; i--) {
        for (int j = i + 1; j < UNKNOWNS; j++)
            x[i] -= n->curvature[j][i] * x[j];
        x[i] /= n->curvature[i][i];
    }
    return true;
}

static double longest(const double *step)
{
    double most = 0;
    for (int i = 0; i < UNKNOWNS; i++)
        most = fmax(most, fabs(step[i]));
    return most;
}

/* Takes the step, or a half, a quarter ... of it, so that the objective does not rise by more than
 * its own rounding. False where none does. */
static bool go(newton *n, double *value)
{
    double part = 1;
    for (int i = 0; i < HALVINGS; i++) {
        double there[UNKNOWNS];
        for (int u = 0; u < UNKNOWNS; u++)
            there[u] = n->at[u] + part * n->step[u];
        const double next = objective(n, there);
        if (next <= *value * (1 + 1e-12)) {
            memcpy(n->at, there, sizeof n->at);
            *value = next;
            return true;
        }
        part /= 2;
    }
    return false;
}

static bool has_both_sides(const newton *n)
{
    bool seen[2] = {false, false};
    for (uint32_t i = 0; i < n->images->count; i++)
        if (is_used(n, i))
            seen[side_of(n, i) > 0] = true;
    return seen[0] && seen[1];
}

void audit_fit_line(const audit_images *of, int left_out, int class, audit_line *out)
{
    newton n = {.images = of, .line = out, .left_out = left_out, .class = class};
    if (has_both_sides(&n)) {
        double value = objective(&n, n.at);
        for (int i = 0; i < STEPS_MAX; i++) {
            look_around(&n);
            if (!solve(&n) || !go(&n, &value) || longest(n.step) < CLOSE)
                break;
        }
    }
    memcpy(out->weight, n.at, sizeof out->weight);
    out->intercept = n.at[PULMO_CUES];
}
