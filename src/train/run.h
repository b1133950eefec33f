/* Inside the train room: a training run, from opening to results.
 *
 *   run.c         opens data, backbone, head and loader; closes them
 *   directory.c   the run directory, and what an earlier run left there
 *   checks.c      what is refused before anything is trained
 *   judge.c       the same, of a run that is not begun
 *   announce.c    what a run says of itself at its beginning
 *   train.c       epochs: batches, validation, early stopping
 *   selection.c   the best epoch
 *   start.c       another run as the start
 *   tell.c        what a run tells programs: events.jsonl
 *   trail.c       the digest of each tensor after each epoch
 *   resume.c      writes checkpoints and resumes from one; stops in time
 *   checkpoint.c  checkpoint.h5
 *   writer.c      the thread that writes it
 *   deadline.c    the time limit
 *   measure.c     timing of batches alone
 *   record.c      what an earlier run's results say of it
 *   reproduce.c   trains that run again and compares
 *   shortcuts.c   the shortcut audit, of all splits
 *   finish.c      snapshots of results, the test split, the last lines
 *   lease.c       whose run directory it is
 *
 * Functions are collective unless they say otherwise. */
#ifndef PULMO_RUN_H
#define PULMO_RUN_H

#include "checkpoint.h"
#include "deadline.h"
#include "lease.h"
#include "pulmo/audit.h"
#include "pulmo/bank.h"
#include "pulmo/events.h"
#include "pulmo/features.h"
#include "pulmo/log.h"
#include "pulmo/results.h"
#include "pulmo/specs.h"
#include "pulmo/step.h"
#include "pulmo/train.h"
#include "pulmo/views.h"
#include "record.h"
#include "selection.h"
#include "trail.h"
#include "writer.h"

#define RUN_MB (1024.0 * 1024.0)

typedef struct run_data {
    pulmo_dataset *train, *val, *test;
} run_data;

/* The network: what is frozen and what is trained. */
typedef struct run_network {
    pulmo_backbone backbone;
    bool open;                    /* the backbone */
    pulmo_head_spec head;         /* the model's */
    pulmo_head_spec trained_head; /* the same, unless a bank's features are pooled already */
    pulmo_layout layout;          /* of all that is trained: fine-tuned convolutions, then head */
} run_network;

/* How it is trained. */
typedef struct run_recipe {
    pulmo_optim_spec optim;
    pulmo_loss_spec loss;
    float class_weights[PULMO_CLASSES_MAX];
} run_recipe;

typedef struct run_scores {
    pulmo_feature_store *val_features;
    pulmo_split_scores val, test;
} run_scores;

typedef struct run_checkpoints {
    char *path;
    writer *writer;         /* on rank 0; NULL in a run that writes none */
    double begun_s;         /* when the last one was: its state is that of then */
    double took_s;          /* to write the last that ended; 0: none was written yet */
    uint64_t batches_since; /* batches taken since begun_s */
} run_checkpoints;

/* All that a run holds, in the order in which it is made. */
typedef struct run {
    pulmo_comm *comm;
    const pulmo_config *config;
    const char *directory;
    record *record;       /* what is reproduced, and compared with; NULL in training */
    uint32_t epochs_most; /* after which this call is done; 0: no such end */
    bool timed;           /* batches alone: val and test have no part */
    bool anew;            /* --overwrite was given: the same command begins anew */
    bool passing;         /* the directory is removed at the end: no file there is for later */
    bool replaces;        /* what is in the directory is another run's until the first checkpoint */
    lease *lease;         /* of the directory, on rank 0 */
    run_data data;
    run_network network;
    run_recipe recipe;
    run_identity identity;
    pulmo_state state;
    selection selection;
    trail trail;
    pulmo_stepper *stepper;
    pulmo_model model;
    uint32_t model_epoch; /* the best epoch when this process wrote model.h5; 0: it has not yet */
    run_checkpoints checkpoints;
    pulmo_bank *bank; /* NULL in training on fresh augmentations */
    pulmo_loader *loader;
    run_scores scores;
    pulmo_audit audit; /* on rank 0, at the end */
    deadline deadline;
    bool events_begun; /* also where they cannot be written */
    pulmo_events
        *events; /* on rank 0, once the run is open; NULL elsewhere, and where none are kept */
    char head_digest[PULMO_DIGEST_HEX]; /* of all that was trained; rank 0's, at the end */
} run;

