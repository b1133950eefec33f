/* Layers as a file holds them: checked, copied in one order as float32, batch normalisation folded
 * into its convolution; and the digest of what results. */
#include <math.h>
#include <string.h>

#include "pulmo/memory.h"
#include "weights_room.h"

#define WIDTH_STEP 16 /* the engine's planes come in sixteens */
#define WIDTH_MAX  8192

/* ---- checks ---- */

static pulmo_status check_vector(const weight_file *file, const source_tensor *vector,
                                 int64_t channels)
{
    if (vector->rank != 1)
        return weights_bad(file, "%s: has a shape of the wrong rank", vector->name);
    if (vector->shape[0] != channels)
        return weights_bad(file, "%s: does not match its weight", vector->name);
    return PULMO_OK;
}

static pulmo_status check_norm(const weight_file *file, const source_norm *norm, int64_t channels)
{
    if (!norm->there)
        return PULMO_OK;
    PULMO_TRY(check_vector(file, &norm->scale, channels));
    PULMO_TRY(check_vector(file, &norm->shift, channels));
    PULMO_TRY(check_vector(file, &norm->mean, channels));
    return check_vector(file, &norm->variance, channels);
}

static pulmo_status check_conv(const weight_file *file, const source_conv *conv, int64_t inputs)
{
    const source_tensor *w = &conv->weight;
    if (w->rank != 4)
        return weights_bad(file, "%s: has a shape of the wrong rank", w->name);
    int64_t channels = w->shape[0];
    int64_t height = w->shape[2];
    int64_t width = w->shape[3];
    if (height != 3 || width != 3)
        return weights_bad(file, "%s: is not a 3 x 3 convolution", w->name);
    if (w->shape[1] != inputs)
        return weights_bad(file, "%s: does not take the channels that the layer before gives",
                           w->name);
    if (channels % WIDTH_STEP != 0)
        return weights_bad(file, "%s: has a width that is not a multiple of 16", w->name);
    if (channels > WIDTH_MAX || inputs > WIDTH_MAX)
        return weights_bad(file, "%s: is wider than any VGG", w->name);
    bool may_lack_bias = conv->norm.there && conv->bias.rank == 0;
    if (!may_lack_bias)
        PULMO_TRY(check_vector(file, &conv->bias, channels));
    return check_norm(file, &conv->norm, channels);
}

static pulmo_status check_layers(const weight_file *file, size_t *floats)
{
    int64_t inputs = 3;
    *floats = 0;
    for (int i = 0; i < file->convs; i++) {
        const source_conv *conv = &file->conv[i];
        PULMO_TRY(check_conv(file, conv, inputs));
        int64_t channels = conv->weight.shape[0];
        int64_t each = 9 * inputs + 1;
        *floats += (size_t)(channels * each);
        inputs = channels;
    }
    return weights_check_room(file, *floats * sizeof(float));
}

/* ---- what values look like ---- */

/* Whether all values are such as a shorter type holds, which a file of float32 may have too. */
typedef struct value_survey {
    bool finite, bfloat16, half;
} value_survey;

static bool is_half(float value, uint32_t bits)
{
    float magnitude = fabsf(value);
    bool short_mantissa = (bits & 0x1fffu) == 0;
    if (magnitude >= 0x1p-14f)
        return magnitude <= 65504 && short_mantissa;
    float steps = magnitude * 0x1p24f; /* subnormal halves are multiples of 2^-24 */
    return steps == floorf(steps);
}

static void survey_value(value_survey *survey, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (!isfinite(value))
        survey->finite = false;
    if ((bits & 0xffffu) != 0)
        survey->bfloat16 = false;
    if (survey->half)
        survey->half = is_half(value, bits);
}

static pulmo_rounding rounding_of(const value_survey *survey)
{
    if (survey->bfloat16)
        return PULMO_ROUNDING_BFLOAT16;
    if (survey->half)
        return PULMO_ROUNDING_HALF;
    return PULMO_ROUNDING_NONE;
}

/* ---- copying ---- */

/* Copies in the order (O, I, 3, 3), or (O); `turn` turns the order of I. */
static pulmo_status copy_values(const weight_file *file, const source_tensor *t, bool turn,
                                value_survey *survey, float *to)
{
    int64_t size[4] = {1, 1, 1, 1};
    int64_t stride[4] = {0};
    const int64_t bytes = (int64_t)element_bytes(t->type);
    const int missing = 4 - t->rank;
    for (int i = 0; i < t->rank; i++) {
        size[missing + i] = t->shape[i];
        stride[missing + i] = t->stride[i];
    }
    for (int64_t o = 0; o < size[0]; o++)
        for (int64_t i = 0; i < size[1]; i++) {
            int64_t from = i;
            if (turn)
                from = size[1] - 1 - i;
            int64_t plane = o * stride[0] + from * stride[1];
            for (int64_t y = 0; y < size[2]; y++)
                for (int64_t x = 0; x < size[3]; x++) {
                    int64_t element = plane + y * stride[2] + x * stride[3];
                    const uint8_t *at = t->at + element * bytes;
                    float value = element_value(t->type, at);
                    survey_value(survey, value);
                    *to = value;
                    to++;
                }
        }
    if (!survey->finite)
        return weights_bad(file, "%s: holds a value that is not finite", t->name);
    return PULMO_OK;
}

/* ---- batch normalisation ---- */

