/* Scores from CSV: which column is what, and refusals that name line, value and rule. */
#include "tables.h"

#include "pulmo/scores.h"

static char *directory;

static int make(void **state)
{
    (void)state;
    directory = scratch_directory();
    return 0;
}

static int drop(void **state)
{
    (void)state;
    remove_directory(directory);
    return 0;
}

static pulmo_status read_wishing(const char *text, const pulmo_scores_wish *wish, pulmo_scores *out)
{
    put(directory, "s.csv", text);
    char *path = pulmo_format("%s/s.csv", directory);
    pulmo_status status = pulmo_scores_read(path, wish, out);
    free(path);
    return status;
}

static void assert_read(const char *text, pulmo_scores *out)
{
    assert_ok(read_wishing(text, NULL, out));
}

static void assert_bad(const char *text, const char *word)
{
    pulmo_scores s;
    assert_refused(read_wishing(text, NULL, &s), PULMO_DATA, word);
}

static void columns_are_known_by_name(void **state)
{
    (void)state;
    pulmo_scores s;
    assert_read("patient,label,p_A,path,p_B\n7,B,0.25,x.png,0.75\n7,A,0.5,y.png,0.5\n8,A,1,z,0\n",
                &s);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.classes, 2);
    assert_string_equal(s.class_names[1], "B");
    assert_string_equal(s.paths[1], "y.png");
    assert_int_equal(s.labels[0], 1);
    assert_true(s.probabilities[1] == 0.75);
    assert_true(s.patients_told);
    assert_int_equal(s.patients, 2);
    assert_int_equal(s.patient[0], s.patient[1]);
    assert_true(isnan(s.threshold));
    assert_null(s.predicted);
    pulmo_scores_free(&s);
}

static void one_column_is_enough_for_two_classes(void **state)
{
    (void)state;
    pulmo_scores s;
    assert_read("file;truth;sick\na;sick;0.9\nb;well;0.2\n", &s);
    assert_string_equal(s.class_names[0], "sick");
    assert_string_equal(s.class_names[1], "well");
    assert_true(fabs(s.probabilities[3] - 0.8) < 1e-15);
    assert_false(s.patients_told);
    assert_int_equal(s.patients, 2);
    pulmo_scores_free(&s);
    assert_read("path,label,p_1\na,1,0.9\nb,1,0.2\n", &s);
    assert_string_equal(s.class_names[1], "not 1");
    pulmo_scores_free(&s);
}

static void a_runs_predictions_are_scores(void **state)
{
    (void)state;
    const char *const more[] = {"table_Sex", "Age"};
    const pulmo_scores_wish wish = {.more = more, .mores = 2}, val = {.split = "val"};
    static const char text[] =
        "split,path,patient,label,predicted,p_A,p_B,positive_class,threshold,rule,table_Sex\n"
        "val,v,1,A,A,0.9,0.1,B,0.4,youden,F\n"
        "test,t,2,B,B,0.55,0.45,B,0.4,youden,M\n";
    pulmo_scores s;
    assert_ok(read_wishing(text, &wish, &s));
    assert_int_equal(s.count, 1);
    assert_string_equal(s.paths[0], "t");
    assert_int_equal(s.predicted[0], 1);
    assert_int_equal(s.positive, 1);
    assert_true(s.threshold == 0.4);
    assert_true(s.has_more[0]);
    assert_false(s.has_more[1]);
    assert_string_equal(s.more[0][0], "M");
    assert_string_equal(s.more[1][0], "");
    pulmo_scores_free(&s);
    assert_ok(read_wishing(text, &val, &s));
    assert_string_equal(s.paths[0], "v");
    pulmo_scores_free(&s);
}

static void what_is_no_score_is_refused(void **state)
{
    (void)state;
    assert_bad("path,label\na,1\n", "no column of probabilities");
    assert_bad("label,p_1\n1,0.5\n", "no column of images");
    assert_bad("path,p_1\na,0.5\n", "no column of true classes");
    assert_bad("path,label,p_A,p_B\na,A,0.5,0.5\nb,C,0.5,0.5\n",
               ":3: column \"label\" holds \"C\"");
    assert_bad("path,label,p_A,p_B\na,A,1.5,0.5\n", "from 0 to 1");
    assert_bad("path,label,p_A,p_B\na,A,nan,0.5\n", "from 0 to 1");
    assert_bad("path,label,p_A,p_B\na,A,0.5x,0.5\n", "from 0 to 1");
    assert_bad("path,label,p_A,p_B\na,A,0.9,0.9\n", "add up to 1.8");
    assert_bad("path,label,p_A,p_B\na,A,1,0\nb,B,0,1\na,A,1,0\n", ":4: \"a\" stands in line 2 too");
    assert_bad("path,patient,label,p_A,p_B\na,,A,1,0\n", "each image has a patient");
    assert_bad("path,label,p_A\na,A,1\nb,B,0\nc,C,0\n", "labels of 3");
    assert_bad("path,label,p_A,p_B\n", "has 0 rows");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_known_by_name),
        cmocka_unit_test(one_column_is_enough_for_two_classes),
        cmocka_unit_test(a_runs_predictions_are_scores),
        cmocka_unit_test(what_is_no_score_is_refused),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
