/* `pulmo export`: opens model and weights, writes the file, gathers what is said of the model. */
#include "export_room.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"

static pulmo_status add_classes(exporting *e)
{
    json_t *names = json_array();
    for (int k = 0; names && k < e->model->classes; k++)
        json_array_append_new(names, json_string(e->model->class_names[k]));
    char *text = names ? json_dumps(names, JSON_COMPACT) : NULL;
    json_decref(names);
    if (!text)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    facts_add(&e->facts, "classes", "%s", text);
    free(text);
    return PULMO_OK;
}

static pulmo_status gather_facts(exporting *e)
{
    const pulmo_model *m = e->model;
    char hex[PULMO_DIGEST_HEX];
    PULMO_TRY(add_classes(e));
    facts_add(&e->facts, "size_px", "%d", m->size_px);
    facts_add(&e->facts, "resize",
              "the whole image to size_px x size_px, antialiased bilinear (Pillow's BILINEAR)");
    facts_add(&e->facts, "mean", "[%.9g,%.9g,%.9g]", (double)m->mean[0], (double)m->mean[1],
              (double)m->mean[2]);
    facts_add(&e->facts, "std", "[%.9g,%.9g,%.9g]", (double)m->std[0], (double)m->std[1],
              (double)m->std[2]);
    facts_add(&e->facts, "pool", "%s", pulmo_pooling_name(m->head.pool));
    if (m->classes == 2) {
        const char *finding = m->class_names[m->positive.index];
        facts_add(&e->facts, "positive_class", "%s", finding);
        facts_add(&e->facts, "threshold", "%.17g", m->threshold);
        facts_add(&e->facts, "threshold_rule",
                  "%s is predicted from this probability on; chosen by: %s", finding,
                  m->threshold_rule);
    }
    facts_add(&e->facts, "temperature", "%.17g", m->temperature);
    facts_add(&e->facts, "best_epoch", "%d", m->best_epoch);
    facts_add(&e->facts, "demo", "%d", m->is_demo);
    pulmo_model_head_digest(m, hex);
    facts_add(&e->facts, "head_sha256", "%s", hex);
    pulmo_digest_hex(&e->weights->digest, hex);
    facts_add(&e->facts, "weights_sha256", "%s", hex);
    const char *weights = m->tuned.layers > 0 ? "those it was trained on" : "not known";
    if (*e->weights->proof_of)
        weights = e->weights->proof_of;
    facts_add(&e->facts, "weights", "%s", weights);
    if (m->tuned.layers > 0)
        facts_add(&e->facts, "trained", "the head and the convolutions from features.%d up",
                  m->tuned.layer[0].feature_index);
    else
        facts_add(&e->facts, "trained", "the head");
    facts_add(&e->facts, "weights_preprocessing", "%s",
              pulmo_preprocessing_name(e->weights->preprocessing));
    facts_add(&e->facts, "pulmo_version", "%s", PULMO_VERSION);
    facts_add(&e->facts, "disclaimer", "Research software, not a medical device");
    return PULMO_OK;
}

static pulmo_status write_file(exporting *e)
{
    byte_buffer out = {0};
    pulmo_status status =
        e->options->safetensors ? export_safetensors(e, &out) : export_onnx(e, &out);
    if (status == PULMO_OK && out.failed)
        status = pulmo_fail(PULMO_MEMORY, "%s: out of memory", e->options->out);
    if (status == PULMO_OK)
        status = pulmo_file_write(e->options->out, out.bytes, out.size);
    if (status == PULMO_OK)
        pulmo_info("%s: %.1f MB", e->options->out, (double)out.size / 1e6);
    free(out.bytes);
    return status;
}

static pulmo_status check_fit(const exporting *e)
{
    int last = e->weights->convs - 1, halves = 0;
    for (int i = 0; i <= last; i++)
        halves += e->weights->conv[i].pool_after;
    if (e->weights->conv[last].out_channels == e->model->head.channels &&
        e->model->size_px >> halves == e->model->head.height)
        return PULMO_OK;
    return pulmo_fail(PULMO_WEIGHTS, "%s: its head does not fit the frozen network's features",
                      e->options->run);
}

pulmo_status pulmo_export(const pulmo_export_options *options)
{
    pulmo_model model;
    pulmo_weights weights = {0};
    exporting *e = calloc(1, sizeof *e);
    if (!e)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    *e = (exporting){.options = options, .model = &model, .weights = &weights};
    pulmo_blas_setup();
    pulmo_status status = pulmo_model_read(options->run, &model);
    if (status != PULMO_OK) {
        free(e);
        return status;
    }
    PULMO_GOTO(pulmo_model_weights_read(&model, options->run, options->weights, &weights));
    PULMO_GOTO(check_fit(e));
    if (model.tuned.layers == 0)
        PULMO_GOTO(pulmo_weights_prove(&weights)); /* what was trained is no longer what is known */
    PULMO_GOTO(gather_facts(e));
    status = write_file(e);
out:
    pulmo_weights_free(&weights);
    pulmo_model_free(&model);
    free(e);
    return status;
}
