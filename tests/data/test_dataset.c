/* Packed data sets: what is written is read; what is damaged or mixed up is refused by name. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pulmo/dataset.h"
#include "pulmo/file.h"
#include "pulmo/h5.h"
#include "pulmo/image.h"
#include "pulmo/memory.h"
#include "pulmo/split.h"

#include "packing.h"

/* HDF5 1.10 itself loses an object header that it finds damaged; the leak check looks past that. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libhdf5\n";
}

static int make(void **state)
{
    *state = make_packing(1);
    return 0;
}

static int drop(void **state)
{
    remove_packing(*state);
    return 0;
}

/* ---- what is written is read ---- */

static void check_round_trip(packing *p, uint32_t count, uint32_t shards)
{
    pulmo_dataset *dataset = NULL;
    uint8_t pixels[PACK_SIDE * PACK_SIDE * 3];
    size_t bytes = (size_t)(PACK_SIDE * PACK_SIDE * p->channels);
    assert_int_equal(write_packing(p, "train", count, shards), PULMO_OK);
    assert_int_equal(pulmo_dataset_open(p->directory, "train", 0, &dataset), PULMO_OK);
    const pulmo_dataset_info *info = pulmo_dataset_info_of(dataset);
    assert_int_equal(info->count, count);
    assert_int_equal(info->height_px, PACK_SIDE);
    assert_int_equal(info->width_px, PACK_SIDE);
    assert_int_equal(info->channels, p->channels);
    assert_int_equal(info->classes, 3);
    assert_string_equal(info->class_names[2], "OTHER");
    assert_int_equal(info->is_demo, 1);
    assert_int_equal(strlen(info->digest_hex), 64);
    assert_int_equal(info->kept, 2);
    assert_string_equal(info->kept_names[1], "AP/PA");
    assert_string_equal(info->kept_columns[0][count - 1], p->names[2][count - 1]);
    assert_string_equal(info->kept_columns[1][0], p->names[0][0]);
    for (uint32_t n = 0; n < count; n++) {
        uint32_t i = (uint32_t)((uint64_t)n * 97 %
                                count); /* goes to and fro between shards (97 shares no factor) */
        assert_int_equal(info->labels[i], p->labels[i]);
        assert_string_equal(info->paths[i], p->names[0][i]);
        assert_string_equal(info->groups[i], p->names[1][i]);
        assert_int_equal(pulmo_dataset_read(dataset, i, pixels), PULMO_OK);
        for (size_t at = 0; at < bytes; at++)
            assert_int_equal(pixels[at], packed_pixel(i, at));
    }
    assert_int_equal(pulmo_dataset_read(dataset, count, pixels), PULMO_RUNTIME);
    pulmo_dataset_close(dataset);
}

static void written_is_read(void **state)
{
    packing *p = *state;
    check_round_trip(p, 20, 3);
    check_round_trip(p, 1, 1);
    check_round_trip(p, 5, 9);   /* some shards are empty */
    check_round_trip(p, 60, 30); /* more files than are held open */
    p->channels = 3;
    check_round_trip(p, 10, 2);
}

/* One part of fold k: the images of which it must consist, in stored order. Returns how many. */
static uint32_t check_part(packing *p, int k, int part, char digest[65])
{
    pulmo_dataset *dataset = NULL;
    uint8_t pixels[PACK_SIDE * PACK_SIDE];
    uint32_t seen = 0;
    assert_int_equal(pulmo_dataset_open_fold(p->directory, k, pulmo_split_name(part), 0, &dataset),
                     PULMO_OK);
    const pulmo_dataset_info *info = pulmo_dataset_info_of(dataset);
    for (uint32_t i = 0; i < 40; i++) {
        int expected = PULMO_SPLIT_TRAIN;
        if (p->fold[i] == k)
            expected = PULMO_SPLIT_TEST;
        if (p->fold[i] == (k + 1) % p->folds)
            expected = PULMO_SPLIT_VAL;
        if (expected != part)
            continue;
        assert_true(seen < info->count);
        assert_string_equal(info->paths[seen], p->names[0][i]);
        assert_string_equal(info->groups[seen], p->names[1][i]);
        assert_int_equal(info->labels[seen], p->labels[i]);
        assert_int_equal(pulmo_dataset_read(dataset, seen, pixels), PULMO_OK);
        for (size_t at = 0; at < sizeof pixels; at++)
            assert_int_equal(pixels[at], packed_pixel(i, at));
        seen++;
    }
    assert_int_equal(info->count, seen);
    assert_int_equal(pulmo_dataset_read(dataset, seen, pixels), PULMO_RUNTIME);
    snprintf(digest, 65, "%s", info->digest_hex);
    pulmo_dataset_close(dataset);
    return seen;
}

