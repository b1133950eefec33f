/* Every rule of the configuration, and that what is echoed reads back. */
#include "support.h"

#include "read.h"
#include "pulmo/config.h"

static pulmo_config config;

static int reset(void **state)
{
    (void)state;
    pulmo_config_init(&config);
    return 0;
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(config.train.epochs, 30);
    assert_int_equal(config.train.batch, 64);
    assert_int_equal(config.model.hidden.count, 1);
    assert_int_equal(config.model.hidden.value[0], 256);
    assert_true(config.optim.lr == 0.001 && config.optim.beta2 == 0.999);
    assert_string_equal(config.eval.threshold, "0.5");
}

static void test_file(void **state)
{
    (void)state;
    assert_ok(pulmo_config_parse(
        &config, "f.yaml",
        "# a comment\n"
        "train:\n  epochs: 7\n  run_dir: \"runs/a b\"\n"
        "model:\n  hidden: [64, 32]\n  pool: avgmax\n"
        "augment:\n  crop_scale: [0.5, 0.9]\n  brightness: 0.25\n  translate: 0.1\n  gamma: 0\n"
        "optim:\n  class_weights: [1, 2.5]\n"
        "eval:\n"));
    assert_int_equal(config.train.epochs, 7);
    assert_string_equal(config.train.run_dir, "runs/a b");
    assert_int_equal(config.model.hidden.count, 2);
    assert_int_equal(config.model.hidden.value[1], 32);
    assert_int_equal(config.model.pool, 3);
    assert_true(config.augment.brightness[0] == 0.75 && config.augment.brightness[1] == 1.25);
    assert_true(config.augment.translate[0] == 0.1 && config.augment.translate[1] == 0.1);
    assert_true(config.augment.gamma[0] == 1 && config.augment.gamma[1] == 1);
    assert_string_equal(config.optim.class_weights, "[1, 2.5]");
    assert_ok(pulmo_config_parse(&config, "empty.yaml", ""));
    assert_ok(pulmo_config_parse(&config, "f.yaml",
                                 "pack:\n  label_map:\n    Pneumonia: PNEUMONIA\n"
                                 "    No Finding: NORMAL\n  keep: [Age, View Position]\n"));
    assert_string_equal(config.pack.label_map, "{Pneumonia: PNEUMONIA, No Finding: NORMAL}");
    assert_string_equal(config.pack.keep, "[Age, View Position]");
    assert_ok(pulmo_config_parse(&config, "f.yaml",
                                 "pack:\n  label_map:\n    \"Mass, left\": MASS\n    a: b\n"
                                 "  keep: [\"Age, years\", Sex, 'a \"b\", c']\n"));
    assert_string_equal(config.pack.label_map, "{\"Mass, left: MASS\", a: b}");
    assert_string_equal(config.pack.keep, "[\"Age, years\", Sex, 'a \"b\", c']");
    assert_ok(pulmo_config_parse(&config, "f.yaml", "pack:\n  label_map: {}\n  keep: []\n"));
    assert_string_equal(config.pack.label_map, "{}");
    assert_string_equal(config.pack.keep, "[]");
}

static void refused(const char *text, const char *word)
{
    pulmo_config before = config;
    assert_refused(pulmo_config_parse(&config, "f.yaml", text), PULMO_CONFIG, word);
    assert_memory_equal(&config, &before, sizeof config); /* a file with an error changes nothing */
}

