/* model.h5: what is written is read back to the bit; a file that holds what no training writes is
 * refused, naming what. */
#include "cost.h"
#include "scratch.h"

#include "pulmo/file.h"
#include "pulmo/h5.h"
#include "pulmo/model.h"
#include "pulmo/packed.h"

static float values[4 * 8 + 4 + 2 * 4 + 2];
static char *names[] = {"NORMAL", "PNEUMONIA"};

static int set_up(void **state)
{
    (void)state;
    open_scratch("model.h5");
    fill_normal(values, sizeof values / sizeof values[0], 1);
    return 0;
}

/* A head of 8 inputs, 4 hidden, 2 classes. All of it is borrowed. */
static pulmo_model good_model(void)
{
    pulmo_model model = {.head = {.channels = 2,
                                  .height = 2,
                                  .width = 2,
                                  .pool = PULMO_POOL_FLATTEN,
                                  .hidden_layers = 1,
                                  .hidden = {4},
                                  .dropout = 0.5,
                                  .classes = 2},
                         .storage = values,
                         .parameters = values,
                         .size_px = 64,
                         .framing = {.fit = PULMO_FIT_PAD, .crop_border = true, .fast = true},
                         .mean = {0.485f, 0.456f, 0.406f},
                         .std = {0.229f, 0.224f, 0.225f},
                         .classes = 2,
                         .class_names = names,
                         .positive = {.index = 1, .by = PULMO_POSITIVE_NAME},
                         .threshold_rule = "sensitivity>=0.9",
                         .threshold = 0.25,
                         .temperature = 1.5,
                         .best_epoch = 3,
                         .tta = 2,
                         .config = "eval:\n  tta: 2\n",
                         .weights_digest = "ab12",
                         .preprocessing = "caffe-rgb"};
    pulmo_head_layout_of(&model.head, &model.layout);
    return model;
}

static void what_is_written_is_read(void **state)
{
    pulmo_model wrote = good_model(), read;
    (void)state;
    assert_ok(pulmo_model_write(path, &wrote));
    assert_ok(pulmo_model_read(directory, &read)); /* a run directory stands for the model in it */
    assert_int_equal(read.layout.parameters, sizeof values / sizeof values[0]);
    assert_memory_equal(read.parameters, values, sizeof values);
    assert_memory_equal(&read.head, &wrote.head, sizeof read.head);
    assert_memory_equal(read.mean, wrote.mean, sizeof read.mean);
    assert_memory_equal(read.std, wrote.std, sizeof read.std);
    assert_string_equal(read.class_names[1], "PNEUMONIA");
    assert_string_equal(read.threshold_rule, wrote.threshold_rule);
    assert_string_equal(read.config, wrote.config);
    assert_string_equal(read.weights_digest, "ab12");
    assert_string_equal(read.preprocessing, "caffe-rgb");
    assert_true(read.threshold == 0.25 && read.temperature == 1.5);
    assert_true(pulmo_framing_equal(&read.framing, &wrote.framing));
    assert_true(read.size_px == 64 && read.tta == 2 && read.best_epoch == 3 && !read.is_demo &&
                read.tuned.layers == 0);
    pulmo_model_free(&read);
    wrote.threshold = nextafter(1, 2); /* a rule that no score may reach */
    assert_ok(pulmo_model_write(path, &wrote));
    assert_ok(pulmo_model_read(path, &read));
    assert_true(read.threshold > 1);
    assert_int_equal(read.tuned.averaged, 0); /* as in a file of before */
    pulmo_model_free(&read);
    wrote.tuned.averaged = pulmo_block_set_of(4) | pulmo_block_set_of(5);
    assert_ok(pulmo_model_write(path, &wrote));
    assert_ok(pulmo_model_read(path, &read));
    assert_int_equal(read.tuned.averaged, wrote.tuned.averaged);
    pulmo_model_free(&read);
}

/* A file that says nothing, as of an earlier version: squashed, with borders, decoded exactly; one
 * of a pack that says only in words that it was decoded fast. */
