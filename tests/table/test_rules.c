/* What cells say: new names, conditions, joins. */
#include "tables.h"

#include "labels.h"

static pulmo_label_map *read_map(const char *text)
{
    pulmo_label_map *map = NULL;
    assert_ok(pulmo_label_map_read(text, &map));
    return map;
}

static void test_map(void **state)
{
    pulmo_label_map *map = read_map("Pneumonia: PNEUMONIA, No Finding: NORMAL");
    (void)state;
    assert_string_equal(pulmo_label_map_find(map, "Pneumonia"), "PNEUMONIA");
    assert_string_equal(pulmo_label_map_find(map, "No Finding"), "NORMAL");
    assert_null(pulmo_label_map_find(map, "pneumonia"));
    assert_null(pulmo_label_map_find(map, "Mass"));
    pulmo_label_map_free(map);
    map = read_map("{No Lung Opacity / Not Normal: OTHER, 'a, b: c': d, 1:ONE}");
    assert_string_equal(pulmo_label_map_find(map, "No Lung Opacity / Not Normal"), "OTHER");
    assert_string_equal(pulmo_label_map_find(map, "1"), "ONE");
    pulmo_label_map_free(map);
    map = read_map("{\"Mass, left: MASS\", a: b}"); /* as a configuration's mapping comes */
    assert_string_equal(pulmo_label_map_find(map, "Mass, left"), "MASS");
    pulmo_label_map_free(map);
    map = read_map("");
    assert_null(map);
    assert_string_equal(pulmo_label_map_find(map, "Mass"), "Mass");
    assert_refused(pulmo_label_map_read("Pneumonia", &map), PULMO_CONFIG, "must be LABEL: CLASS");
    assert_refused(pulmo_label_map_read("a: ", &map), PULMO_CONFIG, "must be LABEL: CLASS");
    assert_refused(pulmo_label_map_read("a: b, a: c", &map), PULMO_CONFIG, "named twice");
}

static bool holds(const condition *c, const char *cell)
{
    bool held = false;
    assert_ok(condition_judge(c, cell, &held));
    return held;
}

static void test_conditions(void **state)
{
    conditions c;
    (void)state;
    assert_ok(conditions_read("ViewPosition=PA|AP", &c));
    assert_int_equal(c.count, 1);
    assert_string_equal(c.one[0].column, "ViewPosition");
    assert_true(holds(&c.one[0], "AP"));
    assert_false(holds(&c.one[0], "LATERAL"));
    assert_false(holds(&c.one[0], NULL));
    conditions_free(&c);
    assert_ok(conditions_read("[Frontal/Lateral=Frontal, Sex!=Unknown, Note=]", &c));
    assert_int_equal(c.count, 3);
    assert_string_equal(c.one[1].column, "Sex");
    assert_true(holds(&c.one[1], "Female"));
    assert_true(holds(&c.one[1], NULL));
    assert_false(holds(&c.one[1], "Unknown"));
    assert_true(holds(&c.one[2], ""));
    assert_false(holds(&c.one[2], "x"));
    conditions_free(&c);
    assert_ok(conditions_read("Labels!=exclude|unchanged", &c));
    assert_true(holds(&c.one[0], "['pneumonia', 'effusion']"));
    assert_false(holds(&c.one[0], "['pneumonia', 'exclude']"));
    assert_false(holds(&c.one[0], "unchanged"));
    conditions_free(&c);
    assert_refused(conditions_read("PA", &c), PULMO_CONFIG, "must be COLUMN=VALUE");
    assert_refused(conditions_read("=PA", &c), PULMO_CONFIG, "must be COLUMN=VALUE");
}

/* ---- joins ---- */

static sheet read_sheets(const char *directory, const char *columns, const char *left,
                         const char *right)
{
    sheet s = {.tables = 2};
    const char *const names[] = {"left.csv", "right.csv"};
    assert_ok(words_read(&s.wanted, columns));
    put(directory, names[0], left);
    put(directory, names[1], right);
    for (int i = 0; i < 2; i++) {
        char *path = pulmo_format("%s/%s", directory, names[i]);
        assert_ok(table_read(path, &s.wanted, true, &s.table[i]));
        free(path);
    }
    return s;
}

static pulmo_status join(sheet *s, const char *by)
{
    words list = {0};
    assert_ok(words_read(&list, by));
    pulmo_status status = sheet_join(s, &list);
    words_free(&list);
    return status;
}

static void test_join(void **state)
{
    char *directory = scratch_directory();
    (void)state;
    sheet s = read_sheets(directory, "[image, study, label]",
                          "image,study\na,1\nb,2\nc,1\nd,\ne,9\n", "label,study\nx,2\ny,1\ny,1\n");
    assert_ok(join(&s, "study"));
    assert_int_equal(s.rows, 5);
    assert_string_equal(sheet_cell(&s, 0, 2), "y");
    assert_string_equal(sheet_cell(&s, 1, 2), "x");
    assert_string_equal(sheet_cell(&s, 2, 2), "y");
    assert_null(sheet_cell(&s, 3, 2)); /* a blank key is not a key */
    assert_null(sheet_cell(&s, 4, 2));
    assert_int_equal(s.unjoined[1], 2);
    cell_place place = sheet_place(&s, 1, 2);
    assert_non_null(strstr(place.path, "right.csv"));
    assert_int_equal(place.line, 2);
    place = sheet_place(&s, 4, 2);
    assert_non_null(strstr(place.path, "left.csv"));
    assert_int_equal(place.line, 6);
    sheet_free(&s);
    s = read_sheets(directory, "[image, study, label]", "image,study\na,nan\nb,<NA>\nc,1\n",
                    "label,study\nx,nan\ny,nan\nz,<NA>\nw,1\n");
    assert_ok(join(&s, "study")); /* nor is one that says so */
    assert_null(sheet_cell(&s, 0, 2));
    assert_null(sheet_cell(&s, 1, 2));
    assert_string_equal(sheet_cell(&s, 2, 2), "w");
    sheet_free(&s);
    s = read_sheets(directory, "[image, study, label, id]", "image,study\na,1\n",
                    "label,id\nx,1\ny,1\n");
    assert_refused(join(&s, "study=id"), PULMO_DATA, "lines 2 and 3 are both of \"1\" and differ");
    sheet_free(&s);
    s = read_sheets(directory, "[image, study, label, id]", "image,study\na,1\n",
                    "label,id\nx,1\n");
    assert_refused(join(&s, "study"), PULMO_CONFIG, "right.csv has no column \"study\"");
    assert_refused(join(&s, "id"), PULMO_CONFIG, "have no column \"id\"");
    assert_refused(join(&s, "[study=id, x]"), PULMO_CONFIG, "2 columns for 2 tables");
    sheet_free(&s);
    remove_directory(directory);
}

static void test_stack(void **state)
{
    char *directory = scratch_directory();
    (void)state;
    sheet s =
        read_sheets(directory, "[image, label]", "image,label\na,x\n", "label,image\ny,b\nz,c\n");
    assert_ok(sheet_stack(&s));
    assert_int_equal(s.rows, 3);
    assert_string_equal(sheet_cell(&s, 0, 0), "a");
    assert_string_equal(sheet_cell(&s, 2, 0), "c");
    assert_string_equal(sheet_cell(&s, 2, 1), "z");
    assert_int_equal(sheet_place(&s, 2, 1).line, 3);
    sheet_free(&s);
    remove_directory(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
