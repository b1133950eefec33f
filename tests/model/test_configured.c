/* From configuration to specification: each key reaches its own field and no other, and what has no
 * meaning is refused. */
#include "support.h"

#include "pulmo/specs.h"

static pulmo_config config;

static int reset(void **state)
{
    (void)state;
    pulmo_config_init(&config);
    return 0;
}

static void set(const char *assignment)
{
    assert_ok(pulmo_config_set(&config, assignment));
}

/* ---- keys that are copied ---- */

typedef struct copied {
    const char *assignment;
    size_t offset; /* of the field in the specification */
    int count;
    double value[2];
} copied;

#define AUGMENT(assignment, field, count, ...)                                                     \
    {                                                                                              \
        assignment, offsetof(pulmo_augment_spec, field), count,                                    \
        {                                                                                          \
            __VA_ARGS__                                                                            \
        }                                                                                          \
    }
static const copied augment_keys[] = {
    AUGMENT("augment.crop_scale=[0.25, 0.5]", crop_scale, 2, 0.25, 0.5),
    AUGMENT("augment.crop_ratio=[0.5, 1.5]", crop_ratio, 2, 0.5, 1.5),
    AUGMENT("augment.hflip=0.125", hflip, 1, 0.125),
    AUGMENT("augment.rotate_deg=33", rotate_deg, 1, 33),
    AUGMENT("augment.translate=[0.0625, 0.125]", translate, 2, 0.0625, 0.125),
    AUGMENT("augment.scale=[0.75, 1.25]", scale, 2, 0.75, 1.25),
    AUGMENT("augment.brightness=[0.5, 2]", brightness, 2, 0.5, 2),
    AUGMENT("augment.contrast=[0.25, 4]", contrast, 2, 0.25, 4),
    AUGMENT("augment.gamma=[0.125, 3]", gamma, 2, 0.125, 3),
    AUGMENT("augment.equalize=0.375", equalize, 1, 0.375),
    AUGMENT("augment.autocontrast=0.625", autocontrast, 1, 0.625),
    AUGMENT("augment.sharpness=[0.5, 1.5]", sharpness, 2, 0.5, 1.5),
    AUGMENT("augment.blur=[0.25, 2.5]", blur, 2, 0.25, 2.5),
    AUGMENT("augment.noise=0.03125", noise, 1, 0.03125),
    AUGMENT("augment.erasing=0.875", erasing, 1, 0.875),
    AUGMENT("augment.strength=[0.25, 0.75]", strength, 2, 0.25, 0.75),
};

#define OPTIM(assignment, field, value)                                                            \
    {                                                                                              \
        assignment, offsetof(pulmo_optim_spec, field), 1,                                          \
        {                                                                                          \
            value                                                                                  \
        }                                                                                          \
    }
static const copied optim_keys[] = {
    OPTIM("optim.lr=0.5", lr, 0.5),
    OPTIM("optim.beta1=0.25", beta1, 0.25),
    OPTIM("optim.beta2=0.75", beta2, 0.75),
    OPTIM("optim.eps=0.0625", eps, 0.0625),
    OPTIM("optim.weight_decay=0.375", weight_decay, 0.375),
    OPTIM("optim.momentum=0.625", momentum, 0.625),
    OPTIM("optim.warmup_epochs=3", warmup_epochs, 3),
    OPTIM("optim.step_epochs=7", step_epochs, 7),
    OPTIM("optim.step_gamma=0.875", step_gamma, 0.875),
    OPTIM("optim.min_lr=0.03125", min_lr, 0.03125),
};

/* `before` and `after` differ in the key's field alone, which holds its values. */
static void assert_copied(const copied *key, const void *before, void *after, size_t bytes)
{
    char *field = (char *)after + key->offset;
    size_t field_bytes = (size_t)key->count * sizeof(double);
    assert_memory_equal(field, key->value, field_bytes);
    assert_memory_not_equal(field, (const char *)before + key->offset, field_bytes);
    memcpy(field, (const char *)before + key->offset, field_bytes);
    assert_memory_equal(before, after, bytes);
}

static void every_augment_key_reaches_its_field(void **state)
{
    pulmo_augment_spec before, after;
    for (size_t i = 0; i < sizeof augment_keys / sizeof augment_keys[0]; i++) {
        reset(state);
        memset(&before, 0, sizeof before);
        memset(&after, 0, sizeof after);
        pulmo_augment_from(&config, &before);
        set(augment_keys[i].assignment);
        pulmo_augment_from(&config, &after);
        assert_copied(&augment_keys[i], &before, &after, sizeof after);
    }
}

