/* Lists of words as configurations and cells hold them. */
#include "support.h"

#include "pulmo/text.h"
#include "words.h"

/* The words of a list with a bar between them. */
static void assert_words(words *list, const char *expected)
{
    char found[512] = "";
    for (size_t i = 0; i < list->count; i++) {
        strcat(found, i > 0 ? "|" : "");
        strcat(found, list->word[i]);
    }
    assert_string_equal(found, expected);
    words_free(list);
}

static void assert_read(const char *text, const char *expected)
{
    words list = {0};
    assert_ok(words_read(&list, text));
    assert_words(&list, expected);
}

static void assert_cell(const char *text, const char *expected)
{
    words list = {0};
    assert_ok(words_of_cell(&list, text));
    assert_words(&list, expected);
}

static void test_read(void **state)
{
    (void)state;
    assert_read("", "");
    assert_read("  ", "");
    assert_read("Data_Entry_2017.csv", "Data_Entry_2017.csv");
    assert_read("a, b.csv", "a, b.csv"); /* one name, since it is not in brackets */
    assert_read("[a, b c ,d]", "a|b c|d");
    assert_read("[]", "");
    assert_read("['a, b', \"c\"]", "a, b|c");
    assert_read("{No Finding: NORMAL, it's: x}", "No Finding: NORMAL|it's: x");
}

static void test_cell(void **state)
{
    (void)state;
    assert_cell("Cardiomegaly|Effusion", "Cardiomegaly|Effusion");
    assert_cell("No Lung Opacity / Not Normal", "No Lung Opacity / Not Normal");
    assert_cell("Mass; Nodule", "Mass|Nodule");
    assert_cell("['pleural effusion', ' pneumonia', \"Crohn's\"]",
                "pleural effusion|pneumonia|Crohn's");
    assert_cell("['normal']", "normal");
    assert_cell("[]", "");
    assert_cell("", "");
    assert_cell("'quote", "'quote");
    assert_true(is_list_cell("['normal']"));
    assert_true(is_list_cell("a|b"));
    assert_false(is_list_cell("No Finding"));
}

static void assert_findings(const char *cell, const char *finding, const char *expected)
{
    words list = {0};
    assert_ok(words_of_findings(&list, cell, finding));
    assert_words(&list, expected);
}

static void test_findings(void **state)
{
    static const char *const alone[] = {
        "pneumonia",           "PNEUMONIA, Effusion", "Pneumonia/Effusion",    "Mass & Pneumonia",
        "Pneumonia+Effusion",  "{'Pneumonia'}",       "(Pneumonia)",           "Mass\nPneumonia",
        "Mass\tPneumonia",     "Pneumonia?",          "['mass', 'pneumonia']", "*Pneumonia",
        "Mass|Pneumonia/Edema"};
    static const char *const within[] = {"Pneumonia Viral",      "['atypical pneumonia', 'mass']",
                                         "Pneumonia (viral)",    "Pneumonia-like",
                                         "no sign of pneumonia", "Mass and Pneumonia",
                                         "Pneumonia\xC2\xA0"};
    static const char *const not [] = {"No Finding",   "Bronchopneumonia",    "Pneumonias",
                                       "No Pneumonia", "Mass / no pneumonia", "['No Pneumonia']"};
    (void)state;
    for (size_t i = 0; i < sizeof alone / sizeof *alone; i++)
        assert_int_equal(finding_in_cell(alone[i], "Pneumonia"), HELD_ALONE);
    for (size_t i = 0; i < sizeof within / sizeof *within; i++)
        assert_int_equal(finding_in_cell(within[i], "Pneumonia"), HELD_WITHIN);
    for (size_t i = 0; i < sizeof not / sizeof *not ; i++)
        assert_int_equal(finding_in_cell(not [i], "Pneumonia"), HELD_NOT);
    assert_int_equal(finding_in_cell("No Finding", "Finding"), HELD_NOT);
    assert_findings("Pneumonia, Effusion", "Pneumonia", "Pneumonia|Effusion");
    assert_findings("Mass, left", "Mass, left", "Mass, left");
    assert_findings("Mass, left; Edema", "Edema", "Mass, left|Edema");
}

static void test_blank(void **state)
{
    static const char *const blanks[] = {"",     "nan",  "NaN", "NA",   "N/A", "n.a.",
                                         "<NA>", "#N/A", "NaT", "null", "None"};
    (void)state;
    for (size_t i = 0; i < sizeof blanks / sizeof *blanks; i++)
        assert_true(pulmo_cell_is_blank(blanks[i]));
    assert_false(pulmo_cell_is_blank("0"));
    assert_false(pulmo_cell_is_blank("NA1"));
}

static void test_join(void **state)
{
    (void)state;
    words list = {0};
    assert_ok(words_read(&list, "[a, b, c]"));
    assert_int_equal(words_find(&list, "c"), 2);
    assert_int_equal(words_find(&list, "d"), -1);
    char *all = words_join(&list, 3), *some = words_join(&list, 2);
    assert_string_equal(all, "a, b, c");
    assert_string_equal(some, "a, b, ...");
    free(all);
    free(some);
    words_free(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),  cmocka_unit_test(test_cell), cmocka_unit_test(test_findings),
        cmocka_unit_test(test_blank), cmocka_unit_test(test_join),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
