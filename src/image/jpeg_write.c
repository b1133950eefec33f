/* Writing JPEG files, for demo data and pictures in reports. */
#include <stdlib.h>

#include "jpeg_trap.h"

#include "pulmo/file.h"
#include "pulmo/image.h"

typedef struct encoder {
    struct jpeg_compress_struct jpeg;
    jpeg_trap trap;
    unsigned char *data;
    unsigned long size;
} encoder;

static pulmo_status encode(encoder *e, const pulmo_image *image, int quality)
{
    e->jpeg.err = &e->trap.manager;
    if (setjmp(e->trap.leave))
        return pulmo_fail(PULMO_DATA, "cannot be encoded: %s", e->trap.text);
    jpeg_create_compress(&e->jpeg);
    jpeg_mem_dest(&e->jpeg, &e->data, &e->size);
    e->jpeg.image_width = (JDIMENSION)image->width_px;
    e->jpeg.image_height = (JDIMENSION)image->height_px;
    e->jpeg.input_components = image->channels;
    e->jpeg.in_color_space = JCS_RGB;
    if (image->channels == 1)
        e->jpeg.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&e->jpeg);
    jpeg_set_quality(&e->jpeg, quality, TRUE);
    jpeg_start_compress(&e->jpeg, TRUE);
    size_t stride = (size_t)image->width_px * (size_t)image->channels;
    while (e->jpeg.next_scanline < e->jpeg.image_height) {
        JSAMPROW row = image->pixels + stride * e->jpeg.next_scanline;
        jpeg_write_scanlines(&e->jpeg, &row, 1);
    }
    jpeg_finish_compress(&e->jpeg);
    return PULMO_OK;
}

pulmo_status pulmo_jpeg_write(const char *path, const pulmo_image *image, int quality)
{
    encoder *e = calloc(1, sizeof *e);
    if (!e)
        return pulmo_fail(PULMO_MEMORY, "out of memory for an encoder");
    jpeg_trap_set(&e->trap);
    pulmo_status status = encode(e, image, quality);
    if (status == PULMO_OK)
        status = pulmo_file_write(path, e->data, e->size);
    else
        pulmo_fail_in(status, "%s", path);
    jpeg_destroy_compress(&e->jpeg);
    free(e->data);
    free(e);
    return status;
}
