/* Where training starts: at what another run has trained, where train.init names one. */
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "run.h"

static pulmo_status fail_unlike(const char *start, const char *what, const char *way_out)
{
    return pulmo_fail(PULMO_CONFIG, "train.init: %s: %s; %s", start, what, way_out);
}

static pulmo_status check_classes(const char *start, const pulmo_model *from, const pulmo_model *to)
{
    bool same = from->classes == to->classes;
    for (int c = 0; same && c < to->classes; c++)
        same = strcmp(from->class_names[c], to->class_names[c]) == 0;
    if (same)
        return PULMO_OK;
    return fail_unlike(start, "its classes are not those of this data, in the same order",
                       "pack with pack.label_map, so that the names are the same");
}

static pulmo_status check_convolutions(const char *start, const pulmo_model *from,
                                       const pulmo_model *to)
{
    if (strcmp(from->weights_digest, to->weights_digest) != 0)
        return fail_unlike(start, "it was trained on other pretrained weights",
                           "give its own as model.weights");
    if (strcmp(from->preprocessing, to->preprocessing) != 0)
        return fail_unlike(start, "it reads the pretrained weights in another way",
                           "set model.preprocessing as it was there");
    if (from->tuned.layers > to->tuned.layers)
        return fail_unlike(start, "it trained convolutions that would be frozen here",
                           "set model.trainable to as many blocks");
    return PULMO_OK;
}

/* The image's size may differ where the head's inputs do not: after a pool. */
static pulmo_status check_head(const char *start, const pulmo_model *from, const pulmo_model *to)
{
    const pulmo_head_spec *theirs = &from->head;
    const pulmo_head_spec *ours = &to->head;
    bool same_blocks = from->tuned.averaged == to->tuned.averaged;
    bool same = same_blocks && theirs->pool == ours->pool &&
                theirs->hidden_layers == ours->hidden_layers &&
                pulmo_head_inputs(theirs) == pulmo_head_inputs(ours);
    for (int h = 0; same && h < ours->hidden_layers; h++)
        same = theirs->hidden[h] == ours->hidden[h];
    if (same)
        return PULMO_OK;
    return fail_unlike(
        start, "its head has another shape",
        "set model.pool, model.pool_blocks and model.hidden as they were there; with "
        "model.pool: flatten the size of images must be the same, too");
}

/* The convolutions that it trained are the topmost of those that are trained here. */
static void take_parameters(run *r, const pulmo_model *from)
{
    const size_t convolutions = pulmo_tuned_parameters(&from->tuned);
    const size_t above = pulmo_tuned_parameters(&r->network.backbone.tuned) - convolutions;
    const size_t count = convolutions + from->layout.parameters;
    memcpy(r->state.parameter + above, from->storage, count * sizeof(float));
}

/* ---- what it has seen ---- */

/* Whether its training images are those of this run: the same packed data, split alike. */
static pulmo_status compare_data(pulmo_h5 *results, const run *r, bool *same)
{
    char *theirs = NULL;
    int64_t fold = -1;
    PULMO_TRY(pulmo_h5_get_text(results, "/", "data_sha256", &theirs));
    *same = strcmp(theirs, r->identity.data_digest) == 0;
    free(theirs);
    if (pulmo_h5_has_attribute(results, "provenance", "data_fold"))
        PULMO_TRY(pulmo_h5_get_int(results, "provenance", "data_fold", &fold));
    *same = *same && fold == r->config->data.fold;
    return PULMO_OK;
}

/* A model file alone does not tell. */
static pulmo_status look_at_data(const char *start, const run *r, bool *same)
{
    bool found = false;
    pulmo_h5 *results = NULL;
    char *path = pulmo_format("%s/results.h5", start);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_file_look(path, &found);
    if (status == PULMO_OK && found)
        status = pulmo_h5_open(path, &results);
    free(path);
    if (!results)
        return status;
    status = compare_data(results, r, same);
    pulmo_h5_close(results);
    return status;
}

static pulmo_status warn_of_seen_images(const char *start, const run *r)
{
    bool same = false;
    PULMO_TRY(look_at_data(start, r, &same));
    if (!same)
        pulmo_warn("train.init: %s was trained on other packed data, or on another split of it: if "
                   "it has seen patients of this val or test, their results are too good",
                   start);
    return PULMO_OK;
}

/* By rank 0. Not collective. */
static pulmo_status take_start(run *r, const char *start)
{
    pulmo_model from;
    PULMO_TRY(pulmo_model_read(start, &from));
    pulmo_status status = check_classes(start, &from, &r->model);
    if (status == PULMO_OK)
        status = check_convolutions(start, &from, &r->model);
    if (status == PULMO_OK)
        status = check_head(start, &from, &r->model);
    if (status == PULMO_OK) {
        take_parameters(r, &from);
        pulmo_model_head_digest(&from, r->identity.start_digest);
    }
    pulmo_model_free(&from);
    if (status == PULMO_OK)
        status = warn_of_seen_images(start, r);
    return status;
}

pulmo_status run_start_from(run *r)
{
    const char *start = r->config->train.init;
    if (!*start)
        return PULMO_OK;
    PULMO_TRY(pulmo_agree(r->comm, is_root(r) ? take_start(r, start) : PULMO_OK));
    const size_t bytes = (size_t)run_vector_bytes(r);
    PULMO_TRY(pulmo_bcast(r->comm, r->state.parameter, bytes, 0));
    char *digest = r->identity.start_digest;
    PULMO_TRY(pulmo_bcast(r->comm, digest, sizeof r->identity.start_digest, 0));
    if (r->state.average)
        memcpy(r->state.average, r->state.parameter, bytes);
    pulmo_stepper_ready(r->stepper);
    pulmo_info("starting from what %s trained (head SHA-256 %.12s)", start, digest);
    return PULMO_OK;
}
