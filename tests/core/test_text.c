/* Text in memory that is whole or an error, CSV fields, and names of splits. */
#include "support.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/split.h"
#include "pulmo/text.h"

static void test_take(void **state)
{
    pulmo_text text;
    char *out = NULL;
    (void)state;
    assert_ok(pulmo_text_open(&text));
    fprintf(text.stream, "%d bottles", 99);
    assert_ok(pulmo_text_take(&text, &out));
    assert_string_equal(out, "99 bottles");
    free(out);
    pulmo_text_discard(&text);
    assert_ok(pulmo_text_open(&text));
    assert_ok(pulmo_text_take(&text, &out));
    assert_string_equal(out, "");
    free(out);
    assert_ok(pulmo_text_open(&text));
    fputs("thrown away", text.stream);
    pulmo_text_discard(&text);
    pulmo_text_discard(&text);
}

static void test_write(void **state)
{
    pulmo_text text;
    uint8_t *data = NULL;
    size_t bytes = 0;
    (void)state;
    char *directory = scratch_directory(), *path = pulmo_format("%s/notes.txt", directory);
    assert_ok(pulmo_text_open(&text));
    fputs("a\nb\n", text.stream);
    assert_ok(pulmo_text_write(&text, path));
    assert_ok(pulmo_file_read(path, 99, &data, &bytes));
    assert_int_equal(bytes, 4);
    assert_memory_equal(data, "a\nb\n", 4);
    free(data);
    assert_ok(pulmo_text_open(&text));
    assert_refused(pulmo_text_write(&text, "/nonexistent/notes.txt"), PULMO_IO, "notes.txt");
    free(path);
    remove_directory(directory);
}

static void assert_fold(const char *text, const char *expected)
{
    char *folded = pulmo_text_fold(text);
    assert_string_equal(folded, expected);
    free(folded);
}

static void test_fold(void **state)
{
    (void)state;
    assert_fold("", "");
    assert_fold(" \t ", "");
    assert_fold("\xC2\xA0", "");
    assert_fold(" Viral\xC2\xA0Pneumonia\xE2\x80\xAF ", "viral pneumonia");
    assert_fold("\xEF\xBB\xBFP1", "p1");
    assert_fold("NEUMON\xC3\x8D"
                "A \xC3\x97 \xC3\xAD",
                "neumon\xC3\xAD"
                "a \xC3\x97 \xC3\xAD");
    assert_fold("\xC3", "\xC3"); /* cut short */
    assert_fold("12.0", "12");
    assert_fold(" 12.00 ", "12");
    assert_fold("12.", "12.");
    assert_fold("12.50", "12.50");
    assert_fold("12.0a", "12.0a");
    assert_fold(".0", ".0");
    assert_fold("v1.0", "v1.0");
    assert_fold("012", "012");
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(pulmo_text_is_utf8(""));
    assert_true(pulmo_text_is_utf8("neumon\xC3\xAD"
                                   "a \xE2\x80\x94 \xF0\x9F\xAB\x81"));
    assert_false(pulmo_text_is_utf8("neumon\xED"
                                    "a"));
    assert_false(pulmo_text_is_utf8("cut \xE2\x80"));
    assert_false(pulmo_text_is_utf8("\xC0\xAF"));
    assert_false(pulmo_text_is_utf8("longer than need be \xE0\x80\xAF"));
    assert_false(pulmo_text_is_utf8("half of UTF-16 \xED\xA0\x80"));
}

static void assert_spelled(const char *name, const char *wanted)
{
    char *out = pulmo_name_spelled(name);
    assert_non_null(out);
    assert_string_equal(out, wanted);
    assert_true(pulmo_text_is_utf8(out));
    free(out);
}

static void test_spelled(void **state)
{
    (void)state;
    assert_spelled("", "");
    assert_spelled("r\xC3\xB6ntgen 1.jpeg", "r\xC3\xB6ntgen 1.jpeg");
    assert_spelled("\xFF.jpg", "\\xff.jpg");
    assert_spelled("\xC3\xBF.jpg", "\xC3\xBF.jpg"); /* the character that is U+00FF */
    assert_spelled("\\xff.jpg", "\\\\xff.jpg");     /* a backslash, an x */
    assert_spelled("a\nb\t\x1B[31m\x7F", "a\\x0ab\\x09\\x1b[31m\\x7f");
    assert_spelled("\xC2\x9B"
                   "31m \xC2\xA0",
                   "\\xc2\\x9b31m \xC2\xA0"); /* CSI of eight bits; a blank */
    assert_spelled("cut \xE2\x80", "cut \\xe2\\x80");
}

/* `bytes` at most of a text, in so many columns. */
static void assert_shown(const char *given, size_t bytes, const char *wanted, size_t taken)
{
    pulmo_text text;
    char *out = NULL;
    assert_ok(pulmo_text_open(&text));
    assert_int_equal(pulmo_text_show(text.stream, given, bytes), taken);
    assert_ok(pulmo_text_take(&text, &out));
    assert_string_equal(out, wanted);
    assert_int_equal(pulmo_text_width(given, bytes), strlen(wanted));
    free(out);
}

