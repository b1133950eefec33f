/* history.csv, predictions.csv and the lines that end a run, letter by letter. The figures of the
 * four images are worked out by hand from the definitions, Wilson's intervals in Python. */
#include "support.h"

#include "pulmo/text.h"
#include "results_room.h"

static char *directory;
static char *class_names[] = {"NORMAL", "VIRAL, \"severe\""};
static const int32_t labels[] = {0, 0, 1, 1};
static const char *const paths[] = {"a/1.jpeg", "a/2, left.jpeg", "b/3 \"x\".jpeg", "b/4.jpeg"};
static const char *const groups[] = {"p1", "p1", "p2", "p3"};
/* scikit-learn's example for roc_auc_score: 0.75. */
static float probabilities[] = {0.9f, 0.1f, 0.6f, 0.4f, 0.65f, 0.35f, 0.2f, 0.8f};

static int set_up(void **state)
{
    (void)state;
    directory = scratch_directory();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    remove_directory(directory);
    return 0;
}

static pulmo_dataset_info four_images(void)
{
    return (pulmo_dataset_info){.count = 4,
                                .height_px = 8,
                                .width_px = 8,
                                .channels = 1,
                                .classes = 2,
                                .class_names = (const char *const *)class_names,
                                .labels = labels,
                                .paths = paths,
                                .groups = groups};
}

static pulmo_model two_classes(void)
{
    return (pulmo_model){.classes = 2,
                         .class_names = class_names,
                         .positive = {.index = 1, .by = PULMO_POSITIVE_NAME},
                         .threshold_rule = "youden",
                         .threshold = 0.5,
                         .temperature = 1};
}

static void assert_file(const char *name, const char *wanted)
{
    char *path = pulmo_format("%s/%s", directory, name);
    char have[2048];
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    size_t bytes = fread(have, 1, sizeof have - 1, in);
    have[bytes] = '\0';
    fclose(in);
    free(path);
    assert_string_equal(have, wanted);
}

/* The line, the header being 0, ends so. */
static void assert_line(const char *name, int line, const char *end)
{
    char *path = pulmo_format("%s/%s", directory, name);
    char have[512] = "";
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    for (int i = 0; i <= line; i++)
        assert_non_null(fgets(have, sizeof have, in));
    fclose(in);
    free(path);
    have[strcspn(have, "\n")] = '\0';
    size_t bytes = strlen(have), end_bytes = strlen(end);
    assert_true(bytes >= end_bytes);
    assert_string_equal(have + bytes - end_bytes, end);
}

/* A number to its last bit; what is not there is an empty field. */
static void history_has_a_line_per_epoch(void **state)
{
    const pulmo_epoch_row rows[] = {{.lr = 0.1,
                                     .train_loss = 1.0 / 3,
                                     .train_accuracy = 0.5,
                                     .val_loss = NAN,
                                     .val_accuracy = NAN,
                                     .val_auc = NAN},
                                    {.lr = 0.05,
                                     .train_loss = 0.25,
                                     .train_accuracy = 1,
                                     .val_loss = 2,
                                     .val_accuracy = 0.75,
                                     .val_auc = 0.875}};
    const pulmo_run_history history = {.epochs = 2, .row = rows};
    (void)state;
    assert_ok(results_history_csv(directory, &history));
    assert_file("history.csv", "epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,val_auc\n"
                               "1,0.10000000000000001,0.33333333333333331,0.5,,,\n"
                               "2,0.050000000000000003,0.25,1,2,0.75,0.875\n");
}

#define DECIDED "\"VIRAL, \"\"severe\"\"\",0.5,youden\n"

static void fields_of_predictions_are_quoted(void **state)
{
    const pulmo_dataset_info info = four_images();
    const pulmo_model model = two_classes();
    const pulmo_split_scores test = {
        .split = "test", .info = &info, .probabilities = probabilities};
    const pulmo_results results = {.directory = directory, .model = &model, .test = &test};
    (void)state;
    assert_ok(results_predictions_csv(&results));
    assert_file("predictions.csv",
                "split,path,patient,label,predicted,p_NORMAL,\"p_VIRAL, \"\"severe\"\"\","
                "positive_class,threshold,rule\n"
                "test,a/1.jpeg,p1,NORMAL,NORMAL,0.899999976,0.100000001," DECIDED
                "test,\"a/2, left.jpeg\",p1,NORMAL,NORMAL,0.600000024,0.400000006," DECIDED
                "test,\"b/3 \"\"x\"\".jpeg\",p2,\"VIRAL, \"\"severe\"\"\",NORMAL,"
                "0.649999976,0.349999994," DECIDED
                "test,b/4.jpeg,p3,\"VIRAL, \"\"severe\"\"\",\"VIRAL, \"\"severe\"\"\","
                "0.200000003,0.800000012," DECIDED);
}

