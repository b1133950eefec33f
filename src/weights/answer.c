/* The known answer: one small computed image through the convolutions by plain products of matrices
 * (im2col and OpenBLAS), apart from the engine that it vouches for. */
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "pulmo/weights.h"

#define TOLERANCE          1e-3
#define TOLERANCE_BFLOAT16 6e-3

/* Files whose publisher names a digest, or as PyTorch does, its first eight digits. */
static const struct {
    const char *hex, *what;
} published[] = {
    {"6d6bbae143d832006294945121d1f1fc", "Keras' VGG16 for ImageNet, without top"},
    {"64373286793e3c8b2b4e3219cbf3544b", "Keras' VGG16 for ImageNet"},
    {"722c42f53ca03a5480296bf8f9c85a151de3eed9ec982d7d2302ff6e2900c67b",
     "the ONNX model zoo's vgg16-12"},
    {"f20805a3ecccaa88647bbab4ad011ff2412a9838485ea844de0fcbce349820b9",
     "the ONNX model zoo's vgg16-7"},
    {"6c64b313", "torchvision's VGG16 with batch normalisation for ImageNet (vgg16_bn-6c64b313)"},
};

/* Answers computed by PyTorch in float64 (bench/known_answer.py). */
static const struct {
    const char *what;
    pulmo_preprocessing preprocessing;
    double sums[PULMO_ANSWER_SUMS];
} answers[] = {
    {"torchvision's VGG16 for ImageNet (IMAGENET1K_V1)",
     PULMO_PREPROCESSING_TORCHVISION,
     {113.8212985, 190.437090939, 266.402554522, 239.641568454, 224.47240387, 285.081052812,
      569.247827122, 687.813741601, 218.394836196, 234.929661789, 172.449678623, 209.558012838,
      366.181860472, 505.7031957, 514.912078448, 504.394022529}},
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

double pulmo_weights_answer_tolerance(const pulmo_weights *weights)
{
    bool coarse = weights->rounding == PULMO_ROUNDING_BFLOAT16;
    return coarse ? TOLERANCE_BFLOAT16 : TOLERANCE;
}

const char *pulmo_rounding_words(pulmo_rounding rounding)
{
    static const char *const words[] = {"", "rounded to half precision", "rounded to bfloat16"};
    return words[rounding];
}

bool pulmo_weights_is_vgg16(const pulmo_weights *weights)
{
    static const int widths[13] = {64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512};
    if (weights->convs != 13)
        return false;
    for (int i = 0; i < 13; i++) {
        bool pool = i == 1 || i == 3 || i == 6 || i == 9 || i == 12;
        if (weights->conv[i].out_channels != widths[i] || weights->conv[i].pool_after != pool)
            return false;
    }
    return true;
}

void pulmo_weights_answer_image(const pulmo_weights *weights, float *image)
{
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < PULMO_ANSWER_SIDE; y++)
            for (int x = 0; x < PULMO_ANSWER_SIDE; x++) {
                int byte = (37 * c + 11 * y + 7 * x + (c + 1) * x * y) % 256;
                *image++ = ((float)byte / 255.0f - weights->mean[c]) / weights->std[c];
            }
}

void pulmo_weights_answer_sums(size_t count, const float *features, double sums[PULMO_ANSWER_SUMS])
{
    memset(sums, 0, PULMO_ANSWER_SUMS * sizeof *sums);
    for (size_t i = 0; i < count; i++)
        sums[i % PULMO_ANSWER_SUMS] +=
            (double)features[i] * (1 + (double)(i / PULMO_ANSWER_SUMS % 7));
}

double pulmo_weights_answer_distance(const double sums[PULMO_ANSWER_SUMS],
                                     pulmo_preprocessing preprocessing, const char **which)
{
    double nearest = INFINITY;
    if (which)
        *which = "";
    for (size_t k = 0; k < COUNT(answers); k++) {
        double away = 0, most = 0;
        if (answers[k].preprocessing != preprocessing)
            continue;
        for (int j = 0; j < PULMO_ANSWER_SUMS; j++) {
            away = fmax(away, fabs(sums[j] - answers[k].sums[j]));
            most = fmax(most, fabs(answers[k].sums[j]));
        }
        if (away / most >= nearest)
            continue;
        nearest = away / most;
        if (which)
            *which = answers[k].what;
    }
    return nearest;
}

/* ---- a pass without the engine ---- */

