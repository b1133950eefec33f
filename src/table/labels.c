/* Reading tables and lists as the pack section names them. */
#include "labels.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/image.h"
#include "pulmo/memory.h"

const char *label_fate_text(pulmo_label_fate fate)
{
    static const char *const texts[] = {
#define X(name, text) text,
        PULMO_LABEL_FATES(X)
#undef X
    };
    return texts[fate];
}

static const char *list_key(const pulmo_config *config, int split)
{
    const char *const lists[PULMO_SPLITS] = {config->pack.train_list, config->pack.val_list,
                                             config->pack.test_list};
    return lists[split];
}

/* What pack.keep names first that can be of a table alone; all of it where it cannot be read. Owned
 * by the caller (free); NULL where there is none. */
static char *kept_column(const pulmo_config *config)
{
    words keep = {0};
    char *found = NULL;
    if (words_read(&keep, config->pack.keep) != PULMO_OK)
        found = pulmo_strdup(config->pack.keep);
    for (size_t i = 0; i < keep.count && !found; i++)
        if (pulmo_header_find(keep.word[i]) < 0)
            found = pulmo_strdup(keep.word[i]);
    words_free(&keep);
    return found;
}

static bool keeps_columns(const pulmo_config *config)
{
    char *column = kept_column(config);
    bool found = column != NULL;
    free(column);
    return found;
}

/* A key that says something of pack.table and is given; NULL if none is. */
static const char *table_key(const pulmo_config *config)
{
    const struct {
        const char *key;
        bool given;
    } keys[] = {
        {"join", *config->pack.join},
        {"table_path", *config->pack.table_path},
        {"table_label", *config->pack.table_label},
        {"table_patient", *config->pack.table_patient},
        {"table_split", *config->pack.table_split},
        {"finding", *config->pack.finding},
        {"uncertain", config->pack.uncertain != PULMO_CELL_REFUSE},
        {"blank", config->pack.blank != PULMO_CELL_REFUSE},
        {"keep", keeps_columns(config)},
        {"where", *config->pack.where},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (keys[i].given)
            return keys[i].key;
    }
    return NULL;
}

bool pulmo_labels_wanted(const pulmo_config *config)
{
    bool wanted = *config->pack.table || *config->pack.keep || table_key(config);
    for (int s = 0; s < PULMO_SPLITS; s++)
        wanted = wanted || *list_key(config, s);
    return wanted;
}

bool pulmo_labels_give_classes(const pulmo_config *config)
{
    bool named = *config->pack.table_label || *config->pack.finding;
    return *config->pack.table && named;
}

void pulmo_labels_free(pulmo_labels *labels)
{
    if (!labels)
        return;
    sheet_free(&labels->sheet);
    free(labels->columns.kept);
    free(labels->columns.where);
    free(labels->rules.positive);
    free(labels->rules.negative);
    pulmo_label_map_free(labels->map);
    conditions_free(&labels->where);
    words_free(&labels->keep);
    words_free(&labels->kept_names);
    for (int s = 0; s < PULMO_SPLITS; s++)
        table_free(&labels->list[s]);
    free(labels->kept_cells);
    words_free(&labels->within_cells);
    words_free(&labels->notes);
    words_free(&labels->rows_without_file);
    words_free(&labels->files_without_row);
    free(labels);
}

/* ---- files ---- */

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* DIRECTORY/NAME, or the same compressed, or no longer so. Owned by the caller (free); NULL in *out
 * where there is none of them. */
static pulmo_status find_file(const char *directory, const char *name, char **out)
{
    size_t bytes = strlen(name);
    bool is_gzip = bytes > 3 && strcmp(name + bytes - 3, ".gz") == 0;
    char *path = pulmo_format("%s%s", directory, name);
    char *other = NULL;
    if (path && !is_there(path)) {
        if (is_gzip)
            other = pulmo_format("%s%.*s", directory, (int)bytes - 3, name);
        else
            other = pulmo_format("%s%s.gz", directory, name);
        free(path);
        path = other;
    }
    *out = path;
    if (!path)
        return PULMO_MEMORY;
    if (is_there(path))
        return PULMO_OK;
    free(path);
    *out = NULL;
    return PULMO_OK;
}

