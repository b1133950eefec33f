/* Cross-entropy with class weights and label smoothing, and softmax, in double. */
#include <math.h>

#include "head_room.h"
#include "pulmo/elementary.h"
#include "pulmo/split.h"

/* log sum exp of a row, in double. */
static double log_sum(const real *row, int classes)
{
    /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): cblas has filled the row */
    double most = (double)row[0];
    double sum = 0;
    for (int k = 1; k < classes; k++)
        most = fmax(most, (double)row[k]);
    for (int k = 0; k < classes; k++)
        sum += pulmo_exp((double)row[k] - most);
    return most + pulmo_log(sum);
}

double head_class_weight(const pulmo_loss_spec *loss, int k)
{
    return loss->class_weights ? (double)loss->class_weights[k] : 1.0;
}

/* PyTorch's cross-entropy with weights w and smoothing e: (1 - e) w_y (-log p_y) + e / K * sum_k
 * w_k (-log p_k). */
double head_row_loss(const pulmo_loss_spec *loss, int classes, const real *row, int label)
{
    double total = log_sum(row, classes);
    double smooth = loss->label_smoothing;
    double share = smooth / classes;
    double spread = 0;
    for (int k = 0; k < classes; k++) {
        double surprise = total - (double)row[k];
        spread += head_class_weight(loss, k) * surprise;
    }
    double weight = head_class_weight(loss, label);
    double surprise = total - (double)row[label];
    return (1.0 - smooth) * weight * surprise + share * spread;
}

/* Its gradient by the logits: p_k * (sum of target weights) - target weight of k. */
void head_row_delta(const pulmo_loss_spec *loss, int classes, const real *row, int label,
                    real *delta)
{
    double total = log_sum(row, classes);
    double smooth = loss->label_smoothing;
    double share = smooth / classes;
    double all = 0;
    for (int k = 0; k < classes; k++)
        all += head_class_weight(loss, k);
    double of_label = (1.0 - smooth) * head_class_weight(loss, label);
    double mass = of_label + share * all;
    for (int k = 0; k < classes; k++) {
        double target = share * head_class_weight(loss, k);
        double probability = pulmo_exp((double)row[k] - total);
        if (k == label)
            target += of_label;
        delta[k] = (real)(mass * probability - target);
    }
}

static void softmax_row(int classes, const float *row, float *probabilities)
{
    double most = (double)row[0];
    double sum = 0;
    for (int k = 1; k < classes; k++)
        most = fmax(most, (double)row[k]);
    for (int k = 0; k < classes; k++)
        sum += pulmo_exp((double)row[k] - most);
    for (int k = 0; k < classes; k++) {
        double part = pulmo_exp((double)row[k] - most);
        probabilities[k] = (float)(part / sum);
    }
}

void pulmo_softmax(int n, int classes, const float *logits, float *probabilities)
{
    for (int i = 0; i < n; i++) {
        softmax_row(classes, logits, probabilities);
        logits += classes;
        probabilities += classes;
    }
}

double pulmo_cross_entropy(const pulmo_loss_spec *loss, int classes, const float *logits, int label,
                           double *weight)
{
    real row[PULMO_CLASSES_MAX];
    for (int k = 0; k < classes; k++)
        row[k] = (real)logits[k];
    *weight = head_class_weight(loss, label);
    return head_row_loss(loss, classes, row, label);
}
