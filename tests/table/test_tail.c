/* Which file a row means. */
#include "support.h"

#include "pulmo/clock.h"
#include "tail.h"

#define MOST 16

typedef struct matched {
    tail_match of[MOST];
} matched;

/* Rows and files as lists that end with NULL. */
static matched match(const char *const *rows, const char *const *files)
{
    size_t row_count = 0, file_count = 0;
    tail_index *row_index = NULL, *file_index = NULL;
    matched found;
    while (rows[row_count])
        row_count++;
    while (files[file_count])
        file_count++;
    assert_ok(tail_index_make(rows, row_count, &row_index));
    assert_ok(tail_index_make(files, file_count, &file_index));
    assert_ok(tail_match_all(row_index, file_index, found.of));
    tail_index_free(row_index);
    tail_index_free(file_index);
    return found;
}

#define LIST(...)                                                                                  \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void assert_file(const matched *m, size_t row, uint32_t file)
{
    if (m->of[row].file != file)
        fail_msg("row %zu: file %d, not %d", row, (int)m->of[row].file, (int)file);
}

static void test_names(void **state)
{
    (void)state;
    matched m = match(LIST("00000002_000.png", "00000001_000.png", "00000009_000.png"),
                      LIST("images_001/images/00000001_000.png", "LICENSE",
                           "images_002/images/00000002_000.JPG"));
    assert_file(&m, 0, 2);
    assert_file(&m, 1, 0);
    assert_file(&m, 2, TAIL_NONE);
    m = match(LIST("1.2.840.113", "02aa804e-bde0afdd"),
              LIST("p10/1.2.840.113.dcm", "p10/1.2.840.dcm", "files/p10/s5/02aa804e-bde0afdd.jpg"));
    assert_file(&m, 0, 0);
    assert_file(&m, 1, 2);
    m = match(LIST("./a/x.png", "\\b\\x.png"), LIST("b/x.png", "a//x.png"));
    assert_file(&m, 0, 1);
    assert_file(&m, 1, 0);
}

/* Base names repeat: the folders tell, wherever the source begins. */
static void test_folders(void **state)
{
    const char *const *rows = LIST("CheXpert-v1.0-small/train/patient1/study1/view1_frontal.jpg",
                                   "CheXpert-v1.0-small/train/patient2/study1/view1_frontal.jpg",
                                   "CheXpert-v1.0-small/train/patient3/study1/view1_frontal.jpg",
                                   "CheXpert-v1.0-small/valid/patient9/study1/view1_frontal.jpg");
    (void)state;
    matched m =
        match(rows, LIST("patient2/study1/view1_frontal.jpg", "patient1/study1/view1_frontal.jpg"));
    assert_file(&m, 0, 1);
    assert_file(&m, 1, 0);
    assert_file(&m, 2, TAIL_NONE);
    assert_file(&m, 3, TAIL_NONE);
    /* Another name of the set's folder, and a file that no row is of. */
    m = match(rows, LIST("mine/valid/patient9/study1/view1_frontal.jpg",
                         "mine/train/patient4/study1/view1_frontal.jpg"));
    assert_file(&m, 0, TAIL_NONE);
    assert_file(&m, 1, TAIL_NONE);
    assert_file(&m, 2, TAIL_NONE);
    assert_file(&m, 3, 0);
    /* One patient alone is not taken for another that is not there. */
    m = match(LIST("v/train/p1/s1/view1.jpg", "v/train/p2/s2/view1.jpg"),
              LIST("x/valid/p7/s2/view1.jpg"));
    assert_file(&m, 1, TAIL_NONE);
    m = match(LIST("other/place/x.png"), LIST("here/x.png"));
    assert_file(&m, 0, 0);
}

/* Where the row's folder is on disk without the file, the file of another folder is not the row's.
 */