static void test_refusals(void **state)
{
    (void)state;
    refused("pack:\n  label_map:\n    a: [b, c]\n", "f.yaml:3: a mapping's names and values");
    refused("pack:\n  keep:\n    a: b\n", "not a mapping");
    refused("pack:\n  keep: [\"a, \\\"b\\\" 'c'\"]\n", "a comma and both kinds of quotes");
    refused("train:\n  epoch: 3\n",
            "f.yaml:2: unknown key train.epoch; did you mean train.epochs?");
    refused("trian:\n  epochs: 3\n", "did you mean train.epochs?");
    refused("optim:\n  epochs: 3\n", "did you mean train.epochs?");
    refused("pack:\n  groop: x\n", "unknown key pack.groop; did you mean pack.group_pattern?");
    refused("pack:\n  tabel: x\n", "did you mean pack.table?");
    refused("pack:\n  sunglasses: x\n", "\"pulmo pack --help\" lists the keys of pack");
    refused("optim:\n  sunglasses: x\n", "\"pulmo train --help\" lists all");
    refused("train:\n  epochs: 3 x\n", "whole number");
    refused("train:\n  epochs: 3.5\n", "whole number");
    refused("train:\n  epochs: 0x10\n", "whole number");
    refused("train:\n  epochs: 0\n", "between 1 and");
    refused("train:\n  epochs: 99999999999999999999\n", "whole number");
    refused("optim:\n  lr: 1e-3junk\n", "must be a number");
    refused("optim:\n  lr: nan\n", "must be a number");
    refused("optim:\n  lr: inf\n", "must be a number");
    refused("optim:\n  lr: -1\n", "between 0 and");
    refused("optim:\n  lr:\n", "must be a number");
    refused("optim:\n  lr: [1, 2]\n", "must be a number");
    refused("optim:\n  lr: {a: 1}\n", "not a mapping");
    refused("optim:\n  name: Adam\n", "adam|adamw|sgd");
    refused("model:\n  hidden: [256,]x\n", "f.yaml");
    refused("model:\n  hidden: [0]\n", "between 1 and");
    refused("model:\n  hidden: [1.5]\n", "whole numbers");
    refused("augment:\n  crop_scale: [0.9, 0.5]\n", "must not be above");
    refused("augment:\n  crop_scale: [0.5]\n", "two numbers");
    refused("train:\n  epochs: 3\n  epochs: 4\n", "given twice");
    refused("train: 3\n", "must hold");
    refused("- a\n- b\n", "f.yaml:1");
    refused("train:\n  epochs: [\n", "not YAML");
    refused("train:\n\tepochs: 3\n", "not YAML");
}

static void test_set(void **state)
{
    (void)state;
    assert_ok(pulmo_config_set(&config, "optim.lr=0.25"));
    assert_true(config.optim.lr == 0.25);
    assert_ok(pulmo_config_set(&config, "model.hidden=[]"));
    assert_int_equal(config.model.hidden.count, 0);
    assert_ok(pulmo_config_set(&config, "data.path=a=b")); /* the first = separates */
    assert_string_equal(config.data.path, "a=b");
    assert_refused(pulmo_config_set(&config, "optim.lr"), PULMO_CONFIG, "section.key=value");
    assert_refused(pulmo_config_set(&config, "lr=1"), PULMO_CONFIG, "section.key=value");
    assert_refused(pulmo_config_set(&config, "optim.rl=1"), PULMO_CONFIG, "did you mean optim.lr?");
    assert_refused(pulmo_config_set(&config, "optim.lr=1,0"), PULMO_CONFIG, "must be a number");
}

static void assert_pair(const char *set, const double *pair, double first, double second)
{
    assert_ok(pulmo_config_set(&config, set));
    assert_true(pair[0] == first);
    assert_true(pair[1] == second);
}

/* 0 is what leaves an image as it is: a factor of 1, a blur, a shift and a strength of 0. */
static void zero_switches_every_pair_off(void **state)
{
    (void)state;
    assert_pair("augment.crop_scale=0", config.augment.crop_scale, 1, 1);
    assert_pair("augment.crop_ratio=0", config.augment.crop_ratio, 1, 1);
    assert_pair("augment.scale=0", config.augment.scale, 1, 1);
    assert_pair("augment.brightness=0", config.augment.brightness, 1, 1);
    assert_pair("augment.contrast=0", config.augment.contrast, 1, 1);
    assert_pair("augment.gamma=0", config.augment.gamma, 1, 1);
    assert_pair("augment.sharpness=0", config.augment.sharpness, 1, 1);
    assert_pair("augment.translate=0", config.augment.translate, 0, 0);
    assert_pair("augment.blur=0", config.augment.blur, 0, 0);
    assert_pair("augment.strength=0", config.augment.strength, 0, 0);
    assert_pair("augment.strength=0.5", config.augment.strength, 0.5, 0.5);
    assert_pair("augment.blur=1.5", config.augment.blur, 1.5, 1.5);
    assert_refused(pulmo_config_set(&config, "augment.strength=2"), PULMO_CONFIG,
                   "between 0 and 1");
    assert_refused(pulmo_config_set(&config, "augment.blur=[2, 1]"), PULMO_CONFIG, "not be above");
}

