/* Lists of files, and the small languages of the pack section's keys. */
#include "pulmo/table.h"
#include "sheet.h"
#include "target.h"

static void read_words(const char *text)
{
    words list = {0};
    pulmo_label_map *map = NULL;
    fuzz_refused(words_read(&list, text), PULMO_CONFIG);
    words_free(&list);
    list = (words){0};
    fuzz_refused(words_of_join(&list, text), PULMO_CONFIG);
    words_free(&list);
    pulmo_status status = pulmo_label_map_read(text, &map);
    if (status == PULMO_OK)
        pulmo_label_map_free(map);
    fuzz_refused(status, PULMO_CONFIG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    table t = {0};
    char *text = fuzz_text(data, size);
    fuzz_file file = fuzz_file_open(data, size);
    pulmo_status status = table_read_names(file.path, &t);
    if (status == PULMO_OK) {
        for (size_t row = 0; row < t.rows; row++)
            FUZZ_CHECK(strlen(table_cell(&t, row, 0)) <= size, "a name longer than its file");
        table_free(&t);
    }
    fuzz_refused(status, PULMO_DATA);
    read_words(text);
    free(text);
    fuzz_file_close(&file);
    return 0;
}
