/* What a finding's probabilities are worth in use, and what they tell of patients. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_room.h"

/* ---- per patient ---- */

/* A patient's score, whether it has the finding, and whether it is called. */
typedef struct patients {
    uint32_t count;
    double *score;
    bool *positive, *negative, *called, *spared;
} patients;

static pulmo_status patients_open(uint32_t count, patients *p)
{
    const size_t room = (size_t)count + 1;
    *p = (patients){.count = count,
                    .score = malloc(room * sizeof *p->score),
                    .positive = malloc(room * sizeof *p->positive),
                    .negative = malloc(room * sizeof *p->negative),
                    .called = malloc(room * sizeof *p->called),
                    .spared = malloc(room * sizeof *p->spared)};
    if (p->score && p->positive && p->negative && p->called && p->spared)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory for %u patients", count);
}

static void patients_close(patients *p)
{
    free(p->score);
    free(p->positive);
    free(p->negative);
    free(p->called);
    free(p->spared);
}

static pulmo_status measure_patients(const patients *p, double threshold, pulmo_per_patient *out)
{
    const pulmo_truth truth = {.count = p->count, .positive = p->positive};
    pulmo_area area;
    pulmo_estimate found, spared;
    for (uint32_t i = 0; i < p->count; i++) {
        p->negative[i] = !p->positive[i];
        p->called[i] = p->score[i] >= threshold;
        p->spared[i] = !p->called[i];
    }
    PULMO_TRY(pulmo_area_of(&truth, p->score, &area));
    PULMO_TRY(pulmo_share(&truth, p->positive, p->called, &found));
    PULMO_TRY(pulmo_share(&truth, p->negative, p->spared, &spared));
    *out = (pulmo_per_patient){area.auc, found.it, spared.it};
    return PULMO_OK;
}

static pulmo_status take_patients(const pulmo_side *side, double threshold, pulmo_merge how,
                                  pulmo_per_patient *out)
{
    patients p;
    pulmo_status status = patients_open(side->truth.patients, &p);
    if (status == PULMO_OK)
        status = pulmo_merge_patients(&side->truth, side->probability, how, p.score, p.positive);
    if (status == PULMO_OK)
        status = measure_patients(&p, threshold, out);
    patients_close(&p);
    return status;
}

static pulmo_status take_both(const pulmo_side *side, double threshold, pulmo_use *out)
{
    const pulmo_interval none = {NAN, NAN, NAN};
    pulmo_sample sample;
    out->largest = (pulmo_per_patient){none, none, none};
    out->mean = out->largest;
    PULMO_TRY(pulmo_sample_of(&side->truth, &sample));
    if (!sample.by_patient)
        return PULMO_OK;
    PULMO_TRY(take_patients(side, threshold, PULMO_MERGE_LARGEST, &out->largest));
    return take_patients(side, threshold, PULMO_MERGE_MEAN, &out->mean);
}

/* ---- all of it ---- */

static pulmo_status compute(const pulmo_side *side, const pulmo_decision *by, pulmo_use *out)
{
    const pulmo_truth *truth = &side->truth;
    PULMO_TRY(pulmo_calibration_line_of(truth, side->log_odds, &out->line));
    PULMO_TRY(pulmo_smooth_curve_of(truth, side->probability, &out->curve));
    for (int t = 0; t < PULMO_BENEFITS; t++) {
        const double threshold = (t + 1.0) / (PULMO_BENEFITS + 1);
        PULMO_TRY(pulmo_benefit_at(truth, side->probability, threshold, &out->benefit[t]));
    }
    PULMO_TRY(pulmo_operating_points(truth, side->probability, side->called, out->point));
    return take_both(side, by->threshold, out);
}

pulmo_status pulmo_use_compute(const pulmo_scored *scored, const pulmo_decision *by, pulmo_use *out)
{
    pulmo_side side;
    memset(out, 0, sizeof *out);
    PULMO_TRY(pulmo_side_of(scored, by, by->positive, &side));
    pulmo_status status = compute(&side, by, out);
    pulmo_side_free(&side);
    if (status != PULMO_OK)
        pulmo_use_free(out);
    return status;
}

void pulmo_use_free(pulmo_use *use)
{
    pulmo_smooth_curve_free(&use->curve);
}
