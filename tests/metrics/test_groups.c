/* Groups of images: who is in which, what their figures are of, and what is refused. The figures of
 * a group are those of its images alone: they are compared with the same images given by
 * themselves. */
#include "support.h"

#include "pulmo/groups.h"

enum { IMAGES = 160, FEW = 40 };

static int32_t labels[IMAGES];
static float scores[IMAGES][2];
static char patient_of[IMAGES][8], age_of[IMAGES][8], path_of[IMAGES][16];
static const char *paths[IMAGES], *patients[IMAGES], *sexes[IMAGES], *ages[IMAGES];
static const char *const names[] = {"Sex", "Age"};
static const char *const *const cells[] = {sexes, ages};
static const pulmo_decision by = {1, 0.5};

/* Women have every odd image but the last FEW, which say nothing; ages are 0 to 79, twice. */
static int fill(void **state)
{
    (void)state;
    for (int i = 0; i < IMAGES; i++) {
        labels[i] = i * 7 % 5 < 2;
        scores[i][1] = (float)(i * 29 % 53 + 24 * labels[i]) / 128;
        scores[i][0] = 1 - scores[i][1];
        snprintf(patient_of[i], sizeof patient_of[i], "p%d", i);
        snprintf(age_of[i], sizeof age_of[i], "%03dY", i / 2);
        snprintf(path_of[i], sizeof path_of[i], "%d.%s", i, i % 4 == 0 ? "PNG" : "jpeg");
        paths[i] = path_of[i];
        patients[i] = patient_of[i];
        ages[i] = age_of[i];
        sexes[i] = i % 2 ? "F" : "M";
        if (i >= IMAGES - FEW)
            sexes[i] = "n/a";
    }
    return 0;
}

static pulmo_scored scored_all(void)
{
    return (pulmo_scored){
        .count = IMAGES, .classes = 2, .labels = labels, .probabilities = scores[0]};
}

static pulmo_group_source source_all(void)
{
    return (pulmo_group_source){.count = IMAGES,
                                .paths = paths,
                                .patients = patients,
                                .columns = 2,
                                .names = names,
                                .cells = cells};
}

static pulmo_groups groups_by(const char *columns)
{
    const pulmo_scored scored = scored_all();
    const pulmo_group_source source = source_all();
    pulmo_groups out;
    assert_ok(pulmo_groups_compute(&scored, &by, &source, columns, &out));
    return out;
}

static void assert_group(const pulmo_group *group, const char *column, const char *name,
                         uint32_t images)
{
    assert_string_equal(group->column, column);
    assert_string_equal(group->name, name);
    assert_int_equal(group->images, images);
}

static void assert_same(pulmo_interval have, pulmo_interval want)
{
    assert_true(fabs(have.value - want.value) < 1e-12);
    assert_true(fabs(have.low - want.low) < 1e-12);
    assert_true(fabs(have.high - want.high) < 1e-12);
}

/* Women's figures are those of women alone. */
static void figures_are_of_the_group(void **state)
{
    (void)state;
    enum { WOMEN = (IMAGES - FEW) / 2 };
    int32_t own_labels[WOMEN];
    float own[WOMEN][2];
    pulmo_metrics m;
    for (int k = 0; k < WOMEN; k++) {
        own_labels[k] = labels[2 * k + 1];
        memcpy(own[k], scores[2 * k + 1], sizeof own[k]);
    }
    const pulmo_scored alone = {
        .count = WOMEN, .classes = 2, .labels = own_labels, .probabilities = own[0]};
    assert_ok(pulmo_metrics_compute(&alone, &by, &m));
    pulmo_groups groups = groups_by("Sex");
    const pulmo_group *women = &groups.group[0];
    assert_int_equal(groups.count, 3);
    assert_group(women, "Sex", "F", WOMEN);
    assert_group(&groups.group[1], "Sex", "M", WOMEN);
    assert_group(&groups.group[2], "Sex", "not recorded", FEW);
    assert_int_equal(women->positives, m.per_class[1].support);
    assert_int_equal(women->patients, WOMEN);
    assert_same(women->value[PULMO_GROUP_AUC], m.auc_ci);
    assert_same(women->value[PULMO_GROUP_SENSITIVITY], m.sensitivity);
    assert_same(women->value[PULMO_GROUP_SPECIFICITY], m.specificity);
    assert_same(women->value[PULMO_GROUP_PREVALENCE], pulmo_wilson(women->positives, WOMEN));
    assert_true(groups.group[2].is_blank && !women->is_blank);
    pulmo_metrics_free(&m);
    pulmo_groups_free(&groups);
}

/* 0 to 79 years, two images of each. */
static void numbers_are_cut(void **state)
{
    (void)state;
    pulmo_groups at_quartiles = groups_by("Age");
    pulmo_groups given = groups_by("Age:18:40.5:200");
    assert_int_equal(at_quartiles.count, 4);
    assert_group(&at_quartiles.group[0], "Age", "below 20", 40);
    assert_group(&at_quartiles.group[1], "Age", "20 to below 40", 40);
    assert_group(&at_quartiles.group[3], "Age", "60 and above", 40);
    assert_int_equal(given.count, 3); /* none is 200 */
    assert_group(&given.group[0], "Age", "below 18", 36);
    assert_group(&given.group[1], "Age", "18 to below 40.5", 46);
    assert_group(&given.group[2], "Age", "40.5 to below 200", 78);
    pulmo_groups_free(&at_quartiles);
    pulmo_groups_free(&given);
}

