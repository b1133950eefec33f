/* What a finding's probabilities are worth in use, in results.h5; of two classes alone.
 *
 *   /SPLIT/use/{threshold,sensitivity,specificity,likelihood_ratio_positive,...} (R, 3)
 *   /SPLIT/use/predictive_value_{positive,negative} (R, 4, as rows of value, low, high: 12)
 *   /SPLIT/net_benefit/{threshold,model,treat_all} (T), {model_low95,model_high95} (T)
 *   /SPLIT/calibration_smooth/{probability,observed} (P)
 *   attributes of /SPLIT: calibration_in_the_large, calibration_intercept, calibration_slope,
 *       calibration_index and patient_{auc,sensitivity,specificity}_{largest,mean}, with intervals
 *
 * R: pulmo_operating_rule, in its order. */
#include <stdlib.h>

#include "pulmo/metrics.h"
#include "results_room.h"

#define RULES  PULMO_OPERATING_RULES
#define POINTS 200 /* of the smoothed curve that are kept, at most */

static pulmo_status write_attributes(pulmo_h5 *file, const char *split, const pulmo_use *use)
{
    const struct {
        const char *name;
        pulmo_interval it;
    } all[] = {
        {"calibration_in_the_large", use->line.in_the_large.it},
        {"calibration_intercept", use->line.intercept.it},
        {"calibration_slope", use->line.slope.it},
        {"patient_auc_largest", use->largest.auc},
        {"patient_sensitivity_largest", use->largest.sensitivity},
        {"patient_specificity_largest", use->largest.specificity},
        {"patient_auc_mean", use->mean.auc},
        {"patient_sensitivity_mean", use->mean.sensitivity},
        {"patient_specificity_mean", use->mean.specificity},
    };
    const size_t count = sizeof all / sizeof all[0];
    for (size_t i = 0; i < count; i++)
        PULMO_TRY(results_interval(file, split, all[i].name, all[i].it));
    return pulmo_h5_set_real(file, split, "calibration_index", use->curve.index);
}

/* ---- operating points ---- */

static void put_interval(double *cells, pulmo_interval it)
{
    cells[0] = it.value;
    cells[1] = it.low;
    cells[2] = it.high;
}

static pulmo_status write_rates(pulmo_h5 *file, const char *group,
                                const pulmo_operating_point *point)
{
    double found[RULES][3], spared[RULES][3], up[RULES][3], down[RULES][3];
    for (int r = 0; r < RULES; r++) {
        put_interval(found[r], point[r].sensitivity);
        put_interval(spared[r], point[r].specificity);
        put_interval(up[r], point[r].likelihood_positive);
        put_interval(down[r], point[r].likelihood_negative);
    }
    const struct {
        const char *name, *long_name;
        const void *data;
    } all[] = {
        {"sensitivity", "sensitivity, and its 95 % interval", found},
        {"specificity", "specificity, and its 95 % interval", spared},
        {"likelihood_ratio_positive", "sensitivity / (1 - specificity), and its interval", up},
        {"likelihood_ratio_negative", "(1 - sensitivity) / specificity, and its interval", down},
    };
    const size_t count = sizeof all / sizeof all[0];
    for (size_t i = 0; i < count; i++) {
        const results_field field = {all[i].name, all[i].long_name, "1",        PULMO_H5_F64,
                                     2,           {RULES, 3},       all[i].data};
        PULMO_TRY(results_put(file, group, &field));
    }
    return PULMO_OK;
}

