/* Tables of labels, as CSV and packed by gzip, and what is made of their cells. */
#include "pulmo/text.h"
#include "sheet.h"
#include "target.h"

static void read_cell(const char *cell)
{
    words list = {0};
    fuzz_refused(words_of_cell(&list, cell), PULMO_DATA);
    words_free(&list);
    list = (words){0};
    fuzz_refused(words_of_findings(&list, cell, "Pneumonia"), PULMO_DATA);
    words_free(&list);
    (void)finding_in_cell(cell, "Pneumonia");
    (void)pulmo_cell_is_blank(cell);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const columns[] = {"path", "label", "#1", "#3"};
    words wanted = {0};
    table t = {0};
    if (size < 1)
        return 0;
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        FUZZ_CHECK(words_add_text(&wanted, columns[i]) == PULMO_OK, "no memory");
    fuzz_file file = fuzz_file_open(data + 1, size - 1);
    pulmo_status status = table_read(file.path, &wanted, data[0] != '#', &t);
    if (status == PULMO_OK) {
        for (size_t row = 0; row < t.rows; row++)
            for (size_t column = 0; column < t.columns; column++)
                read_cell(table_cell(&t, row, column));
        table_free(&t);
    }
    fuzz_refused(status, PULMO_DATA);
    words_free(&wanted);
    fuzz_file_close(&file);
    return 0;
}