static void test_shown(void **state)
{
    (void)state;
    assert_shown("a\\b \x1B[2J\xFF", SIZE_MAX, "a\\b \\x1b[2J\\xff", 9);
    assert_shown("\xC3\xA9t\xC3\xA9", 4, "\xC3\xA9t", 3); /* no character in two */
    assert_shown("\x1B\x1B", 1, "\\x1b", 1);
}

#define NO_LIMIT 77 /* qemu keeps none */

/* Prints more than the process may have; exits with 0 if that is an error. */
static void overflow_in_child(void)
{
    pulmo_text text;
    char *out = NULL;
    static char block[1 << 20];
    struct rlimit limit = {256 << 20, 256 << 20};
    memset(block, 'x', sizeof block);
    if (pulmo_text_open(&text) != PULMO_OK || setrlimit(RLIMIT_AS, &limit) != 0)
        _exit(2);
    void *volatile all = malloc(limit.rlim_max);
    if (all)
        _exit(NO_LIMIT);
    for (int i = 0; i < 300; i++)
        fwrite(block, sizeof block, 1, text.stream);
    _exit(pulmo_text_take(&text, &out) == PULMO_MEMORY && !out ? 0 : 1);
}

static void test_out_of_memory(void **state)
{
    int status = 0;
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    pid_t child = fork();
    if (child == 0)
        overflow_in_child();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NO_LIMIT)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void assert_field(const char *field, const char *wanted)
{
    pulmo_text text;
    char *out = NULL;
    assert_ok(pulmo_text_open(&text));
    pulmo_csv_field(text.stream, field);
    assert_ok(pulmo_text_take(&text, &out));
    assert_string_equal(out, wanted);
    free(out);
}

static void test_csv_after(void **state)
{
    pulmo_text text;
    char *out = NULL;
    (void)state;
    assert_ok(pulmo_text_open(&text));
    pulmo_csv_name_after(text.stream, "p_", "a");
    pulmo_csv_name_after(text.stream, "p_", "b,\"c\"");
    assert_ok(pulmo_text_take(&text, &out));
    assert_string_equal(out, "p_a\"p_b,\"\"c\"\"\"");
    free(out);
}

static void test_csv(void **state)
{
    (void)state;
    assert_field("plain text", "plain text");
    assert_field("", "");
    assert_field("a,b", "\"a,b\"");
    assert_field("say \"no\"", "\"say \"\"no\"\"\"");
    assert_field("two\nlines", "\"two\nlines\"");
    assert_field("old\rmac", "\"old\rmac\"");
}

static void test_splits(void **state)
{
    (void)state;
    assert_int_equal(PULMO_SPLITS, 3);
    assert_string_equal(pulmo_split_name(PULMO_SPLIT_VAL), "val");
    for (int s = 0; s < PULMO_SPLITS; s++)
        assert_int_equal(pulmo_split_find(pulmo_split_name(s)), s);
    assert_int_equal(pulmo_split_find("tes"), -1);
    assert_int_equal(pulmo_split_find(""), -1);
    assert_int_equal(pulmo_split_of_word("train"), PULMO_SPLIT_TRAIN);
    assert_int_equal(pulmo_split_of_word("validate"), PULMO_SPLIT_VAL);
    assert_int_equal(pulmo_split_of_word("Test"), PULMO_SPLIT_TEST);
    assert_int_equal(pulmo_split_of_word("holdout"), -1);
}

static void test_plural(void **state)
{
    (void)state;
    assert_string_equal(pulmo_plural(0), "s");
    assert_string_equal(pulmo_plural(1), "");
    assert_string_equal(pulmo_plural(2), "s");
    assert_string_equal(pulmo_are(0), "are");
    assert_string_equal(pulmo_are(1), "is");
    assert_string_equal(pulmo_are(2), "are");
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(pulmo_text_distance("train", "train"), 0);
    assert_int_equal(pulmo_text_distance("tran", "train"), 1);
    assert_int_equal(pulmo_text_distance("kitten", "sitting"), 3);
    assert_int_equal(pulmo_text_distance("", "abc"), 3);
    assert_int_equal(pulmo_text_distance("abc", ""), 3);
}

/* A pipe of packets tells writes apart: a line is one, so that no other rank's comes within it. */
static void test_line_is_one_write(void **state)
{
    char packet[256];
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_DIRECT | O_NONBLOCK), 0);
    int before = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    pulmo_warn("%s of \x1B and r\xC3\xB6ntgen", "a line");
    pulmo_say("pulmo: error: ", "another");
    dup2(before, STDERR_FILENO);
    const char *const wanted[] = {"warning: a line of \\x1b and r\xC3\xB6ntgen\n",
                                  "pulmo: error: another\n"};
    for (int i = 0; i < 2; i++) {
        ssize_t bytes = read(ends[0], packet, sizeof packet - 1);
        assert_true(bytes > 0);
        packet[bytes] = '\0';
        assert_string_equal(packet, wanted[i]);
    }
    close(before);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_spelled),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_plural),
        cmocka_unit_test(test_fold),
        cmocka_unit_test(test_csv_after),
        cmocka_unit_test(test_line_is_one_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
