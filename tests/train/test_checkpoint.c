/* checkpoint.h5: what is written comes back to the bit, and a checkpoint of another run, or one
 * that is damaged, is refused with the difference and the way out. */
#include "support.h"

#include <dirent.h>

#include "checkpoint.h"
#include "pulmo/isa.h"

#define PARAMETERS 1000
#define EPOCHS     7

typedef struct bench {
    char *directory, *path;
    pulmo_config config;
    run_identity identity;
    pulmo_state state;
    selection chosen;
    trail left;
} bench;

static const pulmo_layout two_tensors = {.tensors = 2};

static void open_state(pulmo_state *state, selection *chosen, trail *left, size_t parameters,
                       bool averages)
{
    const pulmo_state_shape shape = {.parameters = parameters, .states = 2, .averages = averages};
    assert_ok(pulmo_state_create(&shape, state));
    assert_ok(selection_create(state, EPOCHS, true, chosen));
    assert_ok(trail_create(&two_tensors, EPOCHS, left));
}

static void close_state(pulmo_state *state, selection *chosen, trail *left)
{
    trail_free(left);
    selection_free(chosen);
    pulmo_state_free(state);
}

/* A run in its fourth epoch. */
static void fill_state(bench *b)
{
    pulmo_state *state = &b->state;
    selection *chosen = &b->chosen;
    fill_normal(state->parameter, PARAMETERS, 1);
    fill_normal(state->optim[0], PARAMETERS, 2);
    fill_normal(state->optim[1], PARAMETERS, 3);
    fill_normal(chosen->best.parameters, PARAMETERS, 4);
    if (state->average)
        fill_normal(state->average, PARAMETERS, 5);
    state->step = 123456789012u;
    state->epoch = 3;
    state->batch = 17;
    state->sums = (pulmo_epoch_sums){.loss = 1.0 / 3, .weight = 1e-300, .correct = 5, .count = 9};
    for (int e = 0; e < 3; e++)
        chosen->history[e] =
            (pulmo_epoch_row){.lr = e, .train_loss = 1.0 / (e + 3), .val_auc = NAN};
    for (int i = 0; i < 3 * two_tensors.tensors; i++)
        b->left.digest[i].bytes[i] = (uint8_t)(i + 1);
    chosen->best.value = 0.1 + 0.2;
    chosen->best.val_loss = 0.7;
    chosen->best.val_accuracy = 0.9;
    chosen->best.epoch = 2;
    chosen->since_best = 1;
    chosen->finished = true;
}

static void open_bench(bench *b, bool averages)
{
    memset(b, 0, sizeof *b);
    b->directory = scratch_directory();
    b->path = pulmo_format("%s/checkpoint.h5", b->directory);
    assert_non_null(b->path);
    pulmo_config_init(&b->config);
    b->identity = (run_identity){.config = &b->config, .data_digest = "d1", .weights_digest = "w1"};
    open_state(&b->state, &b->chosen, &b->left, PARAMETERS, averages);
    fill_state(b);
}

static void close_bench(bench *b)
{
    close_state(&b->state, &b->chosen, &b->left);
    free(b->path);
    remove_directory(b->directory);
}

static pulmo_status write_bench(const bench *b)
{
    return checkpoint_write(b->path, &b->identity, &b->state, &b->chosen, &b->left);
}

/* Reads into a state of `parameters`, which is then thrown away. */
static pulmo_status try_read(const bench *b, const run_identity *identity, size_t parameters)
{
    pulmo_state state;
    selection chosen;
    trail left;
    open_state(&state, &chosen, &left, parameters, b->state.average != NULL);
    pulmo_status status = checkpoint_read(b->path, identity, &state, &chosen, &left);
    close_state(&state, &chosen, &left);
    return status;
}

static void assert_same_selection(const selection *a, const selection *b)
{
    assert_memory_equal(a->best.parameters, b->best.parameters, PARAMETERS * sizeof(float));
    assert_memory_equal(a->history, b->history, EPOCHS * sizeof *a->history);
    assert_memory_equal(&a->best.value, &b->best.value, sizeof a->best.value);
    assert_memory_equal(&a->best.val_loss, &b->best.val_loss, sizeof a->best.val_loss);
    assert_memory_equal(&a->best.val_accuracy, &b->best.val_accuracy, sizeof a->best.val_accuracy);
    assert_int_equal(a->best.epoch, b->best.epoch);
    assert_int_equal(a->since_best, b->since_best);
    assert_int_equal(a->finished, b->finished);
}

