/* The writer of checkpoints: what it was given is what stands, whatever training does meanwhile; it
 * tells what came of each, and what a kill leaves is whole. */
#include "support.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pulmo/clock.h"
#include "writer.h"

#define PARAMETERS ((size_t)1 << 20) /* vectors of 4 MB: to write them takes a while */
#define EPOCHS     3
#define CHILD_S    60.0

typedef struct bench {
    char *directory, *path;
    pulmo_config config;
    run_identity identity;
    writer_parts parts;
    pulmo_state state;
    selection chosen;
    trail left;
} bench;

static const pulmo_layout one_tensor = {.tensors = 1};
static const pulmo_state_shape shape = {.parameters = PARAMETERS, .states = 2, .averages = true};

static void open_state(pulmo_state *state, selection *chosen, trail *left)
{
    assert_ok(pulmo_state_create(&shape, state));
    assert_ok(selection_create(state, EPOCHS, true, chosen));
    assert_ok(trail_create(&one_tensor, EPOCHS, left));
}

static void close_state(pulmo_state *state, selection *chosen, trail *left)
{
    trail_free(left);
    selection_free(chosen);
    pulmo_state_free(state);
}

static void fill(float *vector, float value)
{
    for (size_t i = 0; i < PARAMETERS; i++)
        vector[i] = value;
}

/* As training leaves it after so many steps. */
static void advance(bench *b, uint32_t step)
{
    fill(b->state.parameter, (float)step);
    fill(b->state.optim[0], (float)step + 0.25f);
    fill(b->state.optim[1], (float)step + 0.5f);
    fill(b->state.average, (float)step + 0.75f);
    fill(b->chosen.best.parameters, -(float)step);
    b->state.step = step;
    b->state.epoch = 1;
    b->state.batch = step;
    b->state.sums.loss = step;
    b->chosen.best.epoch = 1;
    b->chosen.best.value = step;
    b->chosen.history[0].train_loss = step;
    b->left.digest[0].bytes[0] = (uint8_t)step;
    b->left.spent.sessions = step;
}

static void open_bench(bench *b)
{
    memset(b, 0, sizeof *b);
    b->directory = scratch_directory();
    b->path = pulmo_format("%s/checkpoint.h5", b->directory);
    assert_non_null(b->path);
    pulmo_config_init(&b->config);
    b->identity = (run_identity){.config = &b->config, .data_digest = "d1", .weights_digest = "w1"};
    b->parts = (writer_parts){.path = b->path,
                              .identity = &b->identity,
                              .shape = shape,
                              .layout = &one_tensor,
                              .epochs = EPOCHS};
    open_state(&b->state, &b->chosen, &b->left);
}

static void close_bench(bench *b)
{
    close_state(&b->state, &b->chosen, &b->left);
    free(b->path);
    remove_directory(b->directory);
}

static void give(const bench *b, writer *w)
{
    writer_give(w, &b->state, &b->chosen, &b->left);
}

static void assert_all(const float *vector, float value)
{
    for (size_t i = 0; i < PARAMETERS; i++)
        assert_true(vector[i] == value);
}

/* Every part of the file is of this step. */
static void assert_step(const pulmo_state *state, const selection *chosen, const trail *left)
{
    const float step = (float)state->step;
    assert_all(state->parameter, step);
    assert_all(state->optim[0], step + 0.25f);
    assert_all(state->optim[1], step + 0.5f);
    assert_all(state->average, step + 0.75f);
    assert_all(chosen->best.parameters, -step);
    assert_int_equal(state->batch, state->step);
    assert_true(state->sums.loss == step);
    assert_true(chosen->best.value == step);
    assert_true(chosen->history[0].train_loss == step);
    assert_int_equal(left->digest[0].bytes[0], (uint8_t)state->step);
    assert_int_equal(left->spent.sessions, state->step + 1); /* and the one that reads */
}

/* The step of the checkpoint that stands, which is whole. */
static uint64_t step_that_stands(const bench *b, double *wall_s)
{
    pulmo_state state;
    selection chosen;
    trail left;
    open_state(&state, &chosen, &left);
    assert_ok(checkpoint_read(b->path, &b->identity, &state, &chosen, &left));
    assert_step(&state, &chosen, &left);
    uint64_t step = state.step;
    if (wall_s)
        *wall_s = left.spent.before_s;
    close_state(&state, &chosen, &left);
    return step;
}

