/* The shortcut audit of a run: cues of the images of all splits, beside the scores of val and test.
 */
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "run.h"

/* A data set's cues, on rank 0 alone. */
static pulmo_status cues_of(run *r, pulmo_dataset *dataset, float **out)
{
    PULMO_TRY(pulmo_cues_measure(r->comm, r->network.backbone.pool, dataset, out));
    if (is_root(r))
        return PULMO_OK;
    pulmo_free(*out);
    *out = NULL;
    return PULMO_OK;
}

static pulmo_status fit(run *r)
{
    float *cues = NULL;
    pulmo_status status = PULMO_OK;
    PULMO_TRY(cues_of(r, r->data.train, &cues));
    pulmo_watch_beat(r->comm, "fitting the shortcut audit");
    if (is_root(r))
        status = pulmo_audit_fit(train_info(r), r->model.positive.index, cues, &r->audit);
    return pulmo_agree(r->comm, status);
}

static pulmo_status judge(run *r, pulmo_dataset *dataset, const pulmo_split_scores *scores)
{
    float *cues = NULL;
    pulmo_status status = PULMO_OK;
    const pulmo_dataset_info *info = info_of(dataset);
    if (info->count == 0)
        return PULMO_OK;
    PULMO_TRY(cues_of(r, dataset, &cues));
    if (is_root(r)) {
        const pulmo_scored scored = pulmo_split_scored(&r->model, scores);
        status = pulmo_audit_judge(&r->audit, scores->split, info, &scored, cues);
    }
    return pulmo_agree(r->comm, status);
}

static pulmo_status audit_all(run *r)
{
    PULMO_TRY(fit(r));
    PULMO_TRY(judge(r, r->data.val, &r->scores.val));
    return judge(r, r->data.test, &r->scores.test);
}

/* Images that cannot be read cost the audit, not the run: one from a bank needs none of them. */
pulmo_status run_audit(run *r)
{
    if (!r->config->eval.audit)
        return PULMO_OK;
    if (train_info(r)->classes > PULMO_AUDIT_CLASSES)
        return PULMO_OK;
    pulmo_status status = audit_all(r);
    if (status != PULMO_DATA && status != PULMO_IO)
        return status;
    pulmo_warn("no shortcut audit: %s", pulmo_error());
    pulmo_error_clear();
    pulmo_audit_free(&r->audit);
    return PULMO_OK;
}
