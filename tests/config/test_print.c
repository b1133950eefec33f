/* A configuration as text. Files and the keys of feature banks hold these bytes: a change here
 * makes checkpoints and banks of released versions strangers. */
#include "support.h"

#include <stdbool.h>

#include "read.h"
#include "pulmo/config.h"
#include "pulmo/text.h"

static pulmo_config config;

static int reset(void **state)
{
    (void)state;
    pulmo_config_init(&config);
    return 0;
}

static const char default_bound[] = "augment:\n"
                                    "  crop_scale: [0.8, 1]\n"
                                    "  crop_ratio: [0.9, 1.1]\n"
                                    "  hflip: 0.5\n"
                                    "  rotate_deg: 10\n"
                                    "  translate: [0.05, 0.05]\n"
                                    "  scale: [1, 1]\n"
                                    "  brightness: [0.8, 1.2]\n"
                                    "  contrast: [0.8, 1.2]\n"
                                    "  gamma: [1, 1]\n"
                                    "  equalize: 0\n"
                                    "  autocontrast: 0\n"
                                    "  sharpness: [1, 1]\n"
                                    "  blur: [0, 0]\n"
                                    "  noise: 0\n"
                                    "  erasing: 0\n"
                                    "  strength: [1, 1]\n"
                                    "  strength_of: all\n"
                                    "model:\n"
                                    "  preprocessing: auto\n"
                                    "  trainable: head\n"
                                    "  pool: flatten\n"
                                    "  pool_blocks: []\n"
                                    "  hidden: [256]\n"
                                    "  dropout: 0.5\n"
                                    "  positive_class: \"\"\n"
                                    "train:\n"
                                    "  epochs: 30\n"
                                    "  batch: 64\n"
                                    "  microbatch: 8\n"
                                    "  seed: 0\n"
                                    "  patience: 10\n"
                                    "  unfreeze_epochs: []\n"
                                    "  monitor: accuracy\n"
                                    "  features: fresh\n"
                                    "bank:\n"
                                    "  views: 8\n"
                                    "  seed: -1\n"
                                    "  precision: float\n"
                                    "optim:\n"
                                    "  name: adam\n"
                                    "  lr: 0.001\n"
                                    "  trunk_lr_scale: 0.1\n"
                                    "  trunk_lr_decay: 1\n"
                                    "  clip_norm: 0\n"
                                    "  ema: 0\n"
                                    "  weight_decay: 0\n"
                                    "  beta1: 0.9\n"
                                    "  beta2: 0.999\n"
                                    "  eps: 1e-08\n"
                                    "  momentum: 0.9\n"
                                    "  schedule: constant\n"
                                    "  warmup_epochs: 0\n"
                                    "  step_epochs: 10\n"
                                    "  step_gamma: 0.1\n"
                                    "  min_lr: 0\n"
                                    "  label_smoothing: 0\n"
                                    "  class_weights: \"none\"\n"
                                    "eval:\n"
                                    "  threshold: \"0.5\"\n"
                                    "  tta: 1\n"
                                    "  crops: none\n"
                                    "  calibration: none\n";

static const char default_augment[] = "augment:\n"
                                      "  crop_scale: [0.8, 1]\n"
                                      "  crop_ratio: [0.9, 1.1]\n"
                                      "  hflip: 0.5\n"
                                      "  rotate_deg: 10\n"
                                      "  translate: [0.05, 0.05]\n"
                                      "  scale: [1, 1]\n"
                                      "  brightness: [0.8, 1.2]\n"
                                      "  contrast: [0.8, 1.2]\n"
                                      "  gamma: [1, 1]\n"
                                      "  equalize: 0\n"
                                      "  autocontrast: 0\n"
                                      "  sharpness: [1, 1]\n"
                                      "  blur: [0, 0]\n"
                                      "  noise: 0\n"
                                      "  erasing: 0\n"
                                      "  strength: [1, 1]\n"
                                      "  strength_of: all\n";

static const char *const settings[] = {
    "train.run_dir=a \"q\" \\ b",
    "data.path=x y",
    "model.hidden=[64, 32]",
    "optim.class_weights=[1, 2.5]",
    "augment.translate=0.1",
    "augment.gamma=0.3",
    "optim.lr=1e-7",
    "model.pool=avgmax",
    "train.seed=12345678",
    "eval.threshold=sensitivity>=0.95",
    "optim.clip_norm=1e30",
    "train.microbatch=4",
    "train.unfreeze_epochs=[]",
};

