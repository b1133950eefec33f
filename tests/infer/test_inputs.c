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

static void a_slash_behind_a_directory_changes_no_path(void **state)
{
    input_list list;
    char *with = at("b//");
    const char *const inputs[] = {with};
    (void)state;
    assert_ok(input_list_collect(inputs, 1, &list));
    assert_int_equal(list.count, 1);
    assert_listed(&list, 0, "b/1.jpg");
    input_list_free(&list);
    free(with);
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

static pulmo_status list_of(const char *bytes, size_t count, input_list *out)
{
    const char *const inputs[] = {"-"};
    char *path = at("list.txt");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
    assert_non_null(freopen(path, "r", stdin));
    pulmo_status status = input_list_collect(inputs, 1, out);
    remove(path);
    free(path);
    return status;
}

/* Programs of Windows begin a text with one. */
static void a_byte_order_mark_is_no_part_of_a_path(void **state)
{
    static const char lines[] = "\xEF\xBB\xBFx/1.jpg\r\n\xEF\xBB\xBFy.jpg\n";
    static const char nuls[] = "\xEF\xBB\xBFx/1.jpg\0y.jpg";
    static const char wide[] = "\xFF\xFEx\0\n";
    static const char latin[] = "\xFF\xFEx.jpg\n";
    input_list list;
    (void)state;
    assert_ok(list_of(lines, sizeof lines - 1, &list));
    assert_int_equal(list.count, 2);
    assert_string_equal(list.paths[0], "x/1.jpg");
    assert_string_equal(list.paths[1], "\xEF\xBB\xBFy.jpg"); /* at the start alone */
    input_list_free(&list);
    assert_ok(list_of(nuls, sizeof nuls, &list));
    assert_int_equal(list.count, 2);
    assert_string_equal(list.paths[0], "x/1.jpg");
    input_list_free(&list);
    assert_refused(list_of(wide, sizeof wide, &list), PULMO_DATA, "iconv -f UTF-16");
    assert_ok(list_of(latin, sizeof latin - 1, &list)); /* a name may begin so */
    assert_int_equal(list.count, 1);
    input_list_free(&list);
}

/* find -print0 ends each path with a NUL; a path may then hold line breaks. */
static void paths_on_stdin_may_end_with_nuls(void **state)
{
    static const char text[] = "x/1.jpg\0y\n2\r.jpg\0\0z.jpg";
    input_list list;
    const char *const inputs[] = {"-"};
    char *path = at("list.bin");
    FILE *out = fopen(path, "w");
    (void)state;
    assert_non_null(out);
    fwrite(text, 1, sizeof text, out);
    fclose(out);
    assert_non_null(freopen(path, "r", stdin));
    assert_ok(input_list_collect(inputs, 1, &list));
    assert_int_equal(list.count, 3);
    assert_string_equal(list.paths[0], "x/1.jpg");
    assert_string_equal(list.paths[1], "y\n2\r.jpg");
    assert_string_equal(list.paths[2], "z.jpg");
    input_list_free(&list);
    remove(path);
    free(path);
}

/* Longer than any buffer that it is read into, and without an end on its last line. */
static void a_list_on_stdin_may_be_long(void **state)
{
    input_list list;
    const char *const inputs[] = {"-"};
    char *path = at("list.txt");
    FILE *out = fopen(path, "w");
    const int lines = 50000;
    (void)state;
    assert_non_null(out);
    for (int i = 0; i < lines; i++)
        fprintf(out, "%sfolder/%d.jpg", i ? "\n" : "", i);
    fclose(out);
    assert_non_null(freopen(path, "r", stdin));
    assert_ok(input_list_collect(inputs, 1, &list));
    assert_int_equal(list.count, lines);
    for (int i = 0; i < lines; i++) {
        char wanted[32];
        snprintf(wanted, sizeof wanted, "folder/%d.jpg", i);
        assert_string_equal(list.paths[i], wanted);
    }
    input_list_free(&list);
    remove(path);
    free(path);
}

static void make_link(const char *to, const char *name)
{
    char *path = at(name);
    assert_int_equal(symlink(to, path), 0);
    free(path);
}

static void drop_link(const char *name)
{
    char *path = at(name);
    assert_int_equal(unlink(path), 0);
    free(path);
}

/* A link to nothing is counted as an image that cannot be used, one in a circle too. */
static void links_to_nothing_are_reported(void **state)
{
    input_list list;
    const char *const inputs[] = {directory};
    (void)state;
    make_link("gone.jpg", "b/lost.jpg");
    make_link("gone", "b/lost-folder");
    make_link("itself.jpg", "b/itself.jpg");
    assert_ok(input_list_collect(inputs, 1, &list));
    assert_int_equal(list.count, 3);
    assert_int_equal(list.missed, 3);
    assert_refused(input_list_outcome(&list, 1), PULMO_DATA, "4 of 6 images could not be used");
    input_list_free(&list);
    drop_link("b/lost.jpg");
    drop_link("b/lost-folder");
    drop_link("b/itself.jpg");
}

static void a_folder_of_lost_links_is_bad_data(void **state)
{
    input_list list;
    char *empty = at("empty");
    const char *const inputs[] = {empty};
    (void)state;
    make_link("gone.jpg", "empty/lost.jpg");
    assert_refused(input_list_collect(inputs, 1, &list), PULMO_DATA, "no image can be read");
    drop_link("empty/lost.jpg");
    free(empty);
}

/* Each image once: the link back up is not followed, one to a folder beside it is. */
static void links_back_up_are_not_followed(void **state)
{
    input_list list;
    const char *const inputs[] = {directory};
    (void)state;
    make_link("..", "b/up");
    make_link("../b", "empty/beside");
    assert_ok(input_list_collect(inputs, 1, &list));
    assert_int_equal(list.missed, 0);
    assert_int_equal(list.count, 4);
    assert_listed(&list, 0, "a.jpeg");
    assert_listed(&list, 1, "b/1.jpg");
    assert_listed(&list, 2, "c.JPG");
    assert_listed(&list, 3, "empty/beside/1.jpg");
    assert_ok(input_list_outcome(&list, 0));
    input_list_free(&list);
    drop_link("b/up");
    drop_link("empty/beside");
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

/* `find -newer …` may find nothing: that is no mistake of who asks. */
static void a_list_on_stdin_may_be_empty(void **state)
{
    input_list list;
    char *empty = at("empty");
    const char *const inputs[] = {"-", empty};
    (void)state;
    assert_non_null(freopen("/dev/null", "r", stdin));
    assert_ok(input_list_collect(inputs, 1, &list));
    assert_int_equal(list.count, 0);
    assert_ok(input_list_outcome(&list, 0));
    input_list_free(&list);
    assert_ok(input_list_collect(inputs, 2, &list));
    input_list_free(&list);
    free(empty);
}

static void a_file_that_is_no_image_is_named(void **state)
{
    pulmo_image image;
    const pulmo_framing squash = {0};
    char *notes = at("b/notes.txt"), *absent = at("absent.jpg");
    (void)state;
    assert_refused(input_image_read(notes, &squash, 0, 1000000, &image), PULMO_DATA, "b/notes.txt");
    assert_refused(input_image_read(absent, &squash, 8, 1000000, &image), PULMO_IO, "absent.jpg");
    free(notes);
    free(absent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_stands_for_its_jpegs),
        cmocka_unit_test(a_slash_behind_a_directory_changes_no_path),
        cmocka_unit_test(a_dash_stands_for_a_list_on_stdin),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_a_path),
        cmocka_unit_test(paths_on_stdin_may_end_with_nuls),
        cmocka_unit_test(a_list_on_stdin_may_be_long),
        cmocka_unit_test(a_list_on_stdin_may_be_empty),
        cmocka_unit_test(links_to_nothing_are_reported),
        cmocka_unit_test(a_folder_of_lost_links_is_bad_data),
        cmocka_unit_test(links_back_up_are_not_followed),
        cmocka_unit_test(no_image_is_a_usage_error),
        cmocka_unit_test(a_file_that_is_no_image_is_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
