/* The time limit: where it comes from, and when it is near. */
#include "support.h"

#include <time.h>

#include "deadline.h"
#include "pulmo/clock.h"

#define JOB "SLURM_JOB_END_TIME"

static int no_job(void **state)
{
    (void)state;
    return unsetenv(JOB);
}

static void job_ends_in(long seconds)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", (long)time(NULL) + seconds);
    setenv(JOB, text, 1);
}

static void no_limit_is_never_near(void **state)
{
    deadline it = {0};
    (void)state;
    assert_ok(deadline_find(&it, 0, pulmo_now_s(), 1e9));
    assert_true(isinf(it.end_s));
    assert_false(deadline_look(&it, 1e12));
    assert_false(deadline_look(&it, 2e12));
}

static void the_earlier_limit_counts(void **state)
{
    deadline it = {0};
    double now_s = pulmo_now_s();
    (void)state;
    job_ends_in(1000);
    assert_ok(deadline_find(&it, 600, now_s, 0));
    assert_string_equal(it.source, "train.time_limit_seconds");
    assert_true(fabs(it.end_s - (now_s + 600)) < 1e-6);
    assert_ok(deadline_find(&it, 5000, now_s, 0));
    assert_string_equal(it.source, JOB);
    /* Slurm's time is in whole seconds. */
    assert_true(fabs(it.end_s - (now_s + 1000)) < 3);
}

/* A job which a shell outlived limits nothing. */
static void a_past_end_is_ignored(void **state)
{
    deadline it = {0};
    (void)state;
    job_ends_in(-100);
    assert_ok(deadline_find(&it, 0, pulmo_now_s(), 0));
    assert_true(isinf(it.end_s));
}

static void an_end_that_is_not_a_number_is_refused(void **state)
{
    static const char *const texts[] = {"soon", "12:30", "-5", "0", "99999999999999999999", "7 "};
    deadline it = {0};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        setenv(JOB, texts[i], 1);
        assert_refused(deadline_find(&it, 0, 0, 0), PULMO_USAGE, texts[i]);
    }
}

/* 100 s: grace 5 s. Batches take 10 s, a checkpoint 2 s: twice that is kept for one. */
static void it_is_near_when_a_batch_and_a_checkpoint_might_not_fit(void **state)
{
    deadline it = {0};
    double began_s = pulmo_now_s();
    (void)state;
    assert_ok(deadline_find(&it, 100, began_s, 0));
    deadline_checkpoint_took(&it, 2);
    assert_false(deadline_look(&it, began_s + 60));
    assert_false(deadline_look(&it, began_s + 70));
    assert_false(deadline_look(&it, began_s + 80)); /* 80 + 10 + 4 + 5 = 99 */
    assert_true(deadline_look(&it, began_s + 82));  /* 101 */
    assert_true(it.near);
}

/* The same while another checkpoint is written, which the last one has to wait for. */
static void a_checkpoint_under_way_takes_its_time_too(void **state)
{
    deadline it = {0};
    double began_s = pulmo_now_s();
    (void)state;
    assert_ok(deadline_find(&it, 100, began_s, 0));
    deadline_checkpoint_took(&it, 2);
    it.writing = true;
    assert_false(deadline_look(&it, began_s + 68));
    assert_false(deadline_look(&it, began_s + 78)); /* 78 + 10 + 6 + 5 = 99 */
    assert_true(deadline_look(&it, began_s + 80));  /* 101 */
    it.writing = false;
    assert_false(deadline_look(&it, began_s + 80)); /* 99 */
}

/* The first look finds no need to stop, whatever the time: a run with a limit that is too short
 * advances by a batch each time that it is started. */
static void the_first_look_never_stops(void **state)
{
    deadline it = {0};
    double began_s = pulmo_now_s();
    (void)state;
    assert_ok(deadline_find(&it, 1, began_s, 1e9));
    assert_false(deadline_look(&it, began_s + 50));
    assert_true(deadline_look(&it, began_s + 51));
}

/* Time spent on a checkpoint is not a batch's. */
static void a_checkpoint_is_not_a_batch(void **state)
{
    deadline it = {0};
    double began_s = pulmo_now_s();
    (void)state;
    assert_ok(deadline_find(&it, 1000, began_s, 0));
    deadline_look(&it, began_s + 1);
    deadline_look(&it, began_s + 2);
    deadline_checkpoint_took(&it, 40);
    deadline_skip(&it, began_s + 42);
    deadline_look(&it, began_s + 43);
    assert_true(fabs(it.batch_s - 1) < 1e-6);
    assert_true(fabs(it.checkpoint_s - 40) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_limit_is_never_near, no_job),
        cmocka_unit_test_setup(the_earlier_limit_counts, no_job),
        cmocka_unit_test_setup(a_past_end_is_ignored, no_job),
        cmocka_unit_test_setup(an_end_that_is_not_a_number_is_refused, no_job),
        cmocka_unit_test_setup(it_is_near_when_a_batch_and_a_checkpoint_might_not_fit, no_job),
        cmocka_unit_test_setup(a_checkpoint_under_way_takes_its_time_too, no_job),
        cmocka_unit_test_setup(the_first_look_never_stops, no_job),
        cmocka_unit_test_setup(a_checkpoint_is_not_a_batch, no_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
