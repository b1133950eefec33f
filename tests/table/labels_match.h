/* Tables and files of a test, and what the tables say of each file. */
#ifndef PULMO_TEST_LABELS_MATCH_H
#define PULMO_TEST_LABELS_MATCH_H

#include "tables.h"

#include "pulmo/config.h"
#include "pulmo/table.h"

#define MOST 16

static pulmo_config config;
static char *directory;
static pulmo_labels *labels;
static pulmo_file_label of[MOST];

static inline int make(void **state)
{
    (void)state;
    directory = scratch_directory();
    pulmo_config_init(&config);
    return 0;
}

static inline int drop(void **state)
{
    (void)state;
    pulmo_labels_free(labels);
    labels = NULL;
    remove_directory(directory);
    return 0;
}

static inline void set(const char *assignment)
{
    assert_ok(pulmo_config_set(&config, assignment));
}

/* Reads the tables and matches a list of files that ends with NULL. */
static inline pulmo_status match(const char *const *files)
{
    size_t count = 0;
    while (files[count])
        count++;
    pulmo_labels_free(labels);
    labels = NULL;
    pulmo_status status = pulmo_labels_read(&config, directory, &labels);
    return status == PULMO_OK ? pulmo_labels_match(labels, files, count, of) : status;
}

#define FILES(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static inline void assert_label(size_t file, const char *label)
{
    assert_int_equal(of[file].fate, PULMO_LABEL_TAKEN);
    assert_string_equal(of[file].label, label);
}

static inline bool has_note(const char *words)
{
    pulmo_label_lines notes = pulmo_labels_report(labels).notes;
    for (size_t i = 0; i < notes.count; i++) {
        if (strstr(notes.text[i], words))
            return true;
    }
    return false;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, drop)

#endif