/* A name of a file below the source, or a path. Owned by the caller (free). */
static pulmo_status resolve(const char *key, const char *source, const char *name, char **out)
{
    char *below = pulmo_format("%s/", source);
    *out = NULL;
    if (!below)
        return PULMO_MEMORY;
    pulmo_status status = PULMO_OK;
    if (*name != '/')
        status = find_file(below, name, out);
    free(below);
    if (status == PULMO_OK && !*out)
        status = find_file("", name, out);
    if (status != PULMO_OK || *out)
        return status;
    return pulmo_fail(PULMO_CONFIG, "pack.%s: \"%s\": is neither a file below %s nor a path", key,
                      name, source);
}

static pulmo_status read_tables(pulmo_labels *labels, const words *names, const char *source,
                                bool has_header)
{
    sheet *s = &labels->sheet;
    if (names->count > TABLES_MAX)
        return pulmo_fail(PULMO_CONFIG, "pack.table: names %zu tables; at most %d", names->count,
                          TABLES_MAX);
    for (size_t i = 0; i < names->count; i++) {
        char *path = NULL;
        PULMO_TRY(resolve("table", source, names->word[i], &path));
        pulmo_status status = table_read(path, &s->wanted, has_header, &s->table[i]);
        free(path);
        if (status != PULMO_OK)
            return pulmo_fail_in(status, "pack.table");
        s->tables++;
    }
    return PULMO_OK;
}

static pulmo_status read_lists(pulmo_labels *labels, const pulmo_config *config, const char *source)
{
    for (int s = 0; s < PULMO_SPLITS; s++) {
        char key[32];
        char *path = NULL;
        snprintf(key, sizeof key, "%s_list", pulmo_split_name(s));
        if (!*list_key(config, s))
            continue;
        PULMO_TRY(resolve(key, source, list_key(config, s), &path));
        pulmo_status status = table_read_names(path, &labels->list[s]);
        free(path);
        if (status != PULMO_OK)
            return pulmo_fail_in(status, "pack.%s", key);
        labels->has_list[s] = true;
    }
    return PULMO_OK;
}

/* ---- columns ---- */

static pulmo_status want(words *wanted, const char *name)
{
    if (!*name || words_find(wanted, name) >= 0)
        return PULMO_OK;
    return words_add_text(wanted, name);
}

static pulmo_status want_join(words *wanted, const char *by)
{
    words columns = {0};
    pulmo_status status = words_of_join(&columns, by);
    for (size_t i = 0; i < columns.count && status == PULMO_OK; i++)
        status = want(wanted, columns.word[i]);
    words_free(&columns);
    return status;
}

static pulmo_status want_columns(pulmo_labels *labels, const pulmo_config *config,
                                 const words *join)
{
    words *wanted = &labels->sheet.wanted;
    PULMO_TRY(want(wanted, config->pack.table_path));
    PULMO_TRY(want(wanted, config->pack.table_label));
    PULMO_TRY(want(wanted, config->pack.table_patient));
    PULMO_TRY(want(wanted, config->pack.table_split));
    PULMO_TRY(want(wanted, config->pack.finding));
    for (size_t i = 0; i < labels->keep.count; i++)
        PULMO_TRY(want(wanted, labels->keep.word[i]));
    for (size_t i = 0; i < labels->where.count; i++)
        PULMO_TRY(want(wanted, labels->where.one[i].column));
    for (size_t i = 0; i < join->count; i++)
        PULMO_TRY(want_join(wanted, join->word[i]));
    return PULMO_OK;
}

/* #1, #2 and so on are columns of tables without a header line; all are, or none is. */
static pulmo_status judge_numbers(const words *wanted, const char *finding, bool *has_header)
{
    size_t numbers = 0, names = 0;
    for (size_t i = 0; i < wanted->count; i++) {
        const char *name = wanted->word[i];
        bool is_number = name[0] == '#' && isdigit((unsigned char)name[1]);
        bool is_finding = strcmp(name, finding) == 0; /* perhaps not a column */
        numbers += is_number;
        names += !is_number && !is_finding;
    }
    *has_header = numbers == 0;
    if (numbers == 0 || names == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG, "pack.table: columns are named, or numbered (#1, #2) where the "
                                    "table has no header line; not both");
}