static void assert_same_state(const pulmo_state *a, const pulmo_state *b)
{
    size_t bytes = PARAMETERS * sizeof(float);
    assert_memory_equal(a->parameter, b->parameter, bytes);
    assert_memory_equal(a->optim[0], b->optim[0], bytes);
    assert_memory_equal(a->optim[1], b->optim[1], bytes);
    if (b->average)
        assert_memory_equal(a->average, b->average, bytes);
    assert_memory_equal(&a->sums, &b->sums, sizeof a->sums);
    assert_true(a->step == b->step);
    assert_int_equal(a->epoch, b->epoch);
    assert_int_equal(a->batch, b->batch);
}

static void comes_back(bool averages)
{
    bench b;
    pulmo_state state;
    selection chosen;
    trail left;
    open_bench(&b, averages);
    assert_ok(write_bench(&b));
    open_state(&state, &chosen, &left, PARAMETERS, averages);
    assert_ok(checkpoint_read(b.path, &b.identity, &state, &chosen, &left));
    assert_same_state(&state, &b.state);
    assert_same_selection(&chosen, &b.chosen);
    assert_memory_equal(left.digest, b.left.digest, 3 * sizeof(pulmo_digest[2]));
    assert_int_equal(left.arithmetic, PULMO_ARITHMETIC);
    close_state(&state, &chosen, &left);
    close_bench(&b);
}

static void everything_comes_back(void **state)
{
    (void)state;
    comes_back(false);
    comes_back(true);
}

/* Before the first epoch ends there is no history. */
static void a_first_epoch_comes_back(void **state)
{
    bench b;
    (void)state;
    open_bench(&b, false);
    b.state.epoch = 0;
    b.chosen.best.epoch = 0;
    b.chosen.since_best = 0;
    assert_ok(write_bench(&b));
    assert_ok(try_read(&b, &b.identity, PARAMETERS));
    close_bench(&b);
}

/* Wall time and sessions of a resumed run are those before it and its own; it began when the first
 * one did. */
static void time_spent_adds_up(void **state)
{
    bench b;
    (void)state;
    open_bench(&b, false);
    pulmo_spent_add(&b.left.spent, "2026-11-30T21:03:55Z", 4000, 2);
    assert_ok(write_bench(&b));
    pulmo_spent_begin(&b.left.spent);
    assert_ok(checkpoint_read(b.path, &b.identity, &b.state, &b.chosen, &b.left));
    const double wall_s = pulmo_spent_wall_s(&b.left.spent);
    assert_true(wall_s >= 4000 && wall_s < 4100);
    assert_int_equal(b.left.spent.sessions, 4);
    assert_string_equal(b.left.spent.began, "2026-11-30T21:03:55Z");
    close_bench(&b);
}

static void refuse_counter(bench *b, const char *words)
{
    assert_ok(write_bench(b));
    assert_refused(try_read(b, &b->identity, PARAMETERS), PULMO_DATA, words);
    assert_non_null(strstr(pulmo_error(), "the file is damaged"));
}

/* The history is looked at by these numbers; a file without digests may hold any. */
static void impossible_counters_are_refused(void **state)
{
    bench b;
    (void)state;
    open_bench(&b, false);
    b.chosen.best.epoch = 4;
    refuse_counter(&b, "best epoch is 4; must be at most 3");
    b.chosen.best.epoch = 0;
    refuse_counter(&b, "3 epochs are done and none is the best");
    b.chosen.best.epoch = 2;
    b.chosen.since_best = 4;
    refuse_counter(&b, "epochs since the best is 4; must be at most 3");
    b.chosen.since_best = 1;
    b.state.sums.correct = 10;
    refuse_counter(&b, "correct is 10; must be at most 9");
    b.state.sums.correct = 5;
    b.state.sums.count = -1;
    refuse_counter(&b, "count is 18446744073709551615");
    b.state.sums.count = 9;
    assert_ok(write_bench(&b));
    assert_ok(try_read(&b, &b.identity, PARAMETERS));
    close_bench(&b);
}

static void another_run_is_refused(void **state)
{
    bench b;
    (void)state;
    open_bench(&b, false);
    assert_ok(write_bench(&b));
    run_identity other = b.identity;
    snprintf(other.data_digest, sizeof other.data_digest, "d2");
    assert_refused(try_read(&b, &other, PARAMETERS), PULMO_CONFIG,
                   "made with another data set (d1 there, d2 now)");
    other = b.identity;
    snprintf(other.weights_digest, sizeof other.weights_digest, "w2");
    assert_refused(try_read(&b, &other, PARAMETERS), PULMO_CONFIG, "another weight file");
    assert_non_null(strstr(pulmo_error(), "--overwrite"));
    close_bench(&b);
}

