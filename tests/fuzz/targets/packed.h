/* A packed data set of an earlier release, whose files have no seals, with one file of it replaced.
 */
#ifndef PULMO_FUZZ_PACKED_H
#define PULMO_FUZZ_PACKED_H

#include "pulmo/dataset.h"
#include "target.h"

#define PACKED_SOURCE PULMO_SOURCE "/tests/data/old/unsealed/packed"

static char *packed_directory;

static void packed_remove(void)
{
    char *command = pulmo_format("rm -rf '%s'", packed_directory);
    if (command && system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", packed_directory);
    free(command);
    free(packed_directory);
}

static inline void packed_copy(void)
{
    if (packed_directory)
        return;
    packed_directory = fuzz_temporary();
    FUZZ_CHECK(mkdtemp(packed_directory), "no directory");
    char *command = pulmo_format("cp '%s'/* '%s' && chmod -R u+w '%s'", PACKED_SOURCE,
                                 packed_directory, packed_directory);
    FUZZ_CHECK(command && system(command) == 0, "cannot copy %s", PACKED_SOURCE);
    free(command);
    atexit(packed_remove);
}

static inline void packed_replace(const char *name, const uint8_t *data, size_t size)
{
    packed_copy();
    char *path = pulmo_format("%s/%s", packed_directory, name);
    FILE *file = path ? fopen(path, "wb") : NULL;
    FUZZ_CHECK(file && fwrite(data, 1, size, file) == size, "cannot write %s", name);
    fclose(file);
    free(path);
}

/* Opens the split and reads every image of it. */
static inline void packed_read(const char *split)
{
    pulmo_dataset *set = NULL;
    pulmo_status status = pulmo_dataset_open(packed_directory, split, 1, &set);
    if (status == PULMO_OK) {
        const pulmo_dataset_info *info = pulmo_dataset_info_of(set);
        const size_t pixels = (size_t)info->height_px * (size_t)info->width_px;
        uint8_t *image = malloc(pixels * (size_t)info->channels + 1);
        FUZZ_CHECK(image, "no memory for %d x %d", info->height_px, info->width_px);
        for (uint32_t i = 0; i < info->count && status == PULMO_OK; i++)
            status = pulmo_dataset_read(set, i, image);
        free(image);
    }
    fuzz_refused(status, PULMO_DATA);
    pulmo_dataset_close(set);
}

#endif