/* Ages of babies are parts of years; few different numbers are each a group. */
static void ages_have_units(void **state)
{
    (void)state;
    static const char *const some[] = {"006M", "26W", "001Y", "365D", "2"};
    const char *const *const of_some[] = {some};
    const char *const one[] = {"PatientAge"};
    const pulmo_scored scored = {
        .count = 5, .classes = 2, .labels = labels, .probabilities = scores[0]};
    const pulmo_group_source source = {.count = 5,
                                       .paths = paths,
                                       .patients = patients,
                                       .columns = 1,
                                       .names = one,
                                       .cells = of_some};
    pulmo_groups groups;
    assert_ok(pulmo_groups_compute(&scored, &by, &source, "PatientAge:0.499:1:2", &groups));
    assert_int_equal(groups.count, 4);
    assert_group(&groups.group[0], "PatientAge", "below 0.499", 1);
    assert_group(&groups.group[1], "PatientAge", "0.499 to below 1", 2);
    assert_group(&groups.group[2], "PatientAge", "1 to below 2", 1);
    pulmo_groups_free(&groups);
    assert_ok(pulmo_groups_compute(&scored, &by, &source, "PatientAge", &groups));
    assert_int_equal(groups.count, 5);
    pulmo_groups_free(&groups);
}

static void small_ones_are_called_so(void **state)
{
    (void)state;
    pulmo_groups by_format = groups_by("format,Sex");
    assert_int_equal(by_format.count, 5);
    assert_group(&by_format.group[0], "format", "JPEG", 120);
    assert_group(&by_format.group[1], "format", "PNG", 40);
    assert_false(by_format.group[0].is_small); /* 48 with the finding */
    assert_true(by_format.group[1].is_small);  /* 16 */
    pulmo_groups_free(&by_format);
    for (int i = 0; i < IMAGES; i++)
        patients[i] = patient_of[i % 20]; /* many images, few patients */
    by_format = groups_by("format");
    assert_true(by_format.group[0].is_small);
    assert_int_equal(by_format.group[0].patients, 15);
    pulmo_groups_free(&by_format);
    fill(NULL);
}

/* Of three classes, each against the rest. */
static void each_class_has_figures(void **state)
{
    (void)state;
    static int32_t truth[IMAGES];
    static float three[IMAGES][3];
    for (int i = 0; i < IMAGES; i++) {
        truth[i] = i % 3;
        for (int k = 0; k < 3; k++)
            three[i][k] = k == (i + (i % 7 == 0)) % 3 ? 0.5F : 0.25F;
    }
    const pulmo_scored scored = {
        .count = IMAGES, .classes = 3, .labels = truth, .probabilities = three[0]};
    const pulmo_group_source source = source_all();
    pulmo_groups groups;
    assert_ok(pulmo_groups_compute(&scored, &by, &source, "format", &groups));
    assert_int_equal(groups.count, 6);
    uint32_t found = 0, all = 0;
    for (int i = 0; i < IMAGES; i += 4) { /* PNG */
        all += truth[i] == 2;
        found += truth[i] == 2 && i % 7 != 0;
    }
    assert_int_equal(groups.group[5].class, 2);
    assert_int_equal(groups.group[5].positives, all);
    assert_same(groups.group[5].value[PULMO_GROUP_SENSITIVITY], pulmo_wilson(found, all));
    pulmo_groups_free(&groups);
}

static void what_is_refused(void **state)
{
    (void)state;
    const pulmo_scored scored = scored_all();
    const pulmo_group_source source = source_all();
    pulmo_groups out;
    assert_refused(pulmo_groups_check("Sex,Weight", &source), PULMO_USAGE,
                   "there are: Sex, Age, format");
    assert_refused(pulmo_groups_check("", &source), PULMO_USAGE, "no column");
    assert_refused(pulmo_groups_check("Age:x", &source), PULMO_USAGE, "must be numbers");
    assert_refused(pulmo_groups_check("Age:", &source), PULMO_USAGE, "must be numbers");
    assert_refused(pulmo_groups_check("Age:40:18", &source), PULMO_USAGE, "must rise");
    assert_ok(pulmo_groups_check("format,Age:18:40", &source));
    assert_refused(pulmo_groups_compute(&scored, &by, &source, "Sex:1", &out), PULMO_USAGE,
                   "\"M\" is none");
    for (int i = 0; i < IMAGES; i++)
        sexes[i] = path_of[i];
    assert_refused(pulmo_groups_compute(&scored, &by, &source, "Sex", &out), PULMO_USAGE,
                   "160 different values");
    fill(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_of_the_group), cmocka_unit_test(numbers_are_cut),
        cmocka_unit_test(ages_have_units),          cmocka_unit_test(small_ones_are_called_so),
        cmocka_unit_test(each_class_has_figures),   cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
