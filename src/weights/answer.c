/* The known answer: one small computed image through the convolutions by plain products of matrices
 * (im2col and OpenBLAS), apart from the engine that it vouches for. */
#include <cblas.h>
#include <math.h>
#include <string.h>

#include "pulmo/memory.h"
#include "weights_room.h"

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
double pulmo_weights_answer_tolerance(const pulmo_weights *weights)
{
    if (weights->rounding == PULMO_ROUNDING_BFLOAT16)
        return TOLERANCE_BFLOAT16;
    return TOLERANCE;
}

const char *pulmo_rounding_words(pulmo_rounding rounding)
{
    static const char *const words[] = {"", "rounded to half precision", "rounded to bfloat16"};
    return words[rounding];
}

bool pulmo_weights_is_vgg16(const pulmo_weights *weights)
{
    if (weights->convs != VGG16_CONVS)
        return false;
    for (int i = 0; i < VGG16_CONVS; i++) {
        const pulmo_conv *conv = &weights->conv[i];
        pulmo_conv known = {0};
        vgg16_shape(i, &known);
        if (conv->out_channels != known.out_channels)
            return false;
        if (conv->pool_after != known.pool_after)
            return false;
    }
    return true;
}

void pulmo_weights_answer_image(const pulmo_weights *weights, float *image)
{
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < PULMO_ANSWER_SIDE; y++)
            for (int x = 0; x < PULMO_ANSWER_SIDE; x++) {
                int slope = 37 * c + 11 * y + 7 * x;
                int twist = (c + 1) * x * y;
                int byte = (slope + twist) % 256;
                *image++ = ((float)byte / 255.0f - weights->mean[c]) / weights->std[c];
            }
}

void pulmo_weights_answer_sums(size_t count, const float *features, double sums[PULMO_ANSWER_SUMS])
{
    memset(sums, 0, PULMO_ANSWER_SUMS * sizeof *sums);
    for (size_t i = 0; i < count; i++) {
        const size_t round = i / PULMO_ANSWER_SUMS;
        const double factor = 1 + (double)(round % 7);
        sums[i % PULMO_ANSWER_SUMS] += (double)features[i] * factor;
    }
}

/* The largest difference, by the largest of the known sums. */
static double distance_of(const double *sums, const double *known)
{
    double away = 0;
    double most = 0;
    for (int j = 0; j < PULMO_ANSWER_SUMS; j++) {
        const double difference = fabs(sums[j] - known[j]);
        away = fmax(away, difference);
        most = fmax(most, fabs(known[j]));
    }
    return away / most;
}

double pulmo_weights_answer_distance(const double sums[PULMO_ANSWER_SUMS],
                                     pulmo_preprocessing preprocessing, const char **which)
{
    double nearest = INFINITY;
    if (which)
        *which = "";
    for (size_t k = 0; k < PULMO_COUNT_OF(answers); k++) {
        if (answers[k].preprocessing != preprocessing)
            continue;
        const double away = distance_of(sums, answers[k].sums);
        if (away >= nearest)
            continue;
        nearest = away;
        if (which)
            *which = answers[k].what;
    }
    return nearest;
}

/* ---- a pass without the engine ---- */

static size_t pixel_index(int side, int channel, int y, int x)
{
    const size_t row = (size_t)channel * (size_t)side + (size_t)y;
    return row * (size_t)side + (size_t)x;
}

static float pixel_or_zero(const float *in, int side, int channel, int y, int x)
{
    if (y < 0 || y >= side)
        return 0;
    if (x < 0 || x >= side)
        return 0;
    return in[pixel_index(side, channel, y, x)];
}

/* (I, h, w) to (9 I, h w), the neighbours of each pixel, zeros outside. */
static void spread(int channels, int side, const float *in, float *out)
{
    for (int c = 0; c < channels; c++)
        for (int tap = 0; tap < 9; tap++)
            for (int y = 0; y < side; y++)
                for (int x = 0; x < side; x++) {
                    const int from_y = y + tap / 3 - 1;
                    const int from_x = x + tap % 3 - 1;
                    *out = pixel_or_zero(in, side, c, from_y, from_x);
                    out++;
                }
}

