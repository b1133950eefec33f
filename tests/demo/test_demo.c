/* The demo data: the same bytes for any number of threads, names and patients as promised, no
 * overwriting of others' files, and a class that brightness does not give away. */
#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pulmo/demo.h"
#include "pulmo/digest.h"
#include "pulmo/file.h"
#include "pulmo/log.h"

#include "phantom.h"

#define FILES_MOST 128
#define PATH_BYTES 512

static char scratch[64];

/* ---- a directory's files ---- */

typedef struct listing {
    int count;
    char name[FILES_MOST][PATH_BYTES]; /* below the directory, sorted */
} listing;

static listing *filling;
static size_t root_length;

static int note_file(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)where;
    if (kind == FTW_F) {
        assert_true(filling->count < FILES_MOST);
        snprintf(filling->name[filling->count++], PATH_BYTES, "%s", path + root_length + 1);
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void list_files(const char *directory, listing *out)
{
    memset(out, 0, sizeof *out);
    filling = out;
    root_length = strlen(directory);
    assert_int_equal(nftw(directory, note_file, 8, FTW_PHYS), 0);
    qsort(out->name, (size_t)out->count, sizeof out->name[0], by_name);
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static void directory_of(char *out, const char *name)
{
    snprintf(out, PATH_BYTES, "%s/%s", scratch, name);
}

static int make_scratch(void **state)
{
    (void)state;
    pulmo_log_setup(PULMO_LOG_QUIET, 0, 1);
    snprintf(scratch, sizeof scratch, "/tmp/pulmo-demo-XXXXXX");
    return mkdtemp(scratch) ? 0 : -1;
}

static int drop_scratch(void **state)
{
    (void)state;
    return nftw(scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- demos ---- */

static pulmo_demo_options small_options(const char *directory, uint64_t seed, int threads)
{
    pulmo_demo_options options;
    pulmo_demo_options_init(&options);
    options.directory = directory;
    options.seed = seed;
    options.images[0] = 8;
    options.images[1] = 3;
    options.images[2] = 4;
    options.threads = threads;
    return options;
}

static void write_small(const char *name, uint64_t seed, int threads, char *directory)
{
    directory_of(directory, name);
    pulmo_demo_options options = small_options(directory, seed, threads);
    assert_int_equal(pulmo_demo_write(&options), PULMO_OK);
}

static void digest_of_file(const char *directory, const char *name, char hex[PULMO_DIGEST_HEX])
{
    char path[2 * PATH_BYTES];
    uint8_t *data = NULL;
    size_t bytes = 0;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(pulmo_file_read(path, 1 << 26, &data, &bytes), PULMO_OK);
    pulmo_digest digest = pulmo_digest_of(data, bytes);
    pulmo_digest_hex(&digest, hex);
    free(data);
}

static int same_files(const char *a, const char *b, const listing *files)
{
    int same = 0;
    for (int i = 0; i < files->count; i++) {
        char left[PULMO_DIGEST_HEX], right[PULMO_DIGEST_HEX];
        digest_of_file(a, files->name[i], left);
        digest_of_file(b, files->name[i], right);
        same += strcmp(left, right) == 0;
    }
    return same;
}

static void threads_do_not_matter(void **state)
{
    char one[PATH_BYTES], three[PATH_BYTES];
    listing *a = malloc(sizeof *a), *b = malloc(sizeof *b);
    (void)state;
    write_small("one", 7, 1, one);
    write_small("three", 7, 3, three);
    list_files(one, a);
    list_files(three, b);
    assert_int_equal(a->count, 8 + 3 + 4 + 2); /* README.txt and DEMO besides */
    assert_memory_equal(a, b, sizeof *a);
    assert_int_equal(same_files(one, three, a), a->count);
    free(a);
    free(b);
}

static void another_seed_is_another_demo(void **state)
{
    pulmo_image a = {0}, b = {0};
    (void)state;
    assert_int_equal(phantom_draw(1, 0, 1, 0, &a), PULMO_OK);
    assert_int_equal(phantom_draw(2, 0, 1, 0, &b), PULMO_OK);
    int same_size = a.width_px == b.width_px && a.height_px == b.height_px;
    assert_false(same_size &&
                 memcmp(a.pixels, b.pixels, (size_t)a.width_px * (size_t)a.height_px) == 0);
    pulmo_image_free(&a);
    pulmo_image_free(&b);
}

/* The patient of a file, and the split's letter; as pulmo pack tells them by default. */
static void patient_of(const char *name, char *patient, size_t bytes)
{
    const char *file = strrchr(name, '/') + 1;
    const char *end = strncmp(file, "person", 6) == 0 ? strchr(file, '_') : strrchr(file, '-');
    assert_non_null(end);
    snprintf(patient, bytes, "%.*s", (int)(end - file), file);
}

static int count_with(const listing *files, const char *part)
{
    int count = 0;
    for (int i = 0; i < files->count; i++)
        count += strstr(files->name[i], part) != NULL;
    return count;
}

static void names_and_patients(void **state)
{
    char directory[PATH_BYTES];
    listing *files = malloc(sizeof *files);
    int siblings = 0;
    (void)state;
    write_small("names", 3, 2, directory);
    list_files(directory, files);
    assert_int_equal(count_with(files, "train/NORMAL/"), 4);
    assert_int_equal(count_with(files, "train/PNEUMONIA/person"), 4);
    assert_int_equal(count_with(files, "val/NORMAL/"), 2);
    assert_int_equal(count_with(files, "val/PNEUMONIA/person"), 1);
    assert_int_equal(count_with(files, "test/"), 4);
    assert_int_equal(count_with(files, ".jpeg"), 15);
    for (int i = 0; i < files->count; i++)
        for (int j = 0; j < i; j++) {
            char mine[64], other[64];
            if (!strstr(files->name[i], ".jpeg") || !strstr(files->name[j], ".jpeg"))
                continue;
            patient_of(files->name[i], mine, sizeof mine);
            patient_of(files->name[j], other, sizeof other);
            if (strcmp(mine, other) != 0)
                continue;
            siblings++;
            assert_int_equal(files->name[i][0], files->name[j][0]); /* the same split */
        }
    assert_true(siblings > 0);
    free(files);
}

static void files_are_grey_jpegs_of_varied_size(void **state)
{
    char directory[PATH_BYTES], path[2 * PATH_BYTES];
    listing *files = malloc(sizeof *files);
    int narrowest = 1 << 20, widest = 0;
    (void)state;
    write_small("jpegs", 4, 2, directory);
    list_files(directory, files);
    for (int i = 0; i < files->count; i++) {
        uint8_t *data = NULL;
        size_t bytes = 0;
        pulmo_image image = {0};
        pulmo_decode_spec spec;
        if (!strstr(files->name[i], ".jpeg"))
            continue;
        pulmo_decode_spec_init(&spec);
        snprintf(path, sizeof path, "%s/%s", directory, files->name[i]);
        assert_int_equal(pulmo_file_read(path, 1 << 26, &data, &bytes), PULMO_OK);
        assert_int_equal(pulmo_image_decode(data, bytes, &spec, &image, NULL), PULMO_OK);
        assert_int_equal(image.channels, 1);
        assert_in_range(image.width_px, 300, 700);
        assert_true(image.height_px < image.width_px);
        narrowest = image.width_px < narrowest ? image.width_px : narrowest;
        widest = image.width_px > widest ? image.width_px : widest;
        pulmo_image_free(&image);
        free(data);
    }
    assert_true(widest - narrowest > 100);
    free(files);
}

/* ---- what is there already ---- */

static void put_text(const char *directory, const char *name, const char *text)
{
    char path[2 * PATH_BYTES];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void the_same_demo_is_left_alone(void **state)
{
    char directory[PATH_BYTES], path[2 * PATH_BYTES];
    struct stat before, after;
    (void)state;
    write_small("again", 5, 2, directory);
    snprintf(path, sizeof path, "%s/DEMO", directory);
    assert_int_equal(stat(path, &before), 0);
    write_small("again", 5, 1, directory);
    assert_int_equal(stat(path, &after), 0);
    assert_true(before.st_ino == after.st_ino && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
    pulmo_demo_options other = small_options(directory, 6, 1);
    assert_int_equal(pulmo_demo_write(&other), PULMO_USAGE);
    assert_non_null(strstr(pulmo_error(), directory));
    pulmo_error_clear();
}

static void others_files_are_refused(void **state)
{
    char directory[PATH_BYTES];
    listing *files = malloc(sizeof *files);
    (void)state;
    directory_of(directory, "theirs");
    assert_int_equal(mkdir(directory, 0777), 0);
    put_text(directory, "thesis.txt", "not to be lost");
    pulmo_demo_options options = small_options(directory, 0, 1);
    assert_int_equal(pulmo_demo_write(&options), PULMO_USAGE);
    pulmo_error_clear();
    list_files(directory, files);
    assert_int_equal(files->count, 1);
    free(files);
}

static void an_interrupted_demo_is_finished(void **state)
{
    char whole[PATH_BYTES], part[PATH_BYTES], from[2 * PATH_BYTES], to[2 * PATH_BYTES];
    listing *files = malloc(sizeof *files);
    (void)state;
    write_small("whole", 9, 2, whole);
    write_small("part", 9, 2, part);
    list_files(whole, files);
    snprintf(from, sizeof from, "%s/DEMO", part); /* as it stands before the end */
    snprintf(to, sizeof to, "%s/UNFINISHED", part);
    assert_int_equal(rename(from, to), 0);
    snprintf(from, sizeof from, "%s/%s", part, files->name[3]);
    assert_int_equal(remove(from), 0);
    write_small("part", 9, 2, part);
    assert_int_equal(same_files(whole, part, files), files->count);
    assert_int_not_equal(access(to, F_OK), 0);
    free(files);
}

/* ---- how hard it is ---- */

static double mean_level(int kind, uint32_t patient)
{
    pulmo_image image = {0};
    double sum = 0;
    assert_int_equal(phantom_draw(11, kind, patient, 0, &image), PULMO_OK);
    size_t count = (size_t)image.width_px * (size_t)image.height_px;
    for (size_t i = 0; i < count; i++)
        sum += image.pixels[i];
    pulmo_image_free(&image);
    return sum / (double)count;
}

/* 60 of each class: the AUC of mean brightness has a standard error of 0.05. */
static void brightness_does_not_tell(void **state)
{
    enum { EACH = 60 };
    double well[EACH], sick[EACH], wins = 0;
    (void)state;
    for (uint32_t i = 0; i < EACH; i++) {
        well[i] = mean_level(0, 1 + i);
        sick[i] = mean_level(1 + (int)(i % 2), 1000 + i);
    }
    for (int i = 0; i < EACH; i++)
        for (int j = 0; j < EACH; j++)
            wins += 0.5 * (sick[i] > well[j]) + 0.5 * (sick[i] >= well[j]);
    double auc = wins / (EACH * EACH);
    print_message("AUC of mean brightness: %.3f\n", auc);
    assert_true(auc > 0.35 && auc < 0.65);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(another_seed_is_another_demo),
        cmocka_unit_test(names_and_patients),
        cmocka_unit_test(files_are_grey_jpegs_of_varied_size),
        cmocka_unit_test(the_same_demo_is_left_alone),
        cmocka_unit_test(others_files_are_refused),
        cmocka_unit_test(an_interrupted_demo_is_finished),
        cmocka_unit_test(brightness_does_not_tell),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
