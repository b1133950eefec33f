/* decode_images MODALITIES [--size PX] [--times N] FILE...: what pulmo makes of image files, to
 * stdout: a line "FILE: REASON" of a file that it refuses, or "FILE: HEIGHT WIDTH CHANNELS" and
 * then the pixels. With --times each is decoded so often, and a line of seconds takes the place of
 * pixels. MODALITIES are those of DICOM files that are taken, or "any". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pulmo/file.h"
#include "pulmo/image.h"

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Reading is part of it. */
static pulmo_status decode(const char *path, const pulmo_decode_spec *spec, pulmo_image *out)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    PULMO_TRY(pulmo_file_read(path, (size_t)1 << 30, &data, &bytes));
    pulmo_status status = pulmo_image_decode(data, bytes, spec, out, NULL);
    free(data);
    return status;
}

static void show(const char *path, const pulmo_decode_spec *spec, int times)
{
    pulmo_image image = {0};
    const double began = seconds();
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < times && status == PULMO_OK; i++) {
        pulmo_image_free(&image);
        status = decode(path, spec, &image);
    }
    const size_t pixels = (size_t)image.height_px * (size_t)image.width_px;
    if (status != PULMO_OK)
        printf("%s: %s\n", path, pulmo_error());
    else if (times > 1)
        printf("%s: %.9f s\n", path, (seconds() - began) / times);
    else
        printf("%s: %d %d %d\n", path, image.height_px, image.width_px, image.channels);
    if (status == PULMO_OK && times == 1)
        fwrite(image.pixels, (size_t)image.channels, pixels, stdout);
    pulmo_error_clear();
    pulmo_image_free(&image);
}

int main(int argc, char **argv)
{
    pulmo_decode_spec spec;
    int times = 1;
    int at = 2;
    pulmo_decode_spec_init(&spec);
    for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
        const int value = atoi(argv[at + 1]);
        if (strcmp(argv[at], "--size") == 0)
            spec.height_px = spec.width_px = value;
        else
            times = value;
    }
    if (argc < 3)
        return 2;
    spec.modalities = argv[1];
    for (; at < argc; at++)
        show(argv[at], &spec, times);
    return 0;
}