static pulmo_status write_values(pulmo_h5 *file, const char *group,
                                 const pulmo_operating_point *point)
{
    enum { CELLS = 3 * PULMO_PREVALENCES };
    static const char up_words[] =
        "of images called positive, the part that is, at prevalences of 1, 5, 10 and 30 %: each "
        "with its interval";
    static const char down_words[] =
        "of images called negative, the part that is, at prevalences of 1, 5, 10 and 30 %: each "
        "with its interval";
    double up[RULES][CELLS], down[RULES][CELLS], threshold[RULES];
    for (int r = 0; r < RULES; r++) {
        threshold[r] = point[r].threshold;
        for (int i = 0; i < PULMO_PREVALENCES; i++) {
            put_interval(up[r] + 3 * i, point[r].predictive_positive[i]);
            put_interval(down[r] + 3 * i, point[r].predictive_negative[i]);
        }
    }
    const results_field fields[] = {
        {"threshold",
         "of: the decision (NaN: /threshold), specificity 90 and 95 %, sensitivity 90 and 95 %",
         "1",
         PULMO_H5_F64,
         1,
         {RULES},
         threshold},
        {"predictive_value_positive", up_words, "1", PULMO_H5_F64, 2, {RULES, CELLS}, up},
        {"predictive_value_negative", down_words, "1", PULMO_H5_F64, 2, {RULES, CELLS}, down},
    };
    for (int i = 0; i < 3; i++)
        PULMO_TRY(results_put(file, group, &fields[i]));
    return PULMO_OK;
}

/* ---- curves ---- */

static pulmo_status put_reals(pulmo_h5 *file, const char *group, const char *name,
                              const char *long_name, uint64_t count, const double *values)
{
    const results_field field = {name, long_name, "1", PULMO_H5_F64, 1, {count}, values};
    return results_put(file, group, &field);
}

static pulmo_status write_benefit(pulmo_h5 *file, const char *group, const pulmo_benefit *benefit)
{
    const uint64_t count = PULMO_BENEFITS;
    double threshold[PULMO_BENEFITS], model[PULMO_BENEFITS], low[PULMO_BENEFITS],
        high[PULMO_BENEFITS], all[PULMO_BENEFITS];
    for (int t = 0; t < PULMO_BENEFITS; t++) {
        threshold[t] = benefit[t].threshold;
        model[t] = benefit[t].model.value;
        low[t] = benefit[t].model.low;
        high[t] = benefit[t].model.high;
        all[t] = benefit[t].treat_all.value;
    }
    PULMO_TRY(put_reals(file, group, "threshold", "probability from which on is treated", count,
                        threshold));
    PULMO_TRY(
        put_reals(file, group, "model", "net benefit (Vickers and Elkin 2006)", count, model));
    PULMO_TRY(put_reals(file, group, "model_low95", "its interval's lower end", count, low));
    PULMO_TRY(put_reals(file, group, "model_high95", "its interval's upper end", count, high));
    PULMO_TRY(put_reals(file, group, "treat_all", "net benefit of treating all", count, all));
    return results_mark_plot(file, group, "model", "threshold", "Net benefit");
}

static pulmo_status write_smooth(pulmo_h5 *file, const char *group, const pulmo_smooth_curve *curve)
{
    double p[POINTS], share[POINTS];
    uint64_t count = curve->points < POINTS ? curve->points : POINTS;
    if (count < 2)
        return PULMO_OK;
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t at = i * (curve->points - 1) / (count - 1);
        p[i] = curve->p[at];
        share[i] = curve->share[at];
    }
    PULMO_TRY(put_reals(file, group, "probability", "probability of the finding", count, p));
    PULMO_TRY(put_reals(file, group, "observed", "share of the finding, smoothed (lowess)", count,
                        share));
    return results_mark_plot(file, group, "observed", "probability", "Calibration, smoothed");
}

pulmo_status results_use(pulmo_h5 *file, const char *split, const pulmo_scored *scored,
                         const pulmo_decision *by)
{
    char group[96];
    pulmo_use use;
    PULMO_TRY(pulmo_use_compute(scored, by, &use));
    pulmo_status status = write_attributes(file, split, &use);
    snprintf(group, sizeof group, "%s/use", split);
    if (status == PULMO_OK)
        status = write_rates(file, group, use.point);
    if (status == PULMO_OK)
        status = write_values(file, group, use.point);
    snprintf(group, sizeof group, "%s/net_benefit", split);
    if (status == PULMO_OK)
        status = write_benefit(file, group, use.benefit);
    snprintf(group, sizeof group, "%s/calibration_smooth", split);
    if (status == PULMO_OK)
        status = write_smooth(file, group, &use.curve);
    pulmo_use_free(&use);
    return status;
}