static void test_other_folder(void **state)
{
    const char *const *rows = LIST("b/4.png", "b/5.png");
    (void)state;
    matched m = match(rows, LIST("img/a/4.png", "img/a/5.png", "img/b/4.png"));
    assert_file(&m, 0, 2);
    assert_file(&m, 1, TAIL_NONE);
    m = match(rows, LIST("5.png", "b/4.png"));
    assert_file(&m, 1, TAIL_NONE);
    m = match(rows, LIST("a/5.png", "a/4.png", "b/6"));
    assert_file(&m, 0, TAIL_NONE);
    assert_file(&m, 1, TAIL_NONE);
    /* The folder of a patient is missing, that of the site is not. */
    m = match(LIST("b/p4/x.png", "b/p5/x.png"), LIST("a/p5/x.png", "b/p4/x.png"));
    assert_file(&m, 0, 1);
    assert_file(&m, 1, TAIL_NONE);
    m = match(LIST("b/images/4.png", "b/images/5.png"), LIST("a/x/5.png", "b/x/4.png", "b/x/5/1"));
    assert_file(&m, 0, 1);
    assert_file(&m, 1, TAIL_NONE);
    m = match(rows, LIST("a/5.png", "b/1.2.840/IM0006"));
    assert_file(&m, 1, 0);
    m = match(LIST("v1.b/b/5", "v1.b/b/4"), LIST("v1.b/a/5", "v1.b/a/4", "v1.b/b/IM6"));
    assert_file(&m, 0, TAIL_NONE);
    /* No images are in b, or they are in a folder of it. */
    m = match(rows, LIST("a/5.png", "a/4.png", "b/labels.csv"));
    assert_file(&m, 0, 1);
    assert_file(&m, 1, 0);
    m = match(rows, LIST("b/images/5.png", "b/images/4.png", "b/LICENSE", "a/images/4.png"));
    assert_file(&m, 0, 1);
    assert_file(&m, 1, 0);
}

static void test_ambiguous(void **state)
{
    (void)state;
    matched m = match(LIST("x.png", "y.png"), LIST("a/x.png", "b/x.png", "y.png"));
    assert_file(&m, 0, TAIL_AMBIGUOUS);
    assert_int_equal(m.of[0].first, 0);
    assert_int_equal(m.of[0].other, 1);
    assert_file(&m, 1, 2);
    m = match(LIST("x.png", "x.jpg", "x"), LIST("x.jpg", "x.png"));
    assert_file(&m, 0, 1);
    assert_file(&m, 1, 0);
    assert_file(&m, 2, TAIL_AMBIGUOUS);
    m = match(LIST("b/x.png", "x.png"), LIST("a/x.png", "b/x.png"));
    assert_file(&m, 0, 1);
    assert_file(&m, 1, TAIL_AMBIGUOUS);
}

static void test_several_rows(void **state)
{
    (void)state;
    matched m = match(LIST("x", "x", "y"), LIST("x.dcm", "y.dcm"));
    assert_file(&m, 0, 0);
    assert_file(&m, 1, 0);
    assert_file(&m, 2, 1);
    m = match(LIST("x", ""), LIST("z/x"));
    assert_file(&m, 0, 0);
    assert_file(&m, 1, TAIL_NONE);
}

static void test_endings(void **state)
{
    (void)state;
    assert_true(tail_is_image("a/b.JPeG"));
    assert_true(tail_is_image("b.dcm"));
    assert_false(tail_is_image("a.png/b.csv"));
    assert_false(tail_is_image(".png"));
    assert_false(tail_is_image(""));
}

/* 100,000 rows against 100,000 paths whose base names are three, in under a second. */
static void test_speed(void **state)
{
    enum { FILES = 100000 };
    tail_index *rows = NULL, *files = NULL;
    char **names = malloc(2 * FILES * sizeof *names);
    tail_match *found = malloc(FILES * sizeof *found);
    assert_true(names && found);
    for (int i = 0; i < FILES; i++) {
        const int patient = i / 3, view = i % 3, other = (FILES - 1 - i) / 3;
        names[i] = pulmo_format("set/train/patient%05d/study1/view%d.jpg", patient, view);
        names[FILES + i] =
            pulmo_format("train/patient%05d/study1/view%d.jpg", other, (FILES - 1 - i) % 3);
    }
    (void)state;
    double began_s = pulmo_now_s();
    assert_ok(tail_index_make((const char *const *)names, FILES, &rows));
    assert_ok(tail_index_make((const char *const *)names + FILES, FILES, &files));
    assert_ok(tail_match_all(rows, files, found));
    double took_s = pulmo_now_s() - began_s;
    for (int i = 0; i < FILES; i++)
        assert_int_equal(found[i].file, FILES - 1 - i);
    printf("%.3f s\n", took_s);
    assert_true(took_s < 10); /* under a second, but for sanitizers and busy machines */
    tail_index_free(rows);
    tail_index_free(files);
    for (int i = 0; i < 2 * FILES; i++)
        free(names[i]);
    free(names);
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_other_folder), cmocka_unit_test(test_ambiguous),
        cmocka_unit_test(test_several_rows), cmocka_unit_test(test_endings),
        cmocka_unit_test(test_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