static void every_optim_key_reaches_its_field(void **state)
{
    pulmo_optim_spec before, after;
    for (size_t i = 0; i < sizeof optim_keys / sizeof optim_keys[0]; i++) {
        reset(state);
        memset(&before, 0, sizeof before);
        memset(&after, 0, sizeof after);
        pulmo_optim_from(&config, &before);
        set(optim_keys[i].assignment);
        pulmo_optim_from(&config, &after);
        assert_copied(&optim_keys[i], &before, &after, sizeof after);
    }
}

/* ---- choices ---- */

static void choices_have_the_same_meaning(void **state)
{
    static const char *const optimisers[] = {"adam", "adamw", "sgd"};
    static const char *const schedules[] = {"constant", "cosine", "step"};
    static const pulmo_optim_kind kinds[] = {PULMO_OPTIM_ADAM, PULMO_OPTIM_ADAMW, PULMO_OPTIM_SGD};
    static const pulmo_schedule shapes[] = {PULMO_SCHEDULE_CONSTANT, PULMO_SCHEDULE_COSINE,
                                            PULMO_SCHEDULE_STEP};
    pulmo_optim_spec optim;
    pulmo_augment_spec augment;
    char text[64];
    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof text, "optim.name=%s", optimisers[i]);
        set(text);
        snprintf(text, sizeof text, "optim.schedule=%s", schedules[i]);
        set(text);
        pulmo_optim_from(&config, &optim);
        assert_int_equal(optim.kind, kinds[i]);
        assert_int_equal(optim.schedule, shapes[i]);
    }
    set("augment.strength_of=light");
    pulmo_augment_from(&config, &augment);
    assert_true(augment.strength_of_light);
    set("augment.strength_of=all");
    pulmo_augment_from(&config, &augment);
    assert_false(augment.strength_of_light);
}