static pulmo_status fail_column(const table *t, const char *key, const char *name)
{
    char *columns = words_join(&t->header, 30);
    pulmo_status status =
        pulmo_fail(PULMO_CONFIG, "pack.%s: \"%s\": %s has no such column; its columns are: %s", key,
                   name, t->path, columns ? columns : "");
    free(columns);
    return status;
}

/* Joined tables have a column together, tables below each other all have it. */
static pulmo_status find_column(const pulmo_labels *labels, const char *key, const char *name,
                                size_t *out)
{
    const sheet *s = &labels->sheet;
    *out = NO_COLUMN;
    if (!*name)
        return PULMO_OK;
    size_t column = (size_t)words_find(&s->wanted, name);
    if (!sheet_has(s, column))
        return fail_column(&s->table[0], key, name);
    for (size_t i = 0; i < s->tables && !labels->joined; i++) {
        if (!s->table[i].has[column])
            return fail_column(&s->table[i], key, name);
    }
    *out = column;
    return PULMO_OK;
}

static pulmo_status find_path(pulmo_labels *labels, const pulmo_config *config)
{
    const table *first = &labels->sheet.table[0];
    char *columns = NULL;
    if (*config->pack.table_path) {
        PULMO_TRY(
            find_column(labels, "table_path", config->pack.table_path, &labels->columns.path));
        if (!first->has[labels->columns.path])
            return fail_column(first, "table_path", config->pack.table_path);
        return PULMO_OK;
    }
    columns = words_join(&first->header, 30);
    pulmo_status status = pulmo_fail(PULMO_CONFIG,
                                     "pack.table_path: names the column of image names or paths; "
                                     "the columns of %s are: %s",
                                     first->path, columns ? columns : "");
    free(columns);
    return status;
}

/* Whether a kept column is an element of DICOM headers: a column of the table comes first. */
static bool is_of_header(const pulmo_labels *labels, const char *name)
{
    const sheet *s = &labels->sheet;
    if (pulmo_header_find(name) < 0)
        return false;
    if (!labels->has_tables)
        return true;
    return !sheet_has(s, (size_t)words_find(&s->wanted, name));
}

int pulmo_labels_header(const pulmo_labels *labels, size_t column)
{
    const char *name = labels->keep.word[column];
    return is_of_header(labels, name) ? pulmo_header_find(name) : -1;
}

static pulmo_status judge_headers(const pulmo_labels *labels)
{
    int headers = 0;
    for (size_t i = 0; i < labels->keep.count; i++)
        headers += pulmo_labels_header(labels, i) >= 0;
    if (headers <= PULMO_HEADERS_MAX)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG, "pack.keep: names %d elements of DICOM headers; at most %d",
                      headers, PULMO_HEADERS_MAX);
}

static pulmo_status find_lists(pulmo_labels *labels)
{
    label_columns *c = &labels->columns;
    c->kept = malloc((labels->keep.count + 1) * sizeof *c->kept);
    c->where = malloc((labels->where.count + 1) * sizeof *c->where);
    if (!c->kept || !c->where)
        return pulmo_fail(PULMO_MEMORY, "out of memory for columns");
    for (size_t i = 0; i < labels->keep.count; i++) {
        const char *name = labels->keep.word[i];
        c->kept[i] = NO_COLUMN;
        if (!is_of_header(labels, name))
            PULMO_TRY(find_column(labels, "keep", name, &c->kept[i]));
    }
    for (size_t i = 0; i < labels->where.count; i++) {
        const char *name = labels->where.one[i].column;
        PULMO_TRY(find_column(labels, "where", name, &c->where[i]));
    }
    return PULMO_OK;
}

/* Whether predictions.csv has a column of this name itself. */
static bool is_own_name(const char *name)
{
    static const char *const own[] = {"split",     "path",           "patient",   "label",
                                      "predicted", "positive_class", "threshold", "rule"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        if (strcmp(own[i], name) == 0)
            return true;
    }
    return strncmp(name, "p_", 2) == 0; /* p_CLASS */
}

