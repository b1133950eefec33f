/* Where a decoder's rows go: see the header. */
#include "sink.h"

#include <stdlib.h>
#include <string.h>

#include "exif.h"

static size_t row_bytes(const image_sink *sink)
{
    return (size_t)sink->whole.width_px * (size_t)sink->whole.channels;
}

pulmo_status sink_begin(image_sink *sink, const pulmo_decode_spec *spec, int height_px,
                        int width_px, int channels, int orientation)
{
    *sink = (image_sink){.height = spec->height_px,
                         .width = spec->width_px,
                         .orientation = orientation,
                         .streams = spec->height_px > 0 && orientation <= 1};
    if (sink->streams)
        return resizer_begin(&sink->resize, height_px, width_px, channels, sink->height,
                             sink->width);
    sink->whole = (pulmo_image){.height_px = height_px, .width_px = width_px, .channels = channels};
    sink->whole.pixels = malloc(row_bytes(sink) * (size_t)height_px);
    if (sink->whole.pixels)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory for %d x %d pixels", width_px, height_px);
}

uint8_t *sink_row(image_sink *sink)
{
    if (sink->streams)
        return resizer_row(&sink->resize);
    return sink->whole.pixels + row_bytes(sink) * (size_t)sink->rows;
}

void sink_took(image_sink *sink)
{
    if (sink->streams)
        resizer_took(&sink->resize);
    sink->rows++;
}

/* The image whole: turned, then resized if that is wanted. */
static pulmo_status take_whole(image_sink *sink, pulmo_image *out)
{
    PULMO_TRY(exif_turn(&sink->whole, sink->orientation));
    if (sink->height > 0)
        return pulmo_image_resize(&sink->whole, sink->height, sink->width, out);
    *out = sink->whole;
    sink->whole = (pulmo_image){0};
    return PULMO_OK;
}

pulmo_status sink_end(image_sink *sink, pulmo_image *out)
{
    pulmo_status status;
    if (sink->streams)
        status = resizer_end(&sink->resize, out);
    else
        status = take_whole(sink, out);
    sink_free(sink);
    return status;
}

void sink_free(image_sink *sink)
{
    resizer_free(&sink->resize);
    pulmo_image_free(&sink->whole);
    memset(sink, 0, sizeof *sink);
}
