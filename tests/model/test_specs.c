/* What the configuration means to the model: which class is the finding. */
#include "support.h"

#include "pulmo/specs.h"

static pulmo_config config;
static const char *covid[] = {"COVID", "NORMAL"}, *kermany[] = {"NORMAL", "PNEUMONIA"};
static const char *unclear[] = {"BACTERIA", "VIRUS"}, *three[] = {"A", "NORMAL", "Z"};

static int reset(void **state)
{
    (void)state;
    pulmo_config_init(&config);
    return 0;
}

static pulmo_status positive_of(const char **names, int classes, const char *given,
                                const char *rule, pulmo_positive *out)
{
    const pulmo_dataset_info info = {.classes = classes, .class_names = names};
    snprintf(config.model.positive_class, sizeof config.model.positive_class, "%s", given);
    snprintf(config.eval.threshold, sizeof config.eval.threshold, "%s", rule);
    return pulmo_positive_from(&config, &info, out);
}

static void assert_positive(const char **names, const char *given, const char *rule, int index,
                            pulmo_positive_by by)
{
    pulmo_positive positive;
    assert_ok(positive_of(names, 2, given, rule, &positive));
    assert_int_equal(positive.index, index);
    assert_int_equal(positive.by, by);
}

static void the_key_comes_before_the_names(void **state)
{
    (void)state;
    assert_positive(covid, "", "youden", 0, PULMO_POSITIVE_NAME);
    assert_positive(kermany, "", "youden", 1, PULMO_POSITIVE_NAME);
    assert_positive(covid, "NORMAL", "youden", 1, PULMO_POSITIVE_GIVEN);
    assert_positive(unclear, "BACTERIA", "sensitivity>=0.9", 0, PULMO_POSITIVE_GIVEN);
    assert_positive(unclear, "", "0.3", 1, PULMO_POSITIVE_ORDER);
}

/* Four rules guard one class or the other, so that the wrong one would be guarded. */
static void rules_need_to_know_the_finding(void **state)
{
    static const char *const rules[] = {"youden", "accuracy", "sensitivity>=0.9",
                                        "specificity>=0.9"};
    pulmo_positive positive;
    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        assert_refused(positive_of(unclear, 2, "", rules[i], &positive), PULMO_CONFIG,
                       "neither \"BACTERIA\" nor \"VIRUS\" is called normal");
    assert_non_null(strstr(pulmo_error(), "model.positive_class"));
}

static void a_name_that_is_not_a_class_is_refused(void **state)
{
    pulmo_positive positive;
    (void)state;
    assert_refused(positive_of(covid, 2, "covid", "0.5", &positive), PULMO_CONFIG,
                   "model.positive_class: \"covid\" is not a class of the data; must be \"COVID\" "
                   "or \"NORMAL\"");
}

static void more_than_two_classes_have_none(void **state)
{
    pulmo_positive positive;
    (void)state;
    assert_ok(positive_of(three, 3, "", "0.5", &positive));
    assert_int_equal(positive.index, -1);
    assert_refused(positive_of(three, 3, "A", "0.5", &positive), PULMO_CONFIG,
                   "needs two classes, there are 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_key_comes_before_the_names, reset),
        cmocka_unit_test_setup(rules_need_to_know_the_finding, reset),
        cmocka_unit_test_setup(a_name_that_is_not_a_class_is_refused, reset),
        cmocka_unit_test_setup(more_than_two_classes_have_none, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