static void kept_columns_follow_the_images(void **state)
{
    static const char *const names[] = {"Age", "AP/PA"};
    static const char *const ages[] = {"58", "58", "", "7"};
    static const char *const views[] = {"AP", "PA, erect", "AP", "PA"};
    const char *const *columns[] = {ages, views};
    pulmo_dataset_info info = four_images();
    info.kept = 2;
    info.kept_names = names;
    info.kept_columns = columns;
    const pulmo_model model = two_classes();
    const pulmo_split_scores test = {
        .split = "test", .info = &info, .probabilities = probabilities};
    const pulmo_results results = {.directory = directory, .model = &model, .test = &test};
    (void)state;
    assert_ok(results_predictions_csv(&results));
    assert_line("predictions.csv", 0, ",positive_class,threshold,rule,Age,AP/PA");
    assert_line("predictions.csv", 2, ",youden,58,\"PA, erect\"");
    assert_line("predictions.csv", 3, ",youden,,AP");
}

/* Of more than two classes the largest probability decides, whatever threshold the model holds. */
static void without_two_classes_no_threshold_decides(void **state)
{
    static char *names[] = {"A", "B", "C"};
    const float row[] = {0.25f, 0.5f, 0.25f};
    const pulmo_model model = {.classes = 3,
                               .class_names = names,
                               .positive = {.index = -1, .by = PULMO_POSITIVE_ORDER},
                               .threshold_rule = "0.5",
                               .threshold = 0.5};
    pulmo_text text;
    char *out = NULL;
    (void)state;
    assert_ok(pulmo_text_open(&text));
    pulmo_csv_score_columns(text.stream, &model);
    fputc('\n', text.stream);
    pulmo_csv_scores(text.stream, &model, row, model.threshold);
    assert_ok(pulmo_text_take(&text, &out));
    assert_string_equal(out, ",p_A,p_B,p_C,positive_class,threshold,rule\n"
                             ",0.25,0.5,0.25,,,largest probability");
    free(out);
}

static void nothing_is_written_where_there_is_no_directory(void **state)
{
    const pulmo_run_history history = {0};
    (void)state;
    assert_refused(results_history_csv("/nowhere/at/all", &history), PULMO_IO, "history.csv");
}

/* Owned by the caller. */
static char *printed_of(const pulmo_model *model, int models, const pulmo_dataset_info *info)
{
    const pulmo_split_scores scores = {
        .split = "test", .info = info, .probabilities = probabilities};
    pulmo_text text;
    char *out = NULL;
    assert_ok(pulmo_text_open(&text));
    assert_ok(pulmo_results_print(text.stream, model, models, &scores));
    assert_ok(pulmo_text_take(&text, &out));
    return out;
}

static char *printed(const pulmo_model *model, int models)
{
    const pulmo_dataset_info info = four_images();
    return printed_of(model, models, &info);
}

#define DASH "\u2013"

static void the_last_lines_of_a_run(void **state)
{
    static char *plain[] = {"NORMAL", "PNEUMONIA"};
    pulmo_model model = two_classes();
    (void)state;
    model.class_names = plain;
    char *text = printed(&model, 1);
    assert_string_equal(
        text,
        "Total correct: 3, total test images: 4\n"
        "Test accuracy: 0.7500 (95 % CI 0.3006" DASH "0.9544)"
        "  sensitivity 0.5000 (0.0945" DASH "0.9055)  specificity 1.0000 (0.3424" DASH "1.0000)"
        "  AUC 0.7500 (0.0570" DASH "1.0000)\n"
        "Intervals: by image (4 patients of one image each); few patients: 2 with the finding, 2 "
        "without\n"
        "Positive class: PNEUMONIA, from probability 0.5000 on (youden, chosen on val)\n"
        "Calibration:  intercept at slope 1 0.4771 (-1.7960" DASH "2.7501)"
        "  slope 1.8911 (-2.4110" DASH "6.1931)  index 0.3375\n"
        "\n"
        "              precision    recall  f1-score   support\n"
        "\n"
        "      NORMAL     0.6667    1.0000    0.8000         2\n"
        "   PNEUMONIA     1.0000    0.5000    0.6667         2\n"
        "\n"
        "    accuracy                         0.7500         4\n"
        "   macro avg     0.8333    0.7500    0.7333         4\n"
        "weighted avg     0.8333    0.7500    0.7333         4\n"
        "\n"
        "Balanced accuracy 0.7500  average precision 0.8333  Brier score 0.1581  "
        "calibration error 0.1375\n"
        "\n"
        "Confusion matrix (rows: true, columns: predicted)\n"
        "                 NORMAL  PNEUMONIA\n"
        "      NORMAL          2          0\n"
        "   PNEUMONIA          1          1\n"
        "\n");
    free(text);
}

