/* The audit of drawn cues: its regression against the conditions of an optimum, its folds, what it
 * says of cues that tell nothing, and /audit written and read back. scikit-learn's coefficients are
 * compared in tests/cli/test_shortcuts.sh. */
#include "support.h"

#include "audit_room.h"
#include "pulmo/h5.h"
#include "pulmo/text.h"

#define IMAGES   600
#define EACH     3 /* images of a patient */
#define PATIENTS (IMAGES / EACH)

static int32_t labels[IMAGES];
static const char *groups[IMAGES];
static char names[PATIENTS][16];
static const char *const class_names[] = {"NORMAL", "PNEUMONIA", "VIRUS"};

static pulmo_dataset_info info_of(int classes)
{
    return (pulmo_dataset_info){.count = IMAGES,
                                .classes = classes,
                                .class_names = class_names,
                                .labels = labels,
                                .groups = groups};
}

/* Cues of `of_class` times the class and `of_patient` times a number of the patient's own, and
 * noise; two cues are the same, one is always 7. Owned by the caller. */
static float *draw(int classes, double of_class, double of_patient)
{
    float *cues = pulmo_alloc((size_t)IMAGES * PULMO_CUES, sizeof *cues);
    pulmo_rng rng;
    pulmo_rng_at(&rng, 11, PULMO_RNG_TEST, 0, 0);
    double own[PULMO_CUES];
    assert_non_null(cues);
    for (int i = 0; i < IMAGES; i++) {
        float *row = cues + (size_t)i * PULMO_CUES;
        const int patient = i / EACH;
        snprintf(names[patient], sizeof names[patient], "p%d", patient);
        groups[i] = names[patient];
        for (int c = 0; c < PULMO_CUES && i % EACH == 0; c++)
            own[c] = pulmo_rng_normal(&rng);
        if (i % EACH == 0)
            labels[i] = (int32_t)pulmo_rng_below(&rng, (uint32_t)classes);
        else
            labels[i] = labels[i - 1];
        for (int c = 0; c < PULMO_CUES; c++) {
            const double about = of_class * labels[i] * (c % 3) + of_patient * own[c];
            row[c] = (float)(50 + 10 * (about + pulmo_rng_normal(&rng)));
        }
        row[4] = row[3];
        row[9] = 7;
    }
    return cues;
}

static pulmo_audit fit(int classes, int positive, double of_class, double of_patient)
{
    pulmo_audit audit;
    const pulmo_dataset_info info = info_of(classes);
    float *cues = draw(classes, of_class, of_patient);
    assert_ok(pulmo_audit_fit(&info, positive, cues, &audit));
    return audit;
}

/* ---- the regression ---- */

/* The optimum is where the loss's slope, by libm, is the ridge's in every direction. */
static void weights_are_the_optimum(void **state)
{
    (void)state;
    pulmo_audit audit = fit(2, 1, 0.15, 0);
    const pulmo_cue_model *model = &audit.model[0];
    double slope[PULMO_CUES + 1] = {0};
    for (int i = 0; i < IMAGES; i++) {
        const float *cues = audit.cues + (size_t)i * PULMO_CUES;
        double z[PULMO_CUES], margin = model->intercept;
        for (int c = 0; c < PULMO_CUES; c++) {
            const double deviation = audit.deviation[c];
            z[c] = deviation > 0 ? ((double)cues[c] - audit.mean[c]) / deviation : 0;
            margin += model->weight[c] * z[c];
        }
        const double error = labels[i] - 1 / (1 + exp(-margin));
        for (int c = 0; c < PULMO_CUES; c++)
            slope[c] += error * z[c];
        slope[PULMO_CUES] += error;
    }
    for (int c = 0; c < PULMO_CUES; c++)
        assert_true(fabs(slope[c] - AUDIT_RIDGE * model->weight[c]) < 1e-8);
    assert_true(fabs(slope[PULMO_CUES]) < 1e-8);
    assert_true(fabs(model->weight[3] - model->weight[4]) < 1e-8); /* the same cue twice */
    assert_true(model->weight[9] == 0);
    assert_true(model->auc.value > 0.7);
    pulmo_audit_free(&audit);
}