/* The names under which kept columns are written: no two are equal, none is predictions.csv's. */
static pulmo_status name_kept(pulmo_labels *labels)
{
    words *names = &labels->kept_names;
    for (size_t i = 0; i < labels->keep.count; i++) {
        const char *column = labels->keep.word[i];
        char *name = pulmo_format(is_own_name(column) ? "table_%s" : "%s", column);
        if (!name)
            return PULMO_MEMORY;
        pulmo_status status = PULMO_OK;
        if (words_find(names, name) >= 0)
            status = pulmo_fail(PULMO_CONFIG, "pack.keep: two columns would be named \"%s\"", name);
        else
            status = words_add_text(names, name);
        free(name);
        PULMO_TRY(status);
    }
    return PULMO_OK;
}

/* ---- classes ---- */

static pulmo_status find_finding(pulmo_labels *labels, const pulmo_config *config)
{
    label_rules *rules = &labels->rules;
    const char *finding = config->pack.finding;
    rules->finding = NO_COLUMN;
    if (!*finding)
        return PULMO_OK;
    rules->positive = pulmo_strdup(finding);
    rules->negative = pulmo_format("No %s", finding);
    if (!rules->positive || !rules->negative)
        return PULMO_MEMORY;
    const sheet *s = &labels->sheet;
    int column = words_find(&s->wanted, finding);
    if (sheet_has(s, (size_t)column))
        return find_column(labels, "finding", finding, &rules->finding);
    if (rules->label == NO_COLUMN)
        return fail_column(&s->table[0], "finding", finding);
    return PULMO_OK;
}

static pulmo_status fail_kept(const pulmo_config *config)
{
    char *column = kept_column(config);
    pulmo_status status =
        pulmo_fail(PULMO_CONFIG,
                   "pack.keep: needs pack.table: give the table, or leave the key out (without a "
                   "table it names elements of DICOM headers, as PatientAge; \"%s\" is none)",
                   column ? column : "");
    free(column);
    return status;
}

static pulmo_status judge_rules(const pulmo_config *config)
{
    const char *key = *config->pack.table ? NULL : table_key(config);
    if (key && strcmp(key, "keep") == 0)
        return fail_kept(config);
    if (key)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.%s: needs pack.table: give the table, or leave the key out", key);
    bool decides = config->pack.blank == PULMO_CELL_POSITIVE ||
                   config->pack.blank == PULMO_CELL_NEGATIVE ||
                   config->pack.uncertain != PULMO_CELL_REFUSE;
    if (decides && !*config->pack.finding)
        return pulmo_fail(PULMO_CONFIG, "pack.uncertain, and pack.blank: positive or negative, are "
                                        "of pack.finding, which is not given");
    return PULMO_OK;
}

static pulmo_status judge_splits(const pulmo_labels *labels, const pulmo_config *config)
{
    for (int s = 0; s < PULMO_SPLITS; s++) {
        if (labels->has_list[s] && *config->pack.table_split)
            return pulmo_fail(PULMO_CONFIG,
                              "pack.table_split and pack.%s_list: each says what %s is; leave one "
                              "out",
                              pulmo_split_name(s), pulmo_split_name(s));
    }
    return PULMO_OK;
}

static pulmo_status find_columns(pulmo_labels *labels, const pulmo_config *config)
{
    label_columns *c = &labels->columns;
    PULMO_TRY(find_path(labels, config));
    PULMO_TRY(find_column(labels, "table_label", config->pack.table_label, &labels->rules.label));
    PULMO_TRY(find_column(labels, "table_patient", config->pack.table_patient, &c->patient));
    PULMO_TRY(find_column(labels, "table_split", config->pack.table_split, &c->split));
    PULMO_TRY(find_finding(labels, config));
    return find_lists(labels);
}