/* The first two images are of one patient. */
static void patients_of_several_images_are_told(void **state)
{
    static const uint32_t patient[] = {0, 0, 1, 2};
    const pulmo_model model = two_classes();
    pulmo_dataset_info info = four_images();
    (void)state;
    info.patients = 3;
    info.patient = patient;
    char *text = printed_of(&model, 1, &info);
    assert_non_null(strstr(text, "\nIntervals: by patient (3 patients, some with several images)"));
    assert_non_null(strstr(text, "\nPer patient, by the largest probability:  AUC "));
    assert_non_null(strstr(text, "\nPer patient, by the mean probability:  AUC "));
    assert_null(strstr(text, "0.3006" DASH "0.9544")); /* which is Wilson's of four images */
    free(text);
}

/* With the first class as the finding: found are both images of class 0 that have 0.6 and more of
 * it, the third image is a false alarm, and the predictive values change places. */
static void the_finding_may_be_the_first_class(void **state)
{
    static char *plain[] = {"COVID", "NORMAL"};
    pulmo_model model = two_classes();
    (void)state;
    model.class_names = plain;
    model.positive = (pulmo_positive){.index = 0, .by = PULMO_POSITIVE_NAME};
    model.threshold = 0.6;
    char *text = printed(&model, 1);
    assert_non_null(strstr(text, "sensitivity 1.0000 (0.3424" DASH "1.0000)"
                                 "  specificity 0.5000 (0.0945" DASH "0.9055)"));
    assert_non_null(strstr(text, "\nPositive class: COVID, from probability 0.6000 on (youden"));
    assert_null(strstr(text, "Nothing told"));
    free(text);
    model.positive.by = PULMO_POSITIVE_ORDER;
    text = printed(&model, 1);
    assert_non_null(strstr(text, "\nNothing told which class is the finding"));
    free(text);
}

/* Only a rule that one model was given val for has been "chosen on val". */
static void who_chose_the_threshold_is_said(void **state)
{
    pulmo_model model = two_classes();
    (void)state;
    snprintf(model.threshold_rule, sizeof model.threshold_rule, "mean of 2 models");
    char *text = printed(&model, 2);
    assert_non_null(strstr(text, "0.5000 on (mean of 2 models)\n"));
    free(text);
    snprintf(model.threshold_rule, sizeof model.threshold_rule, "0.5");
    text = printed(&model, 1);
    assert_non_null(strstr(text, "0.5000 on (0.5)\n"));
    free(text);
    model.temperature = 1.25;
    model.is_demo = 1;
    text = printed(&model, 1);
    assert_non_null(strstr(text, "0.5000 on (0.5), temperature 1.2500\n"));
    assert_int_equal(strncmp(text, "DEMO data", 9), 0);
    free(text);
}

/* Of sick people alone nobody can be called healthy rightly or wrongly, and nothing be ranked. */
static void what_one_class_leaves_open_is_undefined(void **state)
{
    static const int32_t sick[] = {1, 1, 1, 1};
    const pulmo_model model = two_classes();
    pulmo_dataset_info info = four_images();
    (void)state;
    info.labels = sick;
    char *text = printed_of(&model, 1, &info);
    assert_non_null(strstr(text, "  sensitivity 0.2500 (0.0456" DASH "0.6994)"
                                 "  specificity undefined  AUC undefined\n"));
    assert_null(strstr(text, "nan"));
    free(text);
}

/* No image of the third class, and so no AUC of it; of one class alone little is left. */
static void undefined_is_said_of_three_classes_too(void **state)
{
    static char *names[] = {"A", "B", "C"};
    static const int32_t one_class[] = {0, 0};
    static const int32_t no_third[] = {0, 1};
    const pulmo_model model = {
        .classes = 3, .class_names = names, .positive = {.index = -1}, .temperature = 1};
    pulmo_dataset_info info = four_images();
    (void)state;
    info.count = 2;
    info.classes = 3;
    info.class_names = (const char *const *)names;
    info.labels = one_class;
    char *text = printed_of(&model, 1, &info);
    assert_non_null(strstr(text, "  AUC undefined\n"));
    assert_non_null(strstr(text, "All images are of class A: accuracy is its recall."));
    assert_null(strstr(text, "precision    recall"));
    free(text);
    info.labels = no_third;
    text = printed_of(&model, 1, &info);
    assert_null(strstr(text, "All images are of class"));
    assert_non_null(strstr(text, "C  sensitivity undefined"));
    assert_null(strstr(text, "nan"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_has_a_line_per_epoch),
        cmocka_unit_test(fields_of_predictions_are_quoted),
        cmocka_unit_test(kept_columns_follow_the_images),
        cmocka_unit_test(nothing_is_written_where_there_is_no_directory),
        cmocka_unit_test(the_last_lines_of_a_run),
        cmocka_unit_test(without_two_classes_no_threshold_decides),
        cmocka_unit_test(patients_of_several_images_are_told),
        cmocka_unit_test(the_finding_may_be_the_first_class),
        cmocka_unit_test(who_chose_the_threshold_is_said),
        cmocka_unit_test(what_one_class_leaves_open_is_undefined),
        cmocka_unit_test(undefined_is_said_of_three_classes_too),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
