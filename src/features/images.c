/* Images of a split in stored order, a chunk at a time, read and (for a view) augmented on the
 * backbone's threads. */
#include <stdlib.h>

#include "pulmo/memory.h"
#include "images.h"
#include "pulmo/features.h"

struct image_reader {
    pulmo_dataset *dataset;
    const pulmo_backbone *backbone;
    const image_view *view; /* of the chunk at hand */
    uint32_t first;
    uint8_t *pixels; /* (IMAGE_CHUNK, H, W, C) */
    float *images;   /* (IMAGE_CHUNK, 3, H, W) */
};

/* Pixels of one channel. */
static size_t plane_pixels(const pulmo_dataset_info *info)
{
    size_t height = (size_t)info->height_px;
    size_t width = (size_t)info->width_px;
    return height * width;
}

pulmo_status image_reader_create(pulmo_dataset *dataset, const pulmo_backbone *backbone,
                                 image_reader **out)
{
    const pulmo_dataset_info *info = pulmo_dataset_info_of(dataset);
    size_t plane = plane_pixels(info);
    size_t pixel_bytes = plane * (size_t)info->channels;
    size_t image_bytes = 3 * plane * sizeof(float);
    image_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate the image reader");
    reader->dataset = dataset;
    reader->backbone = backbone;
    reader->pixels = pulmo_alloc(IMAGE_CHUNK, pixel_bytes);
    reader->images = pulmo_alloc(IMAGE_CHUNK, image_bytes);
    if (reader->pixels && reader->images) {
        *out = reader;
        return PULMO_OK;
    }
    image_reader_destroy(reader);
    return PULMO_MEMORY;
}

void image_reader_destroy(image_reader *reader)
{
    if (!reader)
        return;
    pulmo_free(reader->pixels);
    pulmo_free(reader->images);
    free(reader);
}

/* The same pixels as the loader's, which draws by (seed, epoch, sample) too. */
static pulmo_status read_one(image_reader *reader, uint32_t sample, uint8_t *pixels, float *out)
{
    const pulmo_dataset_info *info = pulmo_dataset_info_of(reader->dataset);
    const int height = info->height_px;
    const int width = info->width_px;
    const int channels = info->channels;
    const image_view *view = reader->view;
    const float *mean = reader->backbone->mean;
    const float *std = reader->backbone->std;
    PULMO_TRY(pulmo_dataset_read(reader->dataset, sample, pixels));
    if (!view)
        return pulmo_augment_apply(NULL, pixels, height, width, channels, mean, std, out);
    if (view->averaged) {
        const int shape[3] = {height, width, channels};
        int number = (int)view->number;
        return pulmo_view_apply(view->averaged, number, pixels, shape, mean, std, out);
    }
    pulmo_augment_draw draw;
    pulmo_augment_draw_at(view->augment, view->seed, view->number, sample, height, width, &draw);
    return pulmo_augment_apply(&draw, pixels, height, width, channels, mean, std, out);
}

static pulmo_status read_task(void *context, int task, int thread)
{
    (void)thread;
    image_reader *reader = context;
    const pulmo_dataset_info *info = pulmo_dataset_info_of(reader->dataset);
    size_t plane = plane_pixels(info);
    size_t pixel_bytes = plane * (size_t)info->channels;
    size_t at = (size_t)task;
    uint32_t sample = reader->first + (uint32_t)task;
    uint8_t *pixels = reader->pixels + at * pixel_bytes;
    float *image = reader->images + at * 3 * plane;
    return read_one(reader, sample, pixels, image);
}

pulmo_status image_reader_read(image_reader *reader, const image_view *view, uint32_t first,
                               uint32_t count, const float **images)
{
    reader->view = view;
    reader->first = first;
    PULMO_TRY(pulmo_pool_try(reader->backbone->pool, (int)count, read_task, reader));
    *images = reader->images;
    return PULMO_OK;
}
