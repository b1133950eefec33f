/* Whether probabilities mean what they say: the reliability curve, and the temperature that mends
 * them. */
#include <math.h>
#include <string.h>

#include "pulmo/elementary.h"
#include "metrics_room.h"

/* ---- the curve ---- */

/* Bins are open below and closed above, the lowest closed on both sides, as numpy.searchsorted puts
 * them; edges are numpy.linspace's. */
static int bin_of(double p)
{
    int bin = 0;
    const double width = 1.0 / PULMO_CALIBRATION_BINS;
    while (bin < PULMO_CALIBRATION_BINS - 1 && p > (bin + 1) * width)
        bin++;
    return bin;
}

pulmo_status pulmo_calibration_compute(const pulmo_scored *scored, int positive,
                                       pulmo_calibration *out)
{
    double sums[PULMO_CALIBRATION_BINS] = {0};
    double hits[PULMO_CALIBRATION_BINS] = {0};
    memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < scored->count; i++) {
        const float *row = metrics_row(scored, i);
        double p = (double)row[positive];
        if (!(p >= 0 && p <= 1))
            return pulmo_fail(PULMO_DATA, "image %u: the probability is %g: must be from 0 to 1", i,
                              p);
        int bin = bin_of(p);
        out->count[bin]++;
        sums[bin] += p;
        hits[bin] += scored->labels[i] == positive;
    }
    for (int b = 0; b < PULMO_CALIBRATION_BINS; b++) {
        const uint32_t images = out->count[b];
        out->predicted[b] = metrics_ratio(sums[b], images);
        out->observed[b] = metrics_ratio(hits[b], images);
    }
    return PULMO_OK;
}

/* ---- the temperature ---- */

/* Mean of the logits z of one image under softmax(b z), less that of its label: the slope of its
 * loss with respect to b = 1/T, which never falls as b grows. */
static double slope_of_image(int classes, int label, const float *z, double b)
{
    double most = (double)z[0];
    double sum = 0, expected = 0;
    for (int k = 1; k < classes; k++)
        most = fmax(most, (double)z[k]);
    for (int k = 0; k < classes; k++) {
        double logit = (double)z[k];
        double weight = pulmo_exp(b * (logit - most));
        sum += weight;
        expected += weight * logit;
    }
    return expected / sum - (double)z[label];
}

static double mean_slope(uint32_t n, int classes, const int32_t *labels, const float *logits,
                         double b)
{
    double total = 0;
    for (uint32_t i = 0; i < n; i++) {
        total += slope_of_image(classes, labels[i], logits, b);
        logits += classes;
    }
    return total / n;
}

static pulmo_status check_image(int classes, int label, const float *logits, uint32_t image)
{
    if (label < 0 || label >= classes)
        return pulmo_fail(PULMO_DATA, "image %u has label %d: must be 0 to %d", image, label,
                          classes - 1);
    for (int k = 0; k < classes; k++)
        if (!isfinite(logits[k]))
            return pulmo_fail(PULMO_DATA,
                              "image %u: a logit is not finite; training diverged (a lower "
                              "optim.lr helps)",
                              image);
    return PULMO_OK;
}

pulmo_status pulmo_temperature_fit(uint32_t n, int classes, const int32_t *labels,
                                   const float *logits, double *out)
{
    if (n == 0)
        return pulmo_fail(PULMO_CONFIG,
                          "eval.calibration: temperature needs a val split to be fitted on");
    for (uint32_t i = 0; i < n; i++) {
        const float *row = logits + (size_t)i * (size_t)classes;
        PULMO_TRY(check_image(classes, labels[i], row, i));
    }
    double low = pulmo_log(1 / PULMO_TEMPERATURE_MAX);
    double high = pulmo_log(1 / PULMO_TEMPERATURE_MIN);
    for (int round = 0; round < 100; round++) {
        double middle = (low + high) / 2;
        double slope = mean_slope(n, classes, labels, logits, pulmo_exp(middle));
        if (slope > 0)
            high = middle;
        else
            low = middle;
    }
    double temperature = pulmo_exp(-(low + high) / 2);
    *out = fmin(fmax(temperature, PULMO_TEMPERATURE_MIN), PULMO_TEMPERATURE_MAX);
    return PULMO_OK;
}
