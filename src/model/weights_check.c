/* `pulmo weights check`: what a file of frozen weights is. */
#include <math.h>
#include <stdlib.h>

#include "pulmo/memory.h"
#include "pulmo/specs.h"
#include "pulmo/text.h"
#include "pulmo/weights_check.h"

static void print_layers(FILE *out, const pulmo_weights *weights)
{
    int blocks = 0;
    for (int i = 0; i < weights->convs; i++)
        blocks += weights->conv[i].pool_after;
    const char *plural = pulmo_plural((uint64_t)blocks);
    fprintf(out, "  layers         %d convolutions in %d block%s:", weights->convs, blocks, plural);
    for (int i = 0; i < weights->convs; i++) {
        const pulmo_conv *conv = &weights->conv[i];
        bool divided = conv->pool_after && i + 1 < weights->convs;
        fprintf(out, " %d%s", conv->out_channels, divided ? " |" : "");
    }
    const char *network = "not a VGG16, so there is no known answer to ask it for";
    if (pulmo_weights_is_vgg16(weights))
        network = "VGG16";
    fprintf(out, "\n  network        %s\n", network);
}

static void print_preprocessing(FILE *out, const pulmo_weights *weights)
{
    static const char *const words[] = {
        "", "RGB over 255, minus (0.485, 0.456, 0.406), over (0.229, 0.224, 0.225)",
        "BGR 0..255, minus (103.939, 116.779, 123.68); its first layer is turned to RGB on reading",
        "RGB 0..255, minus (123.68, 116.779, 103.939)"};
    fprintf(out, "  preprocessing  %s: %s\n", pulmo_preprocessing_name(weights->preprocessing),
            words[weights->preprocessing]);
}

static void print_values(FILE *out, const pulmo_weights *weights)
{
    char hex[PULMO_DIGEST_HEX];
    if (weights->norms > 0)
        fprintf(out,
                "  batch norm     %d normalisations folded into their convolutions, in double\n",
                weights->norms);
    if (weights->rounding != PULMO_ROUNDING_NONE)
        fprintf(out, "  precision      %s\n", pulmo_rounding_words(weights->rounding));
    pulmo_digest_hex(&weights->digest, hex);
    fprintf(out, "  values         SHA-256 %s (the same in any format)\n", hex);
    pulmo_digest_hex(&weights->file_digest, hex);
    fprintf(out, "  file           SHA-256 %s\n", hex);
}

static void print_proof(FILE *out, const pulmo_weights *weights)
{
    if (weights->proof == PULMO_PROOF_NOT_VGG16)
        return;
    if (weights->answer_away < 0)
        fprintf(out, "  known answer   none is known for this preprocessing\n");
    else
        fprintf(out, "  known answer   %s, %.1e away (tolerance %.0e)\n",
                weights->proof == PULMO_PROOF_ANSWER ? "right" : "another", weights->answer_away,
                pulmo_weights_answer_tolerance(weights));
    const char *rounding = pulmo_rounding_words(weights->rounding);
    if (weights->proof == PULMO_PROOF_NONE)
        fprintf(out, "  proved         no\n");
    else if (weights->proof == PULMO_PROOF_PUBLISHED)
        fprintf(out, "  proved         %s, by the digest its publisher names\n", weights->proof_of);
    else
        fprintf(out, "  proved         %s%s%s\n", weights->proof_of, *rounding ? ", " : "",
                rounding);
}

/* The same image through the engine that trains and predicts. */
static pulmo_status ask_engine(FILE *out, const pulmo_weights *weights)
{
    pulmo_trunk_spec spec;
    pulmo_pool *pool = NULL;
    pulmo_trunk *trunk = NULL;
    float *image = NULL, *features = NULL;
    int channels, height, width;
    double sums[PULMO_ANSWER_SUMS];
    pulmo_status status;
    pulmo_trunk_spec_init(&spec);
    spec.height_px = spec.width_px = PULMO_ANSWER_SIDE;
    spec.batch = 1;
    PULMO_GOTO(pulmo_isa_choose(&spec.isa));
    PULMO_GOTO(pulmo_pool_create(pulmo_cpu_count(), &pool));
    PULMO_GOTO(pulmo_trunk_create(&spec, weights, NULL, pool, &trunk));
    pulmo_trunk_shape(trunk, &channels, &height, &width);
    image = pulmo_alloc((size_t)3 * PULMO_ANSWER_SIDE * PULMO_ANSWER_SIDE, sizeof *image);
    size_t floats = (size_t)channels * (size_t)height * (size_t)width;
    features = pulmo_alloc(floats, sizeof *features);
    status = image && features ? PULMO_OK : PULMO_MEMORY;
    PULMO_GOTO(status);
    pulmo_weights_answer_image(weights, image);
    pulmo_trunk_forward(trunk, 1, image, features);
    pulmo_weights_answer_sums(floats, features, sums);
    double away = pulmo_weights_answer_distance(sums, weights->preprocessing, NULL);
    fprintf(out, "  engine         %s kernels give the answer %.1e away\n",
            pulmo_isa_name(spec.isa), away);
    if (!(away <= pulmo_weights_answer_tolerance(weights)))
        status = pulmo_fail(
            PULMO_RUNTIME,
            "the %s kernels compute VGG16 wrongly on this machine; PULMO_ISA forces others",
            pulmo_isa_name(spec.isa));
out:
    pulmo_free(image);
    pulmo_free(features);
    pulmo_trunk_destroy(trunk);
    pulmo_pool_destroy(pool);
    return status;
}

static pulmo_status print_check(FILE *out, const pulmo_config *config, const char *path,
                                const pulmo_weights *weights)
{
    fprintf(out, "%s\n  format         %s, names: %s\n", path, weights->format, weights->naming);
    print_layers(out, weights);
    print_preprocessing(out, weights);
    print_values(out, weights);
    print_proof(out, weights);
    if (weights->proof == PULMO_PROOF_ANSWER)
        PULMO_TRY(ask_engine(out, weights));
    return config->model.weights_check ? pulmo_weights_require_proof(weights, path) : PULMO_OK;
}

pulmo_status pulmo_weights_check(FILE *out, const pulmo_config *config)
{
    char *path = NULL;
    pulmo_weights weights = {0};
    pulmo_status status;
    PULMO_TRY(pulmo_weights_find(config->model.weights, &path));
    PULMO_GOTO(
        pulmo_weights_read_as(path, (pulmo_preprocessing)config->model.preprocessing, &weights));
    PULMO_GOTO(pulmo_weights_prove(&weights));
    status = print_check(out, config, path, &weights);
out:
    pulmo_weights_free(&weights);
    free(path);
    return status;
}