static const char other_echo[] = "data:\n"
                                 "  path: \"x y\"\n"
                                 "  fold: -1\n"
                                 "pack:\n"
                                 "  size: 224\n"
                                 "  val_fraction: 0\n"
                                 "  test_fraction: 0\n"
                                 "  folds: 0\n"
                                 "  seed: 0\n"
                                 "  group_pattern: \"\"\n"
                                 "  patients_unknown: false\n"
                                 "  label_pattern: \"\"\n"
                                 "  val_pattern: \"\"\n"
                                 "  test_pattern: \"\"\n"
                                 "  exclude_pattern: \"\"\n"
                                 "  table: \"\"\n"
                                 "  join: \"\"\n"
                                 "  table_path: \"\"\n"
                                 "  table_label: \"\"\n"
                                 "  table_patient: \"\"\n"
                                 "  table_split: \"\"\n"
                                 "  train_list: \"\"\n"
                                 "  val_list: \"\"\n"
                                 "  test_list: \"\"\n"
                                 "  label_map: \"\"\n"
                                 "  finding: \"\"\n"
                                 "  uncertain: refuse\n"
                                 "  blank: refuse\n"
                                 "  keep: \"\"\n"
                                 "  pseudonyms: auto\n"
                                 "  key_file: \"\"\n"
                                 "  where: \"\"\n"
                                 "  fit: squash\n"
                                 "  border: keep\n"
                                 "  aspect: auto\n"
                                 "  decode: exact\n"
                                 "  window: \"\"\n"
                                 "  modalities: \"[CR, DX]\"\n"
                                 "  header_patient: true\n"
                                 "  on_bad: skip\n"
                                 "  leaks: fail\n"
                                 "  pixels_max: 178956970\n"
                                 "  shard_images: 1024\n"
                                 "augment:\n"
                                 "  crop_scale: [0.8, 1]\n"
                                 "  crop_ratio: [0.9, 1.1]\n"
                                 "  hflip: 0.5\n"
                                 "  rotate_deg: 10\n"
                                 "  translate: [0.1, 0.1]\n"
                                 "  scale: [1, 1]\n"
                                 "  brightness: [0.8, 1.2]\n"
                                 "  contrast: [0.8, 1.2]\n"
                                 "  gamma: [0.7, 1.3]\n"
                                 "  equalize: 0\n"
                                 "  autocontrast: 0\n"
                                 "  sharpness: [1, 1]\n"
                                 "  blur: [0, 0]\n"
                                 "  noise: 0\n"
                                 "  erasing: 0\n"
                                 "  strength: [1, 1]\n"
                                 "  strength_of: all\n"
                                 "model:\n"
                                 "  weights: \"\"\n"
                                 "  preprocessing: auto\n"
                                 "  weights_check: true\n"
                                 "  trainable: head\n"
                                 "  pool: avgmax\n"
                                 "  pool_blocks: []\n"
                                 "  hidden: [64, 32]\n"
                                 "  dropout: 0.5\n"
                                 "  positive_class: \"\"\n"
                                 "train:\n"
                                 "  run_dir: \"a \\\"q\\\" \\\\ b\"\n"
                                 "  init: \"\"\n"
                                 "  epochs: 30\n"
                                 "  batch: 64\n"
                                 "  microbatch: 4\n"
                                 "  seed: 12345678\n"
                                 "  patience: 10\n"
                                 "  unfreeze_epochs: []\n"
                                 "  monitor: accuracy\n"
                                 "  features: fresh\n"
                                 "  exchange: auto\n"
                                 "  threads: 0\n"
                                 "  loader_threads: 1\n"
                                 "  checkpoint_batches: 0\n"
                                 "  checkpoint_seconds: 45\n"
                                 "  stall_seconds: 120\n"
                                 "  time_limit_seconds: 0\n"
                                 "bank:\n"
                                 "  path: \"\"\n"
                                 "  views: 8\n"
                                 "  seed: -1\n"
                                 "  precision: float\n"
                                 "optim:\n"
                                 "  name: adam\n"
                                 "  lr: 1e-07\n"
                                 "  trunk_lr_scale: 0.1\n"
                                 "  trunk_lr_decay: 1\n"
                                 "  clip_norm: 1e+30\n"
                                 "  ema: 0\n"
                                 "  weight_decay: 0\n"
                                 "  beta1: 0.9\n"
                                 "  beta2: 0.999\n"
                                 "  eps: 1e-08\n"
                                 "  momentum: 0.9\n"
                                 "  schedule: constant\n"
                                 "  warmup_epochs: 0\n"
                                 "  step_epochs: 10\n"
                                 "  step_gamma: 0.1\n"
                                 "  min_lr: 0\n"
                                 "  label_smoothing: 0\n"
                                 "  class_weights: [1, 2.5]\n"
                                 "eval:\n"
                                 "  threshold: \"sensitivity>=0.95\"\n"
                                 "  tta: 1\n"
                                 "  crops: none\n"
                                 "  calibration: none\n"
                                 "  audit: true\n";