/* (I, h, w) to (9 I, h w), the neighbours of each pixel, zeros outside. */
static void spread(int channels, int side, const float *in, float *out)
{
    for (int c = 0; c < channels; c++)
        for (int tap = 0; tap < 9; tap++)
            for (int y = 0; y < side; y++)
                for (int x = 0; x < side; x++) {
                    int from_y = y + tap / 3 - 1, from_x = x + tap % 3 - 1;
                    bool inside = from_y >= 0 && from_y < side && from_x >= 0 && from_x < side;
                    *out++ = inside
                                 ? in[((size_t)c * (size_t)side + (size_t)from_y) * (size_t)side +
                                      (size_t)from_x]
                                 : 0;
                }
}

static void add_bias_relu(const pulmo_conv *conv, int cells, float *out)
{
    for (int o = 0; o < conv->out_channels; o++)
        for (int i = 0; i < cells; i++) {
            float value = out[(size_t)o * (size_t)cells + (size_t)i] + conv->bias[o];
            out[(size_t)o * (size_t)cells + (size_t)i] = value > 0 ? value : 0;
        }
}

static void halve(int channels, int side, float *planes)
{
    float *to = planes;
    for (int c = 0; c < channels; c++)
        for (int y = 0; y + 1 < side; y += 2)
            for (int x = 0; x + 1 < side; x += 2) {
                const float *at =
                    planes + ((size_t)c * (size_t)side + (size_t)y) * (size_t)side + (size_t)x;
                *to++ = fmaxf(fmaxf(at[0], at[1]), fmaxf(at[side], at[side + 1]));
            }
}

static pulmo_status answer_of(const pulmo_weights *weights, double sums[PULMO_ANSWER_SUMS])
{
    size_t cells = (size_t)PULMO_ANSWER_SIDE *
                   PULMO_ANSWER_SIDE; /* the first block's 64 channels need the most */
    float *planes = pulmo_alloc(64 * cells, sizeof *planes),
          *wide = pulmo_alloc(9 * 64 * cells, sizeof *wide);
    int side = PULMO_ANSWER_SIDE, channels = 3;
    if (planes && wide) {
        pulmo_weights_answer_image(weights, planes);
        for (int i = 0; i < weights->convs; i++) {
            const pulmo_conv *conv = &weights->conv[i];
            spread(channels, side, planes, wide);
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, conv->out_channels, side * side,
                        9 * channels, 1, conv->weight, 9 * channels, wide, side * side, 0, planes,
                        side * side);
            add_bias_relu(conv, side * side, planes);
            channels = conv->out_channels;
            if (!conv->pool_after)
                continue;
            halve(channels, side, planes);
            side /= 2;
        }
        pulmo_weights_answer_sums((size_t)(channels * side * side), planes, sums);
    }
    pulmo_status status = planes && wide ? PULMO_OK : PULMO_MEMORY;
    pulmo_free(planes);
    pulmo_free(wide);
    return status;
}

/* What its publisher calls a file with this digest, or NULL. */
static const char *published_as(const char *hex)
{
    for (size_t i = 0; i < COUNT(published); i++)
        if (strncmp(published[i].hex, hex, strlen(published[i].hex)) == 0)
            return published[i].what;
    return NULL;
}

static void prove_by_digest(pulmo_weights *weights)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest_hex(&weights->file_digest, hex);
    const char *what = published_as(hex);
    if (!what)
        what = published_as(weights->published);
    if (!what)
        return;
    weights->proof = PULMO_PROOF_PUBLISHED;
    weights->proof_of = what;
}

pulmo_status pulmo_weights_prove(pulmo_weights *weights)
{
    double sums[PULMO_ANSWER_SUMS];
    const char *what = "";
    weights->proof = PULMO_PROOF_NOT_VGG16;
    if (!pulmo_weights_is_vgg16(weights))
        return PULMO_OK;
    PULMO_TRY(answer_of(weights, sums));
    double away = pulmo_weights_answer_distance(sums, weights->preprocessing, &what);
    bool right = away <= pulmo_weights_answer_tolerance(weights);
    weights->answer_away = isinf(away) ? -1 : away;
    weights->proof = right ? PULMO_PROOF_ANSWER : PULMO_PROOF_NONE;
    weights->proof_of = right ? what : "";
    if (!right)
        prove_by_digest(weights);
    return PULMO_OK;
}

pulmo_status pulmo_weights_require_proof(const pulmo_weights *weights, const char *path)
{
    if (weights->proof != PULMO_PROOF_NONE)
        return PULMO_OK;
    return pulmo_fail(PULMO_WEIGHTS,
                      "%s: has VGG16's shapes, but neither its answer to a known image nor its "
                      "digest is that of a VGG16 known here "
                      "(read as %s, %s preprocessing); if it is a VGG16 of your own, say --set "
                      "model.weights_check=false, and "
                      "model.preprocessing if it is not the usual one",
                      path, weights->format, pulmo_preprocessing_name(weights->preprocessing));
}
