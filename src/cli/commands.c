/* Commands about a trained model and about files: arguments in, one call of a room below. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "pulmo/demo.h"
#include "pulmo/export.h"
#include "pulmo/infer.h"
#include "pulmo/events.h"
#include "pulmo/inspect.h"
#include "pulmo/report.h"
#include "pulmo/weights_check.h"

pulmo_status run_preview(arguments *a)
{
    const pulmo_preview_options options = {.data = a->operands[0],
                                           .split = a->split,
                                           .out = a->out,
                                           .rows = a->rows,
                                           .views = a->views,
                                           .config = &a->config};
    return pulmo_preview(&options);
}

/* ---- evaluate ---- */

/* What evaluate wrote is a run to the report. */
static pulmo_status report_evaluation(arguments *a)
{
    PULMO_TRY(load_key(a, "train.run_dir", a->out));
    a->config.train.threads = threads_of(a);
    return pulmo_report_of_run(&a->config);
}

pulmo_status run_evaluate(arguments *a)
{
    const pulmo_evaluate_options options = {.runs = a->operands,
                                            .run_count = a->operand_count,
                                            .data = a->data,
                                            .split = a->split,
                                            .weights = a->config.model.weights,
                                            .out = a->out,
                                            .threads = threads_of(a),
                                            .settings = &a->settings,
                                            .by = a->by,
                                            .audit = a->config.eval.audit,
                                            .recalibrate = a->recalibrate,
                                            .allow_overlap = strcmp(a->overlap, "allow") == 0};
    PULMO_TRY(pulmo_evaluate(a->comm, &options));
    if (!a->out)
        return PULMO_OK;
    pulmo_status status = PULMO_OK;
    if (pulmo_comm_rank(a->comm) == 0)
        status = report_evaluation(a);
    return pulmo_agree(a->comm, status);
}

/* ---- compare ---- */

/* NaN where the option was not given. */
static pulmo_status number_of(const char *option, const char *text, double *out)
{
    char *end = NULL;
    *out = NAN;
    if (!text)
        return PULMO_OK;
    *out = strtod(text, &end);
    if (end != text && !*end && isfinite(*out))
        return PULMO_OK;
    return pulmo_fail(PULMO_USAGE, "--%s %s: must be a number, as in 0.05", option, text);
}

pulmo_status run_compare(arguments *a)
{
    pulmo_compare_options options = {.inputs = a->operands,
                                     .input_count = a->operand_count,
                                     .split = a->split,
                                     .class_name = a->class_name,
                                     .json = strcmp(a->format, "json") == 0,
                                     .out = a->out};
    PULMO_TRY(number_of("margin", a->margin, &options.margin));
    PULMO_TRY(number_of("threshold", a->threshold, &options.threshold));
    return pulmo_compare(&options);
}

/* ---- predict, explain ---- */

pulmo_status run_predict(arguments *a)
{
    const pulmo_predict_options options = {.run = a->operands[0],
                                           .weights = a->config.model.weights,
                                           .inputs = a->operands + 1,
                                           .input_count = a->operand_count - 1,
                                           .json = strcmp(a->format, "json") == 0,
                                           .threads = threads_of(a),
                                           .pixels_max = a->config.pack.pixels_max,
                                           .settings = &a->settings};
    if (pulmo_comm_size(a->comm) > 1)
        return pulmo_fail(
            PULMO_USAGE, "predict runs as one process; start it without mpirun (it uses all CPUs)");
    return pulmo_predict(a->comm, &options);
}

pulmo_status run_explain(arguments *a)
{
    const pulmo_explain_options options = {.run = a->operands[0],
                                           .weights = a->config.model.weights,
                                           .out = a->out,
                                           .class_name = a->class_name,
                                           .inputs = a->operands + 1,
                                           .input_count = a->operand_count - 1,
                                           .threads = threads_of(a),
                                           .pixels_max = a->config.pack.pixels_max};
    return pulmo_explain(&options);
}

/* ---- export ---- */

static bool as_safetensors(const arguments *a)
{
    return strcmp(a->format, "safetensors") == 0;
}

void check_export(struct argp_state *state, const arguments *a)
{
    if (a->with_normalization && as_safetensors(a))
        argp_error(state, "--with-normalization is for --format onnx: safetensors holds no graph");
}

pulmo_status run_export(arguments *a)
{
    const pulmo_export_options options = {.run = a->operands[0],
                                          .weights = a->config.model.weights,
                                          .out = a->out,
                                          .safetensors = as_safetensors(a),
                                          .with_normalization = a->with_normalization};
    return pulmo_export(&options);
}

/* ---- weights, report, inspect ---- */

pulmo_status run_weights(arguments *a)
{
    if (strcmp(a->operands[0], "fetch") == 0)
        return run_fetch(a);
    if (a->operand_count == 2)
        PULMO_TRY(load_key(a, "model.weights", a->operands[1]));
    return pulmo_weights_check(stdout, &a->config);
}

void check_report(struct argp_state *state, const arguments *a)
{
    const bool of_scores = a->split || a->class_name || a->called_from;
    if (!a->scores && a->operand_count == 0)
        argp_error(state, "RUN is needed, or --scores FILE --out DIR");
    if (a->scores && a->operand_count > 0)
        argp_error(state, "RUN and --scores are two reports: ask for one");
    if (a->scores && !a->out)
        argp_error(state, "--scores needs --out DIR");
    if (!a->scores && of_scores)
        argp_error(state, "--split, --class and --threshold go with --scores: a run has its own");
}

pulmo_status run_report(arguments *a)
{
    pulmo_report_options options;
    pulmo_report_options_init(&options);
    options.scores = a->scores;
    options.split = a->split;
    options.class_name = a->class_name;
    options.threshold = a->called_from;
    options.run = a->operands[0];
    options.data = a->data;
    options.weights = a->config.model.weights;
    options.out = a->out;
    options.overlays = !a->no_overlays;
    options.share = a->share;
    options.by = a->by;
    options.threads = threads_of(a);
    return a->scores ? pulmo_report_scores(&options) : pulmo_report(&options);
}

pulmo_status run_inspect(arguments *a)
{
    return pulmo_inspect(a->operands[0], a->all, stdout);
}

/* ---- watch ---- */

pulmo_status run_watch(arguments *a)
{
    return pulmo_watch_run(a->operands[0], a->once);
}

/* ---- demo-data ---- */

pulmo_status run_demo(arguments *a)
{
    pulmo_demo_options options;
    pulmo_demo_options_init(&options);
    options.directory = a->operands[0];
    options.seed = (uint64_t)a->seed;
    for (int i = 0; i < 3; i++) {
        if (a->images[i] >= 0)
            options.images[i] = a->images[i];
    }
    options.threads = a->threads;
    return pulmo_demo_write(&options);
}
