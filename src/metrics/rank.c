/* What the order of scores alone decides, of each class against the rest. */
#include <math.h>
#include <stdlib.h>

#include "metrics_room.h"

static pulmo_status rank_class(const pulmo_scored *scored, const pulmo_decision *by, int class,
                               pulmo_class_metrics *out)
{
    pulmo_pr pr;
    pulmo_area area;
    pulmo_side side;
    PULMO_TRY(pulmo_side_of(scored, by, class, &side));
    pulmo_status status = pulmo_area_of(&side.truth, side.score, &area);
    pulmo_side_free(&side);
    PULMO_TRY(status);
    PULMO_TRY(pulmo_pr_compute(scored, class, &pr));
    out->average_precision = pr.average_precision;
    pulmo_pr_free(&pr);
    out->auc = area.auc.value;
    out->auc_ci = area.auc;
    return PULMO_OK;
}

pulmo_status metrics_rank_classes(const pulmo_scored *scored, const pulmo_decision *by,
                                  pulmo_metrics *out)
{
    for (int k = 0; k < scored->classes; k++)
        PULMO_TRY(rank_class(scored, by, k, &out->per_class[k]));
    return PULMO_OK;
}