static inline const pulmo_dataset_info *info_of(const pulmo_dataset *dataset)
{
    return pulmo_dataset_info_of(dataset);
}
static inline const pulmo_dataset_info *train_info(const run *r)
{
    return info_of(r->data.train);
}
static inline const pulmo_dataset_info *val_info(const run *r)
{
    return info_of(r->data.val);
}
static inline const pulmo_dataset_info *test_info(const run *r)
{
    return info_of(r->data.test);
}
/* Batches of an epoch. */
static inline uint32_t run_batches(const run *r)
{
    return pulmo_batches(train_info(r)->count, (uint32_t)r->config->train.batch);
}
static inline bool is_root(const run *r)
{
    return pulmo_comm_rank(r->comm) == 0;
}
/* Of one vector of parameters. */
static inline uint64_t run_vector_bytes(const run *r)
{
    return r->network.layout.parameters * sizeof(float);
}
/* What an update changes, by what is trained and how. */
static inline pulmo_state_shape run_state_shape(const run *r)
{
    return (pulmo_state_shape){.parameters = r->network.layout.parameters,
                               .states = pulmo_optim_states(&r->recipe.optim),
                               .averages = r->config->optim.ema > 0};
}
/* Of all vectors of parameters that a checkpoint holds: the state's and the best. */
static inline uint64_t run_vectors_bytes(const run *r)
{
    const pulmo_state_shape shape = run_state_shape(r);
    uint64_t vectors = (uint64_t)pulmo_state_vectors(&shape) + 1;
    return vectors * run_vector_bytes(r);
}
/* Whether this rank writes checkpoints. */
static inline bool run_writes(const run *r)
{
    return is_root(r) && !r->passing && !r->timed;
}
static inline bool run_from_bank(const run *r)
{
    return r->config->train.features == PULMO_FEATURES_BANK;
}

/* ---- run.c ---- */

/* A run of this configuration, which is kept; nothing of it is open. Listens for signals. Ended by
 * run_close. */
pulmo_status run_create(pulmo_comm *comm, const pulmo_config *config, run **out);
/* Opens all of it and resumes from a checkpoint that is there. With `overwrite`, the run begins
 * anew; what the directory holds stands until its first checkpoint does. */
pulmo_status run_open(run *r, bool overwrite);
void run_close(run *r); /* but for the lease, which lasts until the report is written */
/* The stepper's parts. Not collective. */
pulmo_stepper_parts run_stepper_parts(run *r);
/* The features of val or test in the views of eval.tta, computed or from the bank; *out stays NULL
 * where the split is empty. */
pulmo_status run_features(run *r, pulmo_bank_split split, pulmo_feature_store **out);

/* ---- train.c ---- */

/* Opens it, resumes, and finds its time limit. */
pulmo_status run_begin(run *r, bool overwrite);
/* Trains to the last epoch, or to epochs_most, and writes a checkpoint. */
pulmo_status run_epochs(run *r);
/* Whether an epoch (counted from 0) gave what the record has of it. By rank 0. Not collective. */
pulmo_status run_check_epoch(const run *r, uint32_t epoch);

/* ---- directory.c: by rank 0, not collective ---- */

/* The run directory: made, leased, and neither finished nor someone else's. */
pulmo_status run_prepare_directory(run *r);
/* After the checkpoint was found to be of this configuration, or replaced one that is not. */
pulmo_status run_write_config(const run *r);

/* ---- the data (run.c): not collective ---- */

/* Opens the splits that the configuration names, and checks them; closed by the next, also where
 * that failed. */
pulmo_status run_open_data_local(run *r);
void run_close_data(run *r);