/* A run that two versions' arithmetic made says so for ever: its checkpoints do, too. */
static void mixed_arithmetic_stays_mixed(void **state)
{
    bench b;
    (void)state;
    open_bench(&b, false);
    b.left.arithmetic = PULMO_ARITHMETIC - 1; /* as its release wrote it */
    assert_ok(write_bench(&b));
    for (int times = 0; times < 2; times++) {
        b.left.arithmetic = PULMO_ARITHMETIC;
        assert_ok(checkpoint_read(b.path, &b.identity, &b.state, &b.chosen, &b.left));
        assert_int_equal(b.left.arithmetic, PULMO_ARITHMETIC_MIXED);
        assert_ok(write_bench(&b));
    }
    close_bench(&b);
}

/* Keys that make the model bind; places and numbers of threads do not. */
static void another_configuration_is_refused(void **state)
{
    bench b;
    (void)state;
    open_bench(&b, false);
    assert_ok(write_bench(&b));
    pulmo_config other = b.config;
    run_identity identity = b.identity;
    identity.config = &other;
    other.train.threads = 5;
    other.train.checkpoint_seconds = 1;
    assert_ok(try_read(&b, &identity, PARAMETERS));
    other.optim.lr *= 2;
    assert_refused(try_read(&b, &identity, PARAMETERS), PULMO_CONFIG, "optim.lr");
    close_bench(&b);
}

static void other_shapes_are_refused(void **state)
{
    bench b;
    (void)state;
    open_bench(&b, false);
    assert_ok(write_bench(&b));
    assert_refused(try_read(&b, &b.identity, PARAMETERS + 1), PULMO_DATA, "state/parameter");
    assert_non_null(strstr(pulmo_error(), "--overwrite"));
    b.state.epoch = 3;
    b.chosen.room = 2; /* fewer epochs than the file has rows */
    assert_refused(checkpoint_read(b.path, &b.identity, &b.state, &b.chosen, &b.left), PULMO_DATA,
                   "epoch 3 of 2: the file is damaged");
    close_bench(&b);
}

static int files_in(const char *directory)
{
    int count = 0;
    DIR *open = opendir(directory);
    assert_non_null(open);
    for (const struct dirent *entry = readdir(open); entry; entry = readdir(open))
        count += entry->d_name[0] != '.';
    closedir(open);
    return count;
}

static void truncate_file(const char *path, long keep)
{
    assert_int_equal(truncate(path, keep), 0);
}

static void damaged_files_are_refused(void **state)
{
    bench b;
    (void)state;
    open_bench(&b, false);
    assert_ok(write_bench(&b));
    truncate_file(b.path, 5000);
    assert_int_not_equal(try_read(&b, &b.identity, PARAMETERS), PULMO_OK);
    assert_non_null(strstr(pulmo_error(), b.path));
    truncate_file(b.path, 0);
    assert_int_not_equal(try_read(&b, &b.identity, PARAMETERS), PULMO_OK);
    remove(b.path);
    assert_int_not_equal(try_read(&b, &b.identity, PARAMETERS), PULMO_OK);
    close_bench(&b);
}

/* A checkpoint is replaced whole: no temporary file stays, and one that cannot be written leaves
 * the one before. */
static void the_one_before_stands(void **state)
{
    bench b;
    pulmo_state read;
    selection chosen;
    trail left;
    (void)state;
    open_bench(&b, false);
    assert_ok(write_bench(&b));
    b.state.step = 5;
    assert_ok(write_bench(&b));
    b.state.step = 6;
    char *elsewhere = pulmo_format("%s/nowhere/checkpoint.h5", b.directory);
    pulmo_status status = checkpoint_write(elsewhere, &b.identity, &b.state, &b.chosen, &b.left);
    assert_int_equal(status, PULMO_IO);
    open_state(&read, &chosen, &left, PARAMETERS, false);
    assert_ok(checkpoint_read(b.path, &b.identity, &read, &chosen, &left));
    assert_int_equal(read.step, 5);
    assert_int_equal(files_in(b.directory), 1);
    close_state(&read, &chosen, &left);
    free(elsewhere);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(a_first_epoch_comes_back),
        cmocka_unit_test(time_spent_adds_up),
        cmocka_unit_test(another_run_is_refused),
        cmocka_unit_test(mixed_arithmetic_stays_mixed),
        cmocka_unit_test(another_configuration_is_refused),
        cmocka_unit_test(other_shapes_are_refused),
        cmocka_unit_test(impossible_counters_are_refused),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(the_one_before_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
