/* Scored images: a row of probabilities, whether all are what they should be, their order. */
#include <math.h>
#include <stdlib.h>

#include "pulmo/elementary.h"
#include "metrics_room.h"

double metrics_ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

const float *metrics_row(const pulmo_scored *scored, uint32_t image)
{
    const size_t classes = (size_t)scored->classes;
    return scored->probabilities + image * classes;
}

int pulmo_metrics_class(int classes, const pulmo_decision *by, const float *probabilities)
{
    int best = 0;
    if (classes == 2) {
        bool called = (double)probabilities[by->positive] >= by->threshold;
        return called ? by->positive : 1 - by->positive;
    }
    for (int k = 1; k < classes; k++)
        if (probabilities[k] > probabilities[best])
            best = k;
    return best;
}

int metrics_called(const pulmo_scored *scored, const pulmo_decision *by, uint32_t image)
{
    if (scored->predicted)
        return scored->predicted[image];
    const float *row = metrics_row(scored, image);
    return pulmo_metrics_class(scored->classes, by, row);
}

static pulmo_status check_row(const pulmo_scored *scored, uint32_t image)
{
    const int label = scored->labels[image];
    const int called = scored->predicted ? scored->predicted[image] : label;
    if (label < 0 || label >= scored->classes)
        return pulmo_fail(PULMO_DATA, "image %u has label %d: must be 0 to %d", image, label,
                          scored->classes - 1);
    if (called < 0 || called >= scored->classes)
        return pulmo_fail(PULMO_DATA, "image %u is taken for class %d: must be 0 to %d", image,
                          called, scored->classes - 1);
    const float *row = metrics_row(scored, image);
    for (int k = 0; k < scored->classes; k++) {
        double p = (double)row[k];
        if (!(p >= 0 && p <= 1))
            return pulmo_fail(PULMO_DATA,
                              "image %u, class %d: the probability is %g: must be from 0 to 1; "
                              "the head's parameters are damaged or training diverged (a lower "
                              "optim.lr helps)",
                              image, k, p);
    }
    return PULMO_OK;
}

pulmo_status metrics_check(const pulmo_scored *scored)
{
    for (uint32_t i = 0; i < scored->count; i++)
        PULMO_TRY(check_row(scored, i));
    return PULMO_OK;
}

/* ---- order ---- */

/* log(p / (1 - p)) of the softmax's p: z_k less the logarithm of the sum of all other exp(z_j). */
static double margin(const float *logits, int classes, int k, double temperature)
{
    double most = -INFINITY;
    double sum = 0;
    for (int j = 0; j < classes; j++)
        if (j != k)
            most = fmax(most, (double)logits[j]);
    const double above = ((double)logits[k] - most) / temperature;
    if (classes == 2)
        return above;
    for (int j = 0; j < classes; j++)
        if (j != k)
            sum += pulmo_exp(((double)logits[j] - most) / temperature);
    return above - pulmo_log(sum);
}

double metrics_score_of(const pulmo_scored *scored, uint32_t image, int class)
{
    const int classes = scored->classes;
    const float *row = metrics_row(scored, image);
    const double temperature = scored->temperature > 0 ? scored->temperature : 1;
    if (!scored->logits)
        return (double)row[class];
    return margin(scored->logits + (size_t)image * (size_t)classes, classes, class, temperature);
}

static int by_score(const void *a, const void *b)
{
    const metrics_score *x = a;
    const metrics_score *y = b;
    return (x->score > y->score) - (x->score < y->score);
}

metrics_score *metrics_sorted(const pulmo_scored *scored, int positive)
{
    const uint32_t n = scored->count;
    metrics_score *all = malloc(((size_t)n + 1) * sizeof *all);
    if (!all)
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        const float *row = metrics_row(scored, i);
        all[i].score = metrics_score_of(scored, i, positive);
        all[i].probability = (double)row[positive];
        all[i].positive = scored->labels[i] == positive;
    }
    qsort(all, n, sizeof *all, by_score);
    return all;
}
