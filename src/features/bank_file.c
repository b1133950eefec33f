/* One shard of a feature bank, VIEW-00000-of-00032.h5:
 *
 *   /features (N, C, h, w)   float32, or float16 with bank.precision: half; in one piece, so that a
 *                            reader goes straight to a row
 *   /features_xxh3 (N) uint64   XXH3 of each image's bytes as stored
 *   /labels (N) int32
 *   attributes of /: pulmo_kind "bank", format_version, split, view, shard, shards, first,
 *       precision, key, made_of
 *
 * Written under another name and renamed when whole. No times in it: equal keys give equal bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bank_room.h"
#include "pulmo/features.h"
#include "pulmo/specs.h"
#include "pulmo/h5.h"
#include "pulmo/memory.h"
#include "pulmo/packed.h"

#define BANK_FORMAT_VERSION 2

static size_t floats_of(const bank_form *form)
{
    size_t height = (size_t)form->height;
    size_t width = (size_t)form->width;
    return (size_t)form->channels * height * width;
}
static size_t row_bytes_of(const bank_form *form)
{
    size_t value_bytes = form->half ? sizeof(uint16_t) : sizeof(float);
    return floats_of(form) * value_bytes;
}
static uint32_t first_image(const bank_form *form, uint32_t shard)
{
    return pulmo_shard_first(form->count, shard, form->shards);
}

uint32_t bank_shard_images(const bank_form *form, uint32_t shard)
{
    uint32_t first = first_image(form, shard);
    uint32_t end = first_image(form, shard + 1);
    return end - first;
}

char *bank_shard_path(const bank_form *form, bank_place place)
{
    return pulmo_format("%s/view%03u-%05u-of-%05u.h5", form->directory, place.view, place.shard,
                        form->shards);
}

/* ---- writing ---- */

struct bank_writer {
    const bank_form *form;
    pulmo_h5 *file;
    uint32_t first, count, done;
    uint16_t *half; /* one image's */
};

static pulmo_status describe(pulmo_h5 *file, const bank_form *form, bank_place place)
{
    const char *precision = bank_precision_name(form);
    uint32_t first = first_image(form, place.shard);
    PULMO_TRY(pulmo_h5_set_kind(file, "bank", BANK_FORMAT_VERSION));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "split", form->split));
    PULMO_TRY(pulmo_h5_set_int(file, "/", "view", place.view));
    PULMO_TRY(pulmo_h5_set_int(file, "/", "shard", place.shard));
    PULMO_TRY(pulmo_h5_set_int(file, "/", "shards", form->shards));
    PULMO_TRY(pulmo_h5_set_int(file, "/", "first", first));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "precision", precision));
    PULMO_TRY(pulmo_h5_set_text(file, "/", "key", form->key));
    return pulmo_h5_set_text(file, "/", "made_of", form->text);
}

static pulmo_status begin_file(bank_writer *writer, bank_place place)
{
    const bank_form *form = writer->form;
    const uint64_t channels = (uint64_t)form->channels;
    const uint64_t height = (uint64_t)form->height;
    const uint64_t width = (uint64_t)form->width;
    const uint64_t dims[4] = {writer->count, channels, height, width};
    const int32_t *labels = form->labels + writer->first;
    pulmo_h5_type type = form->half ? PULMO_H5_F16 : PULMO_H5_F32;
    PULMO_TRY(describe(writer->file, form, place));
    PULMO_TRY(pulmo_h5_write(writer->file, "labels", PULMO_H5_I32, 1, dims, labels));
    return pulmo_h5_create_plain(writer->file, "features", type, 4, dims);
}

static pulmo_status open_writer(bank_writer *writer, const bank_form *form, bank_place place)
{
    writer->form = form;
    writer->first = first_image(form, place.shard);
    writer->count = bank_shard_images(form, place.shard);
    size_t half_bytes = floats_of(form) * sizeof *writer->half;
    writer->half = malloc(half_bytes);
    if (!writer->half)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate a bank's shard");
    char *path = bank_shard_path(form, place);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_create(path, &writer->file);
    free(path);
    PULMO_TRY(status);
    return begin_file(writer, place);
}

pulmo_status bank_writer_create(const bank_form *form, bank_place place, bank_writer **out)
{
    bank_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate a bank's shard");
    pulmo_status status = open_writer(writer, form, place);
    if (status == PULMO_OK)
        *out = writer;
    else
        bank_writer_abandon(writer);
    return status;
}

static pulmo_status add_one(bank_writer *writer, const float *features)
{
    const bank_form *form = writer->form;
    const void *row = features;
    if (form->half) {
        row = writer->half;
        if (!bank_to_half(floats_of(form), features, writer->half))
            return pulmo_fail(PULMO_DATA,
                              "bank.precision: half: features of image %u of %s are beyond 65504, "
                              "the largest half; use bank.precision: float",
                              writer->first + writer->done, form->split);
    }
    uint32_t number = writer->done;
    writer->done++;
    return pulmo_h5_write_rows(writer->file, "features", number, 1, row);
}

pulmo_status bank_writer_add(bank_writer *writer, uint32_t count, const float *features)
{
    size_t floats = floats_of(writer->form);
    for (uint32_t i = 0; i < count; i++) {
        PULMO_TRY(add_one(writer, features));
        features += floats;
    }
    return PULMO_OK;
}

pulmo_status bank_writer_commit(bank_writer *writer)
{
    pulmo_status status = pulmo_h5_seal(writer->file);
    if (status == PULMO_OK) {
        status = pulmo_h5_commit(writer->file);
        writer->file = NULL;
    }
    bank_writer_abandon(writer);
    return status;
}