/* Fold k is the test, the next one val, the others train; each with a digest of its own. */
static void folds_are_splits(void **state)
{
    packing *p = *state;
    char digest[12][65];
    p->folds = 4;
    assert_int_equal(write_packing(p, "train", 40, 3), PULMO_OK);
    for (int k = 0; k < 4; k++) {
        uint32_t images = 0;
        for (int part = 0; part < PULMO_SPLITS; part++)
            images += check_part(p, k, part, digest[3 * k + part]);
        assert_int_equal(images, 40);
    }
    for (int i = 0; i < 12; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(digest[i], digest[j]);
}

static void there_must_be_such_a_fold(void **state)
{
    packing *p = *state;
    pulmo_dataset *dataset = NULL;
    assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
    assert_int_equal(pulmo_dataset_open_fold(p->directory, 0, "test", 0, &dataset), PULMO_CONFIG);
    assert_non_null(strstr(pulmo_error(), "packed without folds"));
    p->folds = 3;
    assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
    assert_int_equal(pulmo_dataset_open_fold(p->directory, 3, "test", 0, &dataset), PULMO_CONFIG);
    assert_non_null(strstr(pulmo_error(), "has 3 folds: 0 to 2"));
}

static int open_files(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void few_files_are_held_open(void **state)
{
    packing *p = *state;
    pulmo_dataset *dataset = NULL;
    uint8_t pixels[PACK_SIDE * PACK_SIDE];
    int before = open_files();
    assert_int_equal(write_packing(p, "train", 60, 30), PULMO_OK);
    assert_int_equal(pulmo_dataset_open(p->directory, "train", 0, &dataset), PULMO_OK);
    assert_int_equal(open_files(), before);
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(pulmo_dataset_read(dataset, i, pixels), PULMO_OK);
        assert_true(open_files() <= before + 8);
    }
    pulmo_dataset_close(dataset);
    assert_int_equal(open_files(), before);
}

/* What other programs find in a shard. */
static void a_shard_describes_itself(void **state)
{
    packing *p = *state;
    pulmo_h5 *file = NULL;
    pulmo_h5_shape shape;
    int64_t index[5], number = 0;
    char *text = NULL;
    assert_int_equal(write_packing(p, "train", 15, 3), PULMO_OK);
    char *path = pulmo_shard_path(p->directory, "train", 1, 3);
    assert_int_equal(pulmo_h5_open(path, &file), PULMO_OK);
    assert_int_equal(pulmo_h5_read(file, "index", PULMO_H5_I64, 1, (uint64_t[]){5}, index),
                     PULMO_OK);
    for (int i = 0; i < 5; i++)
        assert_int_equal(index[i], 5 + i);
    static const char *const scaled[] = {"images", "labels", "paths", "groups", "digests"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(pulmo_h5_shape_of(file, scaled[i], &shape), PULMO_OK);
        assert_int_equal(shape.dims[0], 5);
        assert_true(pulmo_h5_has_attribute(file, scaled[i], "DIMENSION_LIST"));
    }
    assert_int_equal(pulmo_h5_get_int(file, "/", "shard", &number), PULMO_OK);
    assert_int_equal(number, 1);
    assert_int_equal(pulmo_h5_get_text(file, "/", "split", &text), PULMO_OK);
    assert_string_equal(text, "train");
    free(text);
    pulmo_h5_close(file);
    free(path);
}

static void empty_and_absent(void **state)
{
    packing *p = *state;
    pulmo_dataset *dataset = NULL;
    assert_int_equal(write_packing(p, "val", 0, 1), PULMO_OK);
    assert_int_equal(pulmo_dataset_open(p->directory, "val", 0, &dataset), PULMO_OK);
    assert_int_equal(pulmo_dataset_info_of(dataset)->count, 0);
    pulmo_dataset_close(dataset);
    assert_int_equal(pulmo_dataset_open(p->directory, "test", 1, &dataset), PULMO_OK);
    assert_int_equal(pulmo_dataset_info_of(dataset)->count, 0);
    assert_int_equal(pulmo_dataset_info_of(dataset)->classes, 3);
    pulmo_dataset_close(dataset);
    assert_int_equal(pulmo_dataset_open(p->directory, "test", 0, &dataset), PULMO_DATA);
    assert_non_null(strstr(pulmo_error(), "\"test\""));
    assert_non_null(strstr(pulmo_error(), "there are: val"));
    pulmo_dataset_close(NULL);
}

static void same_input_same_bytes(void **state)
{
    static const char *const names[] = {"manifest.h5", "train-00000-of-00002.h5",
                                        "train-00001-of-00002.h5"};
    packing *p = *state;
    for (int i = 0; i < 3; i++) {
        uint8_t *first = NULL, *second = NULL;
        size_t first_bytes = 0, second_bytes = 0;
        char *path = pulmo_format("%s/%s", p->directory, names[i]);
        assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
        assert_int_equal(pulmo_file_read(path, 1 << 24, &first, &first_bytes), PULMO_OK);
        usleep(i == 0 ? 1100000 : 0); /* a time of writing would show */
        assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
        assert_int_equal(pulmo_file_read(path, 1 << 24, &second, &second_bytes), PULMO_OK);
        assert_int_equal(first_bytes, second_bytes);
        assert_memory_equal(first, second, first_bytes);
        free(first);
        free(second);
        free(path);
    }
}

/* The digest stands for labels, paths and sources, in order. */
static void digest_tells(void **state)
{
    packing *p = *state;
    char digests[3][65];
    for (int k = 0; k < 3; k++) {
        pulmo_dataset *dataset = NULL;
        assert_int_equal(write_packing(p, "train", k == 1 ? 11 : 12, k == 2 ? 3 : 2), PULMO_OK);
        assert_int_equal(pulmo_dataset_open(p->directory, "train", 0, &dataset), PULMO_OK);
        snprintf(digests[k], sizeof digests[k], "%s", pulmo_dataset_info_of(dataset)->digest_hex);
        pulmo_dataset_close(dataset);
    }
    assert_string_not_equal(digests[0], digests[1]);
    assert_string_equal(digests[0], digests[2]); /* how it is cut into files does not matter */
    pulmo_dataset *dataset = NULL;
    const pulmo_packed_split split = packing_split(p, "train", 12, 2);
    const pulmo_manifest manifest = {.form = packing_form(p),
                                     .splits = 1,
                                     .split = &split,
                                     .split_notes = "",
                                     .patients = "known",
                                     .patients_by = "a test",
                                     .options = "",
                                     .config = "pack:\n"};
    p->text[3][5][0] = 'P'; /* one image's pixels */
    for (uint32_t s = 0; s < 2; s++)
        assert_int_equal(write_shard(p, &split, s), PULMO_OK);
    assert_int_equal(pulmo_manifest_write(p->directory, &manifest), PULMO_OK);
    assert_int_equal(pulmo_dataset_open(p->directory, "train", 0, &dataset), PULMO_OK);
    assert_string_not_equal(pulmo_dataset_info_of(dataset)->digest_hex, digests[0]);
    pulmo_dataset_close(dataset);
}

static void abandoned_leaves_nothing(void **state)
{
    packing *p = *state;
    pulmo_shard_writer *writer = NULL;
    const pulmo_packed_form form = packing_form(p);
    const pulmo_packed_split split = packing_split(p, "train", 4, 1);
    assert_int_equal(pulmo_shard_create(p->directory, &form, &split, 0, &writer), PULMO_OK);
    pulmo_shard_abandon(writer);
    pulmo_shard_abandon(NULL);
    assert_int_equal(rmdir(p->directory), 0);
    assert_int_equal(pulmo_shard_create(p->directory, &form, &split, 0, &writer), PULMO_IO);
    assert_non_null(strstr(pulmo_error(), p->directory));
}

/* ---- damage ---- */

static void check_refused(const packing *p, const char *reason)
{
    pulmo_dataset *dataset = NULL;
    assert_int_equal(pulmo_dataset_open(p->directory, "train", 0, &dataset), PULMO_DATA);
    assert_null(dataset);
    if (!strstr(pulmo_error(), p->directory))
        fail_msg("\"%s\" does not name the file", pulmo_error());
    if (!strstr(pulmo_error(), reason))
        fail_msg("\"%s\" does not say \"%s\"", pulmo_error(), reason);
}

static void no_data_set_there(void **state)
{
    packing *p = *state;
    check_refused(p, "pulmo pack");
    rmdir(p->directory);
    check_refused(p, "pulmo pack");
}

/* Puts `text` where a file was. */
static void overwrite(const packing *p, const char *name, const char *text)
{
    char *path = pulmo_format("%s/%s", p->directory, name);
    assert_int_equal(pulmo_file_write(path, text, strlen(text)), PULMO_OK);
    free(path);
}

static void not_hdf5(void **state)
{
    packing *p = *state;
    assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
    overwrite(p, "train-00001-of-00002.h5", "no shard");
    check_refused(p, "train-00001-of-00002.h5");
    overwrite(p, "manifest.h5", "");
    check_refused(p, "manifest.h5");
}

static void missing_shard(void **state)
{
    packing *p = *state;
    assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
    char *path = pulmo_shard_path(p->directory, "train", 1, 2);
    assert_int_equal(unlink(path), 0);
    check_refused(p, "pack again");
    assert_non_null(strstr(pulmo_error(), path));
    free(path);
}

/* A shard cut short anywhere is refused on opening or, where only pixels are gone, on reading. */
static void cut_short(void **state)
{
    packing *p = *state;
    assert_int_equal(write_packing(p, "train", 12, 1), PULMO_OK);
    uint8_t *whole = NULL, pixels[PACK_SIDE * PACK_SIDE];
    size_t bytes = 0;
    char *path = pulmo_shard_path(p->directory, "train", 0, 1);
    assert_int_equal(pulmo_file_read(path, 1 << 24, &whole, &bytes), PULMO_OK);
    for (size_t cut = 0; cut < bytes; cut += 509) {
        pulmo_dataset *dataset = NULL;
        assert_int_equal(pulmo_file_write(path, whole, cut), PULMO_OK);
        pulmo_status status = pulmo_dataset_open(p->directory, "train", 0, &dataset);
        for (uint32_t i = 0; status == PULMO_OK && i < 12; i++)
            status = pulmo_dataset_read(dataset, i, pixels);
        assert_int_equal(status, PULMO_DATA);
        assert_non_null(strstr(pulmo_error(), path));
        pulmo_dataset_close(dataset);
    }
    free(whole);
    free(path);
}

/* The shard or manifest of another packing, under this one's name. */
static void mixed_up(void **state)
{
    packing *p = *state;
    assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
    pulmo_packed_split other = packing_split(p, "train", 12, 2);
    p->labels[8] = 1 - p->labels[8]; /* one label of shard 1 */
    assert_int_equal(write_shard(p, &other, 1), PULMO_OK);
    check_refused(p, "not those in the manifest");
    other = packing_split(p, "train", 12, 2);
    p->text[2][7][0] = 'S'; /* one source */
    assert_int_equal(write_shard(p, &other, 1), PULMO_OK);
    check_refused(p, "not those in the manifest");
    other = packing_split(p, "train", 12, 2);
    p->text[3][7][0] = 'P'; /* one image's pixels */
    assert_int_equal(write_shard(p, &other, 1), PULMO_OK);
    check_refused(p, "not those in the manifest");
    other = packing_split(p, "train", 14, 2);
    assert_int_equal(write_shard(p, &other, 1), PULMO_OK);
    check_refused(p, "6 x 32 x 32 x 1");
    p->channels = 3;
    other = packing_split(p, "train", 12, 2);
    assert_int_equal(write_shard(p, &other, 1), PULMO_OK);
    check_refused(p, "6 x 32 x 32 x 1");
    other = packing_split(p, "train", 12, 2);
    p->channels = 1;
    assert_int_equal(write_shard(p, &other, 1), PULMO_OK);
    pulmo_dataset *dataset = NULL;
    assert_int_equal(pulmo_dataset_open(p->directory, "train", 0, &dataset), PULMO_OK);
    /* Swapped while it is in use: refused each time it is read, and closed all the same. */
    p->channels = 3;
    other = packing_split(p, "train", 12, 2);
    assert_int_equal(write_shard(p, &other, 1), PULMO_OK);
    p->channels = 1;
    uint8_t pixels[3 * PACK_SIDE * PACK_SIDE];
    assert_int_equal(pulmo_dataset_read(dataset, 0, pixels), PULMO_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pulmo_dataset_read(dataset, 8, pixels), PULMO_DATA);
    pulmo_dataset_close(dataset);
}

static void swapped_files(void **state)
{
    packing *p = *state;
    assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
    char *shard = pulmo_shard_path(p->directory, "train", 0, 2),
         *manifest = pulmo_format("%s/manifest.h5", p->directory);
    assert_int_equal(rename(shard, manifest), 0);
    check_refused(p, "not a manifest");
    assert_int_equal(write_packing(p, "train", 12, 2), PULMO_OK);
    assert_int_equal(rename(manifest, shard), 0);
    check_refused(p, "manifest.h5");
    assert_int_equal(link(shard, manifest), 0);
    check_refused(p, "not a shard");
    free(shard);
    free(manifest);
}

/* Labels beyond the classes, whose digest is in order: a writer's mistake, found by the reader. */
static void label_out_of_range(void **state)
{
    packing *p = *state;
    const pulmo_packed_split split = packing_split(p, "train", 6, 1);
    for (int value = -1; value <= 3; value += 4) {
        p->labels[4] = value;
        const pulmo_manifest manifest = {.form = packing_form(p),
                                         .patients = "known",
                                         .patients_by = "a test",
                                         .splits = 1,
                                         .split = &split,
                                         .split_notes = "",
                                         .options = "",
                                         .config = "pack:\n"};
        assert_int_equal(write_shard(p, &split, 0), PULMO_OK);
        assert_int_equal(pulmo_manifest_write(p->directory, &manifest), PULMO_OK);
        check_refused(p, "must be 0 to 2");
        assert_non_null(strstr(pulmo_error(), "label 4"));
    }
}

/* As pulmo_file_write, without waiting for the disk. */
static void put_file(const char *path, const uint8_t *bytes, size_t size)
{
    FILE *out = fopen(path, "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

/* Any byte of a shard changed: refused, or the images are what was packed. */
static void changed_shard(void **state)
{
    packing *p = *state;
    assert_int_equal(write_packing(p, "train", 6, 1), PULMO_OK);
    uint8_t *bytes = NULL, pixels[PACK_SIDE * PACK_SIDE];
    size_t size = 0, refused = 0, tried = 0;
    char *path = pulmo_shard_path(p->directory, "train", 0, 1);
    assert_int_equal(pulmo_file_read(path, 1 << 24, &bytes, &size), PULMO_OK);
    for (size_t at = 0; at < size; at += 19, tried++) {
        pulmo_dataset *dataset = NULL;
        bytes[at] ^= (uint8_t)(1 << at % 8);
        put_file(path, bytes, size);
        bytes[at] ^= (uint8_t)(1 << at % 8);
        pulmo_status status = pulmo_dataset_open(p->directory, "train", 0, &dataset);
        for (uint32_t i = 0; status == PULMO_OK && i < 6; i++) {
            status = pulmo_dataset_read(dataset, i, pixels);
            for (size_t k = 0; status == PULMO_OK && k < sizeof pixels; k++)
                assert_int_equal(pixels[k], packed_pixel(i, k));
        }
        pulmo_dataset_close(dataset);
        refused += status == PULMO_DATA;
    }
    assert_true(refused + 3 >= tried); /* but for the mark, and HDF5's sums behind images */
    free(bytes);
    free(path);
}

/* A changed pixel names its file and its image, whatever HDF5's own sum says. */
static void changed_pixel(void **state)
{
    packing *p = *state;
    assert_int_equal(write_packing(p, "train", 6, 1), PULMO_OK);
    uint8_t *bytes = NULL, pixels[PACK_SIDE * PACK_SIDE], third[PACK_SIDE * PACK_SIDE];
    size_t size = 0;
    pulmo_dataset *dataset = NULL;
    char *path = pulmo_shard_path(p->directory, "train", 0, 1);
    for (size_t at = 0; at < sizeof third; at++)
        third[at] = packed_pixel(2, at);
    assert_int_equal(pulmo_file_read(path, 1 << 24, &bytes, &size), PULMO_OK);
    uint8_t *image = memmem(bytes, size, third, sizeof third);
    assert_non_null(image);
    /* Two words exchanged: Fletcher's sum weighs them by their places, so a third makes up for it.
     */
    image[100]++;
    image[102] -= 2;
    image[104]++;
    put_file(path, bytes, size);
    assert_int_equal(pulmo_dataset_open(p->directory, "train", 0, &dataset), PULMO_OK);
    assert_int_equal(pulmo_dataset_read(dataset, 1, pixels), PULMO_OK);
    assert_int_equal(pulmo_dataset_read(dataset, 2, pixels), PULMO_DATA);
    assert_non_null(strstr(pulmo_error(), "image folder train/2 cannot be read"));
    assert_non_null(
        strstr(pulmo_error(), "train-00000-of-00001.h5: /images: row 2 is not what was"));
    pulmo_dataset_close(dataset);
    free(bytes);
    free(path);
}

/* Any byte of the manifest's lists changed is found by the digest; any byte at all never crashes.
 */
static void changed_manifest(void **state)
{
    packing *p = *state;
    assert_int_equal(write_packing(p, "train", 12, 1), PULMO_OK);
    uint8_t *bytes = NULL;
    size_t size = 0, found = 0;
    char *path = pulmo_format("%s/manifest.h5", p->directory);
    assert_int_equal(pulmo_file_read(path, 1 << 24, &bytes, &size), PULMO_OK);
    for (size_t at = 0; at < size; at += 23) {
        pulmo_dataset *dataset = NULL;
        bytes[at] ^= 0x41;
        put_file(path, bytes, size);
        pulmo_status status = pulmo_dataset_open(p->directory, "train", 0, &dataset);
        found += status != PULMO_OK;
        if (status == PULMO_OK)
            pulmo_dataset_close(dataset);
        else
            assert_non_null(strstr(pulmo_error(), p->directory));
        bytes[at] ^= 0x41;
    }
    assert_true(found + 1 >= size / 23); /* but for the seal's own mark */
    /* One label, told by its place: twelve numbers i * 7 % 3 in a row. */
    int32_t labels[12];
    for (int i = 0; i < 12; i++)
        labels[i] = i * 7 % 3;
    uint8_t *at = memmem(bytes, size, labels, sizeof labels);
    assert_non_null(at);
    at[4] ^= 3; /* 1 becomes 2: a class, but the wrong one */
    put_file(path, bytes, size);
    check_refused(p, "(SHA-256)");
    free(bytes);
    free(path);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make, drop)
    const struct CMUnitTest tests[] = {
        TEST(written_is_read),
        TEST(folds_are_splits),
        TEST(there_must_be_such_a_fold),
        TEST(few_files_are_held_open),
        TEST(a_shard_describes_itself),
        TEST(empty_and_absent),
        TEST(same_input_same_bytes),
        TEST(digest_tells),
        TEST(abandoned_leaves_nothing),
        TEST(no_data_set_there),
        TEST(not_hdf5),
        TEST(missing_shard),
        TEST(cut_short),
        TEST(mixed_up),
        TEST(swapped_files),
        TEST(label_out_of_range),
        TEST(changed_shard),
        TEST(changed_pixel),
        TEST(changed_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
