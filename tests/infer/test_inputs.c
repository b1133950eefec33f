/* Which files a user's words mean, and in which order. */
#include "support.h"

#include "inputs.h"

static char *directory;

static char *at(const char *name)
{
    return pulmo_format("%s/%s", directory, name);
}

static void touch(const char *name)
{
    char *path = at(name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fclose(out);
    free(path);
}

static int set_up(void **state)
{
    (void)state;
    directory = scratch_directory();
    char *command = pulmo_format("mkdir '%s/b' '%s/empty'", directory, directory);
    int made = system(command);
    free(command);
    touch("c.JPG");
    touch("a.jpeg");
    touch("b/1.jpg");
    touch("b/notes.txt");
    touch(".hidden.jpg");
    return made;
}

static int tear_down(void **state)
{
    (void)state;
    remove_directory(directory);
    return 0;
}

static void assert_listed(const input_list *list, size_t index, const char *name)
{
    char *wanted = at(name);
    assert_true(index < list->count);
    assert_string_equal(list->paths[index], wanted);
    free(wanted);
}

/* JPEGs alone, those below in their directory's place; a file that is named is taken as it is. */
static void a_directory_stands_for_its_jpegs(void **state)
{
    input_list list;
    char *notes = at("b/notes.txt");
    const char *const inputs[] = {notes, directory};
    (void)state;
    assert_ok(input_list_collect(inputs, 2, &list));
    assert_int_equal(list.count, 4);
    assert_listed(&list, 0, "b/notes.txt");
    assert_listed(&list, 1, "a.jpeg");
    assert_listed(&list, 2, "b/1.jpg");
    assert_listed(&list, 3, "c.JPG");
    input_list_free(&list);
    free(notes);
}

/* Lines end as on any system; empty ones are nothing. */
static void a_dash_stands_for_a_list_on_stdin(void **state)
{
    input_list list;
    const char *const inputs[] = {"-"};
    char *path = at("list.txt");
    FILE *out = fopen(path, "w");
    (void)state;
    assert_non_null(out);
    fputs("x/1.jpg\r\n\ny 2.jpg", out);
    fclose(out);
    assert_non_null(freopen(path, "r", stdin));
    assert_ok(input_list_collect(inputs, 1, &list));
    assert_int_equal(list.count, 2);
    assert_string_equal(list.paths[0], "x/1.jpg");
    assert_string_equal(list.paths[1], "y 2.jpg");
    input_list_free(&list);
    remove(path);
    free(path);
}

static void no_image_is_a_usage_error(void **state)
{
    input_list list;
    char *empty = at("empty");
    const char *const inputs[] = {empty};
    (void)state;
    assert_refused(input_list_collect(inputs, 1, &list), PULMO_USAGE, "no images given");
    free(empty);
}

static void a_file_that_is_no_image_is_named(void **state)
{
    pulmo_image image;
    char *notes = at("b/notes.txt"), *absent = at("absent.jpg");
    (void)state;
    assert_refused(input_image_read(notes, &image), PULMO_DATA, "b/notes.txt");
    assert_refused(input_image_read_resized(absent, 8, &image), PULMO_IO, "absent.jpg");
    free(notes);
    free(absent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_stands_for_its_jpegs),
        cmocka_unit_test(a_dash_stands_for_a_list_on_stdin),
        cmocka_unit_test(no_image_is_a_usage_error),
        cmocka_unit_test(a_file_that_is_no_image_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
