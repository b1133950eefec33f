/* Inside the train room: a training run, from opening to results.
 *
 *   run.c      opens data, backbone, head and loader; closes them
 *   resume.c   writes checkpoints and goes on from one
 *   train.c    epochs: batches, validation, early stopping
 *   measure.c  timing of batches alone
 *   finish.c   snapshots of results, the test split, the last lines
 *   lease.c    whose run directory it is
 *
 * Functions are collective unless they say otherwise. */
#ifndef PULMO_RUN_H
#define PULMO_RUN_H

#include "checkpoint.h"
#include "lease.h"
#include "pulmo/bank.h"
#include "pulmo/features.h"
#include "pulmo/results.h"
#include "pulmo/specs.h"
#include "pulmo/step.h"
#include "pulmo/train.h"
#include "pulmo/views.h"

/* When the run must have stopped by itself, and what it needs for that. Rank 0's. Times are
 * pulmo_now_s's. */
typedef struct run_deadline {
    double end_s;        /* INFINITY: no limit */
    const char *source;  /* the setting that it comes from */
    double grace_s;      /* for all that is not measured */
    double checkpoint_s; /* the longest time that a checkpoint took; a guess before the first */
    double batch_s;      /* the longest time between two looks at the clock */
    double looked_s;     /* the last look; 0: none yet */
    bool near;           /* what the last look found */
} run_deadline;

/* All that a run holds, in the order in which it is made. */
typedef struct run {
    pulmo_comm *comm;
    const pulmo_config *config;
    const char *directory;
    lease *lease; /* of the directory, on rank 0 */
    pulmo_dataset *train, *val, *test;
    pulmo_backbone backbone;
    bool backbone_open;
    pulmo_head_spec head; /* the model's */
    pulmo_head_spec
        fed; /* what it is trained as: the same, unless a bank's features are pooled already */
    pulmo_bank *bank;    /* NULL in fresh training */
    pulmo_layout layout; /* of all that is trained: convolutions, then head */
    pulmo_optim_spec optim;
    pulmo_loss_spec loss;
    float class_weights[PULMO_CLASSES_MAX];
    pulmo_state state;
    run_identity identity;
    pulmo_loader *loader;
    pulmo_stepper *stepper;
    pulmo_feature_store *val_features;
    pulmo_split_scores val_scores, test_scores;
    pulmo_model model;
    char *checkpoint_path;
    double checkpoint_s;    /* when the last one was written */
    uint64_t batches_since; /* batches taken since then */
    run_deadline deadline;
    double epoch_began_s;
    bool timed; /* batches alone: val and test have no part */
} run;

static inline const pulmo_dataset_info *info_of(const pulmo_dataset *dataset)
{
    return pulmo_dataset_info_of(dataset);
}
static inline bool is_root(const run *r)
{
    return pulmo_comm_rank(r->comm) == 0;
}

/* ---- run.c ---- */

/* Opens all of it and goes on from a checkpoint that is there. */
pulmo_status run_open(run *r, int overwrite);
void run_close(run *r); /* but for the lease, which lasts until the report is written */
/* The features of val or test in the views of eval.tta, computed or from the bank; *out stays NULL
 * where the split is empty. */
pulmo_status run_features(run *r, pulmo_bank_split split, pulmo_feature_store **out);

/* ---- resume.c ---- */

/* By time (rank 0's clock) or by count. Not collective. */
bool run_checkpoint_due(const run *r);
/* At an epoch's end: true unless the last one is so young, beside what writing one takes, that
 * short epochs would be spent on them. On rank 0; false elsewhere. Not collective. */
bool run_checkpoint_worth_it(const run *r);
pulmo_status run_checkpoint(run *r);
/* Before rank 0 writes: so many copies of the parameters on a slow disk are no stall. On all ranks.
 * Not collective. */
void run_writes(run *r, const char *doing, int copies);
/* Finds the limit: the earlier of train.time_limit_seconds from began_s on and SLURM_JOB_END_TIME,
 * which Slurm 23.02 and jobs' scripts set. A time that is not a number is PULMO_USAGE; one that is
 * past is ignored with a warning. Rank 0. Not collective. */
pulmo_status run_deadline_find(run *r, double began_s);
/* True when this rank got a signal, or there may be no time for another batch and a checkpoint; not
 * for lack of time before a first batch, so that a run whose limit is too short gets on all the
 * same. Not collective. */
bool run_must_stop(run *r);
/* Writes a checkpoint and returns PULMO_INTERRUPTED with the way on. */
pulmo_status run_interrupted(run *r);
/* Reads the checkpoint, if there is one, and sends it to all ranks. */
pulmo_status run_resume(run *r);

/* ---- finish.c ---- */

/* Scores a split with these parameters: logits (count, classes), owned by the caller (pulmo_free).
 */
pulmo_status run_logits(run *r, const pulmo_feature_store *features, const pulmo_dataset_info *info,
                        const float *parameters, float **out);

/* Turns logits (kept) into scores of a split. Not collective. */
pulmo_status scores_set(pulmo_split_scores *scores, const pulmo_model *model, const char *split,
                        const pulmo_dataset_info *info, float *logits);
/* model.h5 and results as they stand. By rank 0. Not collective. `head_digest` NULL while it runs.
 */
pulmo_status run_snapshot(run *r, bool finished, const char *head_digest);
/* Scores val and test with the best parameters, chooses the threshold, writes and prints the
 * results. */
pulmo_status run_finish(run *r);
#endif
