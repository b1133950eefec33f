/* Random convolutions of VGG16's shapes. */
#include <math.h>
#include <string.h>

#include "pulmo/memory.h"
#include "pulmo/rng.h"
#include "weights_room.h"

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
        vgg16_shape(i, conv);
        total += weights_in(conv);
        total += (size_t)conv->out_channels; /* its biases */
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
