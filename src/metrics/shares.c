/* Proportions with intervals: by patient where patients have several images. */
#include <math.h>
#include <stdlib.h>

#include "metrics_room.h"

/* One question to all images: among which, and what counts. */
typedef struct question {
    pulmo_truth truth;
    bool *positive, *among, *hit; /* (count) */
} question;

static pulmo_status question_open(const pulmo_scored *scored, question *q)
{
    const size_t room = (size_t)scored->count + 1;
    q->positive = calloc(room, sizeof *q->positive);
    q->among = calloc(room, sizeof *q->among);
    q->hit = calloc(room, sizeof *q->hit);
    q->truth = (pulmo_truth){.count = scored->count,
                             .positive = q->positive,
                             .patients = scored->patients,
                             .patient = scored->patient};
    if (q->positive && q->among && q->hit)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory for %u predictions", scored->count);
}

static void question_close(question *q)
{
    free(q->positive);
    free(q->among);
    free(q->hit);
}

static pulmo_status ask(const question *q, const bool *among, pulmo_interval *out)
{
    pulmo_estimate answer;
    PULMO_TRY(pulmo_share(&q->truth, among, q->hit, &answer));
    *out = answer.it;
    return PULMO_OK;
}

static pulmo_status take_accuracy(const pulmo_scored *scored, const pulmo_decision *by,
                                  const question *q, pulmo_metrics *out)
{
    for (uint32_t i = 0; i < scored->count; i++)
        q->hit[i] = metrics_called(scored, by, i) == scored->labels[i];
    return ask(q, NULL, &out->accuracy_ci);
}

/* Which images a share is of, and which of them count. */
typedef enum share_of { OF_POSITIVES, OF_NEGATIVES, OF_CALLED, OF_SPARED } share_of;

static void put(const question *q, uint32_t image, bool positive, bool called, share_of share)
{
    const bool of_truth = share == OF_POSITIVES || share == OF_NEGATIVES;
    const bool wants = share == OF_POSITIVES || share == OF_CALLED;
    q->among[image] = (of_truth ? positive : called) == wants;
    q->hit[image] = (of_truth ? called : positive) == wants;
}

static pulmo_status take_share(const pulmo_scored *scored, const pulmo_decision *by,
                               const question *q, int class, share_of share, pulmo_interval *out)
{
    for (uint32_t i = 0; i < scored->count; i++) {
        const bool positive = scored->labels[i] == class;
        const bool called = metrics_called(scored, by, i) == class;
        put(q, i, positive, called, share);
    }
    return ask(q, q->among, out);
}

static pulmo_status take_finding(const pulmo_scored *scored, const pulmo_decision *by,
                                 const question *q, pulmo_metrics *out)
{
    const pulmo_interval none = {NAN, NAN, NAN};
    out->sensitivity = none;
    out->specificity = none;
    out->positive_value = none;
    out->negative_value = none;
    if (out->classes != 2)
        return PULMO_OK;
    const int finding = by->positive;
    out->sensitivity = out->per_class[finding].sensitivity;
    out->specificity = out->per_class[finding].specificity;
    PULMO_TRY(take_share(scored, by, q, finding, OF_CALLED, &out->positive_value));
    return take_share(scored, by, q, finding, OF_SPARED, &out->negative_value);
}

static pulmo_status take_all(const pulmo_scored *scored, const pulmo_decision *by,
                             const question *q, pulmo_metrics *out)
{
    PULMO_TRY(take_accuracy(scored, by, q, out));
    for (int k = 0; k < scored->classes; k++) {
        pulmo_class_metrics *of = &out->per_class[k];
        PULMO_TRY(take_share(scored, by, q, k, OF_POSITIVES, &of->sensitivity));
        PULMO_TRY(take_share(scored, by, q, k, OF_NEGATIVES, &of->specificity));
    }
    for (uint32_t i = 0; i < scored->count; i++)
        q->positive[i] = scored->labels[i] == by->positive;
    PULMO_TRY(pulmo_sample_of(&q->truth, &out->sample));
    return take_finding(scored, by, q, out);
}

pulmo_status metrics_take_shares(const pulmo_scored *scored, const pulmo_decision *by,
                                 pulmo_metrics *out)
{
    question q = {0};
    pulmo_status status = question_open(scored, &q);
    if (status == PULMO_OK)
        status = take_all(scored, by, &q, out);
    question_close(&q);
    return status;
}
