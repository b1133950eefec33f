/* Reading tables: quotes, marks, ends of lines, delimiters, gzip, and errors that name the line. */
#include "tables.h"

#include "sheet.h"

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

static pulmo_status read_bytes(const char *text, size_t bytes, const char *columns, table *out)
{
    words wanted = {0};
    put_bytes(directory, "t.csv", text, bytes);
    char *path = pulmo_format("%s/t.csv", directory);
    assert_ok(words_read(&wanted, columns));
    pulmo_status status = table_read(path, &wanted, columns[1] != '#', out);
    words_free(&wanted);
    free(path);
    return status;
}

static pulmo_status read_text(const char *text, const char *columns, table *out)
{
    return read_bytes(text, strlen(text), columns, out);
}

/* Two columns, one row: a, b. */
static void assert_pair(const char *text, const char *columns)
{
    table t;
    assert_ok(read_text(text, columns, &t));
    assert_int_equal(t.rows, 1);
    assert_string_equal(table_cell(&t, 0, 0), "a");
    assert_string_equal(table_cell(&t, 0, 1), "b");
    table_free(&t);
}

static void test_delimiters(void **state)
{
    (void)state;
    assert_pair("x,y\na,b\n", "[x, y]");
    assert_pair("x;y\na;b\n", "[x, y]");
    assert_pair("x\ty\na\tb\n", "[x, y]");
    assert_pair("x y\na b\n", "[x, y]");
    assert_pair("y,z,x\nb,c,a\n", "[x, y]");
    assert_pair("a b c", "[#1, #2]");
    assert_int_equal(table_delimiter("Image Index,Finding Labels", 26), ',');
    assert_int_equal(table_delimiter("\"a,b,c\";d", 9), ';');
    assert_int_equal(table_delimiter("alone", 5), ',');
}

static void test_ends_and_marks(void **state)
{
    (void)state;
    assert_pair("\xEF\xBB\xBFx,y\r\na,b\r\n", "[x, y]");
    assert_pair("x,y\ra,b\r", "[x, y]");
    assert_pair("x,y\n\n\na,b", "[x, y]");
    assert_pair("x,y\n\"a\",\"b\"\n,\n", "[x, y]"); /* a row of blanks is none */
    assert_pair("\xEF\xBB\xBF\"x\",\"y\"\n a , b \n", "[x, y]");
}

static void test_quotes_and_lines(void **state)
{
    table t;
    (void)state;
    assert_ok(read_text("x,y\n\"1,\n2\",\"say \"\"so\"\"\"\n\n3,4\r\n", "[x, y, z]", &t));
    assert_int_equal(t.rows, 2);
    assert_string_equal(table_cell(&t, 0, 0), "1,\n2");
    assert_string_equal(table_cell(&t, 0, 1), "say \"so\"");
    assert_string_equal(table_cell(&t, 1, 1), "4");
    assert_int_equal(t.line[0], 2);
    assert_int_equal(t.line[1], 5);
    assert_true(t.has[0] && t.has[1] && !t.has[2]);
    assert_string_equal(table_cell(&t, 1, 2), "");
    table_free(&t);
    /* A chunk of the reader ends within a field. */
    size_t bytes = 200000;
    char *text = malloc(bytes + 64);
    assert_non_null(text);
    int at = sprintf(text, "x,y\n1,");
    memset(text + at, 'z', bytes);
    strcpy(text + at + bytes, "\n2,last\n");
    assert_ok(read_text(text, "[x, y]", &t));
    assert_int_equal(strlen(table_cell(&t, 0, 1)), bytes);
    assert_string_equal(table_cell(&t, 1, 1), "last");
    table_free(&t);
    free(text);
}