/* Classes that cues part completely: without a ridge weights would grow without end. */
static void parted_classes_have_weights(void **state)
{
    (void)state;
    pulmo_audit audit = fit(2, 1, 40, 0);
    assert_true(audit.model[0].auc.value == 1);
    for (int c = 0; c < PULMO_CUES; c++)
        assert_true(fabs(audit.model[0].weight[c]) < 10);
    pulmo_audit_free(&audit);
}

/* ---- folds ---- */

static void folds_keep_patients_together(void **state)
{
    (void)state;
    pulmo_audit audit = fit(2, 1, 0, 0);
    int held[AUDIT_FOLDS][2] = {{0}};
    int most = 0, least = IMAGES;
    for (int i = 0; i < IMAGES; i++) {
        assert_int_equal(audit.folds[i], audit.folds[i - i % EACH]);
        held[audit.folds[i]][labels[i]]++;
    }
    for (int fold = 0; fold < AUDIT_FOLDS; fold++) {
        most = held[fold][1] > most ? held[fold][1] : most;
        least = held[fold][1] < least ? held[fold][1] : least;
    }
    assert_true(most - least <= EACH); /* of one patient */
    pulmo_audit_free(&audit);
}

/* Cues that know the patient and nothing of the class: with a patient's images on both sides of a
 * fold they would tell it. */
static void patients_do_not_tell_classes(void **state)
{
    (void)state;
    pulmo_audit audit = fit(2, 1, 0, 10);
    const pulmo_interval auc = audit.model[0].auc;
    assert_true(auc.low < 0.5 && auc.high > 0.5);
    pulmo_audit_free(&audit);
}

static void few_patients_have_no_area(void **state)
{
    (void)state;
    pulmo_audit audit;
    pulmo_dataset_info info = info_of(2);
    float *cues = draw(2, 1, 0);
    for (int i = 0; i < IMAGES; i++)
        labels[i] = i < 4 * EACH;
    assert_ok(pulmo_audit_fit(&info, 1, cues, &audit));
    assert_true(isnan(audit.model[0].auc.value));
    assert_int_equal(pulmo_audit_worst(&audit), -1);
    pulmo_audit_free(&audit);
    info.classes = PULMO_AUDIT_CLASSES + 1;
    assert_ok(pulmo_audit_fit(&info, -1, draw(2, 1, 0), &audit));
    assert_int_equal(audit.audited, 0);
    pulmo_audit_free(&audit);
}

/* ---- a model beside cues ---- */

/* Judged on its own training images: a model whose logits are its cue scores goes with them all the
 * way, and keeps among images alike in cues what cues keep there. */
static pulmo_audit judged_by_cues(float scale)
{
    pulmo_audit audit = fit(2, 1, 0.15, 0);
    static float logits[IMAGES][2], probabilities[IMAGES][2];
    const pulmo_dataset_info info = info_of(2);
    audit_line line;
    memcpy(line.mean, audit.mean, sizeof line.mean);
    memcpy(line.deviation, audit.deviation, sizeof line.deviation);
    memcpy(line.weight, audit.model[0].weight, sizeof line.weight);
    line.intercept = audit.model[0].intercept;
    float *cues = pulmo_alloc((size_t)IMAGES * PULMO_CUES, sizeof *cues);
    memcpy(cues, audit.cues, (size_t)IMAGES * PULMO_CUES * sizeof *cues);
    for (int i = 0; i < IMAGES; i++) {
        logits[i][1] = scale * (float)audit_margin(&line, cues + (size_t)i * PULMO_CUES);
        probabilities[i][1] = 0.5F;
        probabilities[i][0] = 0.5F;
    }
    const pulmo_scored scored = {.count = IMAGES,
                                 .classes = 2,
                                 .labels = labels,
                                 .probabilities = probabilities[0],
                                 .logits = logits[0]};
    assert_ok(pulmo_audit_judge(&audit, "test", &info, &scored, cues));
    return audit;
}

