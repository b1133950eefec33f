/* Random convolutions of VGG16's shapes. */
#include <math.h>
#include <string.h>

#include "pulmo/memory.h"
#include "pulmo/rng.h"
#include "weights_room.h"

#define VGG16_CONVS 13

static const int widths[VGG16_CONVS] = {64,  64,  128, 128, 256, 256, 256,
                                        512, 512, 512, 512, 512, 512};
/* torchvision's features.N. */
static const int indices[VGG16_CONVS] = {0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28};

static void set_shape(int layer, pulmo_conv *conv)
{
    bool last = layer + 1 == VGG16_CONVS;
    conv->in_channels = 3;
    if (layer > 0)
        conv->in_channels = widths[layer - 1];
    conv->out_channels = widths[layer];
    conv->feature_index = indices[layer];
    conv->pool_after = true;
    if (!last) {
        int apart = indices[layer + 1] - indices[layer];
        conv->pool_after = apart == 3;
    }
}

static size_t weights_in(const pulmo_conv *conv)
{
    return 9 * (size_t)conv->in_channels * (size_t)conv->out_channels;
}

pulmo_status pulmo_weights_random(unsigned seed, pulmo_weights *out)
{
    size_t total = 0;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < VGG16_CONVS; i++) {
        pulmo_conv *conv = &out->conv[i];
        set_shape(i, conv);
        total += weights_in(conv);
        total += (size_t)widths[i]; /* its biases */
    }
    float *at = pulmo_alloc(total, sizeof *at);
    if (!at)
        return PULMO_MEMORY;
    out->storage = at;
    out->convs = VGG16_CONVS;
    for (int i = 0; i < VGG16_CONVS; i++) {
        pulmo_conv *conv = &out->conv[i];
        double deviation = sqrt(2.0 / (9.0 * conv->in_channels));
        pulmo_rng rng;
        pulmo_rng_at(&rng, seed, PULMO_RNG_TEST, (uint64_t)i, 0);
        conv->weight = at;
        for (size_t k = 0; k < weights_in(conv); k++) {
            double value = deviation * pulmo_rng_normal(&rng);
            *at = (float)value;
            at++;
        }
        conv->bias = at;
        at += conv->out_channels;
    }
    weights_set_preprocessing(out, PULMO_PREPROCESSING_TORCHVISION);
    out->format = "random numbers";
    out->naming = "random numbers";
    out->proof_of = "";
    out->answer_away = -1;
    return weights_digest_layers(out);
}