/* VGG has five blocks, counted from the image. */
static void trainable_blocks_are_those_above_the_frozen(void **state)
{
    static const struct {
        const char *assignment;
        int frozen;
    } cases[] = {{"model.trainable=head", PULMO_FROZEN_ALL},
                 {"model.trainable=block5", 4},
                 {"model.trainable=block4", 3},
                 {"model.trainable=block3", 2},
                 {"model.trainable=block2", 1},
                 {"model.trainable=all", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set(cases[i].assignment);
        assert_int_equal(pulmo_frozen_blocks_from(&config), cases[i].frozen);
    }
}

static void blocks_are_averaged_in_order(void **state)
{
    pulmo_backbone_cut cut;
    (void)state;
    assert_ok(pulmo_backbone_cut_from(&config, &cut));
    assert_int_equal(cut.averaged, 0);
    assert_int_equal(cut.frozen_blocks, PULMO_FROZEN_ALL);
    set("model.pool_blocks=[5]"); /* one block is pooled in any way */
    assert_ok(pulmo_backbone_cut_from(&config, &cut));
    assert_int_equal(cut.averaged, 1 << 5);
    set("model.pool_blocks=[4, 5]");
    assert_refused(pulmo_backbone_cut_from(&config, &cut), PULMO_CONFIG,
                   "2 blocks with model.pool: flatten");
    set("model.pool=avg");
    set("model.trainable=block4");
    assert_ok(pulmo_backbone_cut_from(&config, &cut));
    assert_int_equal(cut.averaged, 1 << 4 | 1 << 5);
    assert_int_equal(cut.frozen_blocks, 3);
    set("model.pool_blocks=[5, 4]");
    assert_refused(pulmo_backbone_cut_from(&config, &cut), PULMO_CONFIG, "4 behind 5");
    set("model.pool_blocks=[5, 5]");
    assert_refused(pulmo_backbone_cut_from(&config, &cut), PULMO_CONFIG, "5 behind 5");
}

static void weights_are_chosen_by_three_keys(void **state)
{
    (void)state;
    set("model.weights=vgg.safetensors");
    pulmo_weights_choice choice = pulmo_weights_choice_from(&config);
    assert_string_equal(choice.path, "vgg.safetensors");
    assert_false(choice.any);
    assert_string_equal(pulmo_preprocessing_name(choice.preprocessing), "auto");
    set("model.weights_check=false");
    set("model.preprocessing=caffe");
    choice = pulmo_weights_choice_from(&config);
    assert_true(choice.any);
    assert_string_equal(pulmo_preprocessing_name(choice.preprocessing), "caffe");
}

/* ---- the head ---- */

static void the_head_sits_on_what_is_below(void **state)
{
    pulmo_backbone backbone = {.channels = 512, .height = 7, .width = 7};
    pulmo_head_spec head;
    (void)state;
    set("model.hidden=[300, 20]");
    set("model.pool=avgmax");
    set("model.dropout=0.25");
    assert_ok(pulmo_head_from(&config, &backbone, 4, &head));
    assert_int_equal(head.channels, 512);
    assert_int_equal(head.height, 7);
    assert_int_equal(head.hidden_layers, 2);
    assert_int_equal(head.hidden[0], 300);
    assert_int_equal(head.hidden[1], 20);
    assert_int_equal(pulmo_head_inputs(&head), 1024);
    assert_true(head.dropout == 0.25);
    assert_int_equal(head.classes, 4);
    assert_string_equal(pulmo_pooling_name(head.pool), "avgmax");
    /* Fine-tuned convolutions end in a maximum over 2 x 2. */
    backbone.channels = 256;
    backbone.height = backbone.width = 14;
    backbone.tuned = (pulmo_tuned_spec){.channels = 256, .height = 14, .width = 14, .layers = 1};
    backbone.tuned.layer[0].in_channels = 256;
    backbone.tuned.layer[0].out_channels = 512;
    backbone.tuned.layer[0].pool_after = true;
    assert_ok(pulmo_head_from(&config, &backbone, 2, &head));
    assert_int_equal(head.channels, 512);
    assert_int_equal(head.height, 7);
    assert_int_equal(head.width, 7);
}

static void too_many_layers_are_refused(void **state)
{
    const pulmo_backbone backbone = {.channels = 512, .height = 7, .width = 7};
    pulmo_head_spec head;
    (void)state;
    set("model.hidden=[8, 8, 8, 8, 8, 8, 8, 8]");
    assert_ok(pulmo_head_from(&config, &backbone, 2, &head));
    set("model.hidden=[8, 8, 8, 8, 8, 8, 8, 8, 8]");
    assert_refused(pulmo_head_from(&config, &backbone, 2, &head), PULMO_CONFIG,
                   "model.hidden: 9 layers; at most 8");
}

/* ---- class weights ---- */

/* Three of class 0, one of class 1, none of class 2. */
static const int32_t labels[] = {0, 1, 0, 0};
static const pulmo_dataset_info info = {.count = 4, .classes = 3, .labels = labels};

static void class_weights_follow_scikit_learn(void **state)
{
    float weights[3];
    (void)state;
    set("optim.class_weights=none");
    assert_ok(pulmo_class_weights_from(&config, &info, weights));
    assert_true(weights[0] == 1 && weights[1] == 1 && weights[2] == 1);
    /* n / (classes * n_class): compute_class_weight("balanced"). A class without images has no
     * part in any loss. */
    set("optim.class_weights=balanced");
    assert_ok(pulmo_class_weights_from(&config, &info, weights));
    assert_true(weights[0] == (float)(4.0 / 9));
    assert_true(weights[1] == (float)(4.0 / 3));
    assert_true(weights[2] == 0);
    set("optim.class_weights=[0.5, 2, 0]");
    assert_ok(pulmo_class_weights_from(&config, &info, weights));
    assert_true(weights[0] == 0.5f && weights[1] == 2 && weights[2] == 0);
}

static void class_weights_that_do_not_fit_are_refused(void **state)
{
    static const char *const texts[] = {"[1, 2]",   "[1, 2, 3, 4]", "[1, 2, -3]", "[1, 2, nan]",
                                        "[1, 2, 3", "1, 2, 3",      "[1, x, 3]",  "heavy"};
    float weights[3];
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        snprintf(config.optim.class_weights, sizeof config.optim.class_weights, "%s", texts[i]);
        assert_refused(pulmo_class_weights_from(&config, &info, weights), PULMO_CONFIG, texts[i]);
        assert_non_null(strstr(pulmo_error(), "each of the 3 classes"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_augment_key_reaches_its_field, reset),
        cmocka_unit_test_setup(every_optim_key_reaches_its_field, reset),
        cmocka_unit_test_setup(choices_have_the_same_meaning, reset),
        cmocka_unit_test_setup(trainable_blocks_are_those_above_the_frozen, reset),
        cmocka_unit_test_setup(blocks_are_averaged_in_order, reset),
        cmocka_unit_test_setup(weights_are_chosen_by_three_keys, reset),
        cmocka_unit_test_setup(the_head_sits_on_what_is_below, reset),
        cmocka_unit_test_setup(too_many_layers_are_refused, reset),
        cmocka_unit_test_setup(class_weights_follow_scikit_learn, reset),
        cmocka_unit_test_setup(class_weights_that_do_not_fit_are_refused, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