static void an_old_file_is_squashed(void **state)
{
    pulmo_framing read = {.fit = PULMO_FIT_PAD, .crop_border = true, .fast = true};
    pulmo_h5 *file = NULL;
    (void)state;
    assert_ok(pulmo_h5_create(path, &file));
    assert_ok(pulmo_framing_read(file, "/", &read));
    assert_true(pulmo_framing_equal(&read, &(pulmo_framing){0}));
    assert_ok(pulmo_h5_set_text(file, "/", "decode", "libjpeg, accurate integer DCT"));
    assert_ok(pulmo_framing_read(file, "/", &read));
    assert_true(pulmo_framing_equal(&read, &(pulmo_framing){0}));
    assert_ok(pulmo_h5_set_text(file, "/", "decode", "libjpeg, scaled integer DCT"));
    assert_ok(pulmo_framing_read(file, "/", &read));
    assert_true(pulmo_framing_equal(&read, &(pulmo_framing){.fast = true}));
    assert_ok(pulmo_h5_set_text(file, "/", "fit", "stretch"));
    assert_refused(pulmo_framing_read(file, "/", &read), PULMO_DATA,
                   "attribute fit is \"stretch\"");
    pulmo_h5_close(file);
}

static void the_finding_is_read_back(void **state)
{
    static char *unclear[] = {"BACTERIA", "VIRUS"};
    pulmo_model wrote = good_model(), read;
    (void)state;
    wrote.class_names = unclear;
    for (int by = PULMO_POSITIVE_GIVEN; by <= PULMO_POSITIVE_ORDER; by++) {
        wrote.positive = (pulmo_positive){.index = by % 2, .by = (pulmo_positive_by)by};
        assert_ok(pulmo_model_write(path, &wrote));
        assert_ok(pulmo_model_read(path, &read));
        assert_int_equal(read.positive.index, by % 2);
        assert_int_equal(read.positive.by, by);
        pulmo_model_free(&read);
    }
}

/* A model of an earlier version says nothing: the last class was the finding, and is. */
static void an_old_model_means_the_last_class(void **state)
{
    static struct {
        char *names[2];
        pulmo_positive_by by;
    } cases[] = {{{"NORMAL", "PNEUMONIA"}, PULMO_POSITIVE_NAME},
                 {{"COVID", "NORMAL"}, PULMO_POSITIVE_ORDER},
                 {{"BACTERIA", "VIRUS"}, PULMO_POSITIVE_ORDER}};
    const float first[] = {0.75f, 0.25f};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pulmo_model old = good_model(), read;
        old.class_names = cases[i].names;
        old.positive.index = -1; /* not written */
        assert_ok(pulmo_model_write(path, &old));
        assert_ok(pulmo_model_read(path, &read));
        assert_int_equal(read.positive.index, 1);
        assert_int_equal(read.positive.by, cases[i].by);
        assert_int_equal(pulmo_model_class(&read, first), 1); /* from 0.25 on */
        pulmo_model_free(&read);
    }
}

static void a_finding_of_no_class_is_refused(void **state)
{
    pulmo_positive read;
    pulmo_h5 *file = NULL;
    (void)state;
    assert_ok(pulmo_h5_create(path, &file));
    assert_ok(pulmo_h5_set_text(file, "/", "positive_class", "TB"));
    assert_ok(pulmo_h5_set_text(file, "/", "positive_class_by", "given"));
    assert_ok(pulmo_h5_commit(file));
    assert_ok(pulmo_h5_open(path, &file));
    assert_refused(pulmo_positive_read(file, 2, (const char *const *)names, &read), PULMO_DATA,
                   "positive_class is \"TB\"; must be \"NORMAL\" or \"PNEUMONIA\"");
    pulmo_h5_close(file);
}

static void refused(const pulmo_model *model, const char *word)
{
    pulmo_model read;
    assert_ok(pulmo_model_write(path, model));
    assert_refused(pulmo_model_read(path, &read), PULMO_DATA, word);
    assert_non_null(strstr(pulmo_error(), path));
    assert_null(read.storage); /* nothing is left to free */
    pulmo_error_clear();
}

#define REFUSED(field, value, word)                                                                \
    do {                                                                                           \
        pulmo_model bad_ = good_model();                                                           \
        bad_.field = value;                                                                        \
        refused(&bad_, word);                                                                      \
    } while (0)

