/* A results.h5 made here, dataset by dataset, as docs/reference/files.md describes it: what the
 * report reads of it, what it refuses, and the model card that comes of it. */
#include "support.h"

#include "pulmo/h5.h"
#include "pulmo/results.h"
#include "pulmo/text.h"
#include "report_room.h"

static char *directory, *path;
static const char *const class_names[] = {"NORMAL", "A|B"};

static int set_up(void **state)
{
    (void)state;
    directory = scratch_directory();
    path = pulmo_format("%s/results.h5", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(path);
    remove_directory(directory);
    return 0;
}

/* What one test makes unlike a good file. */
typedef struct oddity {
    int version;
    const char *kind;
    uint64_t groups; /* of 4 images */
    int32_t predicted, label;
    bool without_test;
    const char *patients; /* NULL: "known" */
} oddity;

static const oddity none = {.version = PULMO_RESULTS_FORMAT_VERSION,
                            .kind = "results",
                            .groups = 4,
                            .predicted = 1,
                            .label = 1};

static void put_test(pulmo_h5 *file, const oddity *odd)
{
    static const char *const paths[] = {"a/1.jpeg", "a/2.jpeg", "b/3.jpeg", "b/4.jpeg"};
    static const char *const groups[] = {"p1", "p1", "p2", "p3"};
    const int32_t labels[] = {0, 0, 1, odd->label}, predictions[] = {0, 0, 0, odd->predicted};
    const float probabilities[] = {0.9f, 0.1f, 0.6f, 0.4f, 0.65f, 0.35f, 0.2f, 0.8f};
    const uint64_t shape[] = {4, 2};
    assert_ok(pulmo_h5_write_strings(file, "test/paths", 4, paths));
    assert_ok(pulmo_h5_write_strings(file, "test/groups", odd->groups, groups));
    assert_ok(pulmo_h5_write(file, "test/labels", PULMO_H5_I32, 1, shape, labels));
    assert_ok(pulmo_h5_write(file, "test/predictions", PULMO_H5_I32, 1, shape, predictions));
    assert_ok(pulmo_h5_write(file, "test/probabilities", PULMO_H5_F32, 2, shape, probabilities));
}

/* Column c of epoch e holds 10 c + e. */
static void put_history(pulmo_h5 *file)
{
    static const char *const columns[] = {"lr",       "train_loss",   "train_accuracy",
                                          "val_loss", "val_accuracy", "val_auc"};
    const int64_t epochs[] = {1, 2};
    const uint64_t two = 2;
    assert_ok(pulmo_h5_write(file, "history/epoch", PULMO_H5_I64, 1, &two, epochs));
    for (int c = 0; c < 6; c++) {
        const double values[] = {10 * c, 10 * c + 1};
        char name[64];
        snprintf(name, sizeof name, "history/%s", columns[c]);
        assert_ok(pulmo_h5_write(file, name, PULMO_H5_F64, 1, &two, values));
    }
}

static void put_data(pulmo_h5 *file, const oddity *odd)
{
    static const char *const shared[] = {"p7: train, test"};
    static const char *const mixed[] = {"p8: in several classes"};
    const int64_t images[] = {5, 6};
    const uint64_t two = 2;
    assert_ok(pulmo_h5_write(file, "data/val/images", PULMO_H5_I64, 1, &two, images));
    assert_ok(pulmo_h5_set_int(file, "data/val", "count", 11));
    assert_ok(pulmo_h5_set_int(file, "data/val", "patients", 9));
    assert_ok(pulmo_h5_set_int(file, "data", "height", 224));
    assert_ok(pulmo_h5_set_text(file, "data", "carve", "by patient"));
    assert_ok(pulmo_h5_write_strings(file, "data/audit/shared_patients", 1, shared));
    assert_ok(pulmo_h5_write_strings(file, "data/audit/mixed_patients", 1, mixed));
    assert_ok(pulmo_h5_set_text(file, "data", "patients", odd->patients ? odd->patients : "known"));
    assert_ok(pulmo_h5_set_text(file, "data", "patients_by", "names of a test: 11 images"));
}

static void write_results(const oddity *odd)
{
    pulmo_h5 *file = NULL;
    assert_ok(pulmo_h5_create(path, &file));
    assert_ok(pulmo_h5_set_kind(file, odd->kind, odd->version));
    assert_ok(pulmo_h5_set_texts(file, "/", "classes", 2, class_names));
    assert_ok(pulmo_h5_set_text(file, "/", "state", "finished"));
    assert_ok(pulmo_h5_set_text(file, "/", "threshold_rule", "youden"));
    assert_ok(pulmo_h5_set_int(file, "/", "best_epoch", 2));
    assert_ok(pulmo_h5_set_real(file, "/", "threshold", 0.5));
    assert_ok(pulmo_h5_set_real(file, "/", "temperature", 1.5));
    put_history(file);
    put_data(file, odd);
    if (!odd->without_test)
        put_test(file, odd);
    assert_ok(pulmo_h5_commit(file));
}

static void what_stands_in_the_file_is_read(void **state)
{
    report r;
    (void)state;
    write_results(&none);
    assert_ok(report_read(directory, &r));
    assert_true(r.finished && !r.is_demo && r.classes == 2 && r.best_epoch == 2);
    assert_true(r.threshold == 0.5 && r.temperature == 1.5);
    assert_string_equal(r.threshold_rule, "youden");
    assert_string_equal(r.class_names[1], "A|B");
    assert_string_equal(r.kernels, ""); /* an attribute that is not there */
    assert_int_equal(r.epochs, 2);
    assert_true(r.history[PULMO_HISTORY_LR][1] == 1);
    assert_true(r.history[PULMO_HISTORY_VAL_LOSS][0] == 30);
    assert_true(r.history[PULMO_HISTORY_VAL_AUC][1] == 51);
    assert_int_equal(r.splits, 1);
    assert_string_equal(r.split[0].name, "test");
    assert_string_equal(r.split[0].paths.text[3], "b/4.jpeg");
    assert_int_equal(r.split[0].metrics.correct, 3);
    assert_true(r.split[0].metrics.auc == 0.75);
    assert_true(r.part[PULMO_SPLIT_VAL].present && !r.part[PULMO_SPLIT_TRAIN].present);
    assert_true(r.part[PULMO_SPLIT_VAL].count == 11 && r.part[PULMO_SPLIT_VAL].patients == 9);
    assert_true(r.part[PULMO_SPLIT_VAL].images[1] == 6);
    report_free(&r);
}

/* A patient of several classes need not be one of several splits, which alone flatters a model. */
static void patients_of_several_classes_are_no_leak(void **state)
{
    report r;
    (void)state;
    write_results(&none);
    assert_ok(report_read(path, &r)); /* the file stands for its directory */
    assert_int_equal(r.shared_patients.count, 1);
    assert_string_equal(r.shared_patients.text[0], "p7: train, test");
    assert_int_equal(r.mixed_patients.count, 1);
    assert_string_equal(r.mixed_patients.text[0], "p8: in several classes");
    report_free(&r);
}

static void a_run_without_scores_can_be_read(void **state)
{
    oddity odd = none;
    report r;
    (void)state;
    odd.without_test = true;
    write_results(&odd);
    assert_ok(report_read(directory, &r));
    assert_int_equal(r.splits, 0);
    report_free(&r);
}

static void assert_read_refused(oddity odd, const char *word)
{
    report r;
    write_results(&odd);
    assert_refused(report_read(directory, &r), PULMO_DATA, word);
}

static void what_does_not_fit_is_refused(void **state)
{
    oddity odd = none;
    report r;
    (void)state;
    odd.groups = 3;
    assert_read_refused(odd, "differ in length");
    odd = none;
    odd.predicted = 2;
    assert_read_refused(odd, "none of the classes");
    odd = none;
    odd.label = -1;
    assert_read_refused(odd, "label -1");
    odd = none;
    odd.version++;
    assert_read_refused(odd, "version");
    odd = none;
    odd.kind = "model";
    assert_read_refused(odd, "model");
    assert_refused(report_read("/nowhere", &r), PULMO_IO, "no results to report on");
}

/* With a threshold of 0.1 a probability of 0.3 is a surer call than one of 0.02: it stands farther
 * away. By the larger of both probabilities it would be the other way round. */
static void sureness_is_the_distance_from_the_threshold(void **state)
{
    static char *names[] = {"COVID", "NORMAL"}, *patients[] = {"p1", "p2", "p3", "p4", "p5", "p5"};
    static int32_t labels[] = {0, 1, 0, 1, 1, 1}, predictions[] = {0, 1, 1, 0, 0, 0};
    /* of COVID, the finding */
    static float p[] = {0.3f, 0.7f, 0.02f, 0.98f, 0.05f, 0.95f,
                        0.4f, 0.6f, 0.15f, 0.85f, 0.2f,  0.8f};
    const report r = {.classes = 2, .class_names = names, .threshold = 0.1};
    const report_split s = {.count = 6,
                            .labels = labels,
                            .predictions = predictions,
                            .probabilities = p,
                            .groups = {6, patients}};
    uint32_t shown[REPORT_SHOWN];
    (void)state;
    assert_int_equal(report_surest(&r, &s, true, shown), 2);
    assert_int_equal(shown[0], 0);
    assert_int_equal(shown[1], 1);
    assert_int_equal(report_surest(&r, &s, false, shown), 3); /* one image per patient */
    assert_int_equal(shown[0], 3);
    assert_int_equal(shown[1], 5);
    assert_int_equal(shown[2], 2);
}

/* A name with a bar would tear Markdown's table. */
static void the_model_card(void **state)
{
    report r;
    pulmo_text text;
    char *card = NULL;
    (void)state;
    write_results(&none);
    assert_ok(report_read(directory, &r));
    assert_ok(pulmo_text_open(&text));
    model_card(text.stream, &r);
    assert_ok(pulmo_text_take(&text, &card));
    report_free(&r);
    assert_non_null(strstr(card, "| val | 11 | 9 | 5 | 6 |\n"));
    assert_non_null(strstr(card, "1 patient and 0 pictures in several splits; 1 patient in several "
                                 "classes;"));
    assert_non_null(strstr(
        card, "Epochs trained: 2; kept: epoch 2.\nPositive class: A\\|B; called from probability "
              "0.5000 on (rule: youden). Logits are divided by the temperature "
              "1.5000"));
    assert_non_null(strstr(card, "## Performance on test (4 images, 3 right)\n"));
    assert_non_null(strstr(card, "| accuracy | 0.7500 | 0.0623\u20130.9927 |\n"));
    /* By patient, of whom there are two; both images without the finding are of one. */
    assert_non_null(
        strstr(card, "| A\\|B | 1.0000 | 0.5000 (0.0015\u20130.9985) | 0.6667 | 0.7500 | 2 |\n"));
    assert_null(strstr(card, "flatter"));
    free(card);
}

/* "0 patients in several splits" would be a lie where nobody knows the patients. */
static void unknown_patients_are_called_so(void **state)
{
    report r;
    pulmo_text text;
    char *card = NULL;
    oddity odd = none;
    (void)state;
    odd.patients = "unknown";
    write_results(&odd);
    assert_ok(report_read(directory, &r));
    assert_true(r.patients_unknown);
    assert_ok(pulmo_text_open(&text));
    model_card(text.stream, &r);
    assert_ok(pulmo_text_take(&text, &card));
    report_free(&r);
    assert_non_null(strstr(card, "| val | 11 | unknown | 5 | 6 |\n"));
    assert_non_null(strstr(card, "Leak audit: patients unknown; 0 pictures in several splits;"));
    assert_non_null(strstr(card, "Patients by: names of a test: 11 images.\n"));
    assert_non_null(strstr(card, "- Patients are unknown: one may stand in several splits"));
    assert_null(strstr(card, "told from file names"));
    free(card);
}

static void a_date_is_in_words(void **state)
{
    (void)state;
    report r = {0};
    struct tm day = {.tm_mday = 1, .tm_mon = 11, .tm_year = 126};
    report_put_date(&r, &day);
    assert_string_equal(r.date, "1 December 2026");
    day.tm_mday = 30;
    day.tm_mon = 8;
    report_put_date(&r, &day);
    assert_string_equal(r.date, "30 September 2026");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_in_the_file_is_read),
        cmocka_unit_test(patients_of_several_classes_are_no_leak),
        cmocka_unit_test(a_run_without_scores_can_be_read),
        cmocka_unit_test(unknown_patients_are_called_so),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(sureness_is_the_distance_from_the_threshold),
        cmocka_unit_test(the_model_card),
        cmocka_unit_test(a_date_is_in_words),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