static void test_refused(void **state)
{
    table t;
    (void)state;
    assert_refused(read_text("x,y\n1,2\n3\n", "[x]", &t), PULMO_DATA, "t.csv:3: has 1 field,");
    assert_refused(read_text("x,y\n\"1\n1\",2\n3,4,5\n", "[x]", &t), PULMO_DATA,
                   "t.csv:4: has 3 fields, the header has 2");
    assert_refused(read_text("x,y\n1,2\n\"3,4\n5,6\n", "[x]", &t), PULMO_DATA,
                   "t.csv:2: a quote that begins after this line is not closed");
    const char *stray = "x,y\n1,2\n\"3\" a,4\n5,\"6\"\n7,8\n";
    assert_refused(read_text(stray, "[x]", &t), PULMO_DATA,
                   "t.csv:3: a quote stands inside a field");
    assert_refused(read_text("x,y\n1,5'10\"\n", "[x]", &t), PULMO_DATA,
                   "t.csv:2: a quote stands inside a field");
    assert_refused(read_text("x,x\n1,2\n", "[x]", &t), PULMO_DATA, "two columns are named \"x\"");
    assert_refused(read_text("", "[x]", &t), PULMO_DATA, "is empty");
    assert_refused(read_text("\xFF\xFEx", "[x]", &t), PULMO_DATA, "UTF-16");
    assert_refused(read_text("\xFE\xFFx", "[x]", &t), PULMO_DATA,
                   "t.csv: is UTF-16; a table is UTF-8: iconv -f UTF-16 -t UTF-8");
    assert_refused(read_bytes("x\0,\0y\0\n\0", 8, "[x]", &t), PULMO_DATA,
                   "is UTF-16LE; a table is UTF-8: iconv -f UTF-16LE -t UTF-8");
    assert_refused(read_bytes("\0x\0,\0y\0\n", 8, "[x]", &t), PULMO_DATA, "iconv -f UTF-16BE");
    assert_refused(read_bytes("\xFF\xFE\0\0x\0\0\0", 8, "[x]", &t), PULMO_DATA, "iconv -f UTF-32");
    assert_refused(read_bytes("x,y\n\0", 5, "[x]", &t), PULMO_DATA, "holds a NUL");
    assert_refused(read_text("PK\3\4......", "[x]", &t), PULMO_DATA, "Excel");
    assert_refused(read_bytes("x,y\n1\0,2", 8, "[x]", &t), PULMO_DATA, "NUL");
    const words none = {0};
    assert_refused(table_read("/nonexistent/t.csv", &none, true, &t), PULMO_CONFIG,
                   "/nonexistent/t.csv: cannot be opened");
    assert_refused(table_read(directory, &none, true, &t), PULMO_IO, "cannot be read");
}

static void test_gzip(void **state)
{
    table t;
    char *word[] = {"y"};
    const words wanted = {.count = 1, .word = word};
    (void)state;
    put(directory, "z.csv", "x,y\n1,2\n3,4\n");
    char *command =
        pulmo_format("cd '%s' && gzip -kf z.csv && head -c 20 z.csv.gz > cut.csv.gz", directory);
    char *path = pulmo_format("%s/z.csv.gz", directory);
    char *cut = pulmo_format("%s/cut.csv.gz", directory);
    assert_int_equal(system(command), 0);
    assert_ok(table_read(path, &wanted, true, &t));
    assert_int_equal(t.rows, 2);
    assert_string_equal(table_cell(&t, 1, 0), "4");
    table_free(&t);
    assert_refused(table_read(cut, &wanted, true, &t), PULMO_DATA, "is not whole");
    free(cut);
    free(path);
    free(command);
}

static void test_names(void **state)
{
    table t;
    (void)state;
    put(directory, "list.txt", "00000001_000.png\r\n\r\na b,c.png\n");
    char *path = pulmo_format("%s/list.txt", directory);
    assert_ok(table_read_names(path, &t));
    assert_int_equal(t.rows, 2);
    assert_string_equal(table_cell(&t, 0, 0), "00000001_000.png");
    assert_string_equal(table_cell(&t, 1, 0), "a b,c.png");
    assert_int_equal(t.line[1], 3);
    table_free(&t);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delimiters),
        cmocka_unit_test(test_ends_and_marks),
        cmocka_unit_test(test_quotes_and_lines),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, make, drop);
}