static void a_model_of_cues_is_found_out(void **state)
{
    (void)state;
    pulmo_audit audit = judged_by_cues(2);
    const pulmo_cue_figures *f = &audit.split[0].figures[0];
    assert_true(fabs(f->correlation - 1) < 1e-12);
    assert_true(f->model.value == f->cues.value);
    assert_true(f->alike.value == f->cues_alike.value);
    assert_true(f->alike.value < f->model.value - 0.1);
    pulmo_audit_free(&audit);
    audit = judged_by_cues(-2);
    assert_true(fabs(audit.split[0].figures[0].correlation_of_rest + 1) < 1e-12);
    pulmo_audit_free(&audit);
}

/* ---- files and words ---- */

static void assert_same_interval(pulmo_interval a, pulmo_interval b)
{
    assert_memory_equal(&a, &b, sizeof a);
}

static void files_keep_it(void **state)
{
    (void)state;
    char *directory = scratch_directory();
    char *path = pulmo_format("%s/audit.h5", directory);
    pulmo_audit audit = judged_by_cues(1), back;
    pulmo_h5 *file = NULL;
    assert_ok(pulmo_h5_create(path, &file));
    assert_ok(pulmo_audit_write(file, &audit));
    assert_ok(pulmo_h5_commit(file));
    assert_ok(pulmo_h5_open(path, &file));
    assert_ok(pulmo_audit_read(file, 2, &back));
    assert_int_equal(back.audited, 1);
    assert_int_equal(back.images, IMAGES);
    assert_int_equal(back.patients, PATIENTS);
    assert_memory_equal(back.model, audit.model, sizeof audit.model[0]);
    assert_memory_equal(back.mean, audit.mean, sizeof audit.mean);
    assert_int_equal(back.splits, 1);
    assert_string_equal(back.split[0].name, "test");
    assert_same_interval(back.split[0].figures[0].alike, audit.split[0].figures[0].alike);
    pulmo_audit_free(&back);
    /* A class that is none. */
    assert_refused(pulmo_audit_read(file, 1, &back), PULMO_DATA, "none of the classes");
    pulmo_h5_close(file);
    pulmo_audit_free(&audit);
    free(path);
    remove_directory(directory);
}

static char *words_of(const pulmo_audit *audit)
{
    pulmo_text text;
    char *words = NULL;
    assert_ok(pulmo_text_open(&text));
    pulmo_audit_print(text.stream, audit, class_names);
    assert_ok(pulmo_text_take(&text, &words));
    return words;
}

static void it_is_loud_above_its_bound(void **state)
{
    (void)state;
    pulmo_audit audit = fit(3, -1, 0.5, 0);
    assert_int_equal(audit.audited, 3);
    char *words = words_of(&audit);
    assert_non_null(strstr(words, "SHORTCUTS: the way the images were made tells "));
    free(words);
    const int worst = pulmo_audit_worst(&audit);
    for (int k = 0; k < 3; k++)
        assert_true(audit.model[k].auc.value <= audit.model[worst].auc.value);
    pulmo_audit_free(&audit);
    audit = fit(2, 1, 0, 0);
    words = words_of(&audit);
    assert_non_null(strstr(words, "Shortcut audit: cues tell PNEUMONIA with AUC 0."));
    free(words);
    pulmo_audit_free(&audit);
}

static void the_best_cue_comes_first(void **state)
{
    (void)state;
    pulmo_audit audit = fit(2, 1, 0.5, 0);
    int order[PULMO_CUES];
    pulmo_audit_order(&audit.model[0], order);
    for (int c = 1; c < PULMO_CUES; c++) {
        const double before = fabs(audit.model[0].single_auc[order[c - 1]] - 0.5);
        const double after = fabs(audit.model[0].single_auc[order[c]] - 0.5);
        assert_true(before >= after);
    }
    assert_int_equal(order[0] % 3, 2); /* cues of twice the class */
    assert_true(audit.model[0].single_auc[9] == 0.5);
    pulmo_audit_free(&audit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_are_the_optimum),
        cmocka_unit_test(parted_classes_have_weights),
        cmocka_unit_test(folds_keep_patients_together),
        cmocka_unit_test(patients_do_not_tell_classes),
        cmocka_unit_test(few_patients_have_no_area),
        cmocka_unit_test(a_model_of_cues_is_found_out),
        cmocka_unit_test(files_keep_it),
        cmocka_unit_test(it_is_loud_above_its_bound),
        cmocka_unit_test(the_best_cue_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
