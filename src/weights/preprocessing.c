/* What a network was trained to see, and ImageNet's means. */
#include <string.h>

#include "weights_room.h"

static const char *const names[] = {"auto", "torchvision", "caffe", "caffe-rgb"};

const float pulmo_torchvision_mean[3] = {0.485f, 0.456f, 0.406f};
const float pulmo_torchvision_std[3] = {0.229f, 0.224f, 0.225f};

const char *pulmo_preprocessing_name(pulmo_preprocessing preprocessing)
{
    return names[preprocessing];
}

pulmo_preprocessing pulmo_preprocessing_of(const char *name)
{
    for (int i = 0; i <= PULMO_PREPROCESSING_CAFFE_RGB; i++) {
        const char *known = names[i];
        if (strcmp(name, known) == 0)
            return (pulmo_preprocessing)i;
    }
    return PULMO_PREPROCESSING_AUTO;
}

/* Caffe's 255 x - m is (x - m / 255) / (1 / 255). */
void weights_set_preprocessing(pulmo_weights *out, pulmo_preprocessing preprocessing)
{
    static const double caffe_mean[3] = {123.68, 116.779, 103.939}; /* RGB */
    out->preprocessing = preprocessing;
    if (preprocessing == PULMO_PREPROCESSING_TORCHVISION) {
        memcpy(out->mean, pulmo_torchvision_mean, sizeof out->mean);
        memcpy(out->std, pulmo_torchvision_std, sizeof out->std);
        return;
    }
    for (int c = 0; c < 3; c++) {
        out->mean[c] = (float)(caffe_mean[c] / 255);
        out->std[c] = (float)(1 / 255.0);
    }
}
