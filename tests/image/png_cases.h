/* What tests of PNGs share: pictures of random samples, and decoding. */
#ifndef PULMO_TEST_PNG_CASES_H
#define PULMO_TEST_PNG_CASES_H

#include "pulmo/image.h"
#include "pulmo/rng.h"

#include "pngs.h"

static pulmo_decode_spec plain;

static inline int start(void **state)
{
    (void)state;
    pulmo_decode_spec_init(&plain);
    return 0;
}

static inline pulmo_status decode(png_bytes png, pulmo_image *out, pulmo_decode_notes *notes)
{
    return pulmo_image_decode(png.data, png.size, &plain, out, notes);
}

/* ---- pictures ---- */

#define COLOURS_MAX 256

typedef struct colours {
    uint8_t palette[3 * COLOURS_MAX];
    uint8_t trns[COLOURS_MAX];
    uint16_t key[3];
} colours;

/* Random samples; of a palette of `levels` colours, indices. */
static inline uint16_t *make_samples(const png_kind *kind, unsigned levels, uint64_t seed)
{
    pulmo_rng rng;
    const size_t count = samples_of(kind->type) * (size_t)kind->width * (size_t)kind->height;
    uint16_t *out = malloc(count * sizeof *out);
    pulmo_rng_at(&rng, seed, PULMO_RNG_TEST, 21, 0);
    for (size_t i = 0; i < count; i++)
        out[i] = (uint16_t)pulmo_rng_below(&rng, levels);
    return out;
}

static inline void fill_colours(colours *c, unsigned levels, bool grey)
{
    for (unsigned i = 0; i < COLOURS_MAX; i++) {
        c->trns[i] = (uint8_t)(7 * i);
        for (unsigned k = 0; k < 3; k++)
            c->palette[3 * i + k] = (uint8_t)(31 * i + (grey ? 0 : 90 * k));
    }
    for (unsigned k = 0; k < 3; k++)
        c->key[k] = (uint16_t)(levels / 2 + k % levels);
}

/* ---- one grey picture ---- */

#define W 13
#define H 8

/* A grey PNG of random samples with a chunk more. */
static inline png_bytes make_grey(const char *chunk, const void *body, size_t bytes)
{
    const png_kind kind = {.width = W,
                           .height = H,
                           .type = PNG_GREY,
                           .bits = 8,
                           .extra = chunk,
                           .extra_body = body,
                           .extra_bytes = bytes};
    uint16_t *samples = make_samples(&kind, 256, 5);
    png_bytes out = make_png(&kind, samples);
    free(samples);
    return out;
}

static inline pulmo_image decode_freed(png_bytes png, pulmo_decode_notes *notes)
{
    pulmo_image image;
    assert_int_equal(decode(png, &image, notes), PULMO_OK);
    free(png.data);
    return image;
}

#endif