static void test_echo_reads_back(void **state)
{
    (void)state;
    assert_ok(pulmo_config_set(&config, "optim.lr=0.1"));
    assert_ok(pulmo_config_set(&config, "optim.weight_decay=1e-7"));
    assert_ok(pulmo_config_set(&config, "train.run_dir=a \"quoted\" \\ name: [x]"));
    assert_ok(pulmo_config_set(&config, "pack.group_pattern=^(p[0-9]+)_"));
    assert_ok(pulmo_config_set(&config, "optim.class_weights=[1, 3]"));
    assert_ok(pulmo_config_set(&config, "eval.threshold=sensitivity>=0.95"));
    char *echo = pulmo_config_echo(&config);
    pulmo_config again;
    pulmo_config_init(&again);
    assert_ok(pulmo_config_parse(&again, "echo", echo));
    assert_memory_equal(&again, &config, sizeof config);
    free(echo);
}

static void reads_back(void)
{
    char *echo = pulmo_config_echo(&config);
    pulmo_config again;
    pulmo_config_init(&again);
    assert_ok(pulmo_config_parse(&again, "echo", echo));
    assert_memory_equal(&again, &config, sizeof config);
    free(echo);
}

/* However weights are written, the echo gives the same text back, by which a run is known. */
static void lists_of_weights_read_back(void **state)
{
    static const char *const lists[] = {"[1,2]", "[ 1 , 2.0 ]", "[1,  2e0]", " [1.00, 2] "};
    static const char *const wrong[] = {"[1, x]",   "[1, 2", "[1,]",    "[]",
                                        "[1, 2] 3", "[1 2]", "[nan, 1]"};
    (void)state;
    for (size_t i = 0; i < PULMO_COUNT_OF(lists); i++) {
        char *set = pulmo_format("optim.class_weights=%s", lists[i]);
        assert_ok(pulmo_config_set(&config, set));
        assert_string_equal(config.optim.class_weights, "[1, 2]");
        reads_back();
        free(set);
    }
    for (size_t i = 0; i < PULMO_COUNT_OF(wrong); i++) {
        char *set = pulmo_format("optim.class_weights=%s", wrong[i]);
        assert_refused(pulmo_config_set(&config, set), PULMO_CONFIG, "must be a word, or numbers");
        free(set);
    }
    assert_string_equal(config.optim.class_weights, "[1, 2]");
}

/* A name may hold what YAML has no place for: control characters, Unicode's line breaks, a byte
 * order mark. */
static void odd_text_reads_back(void **state)
{
    static const char *const texts[] = {
        "a\tb",
        "a\rb",
        "a\nb",
        "  both ends  ",
        "\x01\x1b[1m\x7f",
        "\xc2\x85next",
        "\xe2\x80\xa8",
        "x\xe2\x80\xa9 y",
        "\xef\xbb\xbf",
        "\xef\xbf\xbf",
        "\xc3\xa9t\xc3\xa9",
        "\xf0\x9f\xab\x81",
        "'\"\\ #: - ? {",
        "~",
        "null",
    };
    (void)state;
    for (size_t i = 0; i < PULMO_COUNT_OF(texts); i++) {
        char *set = pulmo_format("train.run_dir=%s", texts[i]);
        assert_ok(pulmo_config_set(&config, set));
        assert_string_equal(config.train.run_dir, texts[i]);
        reads_back();
        free(set);
    }
    assert_refused(pulmo_config_set(&config, "data.path=\xe9t\xe9"), PULMO_CONFIG, "not UTF-8");
}

/* Every configuration that is shipped reads. */
static void test_shipped(void **state)
{
    static const char *const names[] = {
        "demo",          "tutorial",           "head",
        "three-class",   "recommended",        "sets/nih-chestxray14",
        "sets/chexpert", "sets/mimic-cxr-jpg", "sets/rsna-pneumonia",
        "sets/padchest", "sets/kermany-v3",    "sets/covid-19-radiography"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = pulmo_format("%s/configs/%s.yaml", PULMO_SOURCE, names[i]);
        pulmo_config_init(&config);
        assert_ok(config_read(&config, path));
        free(path);
    }
    assert_refused(config_read(&config, "/nonexistent.yaml"), PULMO_CONFIG, "/nonexistent.yaml");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_defaults, reset),
        cmocka_unit_test_setup(test_file, reset),
        cmocka_unit_test_setup(test_refusals, reset),
        cmocka_unit_test_setup(test_set, reset),
        cmocka_unit_test_setup(zero_switches_every_pair_off, reset),
        cmocka_unit_test_setup(test_echo_reads_back, reset),
        cmocka_unit_test_setup(lists_of_weights_read_back, reset),
        cmocka_unit_test_setup(odd_text_reads_back, reset),
        cmocka_unit_test_setup(test_shipped, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
