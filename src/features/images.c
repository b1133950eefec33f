/* Images of a split in stored order, a chunk at a time, read and (for a view) augmented ahead of
 * the convolutions. */
#include <stdlib.h>

#include "pulmo/ahead.h"
#include "pulmo/memory.h"
#include "images.h"
#include "pulmo/features.h"

struct image_reader {
    pulmo_dataset *dataset;
    const pulmo_backbone *backbone;
    image_span span;
    pulmo_ahead *ahead;
    uint8_t *pixels; /* (PULMO_AHEAD_BATCHES, IMAGE_CHUNK, H, W, C) */
    float *images;   /* (PULMO_AHEAD_BATCHES, IMAGE_CHUNK, 3, H, W) */
};

/* Pixels of one channel. */
static size_t plane_pixels(const pulmo_dataset_info *info)
{
    size_t height = (size_t)info->height_px;
    size_t width = (size_t)info->width_px;
    return height * width;
}

/* ---- one image ---- */

/* The same pixels as the loader's, which draws by (seed, epoch, sample) too. */
static pulmo_status read_one(const image_reader *reader, const image_view *view, uint32_t sample,
                             uint8_t *pixels, float *out)
{
    const pulmo_dataset_info *info = pulmo_dataset_info_of(reader->dataset);
    const int height = info->height_px;
    const int width = info->width_px;
    const int channels = info->channels;
    const float *mean = reader->backbone->mean;
    const float *std = reader->backbone->std;
    PULMO_TRY(pulmo_dataset_read(reader->dataset, sample, pixels));
    if (view->averaged) {
        const int shape[3] = {height, width, channels};
        int number = (int)view->number;
        return pulmo_view_apply(view->averaged, number, pixels, shape, mean, std, out);
    }
    pulmo_augment_draw draw;
    pulmo_augment_draw_at(view->augment, view->seed, view->number, sample, height, width, &draw);
    return pulmo_augment_apply(&draw, pixels, height, width, channels, mean, std, out);
}

/* ---- ahead ---- */

/* Where a chunk, counted over all views, begins in the span. */
static uint32_t chunk_begin(const image_span *span, uint64_t batch)
{
    return (uint32_t)(batch / span->views) * IMAGE_CHUNK;
}

static uint32_t chunk_view(const image_span *span, uint64_t batch)
{
    return span->view.number + (uint32_t)(batch % span->views);
}

static int plan_chunk(void *context, uint64_t batch, int place)
{
    const image_reader *reader = context;
    (void)place;
    const image_span *span = &reader->span;
    const uint32_t begin = chunk_begin(span, batch);
    if (begin >= span->count)
        return PULMO_AHEAD_END;
    const uint32_t left = span->count - begin;
    return left < IMAGE_CHUNK ? (int)left : IMAGE_CHUNK;
}

static pulmo_status read_image(void *context, const pulmo_ahead_item *it)
{
    const image_reader *reader = context;
    const image_span *span = &reader->span;
    const pulmo_dataset_info *info = pulmo_dataset_info_of(reader->dataset);
    const size_t plane = plane_pixels(info);
    const size_t pixel_bytes = plane * (size_t)info->channels;
    const size_t at = (size_t)it->place * IMAGE_CHUNK + (size_t)it->item;
    const uint32_t sample = span->first + chunk_begin(span, it->batch) + (uint32_t)it->item;
    image_view view = span->view;
    uint8_t *pixels = reader->pixels + at * pixel_bytes;
    float *image = reader->images + at * 3 * plane;
    view.number = chunk_view(span, it->batch);
    return read_one(reader, &view, sample, pixels, image);
}

void image_reader_begin(image_reader *reader, const image_span *span)
{
    pulmo_ahead_halt(reader->ahead);
    reader->span = *span;
    pulmo_ahead_begin(reader->ahead);
}

pulmo_status image_reader_next(image_reader *reader, image_chunk *out)
{
    pulmo_ahead_batch batch;
    const image_span *span = &reader->span;
    const size_t image_floats = 3 * plane_pixels(pulmo_dataset_info_of(reader->dataset));
    pulmo_ahead_next(reader->ahead, &batch);
    const size_t at = (size_t)batch.place * IMAGE_CHUNK;
    *out =
        (image_chunk){.count = (uint32_t)batch.count, .images = reader->images + at * image_floats};
    if (batch.ended)
        return PULMO_OK;
    out->view = chunk_view(span, batch.number);
    out->first = span->first + chunk_begin(span, batch.number);
    return pulmo_ahead_outcome(&batch);
}

/* ---- the reader ---- */

void image_reader_destroy(image_reader *reader)
{
    if (!reader)
        return;
    pulmo_ahead_destroy(reader->ahead);
    pulmo_free(reader->pixels);
    pulmo_free(reader->images);
    free(reader);
}

static pulmo_status allocate(image_reader *reader)
{
    const pulmo_dataset_info *info = pulmo_dataset_info_of(reader->dataset);
    const size_t plane = plane_pixels(info);
    const size_t pixel_bytes = plane * (size_t)info->channels;
    const size_t image_bytes = 3 * plane * sizeof(float);
    const size_t images = PULMO_AHEAD_BATCHES * IMAGE_CHUNK;
    const pulmo_ahead_work work = {.items = IMAGE_CHUNK,
                                   .depth = PULMO_AHEAD_BATCHES,
                                   .threads = 1,
                                   .plan = plan_chunk,
                                   .make = read_image,
                                   .context = reader};
    reader->pixels = pulmo_alloc(images, pixel_bytes);
    reader->images = pulmo_alloc(images, image_bytes);
    if (!reader->pixels || !reader->images)
        return PULMO_MEMORY;
    return pulmo_ahead_create(&work, reader->backbone->pool, &reader->ahead);
}

pulmo_status image_reader_create(pulmo_dataset *dataset, const pulmo_backbone *backbone,
                                 image_reader **out)
{
    image_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the image reader");
    reader->dataset = dataset;
    reader->backbone = backbone;
    pulmo_status status = allocate(reader);
    if (status == PULMO_OK)
        *out = reader;
    else
        image_reader_destroy(reader);
    return status;
}
