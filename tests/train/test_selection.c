/* The best epoch: by the monitored value, a tie by the lower loss on val; and early stopping. */
#include "support.h"

#include "pulmo/config.h"
#include "selection.h"

#define PARAMETERS 5
#define EPOCHS     6

typedef struct bench {
    pulmo_state state;
    selection chosen;
} bench;

static void open_bench(bench *b, bool keeps_best, bool averages)
{
    const pulmo_state_shape shape = {.parameters = PARAMETERS, .states = 1, .averages = averages};
    assert_ok(pulmo_state_create(&shape, &b->state));
    for (int i = 0; i < PARAMETERS; i++)
        b->state.parameter[i] = (float)i;
    assert_ok(selection_create(&b->state, EPOCHS, keeps_best, &b->chosen));
}

static void close_bench(bench *b)
{
    selection_free(&b->chosen);
    pulmo_state_free(&b->state);
}

/* An epoch that ends with this accuracy and loss on val and leaves parameter 0 at `epoch`; returns
 * whether it is the best so far. */
static bool end_epoch(bench *b, double accuracy, double loss)
{
    pulmo_epoch_row *row = &b->chosen.history[b->state.epoch];
    *row = (pulmo_epoch_row){.val_loss = loss, .val_accuracy = accuracy, .val_auc = 1 - accuracy};
    b->state.parameter[0] = (float)b->state.epoch;
    double value = selection_value(PULMO_MONITOR_ACCURACY, row);
    bool better = selection_is_better(&b->chosen, value, loss);
    if (better)
        selection_keep(&b->chosen, &b->state, value);
    else
        selection_pass(&b->chosen);
    b->state.epoch++;
    return better;
}

static void each_monitor_looks_at_its_column(void **state)
{
    const pulmo_epoch_row row = {.val_loss = 0.25, .val_accuracy = 0.75, .val_auc = 0.875};
    (void)state;
    assert_true(selection_value(PULMO_MONITOR_ACCURACY, &row) == 0.75);
    assert_true(selection_value(PULMO_MONITOR_AUC, &row) == 0.875);
    assert_true(selection_value(PULMO_MONITOR_LOSS, &row) == -0.25);
}

static void larger_is_better_and_a_tie_goes_to_the_lower_loss(void **state)
{
    bench b = {0};
    (void)state;
    open_bench(&b, true, false);
    assert_true(end_epoch(&b, 0.5, 1.0)); /* the first one always is */
    assert_true(end_epoch(&b, 0.6, 2.0));
    assert_false(end_epoch(&b, 0.6, 2.0)); /* the same again is not */
    assert_true(end_epoch(&b, 0.6, 1.5));
    assert_false(end_epoch(&b, 0.55, 0.1));
    assert_int_equal(b.chosen.best.epoch, 4);
    assert_int_equal(b.chosen.since_best, 1);
    assert_true(b.chosen.best.val_accuracy == 0.6);
    assert_true(b.chosen.best.val_loss == 1.5);
    assert_true(b.chosen.best.parameters[0] == 3.0f); /* epoch 4's, counted from 0 */
    assert_true(b.state.parameter[0] == 4.0f);
    close_bench(&b);
}

/* Without a val split every value is NaN: the first epoch still has to be kept. */
static void a_first_epoch_without_a_value_is_kept(void **state)
{
    bench b = {0};
    (void)state;
    open_bench(&b, true, false);
    assert_true(end_epoch(&b, NAN, NAN));
    assert_false(end_epoch(&b, NAN, NAN));
    assert_int_equal(b.chosen.best.epoch, 1);
    close_bench(&b);
}

static void patience_counts_epochs_after_the_best(void **state)
{
    bench b = {0};
    (void)state;
    open_bench(&b, true, false);
    end_epoch(&b, 0.9, 1);
    assert_false(selection_stops_early(&b.chosen, 2));
    end_epoch(&b, 0.8, 1);
    assert_false(selection_stops_early(&b.chosen, 2));
    end_epoch(&b, 0.8, 1);
    assert_true(selection_stops_early(&b.chosen, 2));
    assert_false(selection_stops_early(&b.chosen, 3));
    assert_false(selection_stops_early(&b.chosen, 0)); /* 0: never */
    end_epoch(&b, 0.95, 1);
    assert_false(selection_stops_early(&b.chosen, 2));
    close_bench(&b);
}

/* What is validated is what is kept: the average, where there is one. */
static void the_average_is_kept(void **state)
{
    bench b = {0};
    (void)state;
    open_bench(&b, true, true);
    b.state.average[0] = 77;
    end_epoch(&b, 0.5, 1);
    assert_true(b.chosen.best.parameters[0] == 77.0f);
    close_bench(&b);
}

/* On ranks other than the first, best and trained parameters are one vector. */
static void other_ranks_keep_none(void **state)
{
    bench b = {0};
    (void)state;
    open_bench(&b, false, false);
    assert_ptr_equal(b.chosen.best.parameters, b.state.parameter);
    end_epoch(&b, 0.5, 1);
    end_epoch(&b, 0.4, 1);
    assert_true(b.chosen.best.parameters[0] == 1.0f);
    close_bench(&b);
}

static void memory_that_cannot_be_had_is_refused(void **state)
{
    float nothing = 0;
    const pulmo_state huge = {.parameters = SIZE_MAX / 2, .parameter = &nothing};
    selection chosen;
    (void)state;
    assert_int_equal(selection_create(&huge, EPOCHS, true, &chosen), PULMO_MEMORY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_monitor_looks_at_its_column),
        cmocka_unit_test(larger_is_better_and_a_tie_goes_to_the_lower_loss),
        cmocka_unit_test(a_first_epoch_without_a_value_is_kept),
        cmocka_unit_test(patience_counts_epochs_after_the_best),
        cmocka_unit_test(the_average_is_kept),
        cmocka_unit_test(other_ranks_keep_none),
        cmocka_unit_test(memory_that_cannot_be_had_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