static pulmo_status read_sheet(pulmo_labels *labels, const pulmo_config *config, const char *source,
                               const words *names, const words *join)
{
    bool has_header = true;
    labels->columns.split = NO_COLUMN;
    labels->has_tables = names->count > 0;
    labels->joined = join->count > 0;
    if (!labels->has_tables)
        return PULMO_OK;
    PULMO_TRY(want_columns(labels, config, join));
    PULMO_TRY(judge_numbers(&labels->sheet.wanted, config->pack.finding, &has_header));
    PULMO_TRY(read_tables(labels, names, source, has_header));
    PULMO_TRY(find_columns(labels, config));
    if (labels->joined)
        return sheet_join(&labels->sheet, join);
    return sheet_stack(&labels->sheet);
}

/* "[a, b" would be one word. */
static pulmo_status check_brackets(const char *key, const char *text)
{
    static const char pairs[][2] = {{'[', ']'}, {'{', '}'}};
    const char *begin = text + strspn(text, " \t\n");
    size_t bytes = strlen(begin);
    while (bytes > 0 && isspace((unsigned char)begin[bytes - 1]))
        bytes--;
    for (size_t i = 0; i < PULMO_COUNT_OF(pairs); i++) {
        const char *pair = pairs[i];
        bool begins = bytes > 0 && begin[0] == pair[0];
        bool ends = bytes > 0 && begin[bytes - 1] == pair[1];
        if (begins && !ends)
            return pulmo_fail(PULMO_CONFIG,
                              "pack.%s: \"%s\": begins with %c and does not end with %c", key, text,
                              pair[0], pair[1]);
    }
    return PULMO_OK;
}

static pulmo_status judge_brackets(const pulmo_config *config)
{
    PULMO_TRY(check_brackets("join", config->pack.join));
    PULMO_TRY(check_brackets("keep", config->pack.keep));
    PULMO_TRY(check_brackets("where", config->pack.where));
    return check_brackets("label_map", config->pack.label_map);
}

/* What the configuration alone says. */
static pulmo_status read_rules(pulmo_labels *labels, const pulmo_config *config, words *names,
                               words *join)
{
    PULMO_TRY(judge_rules(config));
    PULMO_TRY(judge_brackets(config));
    PULMO_TRY(words_read(names, config->pack.table));
    PULMO_TRY(words_read(join, config->pack.join));
    PULMO_TRY(words_read(&labels->keep, config->pack.keep));
    if (labels->keep.count > PULMO_LIST_MAX)
        return pulmo_fail(PULMO_CONFIG, "pack.keep: names %zu columns; at most %d",
                          labels->keep.count, PULMO_LIST_MAX);
    PULMO_TRY(name_kept(labels));
    PULMO_TRY(conditions_read(config->pack.where, &labels->where));
    PULMO_TRY(pulmo_label_map_read(config->pack.label_map, &labels->map));
    labels->rules.map = labels->map;
    labels->rules.uncertain = config->pack.uncertain;
    labels->rules.blank = config->pack.blank;
    return PULMO_OK;
}

static pulmo_status read_all(pulmo_labels *labels, const pulmo_config *config, const char *source,
                             words *names, words *join)
{
    PULMO_TRY(read_rules(labels, config, names, join));
    PULMO_TRY(read_sheet(labels, config, source, names, join));
    PULMO_TRY(judge_headers(labels));
    PULMO_TRY(read_lists(labels, config, source));
    return judge_splits(labels, config);
}

pulmo_status pulmo_labels_read(const pulmo_config *config, const char *source, pulmo_labels **out)
{
    words names = {0}, join = {0};
    pulmo_labels *labels = calloc(1, sizeof *labels);
    *out = NULL;
    if (!labels)
        return pulmo_fail(PULMO_MEMORY, "out of memory for tables of labels");
    pulmo_status status = read_all(labels, config, source, &names, &join);
    words_free(&names);
    words_free(&join);
    if (status == PULMO_OK)
        *out = labels;
    else
        pulmo_labels_free(labels);
    return status;
}

pulmo_status pulmo_labels_check(const pulmo_config *config)
{
    words names = {0}, join = {0};
    pulmo_labels *labels = calloc(1, sizeof *labels);
    if (!labels)
        return pulmo_fail(PULMO_MEMORY, "out of memory for tables of labels");
    pulmo_status status = read_rules(labels, config, &names, &join);
    words_free(&names);
    words_free(&join);
    pulmo_labels_free(labels);
    return status;
}
