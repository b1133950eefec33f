/* `pulmo export`: opens model and weights, writes the file, gathers what is said of the model. */
#include "export_room.h"

#include <jansson.h>
#include <stdlib.h>

#include "pulmo/file.h"
#include "pulmo/log.h"

static pulmo_status add_classes(exporting *e)
{
    json_t *names = json_array();
    bool whole = true;
    for (int k = 0; k < e->model->classes; k++)
        whole = json_array_append_new(names, json_string(e->model->class_names[k])) == 0 && whole;
    char *text = whole ? json_dumps(names, JSON_COMPACT) : NULL;
    json_decref(names);
    if (!text)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    facts_add(&e->facts, "classes", "%s", text);
    free(text);
    return PULMO_OK;
}

/* Three numbers, one per channel. */
static void add_channels(export_facts *facts, const char *key, const float channel[3])
{
    facts_add(facts, key, "[%.9g,%.9g,%.9g]", (double)channel[0], (double)channel[1],
              (double)channel[2]);
}

/* How an image becomes what goes in. */
static void add_framing(export_facts *facts, const pulmo_framing *framing)
{
    char input[PULMO_FRAMING_WORDS];
    pulmo_framing_input(framing, input);
    facts_add(facts, "resize", "%s size_px x size_px, antialiased bilinear (Pillow's BILINEAR)",
              input);
    for (int part = 0; part < PULMO_FRAMING_PARTS; part++)
        facts_add(facts, pulmo_framing_part_of(part)->name, "%s",
                  pulmo_framing_name(framing, part));
}

/* "[4,5]" */
static void add_pool_blocks(export_facts *facts, pulmo_block_set averaged)
{
    char text[4 * PULMO_BLOCKS_MAX] = "";
    const char *between = "[";
    size_t at = 0;
    for (int block = 1; block <= PULMO_BLOCKS_MAX; block++) {
        if (!pulmo_block_set_has(averaged, block))
            continue;
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%d", between, block);
        between = ",";
    }
    facts_add(facts, "pool_blocks", "%s]", text);
}

/* What goes in and what its probabilities mean. */
static void add_use(export_facts *facts, const pulmo_model *model)
{
    facts_add(facts, "size_px", "%d", model->size_px);
    add_framing(facts, &model->framing);
    add_channels(facts, "mean", model->mean);
    add_channels(facts, "std", model->std);
    facts_add(facts, "pool", "%s", pulmo_pooling_name(model->head.pool));
    if (model->tuned.averaged != 0)
        add_pool_blocks(facts, model->tuned.averaged);
    if (model->classes == 2) {
        const char *finding = model->class_names[model->positive.index];
        facts_add(facts, "positive_class", "%s", finding);
        facts_add(facts, "threshold", "%.17g", model->threshold);
        facts_add(facts, "threshold_rule",
                  "%s is predicted from this probability on; chosen by: %s", finding,
                  model->threshold_rule);
    }
    facts_add(facts, "temperature", "%.17g", model->temperature);
    facts_add(facts, "best_epoch", "%d", model->best_epoch);
    facts_add(facts, "demo", "%d", model->is_demo);
}

/* What was trained, and on which weights. */
static void add_weights(exporting *e)
{
    const pulmo_tuned_spec *tuned = &e->model->tuned;
    export_facts *facts = &e->facts;
    char hex[PULMO_DIGEST_HEX];
    pulmo_model_head_digest(e->model, hex);
    facts_add(facts, "head_sha256", "%s", hex);
    pulmo_digest_hex(&e->weights->digest, hex);
    facts_add(facts, "weights_sha256", "%s", hex);
    const char *weights = tuned->layers > 0 ? "those it was trained on" : "not known";
    if (*e->weights->proof_of)
        weights = e->weights->proof_of;
    facts_add(facts, "weights", "%s", weights);
    if (tuned->layers > 0)
        facts_add(facts, "trained", "the head and the convolutions from features.%d up",
                  tuned->layer[0].feature_index);
    else
        facts_add(facts, "trained", "the head");
    facts_add(facts, "weights_preprocessing", "%s",
              pulmo_preprocessing_name(e->weights->preprocessing));
}

static pulmo_status gather_facts(exporting *e)
{
    PULMO_TRY(add_classes(e));
    add_use(&e->facts, e->model);
    add_weights(e);
    facts_add(&e->facts, "pulmo_version", "%s", PULMO_VERSION);
    facts_add(&e->facts, "disclaimer", "Research software, not a medical device");
    return PULMO_OK;
}

static pulmo_status write_file(exporting *e)
{
    byte_buffer out = {0};
    pulmo_status status = PULMO_OK;
    if (e->options->safetensors)
        status = export_safetensors(e, &out);
    else
        status = export_onnx(e, &out);
    if (status == PULMO_OK && (out.failed || e->facts.failed))
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
    const pulmo_head_spec *head = &e->model->head;
    const pulmo_conv *conv = e->weights->conv;
    const pulmo_block_set averaged = e->model->tuned.averaged;
    int last = e->weights->convs - 1;
    int halves = 0;
    int channels = 0; /* of the averaged blocks */
    for (int i = 0; i <= last; i++) {
        halves += conv[i].pool_after;
        bool is_averaged = conv[i].pool_after && pulmo_block_set_has(averaged, halves);
        channels += is_averaged ? conv[i].out_channels : 0;
    }
    int height = averaged ? 1 : e->model->size_px >> halves;
    if (averaged == 0)
        channels = conv[last].out_channels;
    bool ends = pulmo_block_set_ends(averaged, halves);
    if (ends && channels == head->channels && height == head->height)
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
    facts_free(&e->facts);
    pulmo_weights_free(&weights);
    pulmo_model_free(&model);
    free(e);
    return status;
}