static const char other_bound[] = "augment:\n"
                                  "  crop_scale: [0.8, 1]\n"
                                  "  crop_ratio: [0.9, 1.1]\n"
                                  "  hflip: 0.5\n"
                                  "  rotate_deg: 10\n"
                                  "  translate: [0.1, 0.1]\n"
                                  "  scale: [1, 1]\n"
                                  "  brightness: [0.8, 1.2]\n"
                                  "  contrast: [0.8, 1.2]\n"
                                  "  gamma: [0.7, 1.3]\n"
                                  "  equalize: 0\n"
                                  "  autocontrast: 0\n"
                                  "  sharpness: [1, 1]\n"
                                  "  blur: [0, 0]\n"
                                  "  noise: 0\n"
                                  "  erasing: 0\n"
                                  "  strength: [1, 1]\n"
                                  "  strength_of: all\n"
                                  "model:\n"
                                  "  preprocessing: auto\n"
                                  "  trainable: head\n"
                                  "  pool: avgmax\n"
                                  "  pool_blocks: []\n"
                                  "  hidden: [64, 32]\n"
                                  "  dropout: 0.5\n"
                                  "  positive_class: \"\"\n"
                                  "train:\n"
                                  "  epochs: 30\n"
                                  "  batch: 64\n"
                                  "  microbatch: 4\n"
                                  "  seed: 12345678\n"
                                  "  patience: 10\n"
                                  "  unfreeze_epochs: []\n"
                                  "  monitor: accuracy\n"
                                  "  features: fresh\n"
                                  "bank:\n"
                                  "  views: 8\n"
                                  "  seed: -1\n"
                                  "  precision: float\n"
                                  "optim:\n"
                                  "  name: adam\n"
                                  "  lr: 1e-07\n"
                                  "  trunk_lr_scale: 0.1\n"
                                  "  trunk_lr_decay: 1\n"
                                  "  clip_norm: 1e+30\n"
                                  "  ema: 0\n"
                                  "  weight_decay: 0\n"
                                  "  beta1: 0.9\n"
                                  "  beta2: 0.999\n"
                                  "  eps: 1e-08\n"
                                  "  momentum: 0.9\n"
                                  "  schedule: constant\n"
                                  "  warmup_epochs: 0\n"
                                  "  step_epochs: 10\n"
                                  "  step_gamma: 0.1\n"
                                  "  min_lr: 0\n"
                                  "  label_smoothing: 0\n"
                                  "  class_weights: [1, 2.5]\n"
                                  "eval:\n"
                                  "  threshold: \"sensitivity>=0.95\"\n"
                                  "  tta: 1\n"
                                  "  crops: none\n"
                                  "  calibration: none\n";

static void set_other(void)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        assert_ok(pulmo_config_set(&config, settings[i]));
}

static void test_golden_default(void **state)
{
    (void)state;
    char *bound = pulmo_config_binding_lines(&config);
    char *augment = pulmo_config_section_lines(&config, "augment");
    char *nothing = pulmo_config_section_lines(&config, "augmen");
    assert_string_equal(bound, default_bound);
    assert_string_equal(augment, default_augment);
    assert_string_equal(nothing, "");
    free(bound);
    free(augment);
    free(nothing);
}

static void test_golden_other(void **state)
{
    (void)state;
    set_other();
    char *echo = pulmo_config_echo(&config), *bound = pulmo_config_binding_lines(&config);
    assert_string_equal(echo, other_echo);
    assert_string_equal(bound, other_bound);
    free(echo);
    free(bound);
}

/* What binds reads back to a configuration that differs in nothing that binds. */
static void test_bound_reads_back(void **state)
{
    pulmo_config again;
    (void)state;
    set_other();
    char *bound = pulmo_config_binding_lines(&config);
    pulmo_config_init(&again);
    assert_ok(pulmo_config_parse(&again, "bound", bound));
    char *differences = pulmo_config_differences(&config, &again);
    assert_string_equal(differences, "");
    assert_string_equal(again.data.path, ""); /* a place binds nothing */
    free(bound);
    free(differences);
}

