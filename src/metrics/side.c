/* A class against the rest as arrays of its own. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/elementary.h"
#include "metrics_room.h"

/* By the margin, which is the logarithm of the odds; a float's probability is 1 from 17 on. */
static double log_odds_of(const pulmo_scored *scored, double p, double score)
{
    if (scored->logits)
        return score;
    return pulmo_log(p) - pulmo_log(1 - p);
}

static bool allocate(pulmo_side *side, bool **positive, uint32_t count)
{
    const size_t room = (size_t)count + 1;
    *positive = malloc(room * sizeof **positive);
    side->truth.positive = *positive;
    side->score = malloc(room * sizeof *side->score);
    side->probability = malloc(room * sizeof *side->probability);
    side->log_odds = malloc(room * sizeof *side->log_odds);
    side->called = malloc(room * sizeof *side->called);
    return *positive && side->score && side->probability && side->log_odds && side->called;
}

pulmo_status pulmo_side_of(const pulmo_scored *scored, const pulmo_decision *by, int class,
                           pulmo_side *out)
{
    bool *positive = NULL;
    memset(out, 0, sizeof *out);
    PULMO_TRY(metrics_check(scored));
    if (!allocate(out, &positive, scored->count)) {
        pulmo_side_free(out);
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u scores", scored->count);
    }
    out->truth.count = scored->count;
    out->truth.patients = scored->patients;
    out->truth.patient = scored->patient;
    for (uint32_t i = 0; i < scored->count; i++) {
        const double p = (double)metrics_row(scored, i)[class];
        positive[i] = scored->labels[i] == class;
        out->probability[i] = p;
        out->score[i] = metrics_score_of(scored, i, class);
        out->log_odds[i] = log_odds_of(scored, p, out->score[i]);
        out->called[i] = metrics_called(scored, by, i) == class;
    }
    return PULMO_OK;
}

void pulmo_side_free(pulmo_side *side)
{
    free((void *)(uintptr_t)side->truth.positive);
    free(side->score);
    free(side->probability);
    free(side->log_odds);
    free(side->called);
    memset(side, 0, sizeof *side);
}
