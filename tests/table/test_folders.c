/* Rows and listed names, and the folders that they name. */
#include "labels_match.h"

#include "pulmo/split.h"

/* A file that is missing from its folder is not replaced by that of another. */
static void test_other_folder(void **state)
{
    const char *const *files = FILES("img/a/4.png", "img/a/5.png", "img/b/4.png");
    (void)state;
    put(directory, "sites.csv", "file,dx\nb/4.png,ill\nb/5.png,well\n");
    put(directory, "test.txt", "b/4.png\nb/5.png\n");
    set("pack.table=sites.csv");
    set("pack.table_path=file");
    set("pack.table_label=dx");
    set("pack.test_list=test.txt");
    assert_ok(match(files));
    assert_label(2, "ill");
    assert_int_equal(of[1].fate, PULMO_LABEL_NO_ROW);
    assert_int_equal(of[1].split, -1);
    assert_int_equal(of[2].split, PULMO_SPLIT_TEST);
    assert_true(has_note("2 rows of labels in"));
    assert_true(has_note("test.txt without a file: 1 of 2"));
    pulmo_label_report report = pulmo_labels_report(labels);
    assert_int_equal(report.rows_without_file.count, 1);
    assert_non_null(strstr(report.rows_without_file.text[0], "sites.csv:3: b/5.png"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_other_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