static void the_moment_of_the_copy_is_written(void **state)
{
    bench b;
    writer *w = NULL;
    writer_done done;
    (void)state;
    open_bench(&b);
    assert_ok(writer_create(&b.parts, &w));
    assert_false(writer_is_busy(w));
    assert_false(writer_collect(w, true, &done));
    for (uint32_t step = 1; step <= 5; step++) {
        advance(&b, step);
        give(&b, w);
        advance(&b, step + 100); /* training goes on */
        assert_true(writer_collect(w, true, &done));
        assert_ok(pulmo_failure_raise(&done.failure));
        assert_int_equal(done.epoch, 1);
        assert_int_equal(done.batch, step);
        assert_true(done.took_s > 0);
        assert_int_equal(step_that_stands(&b, NULL), step);
        assert_false(writer_collect(w, true, &done));
    }
    writer_destroy(w);
    close_bench(&b);
}

/* What the file says of its time is what had passed then, however long the writing takes. */
static void time_spent_is_that_of_the_copy(void **state)
{
    bench b;
    writer *w = NULL;
    writer_done done;
    double wall_s = 0;
    (void)state;
    open_bench(&b);
    assert_ok(writer_create(&b.parts, &w));
    advance(&b, 1);
    give(&b, w);
    double given_s = pulmo_spent_wall_s(&b.left.spent);
    assert_true(writer_collect(w, true, &done));
    assert_ok(pulmo_failure_raise(&done.failure));
    step_that_stands(&b, &wall_s);
    assert_true(wall_s > 0 && wall_s <= given_s);
    writer_destroy(w);
    close_bench(&b);
}

/* At the end of a run that fails for another reason nobody waits for it. */
static void what_was_given_is_written_at_the_end(void **state)
{
    bench b;
    writer *w = NULL;
    (void)state;
    open_bench(&b);
    assert_ok(writer_create(&b.parts, &w));
    advance(&b, 7);
    give(&b, w);
    writer_destroy(w);
    assert_int_equal(step_that_stands(&b, NULL), 7);
    writer_destroy(NULL);
    assert_false(writer_is_busy(NULL));
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

/* The report is the collecting thread's, and what stood before stands; the next is written. */
static void a_failing_write_is_told(void **state)
{
    bench b;
    writer *w = NULL;
    writer_done done;
    char *inside = NULL;
    (void)state;
    open_bench(&b);
    inside = pulmo_format("%s/there", b.directory);
    char *path = pulmo_format("%s/checkpoint.h5", inside);
    b.parts.path = path;
    assert_ok(writer_create(&b.parts, &w));
    advance(&b, 1);
    give(&b, w);
    assert_true(writer_collect(w, true, &done));
    assert_refused(pulmo_failure_raise(&done.failure), PULMO_IO, path);
    assert_non_null(strstr(pulmo_error(), "cannot be created: No such file or directory"));
    assert_int_equal(files_in(b.directory), 0);
    assert_int_equal(mkdir(inside, 0777), 0);
    give(&b, w);
    assert_true(writer_collect(w, true, &done));
    assert_ok(pulmo_failure_raise(&done.failure));
    assert_int_equal(files_in(inside), 1);
    writer_destroy(w);
    free(path);
    free(inside);
    close_bench(&b);
}

/* ---- killed ---- */

static bool is_being_written(const bench *b)
{
    bool found = false;
    DIR *open = opendir(b->directory);
    assert_non_null(open);
    for (const struct dirent *entry = readdir(open); entry; entry = readdir(open))
        found = found || strstr(entry->d_name, ".tmp.");
    closedir(open);
    return found;
}

/* One checkpoint stands when the pipe says so; then the next ones, without end. */
static void write_for_ever(bench *b, int told)
{
    writer *w = NULL;
    writer_done done;
    if (writer_create(&b->parts, &w) != PULMO_OK)
        _exit(1);
    for (uint32_t step = 1;; step++) {
        advance(b, step);
        give(b, w);
        if (!writer_collect(w, true, &done) || done.failure.status != PULMO_OK)
            _exit(1);
        if (step == 1 && write(told, "1", 1) != 1)
            _exit(1);
    }
}

/* Killed while a file has its temporary name: one of those before stands, whole. */
static void a_kill_leaves_the_one_before(void **state)
{
    bench b;
    int told[2];
    char byte = 0;
    (void)state;
    open_bench(&b);
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        write_for_ever(&b, told[1]);
    close(told[1]);
    assert_int_equal(read(told[0], &byte, 1), 1);
    double until_s = pulmo_now_s() + CHILD_S;
    bool caught = false;
    while (!caught && pulmo_now_s() < until_s) {
        kill(child, SIGCONT);
        usleep(3000);
        kill(child, SIGSTOP);
        usleep(1000);
        caught = is_being_written(&b);
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(caught);
    assert_true(step_that_stands(&b, NULL) >= 1);
    close(told[0]);
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_moment_of_the_copy_is_written),
        cmocka_unit_test(time_spent_is_that_of_the_copy),
        cmocka_unit_test(what_was_given_is_written_at_the_end),
        cmocka_unit_test(a_failing_write_is_told),
        cmocka_unit_test(a_kill_leaves_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
