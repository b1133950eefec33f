/* Tables of labels (pack.table and its keys): which image has which class, patient and split.
 * Not collective: every rank that asks gets the same answer.
 *
 *   pulmo_labels *labels = NULL;
 *   PULMO_TRY(pulmo_labels_read(config, source, &labels));
 *   pulmo_status status = pulmo_labels_match(labels, paths, count, files);
 *   ... files[i].label, .patient, .split, .kept ...
 *   pulmo_labels_free(labels);
 */
#ifndef PULMO_TABLE_H
#define PULMO_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "pulmo/config.h"
#include "pulmo/status.h"

/* ---- new names of labels ---- */

/* pack.label_map: "Pneumonia: PNEUMONIA, No Finding: NORMAL" */
typedef struct pulmo_label_map pulmo_label_map;

/* NULL in *out where `text` is blank: every label keeps its name. PULMO_CONFIG with the rule. Owned
 * by the caller (pulmo_label_map_free). */
pulmo_status pulmo_label_map_read(const char *text, pulmo_label_map **out);
void pulmo_label_map_free(pulmo_label_map *map);
/* The new name, borrowed from the map; NULL where it names none. `label` itself without a map. */
const char *pulmo_label_map_find(const pulmo_label_map *map, const char *label);

/* The name in the map that differs from `label` as names do that are probably one
 * (pulmo_text_fold), borrowed from the map; NULL without. PULMO_MEMORY. */
pulmo_status pulmo_label_map_near(const pulmo_label_map *map, const char *label, const char **out);

/* For people: of that name, and the label. */
#define PULMO_LABEL_NEAR_NOTE                                                                      \
    "warning: pack.label_map names \"%s\", and the label is \"%s\": case, blanks and \".0\" "      \
    "count; "                                                                                      \
    "name it as it is written"

/* ---- labels of files ---- */

/* X(name, words): why a file has a class, or has none. */
#define PULMO_LABEL_FATES(X)                                                                       \
    X(TAKEN, "taken")                                                                              \
    X(NO_ROW, "without a row in the table")                                                        \
    X(NO_LIST, "in no list of splits")                                                             \
    X(NOT_WHERE, "not as pack.where selects")                                                      \
    X(UNNAMED, "of labels that pack.label_map does not name")                                      \
    X(UNCERTAIN, "uncertain (pack.uncertain: leave_out)")                                          \
    X(BLANK, "without a label (pack.blank: leave_out)")                                            \
    X(UNJOINED, "without a row in the joined table of labels")

typedef enum pulmo_label_fate {
#define X(name, text) PULMO_LABEL_##name,
    PULMO_LABEL_FATES(X)
#undef X
        PULMO_LABEL_FATE_COUNT
} pulmo_label_fate;

/* What the tables say of one file. All text is borrowed from the labels. */
typedef struct pulmo_file_label {
    pulmo_label_fate fate;   /* a file that is not TAKEN is left out */
    const char *label;       /* class; NULL where the folder says it */
    const char *patient;     /* NULL where no table says it */
    int split;               /* PULMO_SPLIT_*; -1 where neither a table nor a list says it */
    const char *const *kept; /* (kept columns); NULL without */
} pulmo_file_label;

typedef struct pulmo_labels pulmo_labels;

/* Whether the configuration names a table or a list of a split, or has a key of tables: such a key
 * without a table is refused by pulmo_labels_read. */
bool pulmo_labels_wanted(const pulmo_config *config);
/* Whether it says where classes come from: else class folders do. */
bool pulmo_labels_give_classes(const pulmo_config *config);

/* Whether the rules of the pack section read as rules: pack.where, pack.label_map and so on.
 * PULMO_CONFIG. Touches no file, so that a slip of the pen is found before a source is listed. */
pulmo_status pulmo_labels_check(const pulmo_config *config);

/* Reads all tables and lists that the pack section names, below `source` or as paths. PULMO_CONFIG,
 * PULMO_DATA and PULMO_IO name key, file and line. Owned by the caller (pulmo_labels_free). */
pulmo_status pulmo_labels_read(const pulmo_config *config, const char *source, pulmo_labels **out);
void pulmo_labels_free(pulmo_labels *labels); /* NULL is a no-op */

/* Which of the files, `paths` relative to the source, the rows are of, into `out` (count). A row is
 * of the file with the longest common tail of their paths, without the endings of images. Once per
 * labels. PULMO_DATA where a row's file is ambiguous, where two rows of one file disagree, and
 * where nothing matches. */
pulmo_status pulmo_labels_match(pulmo_labels *labels, const char *const *paths, size_t count,
                                pulmo_file_label *out);

/* Lines of text, one per finding; borrowed from the labels. */
typedef struct pulmo_label_lines {
    size_t count;
    const char *const *text;
} pulmo_label_lines;

/* The columns of pack.keep, as they are written: table_NAME where predictions.csv has a NAME. */
pulmo_label_lines pulmo_labels_kept(const pulmo_labels *labels);

/* A column of pulmo_labels_kept is an element of DICOM headers that no table has: which one, by
 * pulmo_header_find. Its cells are empty, for others to fill. -1: it is of a table. */
int pulmo_labels_header(const pulmo_labels *labels, size_t column);

/* What became of rows and files, after the match. */
typedef struct pulmo_label_report {
    size_t rows;                         /* of the tables, those that pack.where leaves out too */
    size_t fate[PULMO_LABEL_FATE_COUNT]; /* files */
    pulmo_label_lines notes;             /* the above in words, for people */
    pulmo_label_lines rows_without_file; /* "FILE:LINE: path" */
    pulmo_label_lines files_without_row; /* images alone */
} pulmo_label_report;
pulmo_label_report pulmo_labels_report(const pulmo_labels *labels);

#endif