/* What a normalisation's four vectors come to: y = factor x + addend, per channel. */
static pulmo_status norm_line(const weight_file *file, const source_norm *norm, int channels,
                              value_survey *survey, double *factor, double *addend)
{
    float *room = pulmo_alloc(4 * (size_t)channels, sizeof *room);
    if (!room)
        return PULMO_MEMORY;
    float *scale = room;
    float *shift = scale + channels;
    float *mean = shift + channels;
    float *variance = mean + channels;
    pulmo_status status;
    PULMO_GOTO(copy_values(file, &norm->scale, false, survey, scale));
    PULMO_GOTO(copy_values(file, &norm->shift, false, survey, shift));
    PULMO_GOTO(copy_values(file, &norm->mean, false, survey, mean));
    PULMO_GOTO(copy_values(file, &norm->variance, false, survey, variance));
    for (int c = 0; c < channels; c++) {
        if (variance[c] < 0) {
            status = weights_bad(file, "%s: holds a variance below 0", norm->variance.name);
            goto out;
        }
        const double deviation = sqrt((double)variance[c] + norm->epsilon);
        factor[c] = (double)scale[c] / deviation;
        addend[c] = (double)shift[c] - (double)mean[c] * factor[c];
    }
out:
    pulmo_free(room);
    return status;
}

/* Whether all products are finite. */
static bool scale_row(size_t count, double factor, float *row)
{
    bool finite = true;
    for (size_t k = 0; k < count; k++) {
        double product = (double)row[k] * factor;
        row[k] = (float)product;
        if (!isfinite(row[k]))
            finite = false;
    }
    return finite;
}

/* Multiplies and adds in double, and rounds once: the same function as both layers, but for that
 * rounding. */
static pulmo_status fold_norm(const weight_file *file, const source_conv *from, pulmo_conv *conv,
                              value_survey *survey, float *weight, float *bias)
{
    const int channels = conv->out_channels;
    const size_t each = 9 * (size_t)conv->in_channels;
    double *factor = pulmo_alloc(2 * (size_t)channels, sizeof *factor);
    if (!factor)
        return PULMO_MEMORY;
    double *addend = factor + channels;
    bool finite = true;
    pulmo_status status = norm_line(file, &from->norm, channels, survey, factor, addend);
    for (int o = 0; o < channels && status == PULMO_OK; o++) {
        float *row = weight + (size_t)o * each;
        bool row_finite = scale_row(each, factor[o], row);
        bias[o] = (float)((double)bias[o] * factor[o] + addend[o]);
        if (!row_finite || !isfinite(bias[o]))
            finite = false;
    }
    if (!finite)
        status = weights_bad(file, "%s: batch normalisation makes a value that is not finite",
                             from->weight.name);
    pulmo_free(factor);
    return status;
}

/* ---- all layers ---- */

static pulmo_status take_layer(const weight_file *file, const source_conv *from, bool turn,
                               value_survey *survey, float *room, pulmo_conv *to)
{
    const size_t inputs = (size_t)from->weight.shape[1];
    const size_t outputs = (size_t)from->weight.shape[0];
    to->in_channels = (int)inputs;
    to->out_channels = (int)outputs;
    to->pool_after = from->pool_after;
    float *weight = room;
    float *bias = weight + 9 * inputs * outputs;
    to->weight = weight;
    to->bias = bias;
    PULMO_TRY(copy_values(file, &from->weight, turn, survey, weight));
    if (from->bias.rank == 1)
        PULMO_TRY(copy_values(file, &from->bias, false, survey, bias));
    else
        memset(bias, 0, outputs * sizeof *bias);
    if (!from->norm.there)
        return PULMO_OK;
    return fold_norm(file, from, to, survey, weight, bias);
}

pulmo_status weights_take_layers(const weight_file *file, bool turn_first, pulmo_weights *out)
{
    value_survey survey = {.finite = true, .bfloat16 = true, .half = true};
    size_t floats = 0;
    int feature = 0;
    PULMO_TRY(check_layers(file, &floats));
    float *room = pulmo_alloc(floats, sizeof *room);
    if (!room)
        return PULMO_MEMORY;
    out->storage = room;
    out->convs = file->convs;
    for (int i = 0; i < file->convs; i++) {
        const source_conv *from = &file->conv[i];
        pulmo_conv *to = &out->conv[i];
        bool turn = turn_first && i == 0;
        to->feature_index = feature;
        feature += from->pool_after ? 3 : 2;
        PULMO_TRY(take_layer(file, from, turn, &survey, room, to));
        const size_t inputs = (size_t)to->in_channels;
        const size_t outputs = (size_t)to->out_channels;
        const size_t each = 9 * inputs + 1;
        room += outputs * each;
        out->norms += from->norm.there;
    }
    out->rounding = rounding_of(&survey);
    return PULMO_OK;
}

/* ---- the digest ---- */

pulmo_status weights_digest_layers(pulmo_weights *out)
{
    pulmo_digester *digester = NULL;
    PULMO_TRY(pulmo_digester_create(&digester));
    pulmo_digester_add(digester, "pulmo VGG 1", 11);
    for (int i = 0; i < out->convs; i++) {
        const pulmo_conv *conv = &out->conv[i];
        const int32_t shape[3] = {conv->in_channels, conv->out_channels, conv->pool_after};
        const size_t outputs = (size_t)conv->out_channels;
        const size_t inputs = (size_t)conv->in_channels;
        const size_t weights = 9 * inputs * outputs;
        pulmo_digester_add(digester, shape, sizeof shape);
        pulmo_digester_add(digester, conv->weight, weights * sizeof(float));
        pulmo_digester_add(digester, conv->bias, outputs * sizeof(float));
    }
    out->digest = pulmo_digester_end(digester);
    return PULMO_OK;
}
