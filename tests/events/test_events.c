/* A run's events: what is written is what a watcher reads. */
#include "support.h"

#include "watched.h"
#include "pulmo/log.h"

static char *directory;

static int make(void **state)
{
    (void)state;
    directory = scratch_directory();
    return 0;
}

static int drop(void **state)
{
    (void)state;
    remove_directory(directory);
    return 0;
}

static void start(pulmo_events *events, bool resumed, double epoch)
{
    const pulmo_event_field fields[] = {
        PULMO_EVENT_NUMBER("resumed", resumed), PULMO_EVENT_NUMBER("epoch", epoch),
        PULMO_EVENT_NUMBER("epochs", 4), PULMO_EVENT_TEXT("monitor", "auc")};
    pulmo_events_write(events, "start", fields, PULMO_COUNT_OF(fields));
}

static void epoch(pulmo_events *events, double number, double monitored)
{
    const pulmo_event_field fields[] = {PULMO_EVENT_NUMBER("epoch", number),
                                        PULMO_EVENT_NUMBER("monitored", monitored)};
    pulmo_events_write(events, "epoch", fields, PULMO_COUNT_OF(fields));
}

/* An epoch done again after a kill takes its own place; one without val is a gap. */
static void test_rows(void **state)
{
    (void)state;
    watched seen;
    pulmo_events *events = pulmo_events_open(directory);
    start(events, false, 1);
    epoch(events, 1, 0.5);
    epoch(events, 2, 0.25);
    start(events, true, 2);
    epoch(events, 2, 0.75);
    epoch(events, 3, NAN);
    pulmo_events_close(events);
    assert_ok(watched_read(directory, &seen));
    assert_int_equal(seen.rows, 3);
    assert_true(seen.value[0] == 0.5 && seen.value[1] == 0.75 && isnan(seen.value[2]));
    assert_true(seen.epochs == 4 && !seen.ended && seen.since_last_s < 60);
    assert_string_equal(seen.monitor, "auc");
    watched_free(&seen);
}

static void test_fresh_start_begins_anew(void **state)
{
    (void)state;
    watched seen;
    pulmo_events *events = pulmo_events_open(directory);
    start(events, false, 1);
    pulmo_events_close(events);
    assert_ok(watched_read(directory, &seen));
    assert_int_equal(seen.rows, 0);
    watched_free(&seen);
}

/* Also one of several lines, and of what no text may hold. */
static void test_warnings_are_events(void **state)
{
    (void)state;
    watched seen;
    pulmo_events *events = pulmo_events_open(directory);
    pulmo_warn("a \"quoted\"\nline of %d", 7);
    pulmo_warn("second");
    pulmo_events_close(events);
    pulmo_warn("after the end");
    assert_ok(watched_read(directory, &seen));
    assert_int_equal(seen.warnings, 2);
    assert_string_equal(seen.warning, "second");
    watched_free(&seen);
}

/* Lines cut short, of other shapes, or hostile are passed over. */
static void test_foreign_lines(void **state)
{
    (void)state;
    watched seen;
    char *path = pulmo_format("%s/events.jsonl", directory);
    FILE *out = fopen(path, "a");
    fputs("[1]\n{\"event\":7}\nnull\n\n{\"event\":\"epoch\",\"epoch\":1e300}\n", out);
    fputs("{\"event\":\"epoch\",\"epoch\":-1}\n{\"event\":\"epoch\",\"epoch\":99}\n{\"event\":\"ba",
          out);
    fclose(out);
    free(path);
    pulmo_events *events = pulmo_events_open(directory);
    const pulmo_event_field end = PULMO_EVENT_NUMBER("status", 75);
    pulmo_events_write(events, "end", &end, 1);
    pulmo_events_close(events);
    assert_ok(watched_read(directory, &seen));
    assert_int_equal(seen.rows, 0);
    assert_true(seen.ended && seen.status == 75);
    watched_free(&seen);
}

static void test_none(void **state)
{
    (void)state;
    watched seen;
    assert_refused(watched_read("nowhere", &seen), PULMO_IO, "nowhere/events.jsonl");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_fresh_start_begins_anew),
        cmocka_unit_test(test_warnings_are_events),
        cmocka_unit_test(test_foreign_lines),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