static void what_no_training_writes_is_refused(void **state)
{
    (void)state;
    REFUSED(threshold, NAN, "threshold is nan; must be 0 to 1");
    REFUSED(threshold, -0.1, "threshold is -0.1");
    REFUSED(threshold, 1.5, "threshold is 1.5");
    REFUSED(temperature, 0, "temperature is 0");
    REFUSED(temperature, NAN, "temperature is nan");
    REFUSED(head.dropout, 2, "dropout is 2");
    REFUSED(head.channels, 3, "head/classifier.0.weight"); /* 12 inputs, where the tensor has 8 */
    REFUSED(head.channels, 0, "channels is 0");
    REFUSED(head.height, -7, "height is -7");
    REFUSED(head.hidden[0], 5, "head/classifier.0.weight");
    REFUSED(head.hidden[0], 0, "/hidden[0] is 0");
    REFUSED(size_px, 7, "size_px is 7");
    REFUSED(tuned.averaged, pulmo_block_set_of(5), "/pool_blocks must hold 2 to 16 numbers");
    REFUSED(classes, 1, "classes has 1 names; must be 2 or more");
    REFUSED(mean[1], NAN, "/mean[1] is nan");
    REFUSED(std[2], 0, "/std[2] is 0");
    REFUSED(tta, 0, "tta is 0");
    REFUSED(best_epoch, -1, "best_epoch is -1");
}

/* A file of 9 kB said 65536 x 65536 weights, and 17 GB were asked for before they were looked for.
 */
static void sizes_are_looked_for_before_memory(void **state)
{
    pulmo_model huge = good_model();
    struct rlimit limit, before;
    (void)state;
    huge.head.hidden_layers = 2;
    huge.head.hidden[0] = 65536;
    huge.head.hidden[1] = 65536;
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)4 << 30;
    if (COST_FACTOR == 1) /* sanitizers ask for address space by the terabyte */
        assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    refused(&huge, "/head/classifier.0.weight: has shape (4 x 8), must be (65536 x 8)");
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
}

static void a_head_of_too_many_inputs_is_refused(void **state)
{
    pulmo_model wide = good_model();
    (void)state;
    wide.head.channels = 65536;
    wide.head.height = 1024;
    wide.head.width = 1024;
    refused(&wide, "make 65536 x 1024 x 1024 inputs, more than a layer can have");
}

/* A NaN would become a class: comparisons with it are false. */
static void weights_that_are_no_numbers_are_refused(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pulmo_model model = good_model();
        float *weight = &model.parameters[model.layout.tensor[0].offset + 3];
        float before = *weight;
        *weight = bad[i];
        refused(&model, "/head/classifier.0.weight: value 3 is ");
        *weight = before;
    }
}

static void scores_that_are_no_numbers_are_no_class(void **state)
{
    const pulmo_model model = good_model();
    const float logits[] = {1, 2, NAN, 0};
    float probabilities[4];
    (void)state;
    assert_ok(pulmo_model_probabilities(&model, 1, logits, probabilities));
    assert_refused(pulmo_model_probabilities(&model, 2, logits, probabilities), PULMO_DATA,
                   "a score is nan");
}

/* Whatever byte of the file is changed, no other model is read. */
static void a_changed_model_is_refused(void **state)
{
    pulmo_model model = good_model(), read;
    uint8_t *bytes = NULL;
    size_t size = 0;
    int seen = 0;
    (void)state;
    assert_ok(pulmo_model_write(path, &model));
    assert_ok(pulmo_file_read(path, 1 << 24, &bytes, &size));
    for (size_t at = 0; at < size - 56; at += 61) { /* the seal's own bytes: tests/h5/test_seal.c */
        bytes[at] ^= (uint8_t)(1 << at % 8);
        FILE *out = fopen(path, "wb");
        assert_int_equal(fwrite(bytes, 1, size, out), size);
        fclose(out);
        assert_refused(pulmo_model_read(path, &read), PULMO_DATA, "not those that were written");
        bytes[at] ^= (uint8_t)(1 << at % 8);
        seen++;
    }
    assert_true(seen > 50);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_old_file_is_squashed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_finding_is_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_old_model_means_the_last_class, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_finding_of_no_class_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_no_training_writes_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sizes_are_looked_for_before_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_head_of_too_many_inputs_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(weights_that_are_no_numbers_are_refused, set_up, tear_down),
        cmocka_unit_test(scores_that_are_no_numbers_are_no_class),
        cmocka_unit_test_setup_teardown(a_changed_model_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
