/* make_weights FILE [SEED]: a small VGG-like weight file (5 blocks of one or two convolutions,
 * widths 16 to 48, random values), so that tests of the whole program need no download. */
#include <stdio.h>
#include <stdlib.h>

#include "pulmo/rng.h"

#define LAYERS 7

static const int index_of[LAYERS] = {0, 2, 5, 8, 11, 13, 16};
static const int width_of[LAYERS] = {16, 16, 32, 32, 48, 48, 48};

static long layer_floats(int i, int bias)
{
    long inputs = i ? width_of[i - 1] : 3;
    return bias ? width_of[i] : width_of[i] * inputs * 9;
}

int main(int argc, char **argv)
{
    char header[4096];
    size_t at = 0;
    long offset = 0;
    if (argc < 2)
        return 2;
    at += (size_t)snprintf(header, sizeof header, "{");
    for (int i = 0; i < 2 * LAYERS; i++) {
        int layer = i / 2, bias = i % 2;
        long bytes = 4 * layer_floats(layer, bias);
        at +=
            (size_t)snprintf(header + at, sizeof header - at,
                             "%s\"features.%d.%s\":{\"dtype\":\"F32\",\"shape\":[%d", i ? "," : "",
                             index_of[layer], bias ? "bias" : "weight", width_of[layer]);
        if (!bias)
            at += (size_t)snprintf(header + at, sizeof header - at, ",%d,3,3",
                                   layer ? width_of[layer - 1] : 3);
        at += (size_t)snprintf(header + at, sizeof header - at, "],\"data_offsets\":[%ld,%ld]}",
                               offset, offset + bytes);
        offset += bytes;
    }
    at += (size_t)snprintf(header + at, sizeof header - at, "}");
    FILE *out = fopen(argv[1], "wb");
    if (!out)
        return 74;
    for (int i = 0; i < 8; i++)
        fputc((int)(at >> (8 * i) & 0xFF), out);
    fwrite(header, 1, at, out);
    for (int i = 0; i < 2 * LAYERS; i++) {
        pulmo_rng rng;
        pulmo_rng_at(&rng, argc > 2 ? (uint64_t)atoi(argv[2]) : 1, PULMO_RNG_TEST, (uint64_t)i, 0);
        double spread = i / 2 ? 4 + width_of[i / 2 - 1] / 16 : 1.7;
        double scale = i % 2 ? 0.05 : 1.4 / (3 * spread);
        for (long k = 0; k < layer_floats(i / 2, i % 2); k++) {
            float value = (float)(scale * pulmo_rng_normal(&rng));
            fwrite(&value, sizeof value, 1, out);
        }
    }
    return fclose(out) == 0 ? 0 : 74;
}
