/* Cross-entropy with class weights and label smoothing, and softmax, in double. */
#include <math.h>

#include "head_room.h"

/* log sum exp of a row, in double. */
static double log_sum(const real *row, int classes)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): cblas has filled the row */
    double most = (double)row[0], sum = 0;
    for (int k = 1; k < classes; k++)
        most = fmax(most, (double)row[k]);
    for (int k = 0; k < classes; k++)
        sum += exp((double)row[k] - most);
    return most + log(sum);
}

double head_class_weight(const pulmo_loss_spec *loss, int k)
{
    return loss->class_weights ? (double)loss->class_weights[k] : 1.0;
}

/* PyTorch's cross-entropy with weights w and smoothing e: (1 - e) w_y (-log p_y) + e / K * sum_k
 * w_k (-log p_k). */
double head_row_loss(const pulmo_loss_spec *loss, int classes, const real *row, int label)
{
    double total = log_sum(row, classes), smooth = loss->label_smoothing, spread = 0;
    for (int k = 0; k < classes; k++)
        spread += head_class_weight(loss, k) * (total - (double)row[k]);
    return (1.0 - smooth) * head_class_weight(loss, label) * (total - (double)row[label]) +
           smooth / classes * spread;
}

/* Its gradient by the logits: p_k * (sum of target weights) - target weight of k. */
void head_row_delta(const pulmo_loss_spec *loss, int classes, const real *row, int label,
                    real *delta)
{
    double total = log_sum(row, classes), smooth = loss->label_smoothing, all = 0;
    for (int k = 0; k < classes; k++)
        all += head_class_weight(loss, k);
    double mass = (1.0 - smooth) * head_class_weight(loss, label) + smooth / classes * all;
    for (int k = 0; k < classes; k++) {
        double target = smooth / classes * head_class_weight(loss, k) +
                        (k == label ? (1.0 - smooth) * head_class_weight(loss, k) : 0.0);
        delta[k] = (real)(mass * exp((double)row[k] - total) - target);
    }
}

void pulmo_softmax(int n, int classes, const float *logits, float *probabilities)
{
    for (int i = 0; i < n; i++) {
        const float *row = logits + (size_t)i * (size_t)classes;
        double most = (double)row[0], sum = 0;
        for (int k = 1; k < classes; k++)
            most = fmax(most, (double)row[k]);
        for (int k = 0; k < classes; k++)
            sum += exp((double)row[k] - most);
        for (int k = 0; k < classes; k++)
            probabilities[(size_t)i * (size_t)classes + (size_t)k] =
                (float)(exp((double)row[k] - most) / sum);
    }
}

double pulmo_cross_entropy(const pulmo_loss_spec *loss, int classes, const float *logits, int label,
                           double *weight)
{
    real row[PULMO_LOSS_CLASSES_MAX];
    for (int k = 0; k < classes; k++)
        row[k] = (real)logits[k];
    *weight = head_class_weight(loss, label);
    return head_row_loss(loss, classes, row, label);
}