static void add_bias_relu(const pulmo_conv *conv, int cells, float *out)
{
    for (int o = 0; o < conv->out_channels; o++) {
        float *plane = out + (size_t)o * (size_t)cells;
        for (int i = 0; i < cells; i++) {
            const float value = plane[i] + conv->bias[o];
            plane[i] = value > 0 ? value : 0;
        }
    }
}

static void halve(int channels, int side, float *planes)
{
    float *to = planes;
    for (int c = 0; c < channels; c++)
        for (int y = 0; y + 1 < side; y += 2)
            for (int x = 0; x + 1 < side; x += 2) {
                const float *at = planes + pixel_index(side, c, y, x);
                const float upper = fmaxf(at[0], at[1]);
                const float lower = fmaxf(at[side], at[side + 1]);
                *to = fmaxf(upper, lower);
                to++;
            }
}

/* `planes` in place: the image becomes the features, whose count is returned. */
static size_t pass(const pulmo_weights *weights, float *planes, float *wide)
{
    int side = PULMO_ANSWER_SIDE;
    int channels = 3;
    for (int i = 0; i < weights->convs; i++) {
        const pulmo_conv *conv = &weights->conv[i];
        const int cells = side * side;
        const int taps = 9 * channels;
        spread(channels, side, planes, wide);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, conv->out_channels, cells, taps, 1,
                    conv->weight, taps, wide, cells, 0, planes, cells);
        add_bias_relu(conv, cells, planes);
        channels = conv->out_channels;
        if (!conv->pool_after)
            continue;
        halve(channels, side, planes);
        side /= 2;
    }
    return (size_t)(channels * side * side);
}

static pulmo_status answer_of(const pulmo_weights *weights, double sums[PULMO_ANSWER_SUMS])
{
    /* The first block's 64 channels need the most. */
    const size_t most = (size_t)64 * PULMO_ANSWER_SIDE * PULMO_ANSWER_SIDE;
    pulmo_status status = PULMO_MEMORY;
    float *planes = pulmo_alloc(most, sizeof *planes);
    float *wide = pulmo_alloc(9 * most, sizeof *wide);
    weights_one_blas_thread();
    if (planes && wide) {
        pulmo_weights_answer_image(weights, planes);
        size_t features = pass(weights, planes, wide);
        pulmo_weights_answer_sums(features, planes, sums);
        status = PULMO_OK;
    }
    pulmo_free(planes);
    pulmo_free(wide);
    return status;
}

/* What its publisher calls a file with this digest, or NULL. */
static const char *published_as(const char *hex)
{
    for (size_t i = 0; i < PULMO_COUNT_OF(published); i++) {
        const char *known = published[i].hex;
        if (strncmp(known, hex, strlen(known)) == 0)
            return published[i].what;
    }
    return NULL;
}

static bool has_answer(pulmo_preprocessing preprocessing)
{
    for (size_t k = 0; k < PULMO_COUNT_OF(answers); k++)
        if (answers[k].preprocessing == preprocessing)
            return true;
    return false;
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
    double away = INFINITY;
    weights->proof = PULMO_PROOF_NOT_VGG16;
    if (!pulmo_weights_is_vgg16(weights))
        return PULMO_OK;
    if (has_answer(weights->preprocessing)) {
        PULMO_TRY(answer_of(weights, sums));
        away = pulmo_weights_answer_distance(sums, weights->preprocessing, &what);
    }
    bool right = away <= pulmo_weights_answer_tolerance(weights);
    weights->answer_away = isinf(away) ? -1 : away;
    weights->proof = PULMO_PROOF_NONE;
    weights->proof_of = "";
    if (!right) {
        prove_by_digest(weights);
        return PULMO_OK;
    }
    weights->proof = PULMO_PROOF_ANSWER;
    weights->proof_of = what;
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