/* ---- checks.c: not collective ---- */

/* Whether the splits can be trained and chosen on. */
pulmo_status run_check_splits(const run *r);
/* Whether the configuration fits the data. */
pulmo_status run_check_config(const run *r);
/* Refuses what this node cannot hold, before any of it is allocated. */
pulmo_status run_check_memory(const run *r, const pulmo_stepper_parts *parts);

/* ---- start.c ---- */

/* Parameters as the run that train.init names left them, and its digest in the identity.
 * PULMO_CONFIG where they do not fit. */
pulmo_status run_start_from(run *r);

/* ---- tell.c: by rank 0, nothing elsewhere; not collective ---- */

/* Opens the events of a run that is open, and tells its start. */
void run_tell_start(run *r);
/* After a batch, at most each ten seconds. */
void run_tell_batch(const run *r, const pulmo_progress *progress);
/* The epoch whose row is filled, before the next begins. */
void run_tell_epoch(const run *r, double images_per_second);
void run_tell_checkpoint(run *r, const writer_done *done);
/* The end, with this status, and closes the events. */
void run_tell_end(run *r, pulmo_status status);

/* ---- announce.c ---- */

/* Data, machine and memory, on rank 0's standard error. */
void run_announce(run *r);

/* ---- resume.c ---- */

/* By time (rank 0's clock), unless too much of it would go into them or one is under way, or by
 * count. Not collective. */
bool run_checkpoint_due(const run *r);
/* At an epoch's end: true unless the last one is so young, beside what writing one takes, that
 * short epochs would be spent on them. On rank 0; false elsewhere. Not collective. */
bool run_checkpoint_worth_it(const run *r);
/* Unless the run is passing: a checkpoint of the state as it is. The first returns when rank 0 has
 * copied the state, after the one under way; what came of it is run_checkpoint_look's to say, and
 * the next one's. The second returns when it is written, which the first does too where another
 * run's files are replaced by it. */
pulmo_status run_checkpoint_begin(run *r);
pulmo_status run_checkpoint(run *r);
/* Why a checkpoint that was begun could not be written; PULMO_OK while none has failed. Not
 * collective. */
pulmo_status run_checkpoint_look(run *r);
/* Before rank 0 writes so many bytes beside the scores: a slow disk is not a stall. On all ranks.
 * Not collective. */
void run_expect_writing(run *r, const char *doing, uint64_t bytes);
/* True when this rank got a signal or the time limit is near (deadline.h). Not collective. */
bool run_must_stop(run *r);
/* Writes a checkpoint and returns PULMO_INTERRUPTED, saying how to resume. */
pulmo_status run_interrupted(run *r);
/* Reads the checkpoint, if there is one, and sends it to all ranks. */
pulmo_status run_resume(run *r);

/* ---- shortcuts.c ---- */

/* Measures cues of all splits, and on rank 0 holds the scores of val and test against them; nothing
 * where eval.audit is false. */
pulmo_status run_audit(run *r);

/* ---- finish.c ---- */

/* Scores a split with these parameters: logits (count, classes), owned by the caller (pulmo_free).
 */
pulmo_status run_logits(run *r, const pulmo_feature_store *features, const pulmo_dataset_info *info,
                        const float *parameters, float **out);
/* Keeps logits and makes the split's scores of them. Not collective. */
pulmo_status run_set_scores(pulmo_split_scores *scores, const pulmo_model *model, const char *split,
                            const pulmo_dataset_info *info, float *logits);
/* model.h5 and results as they stand, unless the run is passing; `head_digest` is NULL while the
 * run trains. By rank 0. Not collective. */
pulmo_status run_snapshot(run *r, bool finished, const char *head_digest);
/* Fills head_digest from the best parameters. By rank 0. Not collective. */
void run_digest_head(run *r);
/* Scores val and test with the best parameters, chooses the threshold, writes the results and,
 * where nothing is reproduced, prints them. */
pulmo_status run_finish(run *r);

#endif
