/* Stored values to 8 bits: Modality LUT (PS3.3 C.11.1), VOI LUT (C.11.2), and the inversion of
 * MONOCHROME1 (C.7.6.3.1.2) and of a Presentation LUT Shape (C.11.6). */
#include "dicom_map.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "pulmo/elementary.h"
#include "pulmo/image.h"

#define WHITE 255

/* ---- the two steps ---- */

static double highest_of(int bits)
{
    return (double)((1u << bits) - 1);
}

static double look_up(const dicom_lut *lut, double input)
{
    double place = floor(input + 0.5) - lut->first;
    const double last = lut->count - 1;
    if (place < 0)
        place = 0;
    if (place > last)
        place = last;
    return lut->value[(int)place];
}

static double apply_modality(const dicom_mapping *m, double stored)
{
    if (m->modality.count > 0)
        return look_up(&m->modality, stored);
    return m->slope * stored + m->intercept;
}

/* C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2 for an output of 0 to 1. */
static double apply_window(const dicom_window *w, double x)
{
    switch (w->shape) {
    case DICOM_SIGMOID:
        return 1 / (1 + pulmo_exp(-4 * (x - w->center) / w->width));
    case DICOM_LINEAR_EXACT:
        return (x - w->center) / w->width + 0.5;
    default:
        /* A window of width 1 is a step: beyond its middle all is white. */
        if (w->width <= 1)
            return x > w->center - 0.5 ? 1 : 0;
        return (x - (w->center - 0.5)) / (w->width - 1) + 0.5;
    }
}

/* ---- the range without a window ---- */

typedef struct span {
    double low, high;
} span;

static span stored_span(const dicom_mapping *m)
{
    const double count = highest_of(m->bits) + 1;
    if (m->is_signed)
        return (span){-count / 2, count / 2 - 1};
    return (span){0, count - 1};
}

/* What the first step can give for BitsStored bits. */
static span full_span(const dicom_mapping *m)
{
    if (m->modality.count > 0)
        return (span){0, highest_of(m->modality.bits)};
    const span stored = stored_span(m);
    const double first = apply_modality(m, stored.low);
    const double last = apply_modality(m, stored.high);
    return (span){fmin(first, last), fmax(first, last)};
}

/* ---- all of it ---- */

static double grey_of(const dicom_mapping *m, span full, double stored)
{
    const double x = apply_modality(m, stored);
    if (m->voi.count > 0)
        return look_up(&m->voi, x) / highest_of(m->voi.bits);
    if (m->window.there)
        return apply_window(&m->window, x);
    return (x - full.low) / (full.high - full.low);
}

static uint8_t to_byte(double grey, bool inverted)
{
    if (grey < 0)
        grey = 0;
    if (grey > 1)
        grey = 1;
    const uint8_t level = (uint8_t)floor(grey * WHITE + 0.5);
    return inverted ? (uint8_t)(WHITE - level) : level;
}

void dicom_map_table(const dicom_mapping *m, uint8_t *grey)
{
    const int32_t codes = 1 << m->bits;
    const span full = full_span(m);
    for (int32_t code = 0; code < codes; code++) {
        const bool negative = m->is_signed && code >= codes / 2;
        const int32_t stored = negative ? code - codes : code;
        grey[code] = to_byte(grey_of(m, full, stored), m->inverted);
    }
}

/* ---- checks ---- */

static double least_width(dicom_shape shape)
{
    return shape == DICOM_LINEAR ? 1 : 0;
}

static bool is_width(const dicom_window *w)
{
    const double least = least_width(w->shape);
    if (w->shape == DICOM_LINEAR)
        return w->width >= least;
    return w->width > least;
}

/* Whether slope and intercept leave stored values apart and finite; 1e308 and 1e-308 do not. */
static bool has_span(const dicom_mapping *m)
{
    const span full = full_span(m);
    const double width = full.high - full.low; /* NaN, or infinite, where one of them is */
    return isfinite(width) && width > 0;
}

pulmo_status dicom_map_check(const dicom_mapping *m)
{
    if (!has_span(m))
        return pulmo_fail(PULMO_DATA,
                          "has RescaleSlope %g and RescaleIntercept %g; the slope must "
                          "not be 0, both finite, and so all values, which must differ",
                          m->slope, m->intercept);
    if (m->voi.count > 0 || !m->window.there)
        return PULMO_OK;
    if (is_width(&m->window) && isfinite(m->window.width) && isfinite(m->window.center))
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "has WindowCenter %g and WindowWidth %g; the width must be %s (pack.window "
                      "gives another)",
                      m->window.center, m->window.width,
                      m->window.shape == DICOM_LINEAR ? "1 or more" : "above 0");
}

pulmo_status dicom_window_read(const char *text, dicom_window *out)
{
    int end = 0;
    *out = (dicom_window){.shape = DICOM_LINEAR};
    if (text[strspn(text, " ")] == '\0')
        return PULMO_OK;
    const int found = sscanf(text, " [ %lf , %lf ] %n", &out->center, &out->width, &end);
    const bool in_brackets = found == 2 && end > 0;
    if (!in_brackets)
        sscanf(text, " %lf , %lf %n", &out->center, &out->width, &end);
    out->there = true;
    const bool whole = end > 0 && text[end] == '\0';
    if (whole && isfinite(out->center) && isfinite(out->width) && out->width >= 1)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "pack.window: \"%s\": must be CENTER,WIDTH, as in 2048,4096, with a width of "
                      "1 or more",
                      text);
}

pulmo_status pulmo_window_check(const char *text)
{
    dicom_window window;
    return dicom_window_read(text, &window);
}