static void test_differences(void **state)
{
    pulmo_config other = config;
    (void)state;
    assert_ok(pulmo_config_set(&other, "train.threads=3")); /* does not bind */
    assert_ok(pulmo_config_set(&other, "optim.lr=0.5"));
    assert_ok(pulmo_config_set(&other, "eval.tta=2"));
    char *differences = pulmo_config_differences(&other, &config);
    assert_string_equal(differences, "optim.lr: 0.5, not 0.001\neval.tta: 2, not 1");
    free(differences);
}

/* ---- names of keys and choices ---- */

static void test_former_names(void **state)
{
    (void)state;
    assert_refused(pulmo_config_set(&config, "train.slot=4"), PULMO_CONFIG,
                   "--set train.slot=4: train.slot is named train.microbatch now");
    char *directory = scratch_directory(), *path = pulmo_format("%s/c.yaml", directory);
    FILE *file = fopen(path, "w");
    fputs("train:\n  slot: 4\n", file);
    fclose(file);
    assert_refused(config_read(&config, path), PULMO_CONFIG,
                   "c.yaml:2: train.slot is named train.microbatch now");
    assert_int_equal(config.train.microbatch, 8);
    assert_ok(pulmo_config_read_stored(&config, path));
    assert_int_equal(config.train.microbatch, 4);
    assert_ok(pulmo_config_parse(&config, "a stored text", "train:\n  slot: 16\n"));
    assert_int_equal(config.train.microbatch, 16);
    assert_refused(pulmo_config_parse(&config, "t", "train:\n  slot: 1\n  microbatch: 2\n"),
                   PULMO_CONFIG, "train.microbatch is given twice");
    free(path);
    remove_directory(directory);
}

static void test_choices(void **state)
{
    (void)state;
    assert_string_equal(pulmo_config_choice("model.pool", 0), "flatten");
    assert_string_equal(pulmo_config_choice("model.pool", 3), "avgmax");
    assert_null(pulmo_config_choice("model.pool", 4));
    assert_null(pulmo_config_choice("model.pool", 40));
    assert_null(pulmo_config_choice("model.pool", -1));
    assert_null(pulmo_config_choice("model.dropout", 0));
    assert_string_equal(pulmo_config_choice("train.monitor", PULMO_MONITOR_LOSS), "loss");
    assert_int_equal(pulmo_config_choice_find("optim.name", "sgd"), 2);
    assert_int_equal(pulmo_config_choice_find("optim.name", "sg"), -1);
}

/* ---- help ---- */

static char *help_of(const char *keys)
{
    pulmo_text text;
    char *out = NULL;
    assert_ok(pulmo_text_open(&text));
    pulmo_config_help(text.stream, keys);
    assert_ok(pulmo_text_take(&text, &out));
    return out;
}

static void test_help_lines(void **state)
{
    (void)state;
    char *help = help_of("train.batch|optim.eps|data.path|optim.name");
    assert_string_equal(
        help, "data:\n"
              "  path                 packed directory (required for train)\n"
              "train:\n"
              "  batch                images per batch, over all ranks (1 to 65536; default"
              "\n                       64)\n"
              "optim:\n"
              "  name                 the optimiser (adam|adamw|sgd; default adam)\n"
              "  eps                  adam (1e-300 to 1; default 1e-8)\n");
    free(help);
}

/* Every line within 78 columns and, but for headings, in its column; no number like 1e+12. */
static void test_help_columns(void **state)
{
    (void)state;
    char *help = help_of(NULL), *rest = help, *line;
    assert_null(strstr(help, "e+"));
    assert_null(strstr(help, "default empty"));
    while ((line = strsep(&rest, "\n")) && *line) {
        bool heading = line[strlen(line) - 1] == ':';
        assert_true(strlen(line) <= 78);
        assert_true(heading || (line[22] == ' ' && line[23] != ' '));
    }
    free(help);
    help = help_of("eval.*");
    assert_int_equal(strncmp(help, "eval:\n", 6), 0);
    assert_null(strstr(help, "optim:"));
    free(help);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_golden_default, reset),
        cmocka_unit_test_setup(test_golden_other, reset),
        cmocka_unit_test_setup(test_bound_reads_back, reset),
        cmocka_unit_test_setup(test_differences, reset),
        cmocka_unit_test_setup(test_former_names, reset),
        cmocka_unit_test_setup(test_choices, reset),
        cmocka_unit_test_setup(test_help_lines, reset),
        cmocka_unit_test_setup(test_help_columns, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