void bank_writer_abandon(bank_writer *writer)
{
    if (!writer)
        return;
    pulmo_h5_close(writer->file);
    free(writer->half);
    free(writer);
}

/* ---- reading ---- */

struct bank_shard {
    const bank_form *form;
    char *path;
    int fd;
    uint64_t offset; /* of the features in the file */
    uint32_t first, count;
    uint64_t *sums; /* (count): of each image's bytes */
};

static pulmo_status check_text(pulmo_h5 *file, const char *name, const char *wanted)
{
    char *found = NULL;
    PULMO_TRY(pulmo_h5_get_text(file, "/", name, &found));
    pulmo_status status = PULMO_OK;
    if (strcmp(found, wanted) != 0)
        status = pulmo_fail(PULMO_DATA, "%s: attribute %s is \"%.40s\", must be \"%.40s\"",
                            pulmo_h5_path(file), name, found, wanted);
    free(found);
    return status;
}

static pulmo_status check_int(pulmo_h5 *file, const char *name, int64_t wanted)
{
    int64_t found = 0;
    PULMO_TRY(pulmo_h5_get_int(file, "/", name, &found));
    if (found == wanted)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: attribute %s is %lld, must be %lld", pulmo_h5_path(file),
                      name, (long long)found, (long long)wanted);
}

static pulmo_status read_head(pulmo_h5 *file, bank_place place, bank_shard *shard)
{
    const bank_form *form = shard->form;
    uint64_t bytes = 0;
    uint64_t count = shard->count;
    PULMO_TRY(pulmo_h5_check_kind(file, "bank", BANK_FORMAT_VERSION, "it will be made anew"));
    PULMO_TRY(check_text(file, "key", form->key));
    PULMO_TRY(check_text(file, "made_of", form->text));
    PULMO_TRY(check_int(file, "view", place.view));
    PULMO_TRY(check_int(file, "shard", place.shard));
    PULMO_TRY(check_int(file, "shards", form->shards));
    PULMO_TRY(pulmo_h5_read(file, "features_xxh3", PULMO_H5_U64, 1, &count, shard->sums));
    PULMO_TRY(pulmo_h5_place_of(file, "features", &shard->offset, &bytes));
    uint64_t wanted = count * row_bytes_of(form);
    if (bytes == wanted)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: /features has %llu bytes, must have %llu", shard->path,
                      (unsigned long long)bytes, (unsigned long long)wanted);
}

static pulmo_status open_file(bank_place place, bank_shard *shard)
{
    pulmo_h5 *file = NULL;
    PULMO_TRY(pulmo_h5_open(shard->path, &file));
    pulmo_status status = read_head(file, place, shard);
    pulmo_h5_close(file);
    PULMO_TRY(status);
    shard->fd = open(shard->path, O_RDONLY | O_CLOEXEC);
    if (shard->fd < 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be opened: %s", shard->path, strerror(errno));
    return PULMO_OK;
}

pulmo_status bank_shard_open(const bank_form *form, bank_place place, bank_shard **out)
{
    bank_shard *shard = calloc(1, sizeof *shard);
    if (!shard)
        return pulmo_fail(PULMO_MEMORY, "cannot allocate a bank's shard");
    pulmo_status status = PULMO_OK;
    shard->form = form;
    shard->fd = -1;
    shard->first = first_image(form, place.shard);
    shard->count = bank_shard_images(form, place.shard);
    shard->path = bank_shard_path(form, place);
    shard->sums = malloc(shard->count * sizeof *shard->sums);
    if (shard->path && shard->sums)
        status = open_file(place, shard);
    else
        status = pulmo_fail(PULMO_MEMORY, "out of memory for a bank");
    if (status == PULMO_OK)
        *out = shard;
    else
        bank_shard_close(shard);
    return status;
}

void bank_shard_close(bank_shard *shard)
{
    if (!shard)
        return;
    if (shard->fd >= 0)
        close(shard->fd);
    free(shard->path);
    free(shard->sums);
    free(shard);
}

static pulmo_status read_bytes(const bank_shard *shard, uint64_t offset, size_t bytes, char *out)
{
    while (bytes > 0) {
        ssize_t got = pread(shard->fd, out, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return pulmo_fail(PULMO_IO, "%s: cannot be read: %s", shard->path, strerror(errno));
        if (got == 0)
            return pulmo_fail(
                PULMO_DATA,
                "%s: is cut short; remove it and run the same command again: it is computed anew",
                shard->path);
        out += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return PULMO_OK;
}

pulmo_status bank_shard_read(const bank_shard *shard, uint32_t sample, float *out)
{
    const bank_form *form = shard->form;
    size_t bytes = row_bytes_of(form);
    size_t row = sample - shard->first;
    /* Halves are read into the end of the room for floats, and widened from there. */
    size_t room_bytes = floats_of(form) * sizeof(float);
    char *raw = (char *)out + (room_bytes - bytes);
    PULMO_TRY(read_bytes(shard, shard->offset + row * bytes, bytes, raw));
    if (pulmo_xxh3(raw, bytes) != shard->sums[row])
        return pulmo_fail(PULMO_DATA,
                          "%s: features of image %u are not what was written (XXH3): the file is "
                          "damaged; remove it and run the same command "
                          "again: it is computed anew",
                          shard->path, sample);
    if (form->half)
        bank_from_half(floats_of(form), (const uint16_t *)(const void *)raw, out);
    return PULMO_OK;
}
