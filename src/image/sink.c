/* Where a decoder's rows go: see the header. */
#include "sink.h"

#include <stdlib.h>
#include <string.h>

#include "exif.h"

static size_t row_bytes(const image_sink *sink)
{
    return (size_t)sink->whole.width_px * (size_t)sink->whole.channels;
}

/* ---- rows that are resized as they come ---- */

/* Where the image stands in what is wanted, and which part of it. */
static void choose_windows(image_sink *sink)
{
    const pulmo_decode_spec *spec = &sink->spec;
    const image_window all = {.height = sink->whole.height_px, .width = sink->whole.width_px};
    sink->window = all;
    sink->place = (image_window){.height = spec->height_px, .width = spec->width_px};
    if (spec->fit == PULMO_FIT_CROP)
        sink->window = frame_crop(all, spec->height_px, spec->width_px);
    if (spec->fit == PULMO_FIT_PAD)
        sink->place = frame_pad(all, spec->height_px, spec->width_px);
}

static pulmo_status begin_stream(image_sink *sink)
{
    choose_windows(sink);
    if (sink->spec.fit == PULMO_FIT_CROP) {
        sink->aside = malloc(row_bytes(sink));
        if (!sink->aside)
            return pulmo_fail(PULMO_MEMORY, "out of memory for a row of %d pixels",
                              sink->whole.width_px);
    }
    return resizer_begin(&sink->resize, sink->window.height, sink->window.width,
                         sink->whole.channels, sink->place.height, sink->place.width);
}

/* Whether the row at hand is of the window. */
static bool row_is_wanted(const image_sink *sink)
{
    const int below = sink->rows - sink->window.top;
    return below >= 0 && below < sink->window.height;
}

static void take_part(image_sink *sink)
{
    const size_t channels = (size_t)sink->whole.channels;
    const size_t before = (size_t)sink->window.left * channels;
    const size_t bytes = (size_t)sink->window.width * channels;
    memcpy(resizer_row(&sink->resize), sink->aside + before, bytes);
}

static void stream_took(image_sink *sink)
{
    if (!row_is_wanted(sink))
        return;
    if (sink->aside)
        take_part(sink);
    resizer_took(&sink->resize);
}

static pulmo_status end_stream(image_sink *sink, pulmo_image *out)
{
    const pulmo_decode_spec *spec = &sink->spec;
    PULMO_TRY(resizer_end(&sink->resize, out));
    if (spec->fit != PULMO_FIT_PAD)
        return PULMO_OK;
    return frame_surround(out, sink->place, spec->height_px, spec->width_px);
}

/* ---- an image that must be whole first ---- */

static pulmo_status begin_whole(image_sink *sink)
{
    const pulmo_image *whole = &sink->whole;
    sink->whole.pixels = malloc(row_bytes(sink) * (size_t)whole->height_px);
    if (sink->whole.pixels)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory for %d x %d pixels", whole->width_px,
                      whole->height_px);
}

/* An image of its own size that is to stay as it is. */
static bool is_finished(const pulmo_decode_spec *spec)
{
    return spec->height_px == 0 && spec->fit == PULMO_FIT_SQUASH && !spec->crop_border;
}

/* The image whole: turned, then framed as wanted. */
static pulmo_status end_whole(image_sink *sink, pulmo_image *out)
{
    PULMO_TRY(exif_turn(&sink->whole, sink->orientation));
    if (is_finished(&sink->spec)) {
        *out = sink->whole;
        sink->whole = (pulmo_image){0};
        return PULMO_OK;
    }
    image_window window = {.height = sink->whole.height_px, .width = sink->whole.width_px};
    if (sink->spec.crop_border)
        window = frame_border(&sink->whole);
    return frame_apply(&sink->whole, window, &sink->spec, out);
}

/* ---- both ---- */

pulmo_status sink_begin(image_sink *sink, const pulmo_decode_spec *spec, int height_px,
                        int width_px, int channels, int orientation)
{
    *sink = (image_sink){.spec = *spec, .orientation = orientation};
    sink->whole = (pulmo_image){.height_px = height_px, .width_px = width_px, .channels = channels};
    sink->streams = spec->height_px > 0 && orientation <= 1 && !spec->crop_border;
    if (sink->streams)
        return begin_stream(sink);
    return begin_whole(sink);
}

uint8_t *sink_row(image_sink *sink)
{
    if (sink->aside)
        return sink->aside;
    if (sink->streams)
        return resizer_row(&sink->resize);
    return sink->whole.pixels + row_bytes(sink) * (size_t)sink->rows;
}

void sink_took(image_sink *sink)
{
    if (sink->streams)
        stream_took(sink);
    sink->rows++;
}

pulmo_status sink_end(image_sink *sink, pulmo_image *out)
{
    pulmo_status status;
    if (sink->streams)
        status = end_stream(sink, out);
    else
        status = end_whole(sink, out);
    sink_free(sink);
    return status;
}

void sink_free(image_sink *sink)
{
    resizer_free(&sink->resize);
    pulmo_image_free(&sink->whole);
    free(sink->aside);
    memset(sink, 0, sizeof *sink);
}
