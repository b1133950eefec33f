/* What a row's cells say: whether it is selected, and its class. */
#include "rules.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pulmo/memory.h"
#include "pulmo/text.h"

/* ---- pack.label_map ---- */

struct pulmo_label_map {
    words from, to; /* of one length */
    bool *met;      /* (from.count): whether the name was asked for */
};

/* "Pneumonia: PNEUMONIA" */
static pulmo_status add_mapping(pulmo_label_map *map, const char *text)
{
    const char *colon = strstr(text, ": ");
    if (!colon)
        colon = strchr(text, ':');
    words from = {0}, to = {0};
    pulmo_status status = PULMO_OK;
    char *name = colon ? strndup(text, (size_t)(colon - text)) : NULL;
    if (name)
        status = words_read(&from, name);
    if (name && status == PULMO_OK)
        status = words_read(&to, colon + 1);
    bool is_one = from.count == 1 && to.count == 1;
    if (status == PULMO_OK && !is_one)
        status = pulmo_fail(PULMO_CONFIG,
                            "pack.label_map: \"%s\": must be LABEL: CLASS, as in Pneumonia: "
                            "PNEUMONIA, No Finding: NORMAL",
                            text);
    if (status == PULMO_OK && words_find(&map->from, from.word[0]) >= 0)
        status = pulmo_fail(PULMO_CONFIG, "pack.label_map: \"%s\": is named twice", from.word[0]);
    if (status == PULMO_OK)
        status = words_add_text(&map->from, from.word[0]);
    if (status == PULMO_OK)
        status = words_add_text(&map->to, to.word[0]);
    words_free(&from);
    words_free(&to);
    free(name);
    return status;
}

/* The text in braces, whether or not it was. */
static pulmo_status read_mappings(const char *text, words *out)
{
    if (strchr(text, '{'))
        return words_read(out, text);
    char *braced = pulmo_format("{%s}", text);
    if (!braced)
        return PULMO_MEMORY;
    pulmo_status status = words_read(out, braced);
    free(braced);
    return status;
}

pulmo_status pulmo_label_map_read(const char *text, pulmo_label_map **out)
{
    words mappings = {0};
    *out = NULL;
    if (!*text)
        return PULMO_OK;
    pulmo_label_map *map = calloc(1, sizeof *map);
    if (!map)
        return pulmo_fail(PULMO_MEMORY, "out of memory for pack.label_map");
    pulmo_status status = read_mappings(text, &mappings);
    for (size_t i = 0; i < mappings.count && status == PULMO_OK; i++)
        status = add_mapping(map, mappings.word[i]);
    words_free(&mappings);
    map->met = calloc(map->from.count + 1, sizeof *map->met);
    if (status == PULMO_OK && !map->met)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for pack.label_map");
    if (status == PULMO_OK)
        *out = map;
    else
        pulmo_label_map_free(map);
    return status;
}

void pulmo_label_map_free(pulmo_label_map *map)
{
    if (!map)
        return;
    words_free(&map->from);
    words_free(&map->to);
    free(map->met);
    free(map);
}

const char *pulmo_label_map_find(const pulmo_label_map *map, const char *label)
{
    if (!map)
        return label;
    int at = words_find(&map->from, label);
    if (at < 0)
        return NULL;
    map->met[at] = true;
    return map->to.word[at];
}

pulmo_status pulmo_label_map_near(const pulmo_label_map *map, const char *label, const char **out)
{
    *out = NULL;
    char *wanted = pulmo_text_fold(label);
    pulmo_status status = wanted ? PULMO_OK : PULMO_MEMORY;
    for (size_t i = 0; map && i < map->from.count && status == PULMO_OK && !*out; i++) {
        char *folded = pulmo_text_fold(map->from.word[i]);
        if (!folded)
            status = PULMO_MEMORY;
        else if (strcmp(folded, wanted) == 0)
            *out = map->from.word[i];
        free(folded);
    }
    free(wanted);
    return status;
}

pulmo_status label_map_unmet(const pulmo_label_map *map, words *out)
{
    for (size_t i = 0; map && i < map->from.count; i++) {
        if (!map->met[i])
            PULMO_TRY(words_add_text(out, map->from.word[i]));
    }
    return PULMO_OK;
}

/* ---- pack.where ---- */

static pulmo_status read_condition(const char *text, condition *out)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.where: \"%s\": must be COLUMN=VALUE or COLUMN!=VALUE, as in "
                          "ViewPosition=PA|AP",
                          text);
    out->negated = equals[-1] == '!';
    size_t bytes = (size_t)(equals - text) - out->negated;
    out->column = strndup(text, bytes);
    if (!out->column)
        return pulmo_fail(PULMO_MEMORY, "out of memory for pack.where");
    if (!equals[1])
        return words_add(&out->values, "", 0);
    return words_of_cell(&out->values, equals + 1);
}

pulmo_status conditions_read(const char *text, conditions *out)
{
    words all = {0};
    memset(out, 0, sizeof *out);
    pulmo_status status = words_read(&all, text);
    if (status == PULMO_OK && all.count > CONDITIONS_MAX)
        status = pulmo_fail(PULMO_CONFIG, "pack.where: has %zu conditions; at most %d", all.count,
                            CONDITIONS_MAX);
    for (size_t i = 0; i < all.count && status == PULMO_OK; i++) {
        status = read_condition(all.word[i], &out->one[i]);
        out->count++;
    }
    words_free(&all);
    if (status != PULMO_OK)
        conditions_free(out);
    return status;
}

void conditions_free(conditions *c)
{
    for (size_t i = 0; i < CONDITIONS_MAX; i++) {
        free(c->one[i].column);
        words_free(&c->one[i].values);
    }
    memset(c, 0, sizeof *c);
}

/* Whether any of a cell's labels is among the values. */
static pulmo_status find_any(const words *values, const char *cell, bool *found)
{
    words labels = {0};
    pulmo_status status = words_of_labels(&labels, cell);
    for (size_t i = 0; i < labels.count && status == PULMO_OK; i++)
        *found = *found || words_find(values, labels.word[i]) >= 0;
    words_free(&labels);
    return status;
}

pulmo_status condition_judge(const condition *c, const char *cell, bool *holds)
{
    if (!cell)
        cell = "";
    bool found = words_find(&c->values, cell) >= 0;
    if (!found && pulmo_cell_is_blank(cell))
        found = words_find(&c->values, "") >= 0;
    if (!found)
        PULMO_TRY(find_any(&c->values, cell, &found));
    *holds = found != c->negated;
    return PULMO_OK;
}

/* ---- classes ---- */

/* A blank or a -1 by the choice of its key: the class, NULL where it is left out. */
static const char *chosen(const label_rules *rules, int choice)
{
    if (choice == PULMO_CELL_POSITIVE)
        return rules->positive;
    if (choice == PULMO_CELL_NEGATIVE)
        return rules->negative;
    return NULL;
}

static pulmo_status rule_blank(const label_rules *rules, const sheet *s, size_t row, size_t column,
                               ruling *out)
{
    if (rules->blank == PULMO_CELL_REFUSE)
        return sheet_fail(s, row, column,
                          "is blank; pack.blank says what such rows are: leave_out, or positive or "
                          "negative of pack.finding");
    out->label = chosen(rules, rules->blank);
    out->fate = out->label ? PULMO_LABEL_TAKEN : PULMO_LABEL_BLANK;
    return PULMO_OK;
}

/* 1, 0 or -1 as tables write them: 1.0, True. */
static bool read_finding(const char *cell, int *value)
{
    char *end = NULL;
    double number = strtod(cell, &end);
    if (strcasecmp(cell, "true") == 0 || strcasecmp(cell, "false") == 0) {
        *value = strcasecmp(cell, "true") == 0;
        return true;
    }
    if (end == cell || *end || (number != 1 && number != 0 && number != -1))
        return false;
    *value = (int)number;
    return true;
}

/* A column of the finding's own. */
static pulmo_status rule_column(const label_rules *rules, const sheet *s, size_t row,
                                const char *cell, ruling *out)
{
    int value = 0;
    size_t column = rules->finding;
    if (!read_finding(cell, &value))
        return sheet_fail(s, row, column,
                          "\"%s\": a column that pack.finding names holds 1, 0, -1 or nothing",
                          cell);
    if (value >= 0) {
        out->label = value == 1 ? rules->positive : rules->negative;
        return PULMO_OK;
    }
    if (rules->uncertain == PULMO_CELL_REFUSE)
        return sheet_fail(s, row, column,
                          "is -1 (uncertain); pack.uncertain says what such rows are: leave_out, "
                          "positive or negative");
    out->label = chosen(rules, rules->uncertain);
    out->fate = out->label ? PULMO_LABEL_TAKEN : PULMO_LABEL_UNCERTAIN;
    return PULMO_OK;
}

/* The class that pack.label_map makes of several labels, if it is one. */
static pulmo_status rule_mapped(const label_rules *rules, const sheet *s, size_t row,
                                const words *labels, const char *cell, ruling *out)
{
    out->fate = PULMO_LABEL_UNNAMED;
    out->unnamed = cell;
    for (size_t i = 0; i < labels->count; i++) {
        const char *class = pulmo_label_map_find(rules->map, labels->word[i]);
        if (!class)
            continue;
        if (out->label && strcmp(out->label, class) != 0)
            return sheet_fail(s, row, rules->label,
                              "\"%s\": pack.label_map makes both %s and %s of it; pack.finding: "
                              "NAME makes one finding against the rest",
                              cell, out->label, class);
        out->label = class;
        out->fate = PULMO_LABEL_TAKEN;
    }
    return PULMO_OK;
}

/* A cell's labels as they are read. */
static pulmo_status read_labels(const label_rules *rules, const char *cell, words *out)
{
    if (rules->positive)
        return words_of_findings(out, cell, rules->positive);
    return words_of_cell(out, cell);
}

/* The finding against the rest. What is the finding but for its spelling is not the rest. */
static pulmo_status rule_finding(const label_rules *rules, const sheet *s, size_t row,
                                 const words *labels, const char *cell, ruling *out)
{
    out->label = rules->positive;
    if (words_find(labels, rules->positive) >= 0)
        return PULMO_OK;
    out->label = rules->negative;
    finding_hold how = finding_in_cell(cell, rules->positive);
    if (how == HELD_WITHIN)
        out->within = cell;
    if (how != HELD_ALONE)
        return PULMO_OK;
    return sheet_fail(s, row, rules->label,
                      "\"%.300s\": holds the finding \"%s\", but not as a label; pack.finding "
                      "names the label exactly as cells do, upper and lower case too, and the "
                      "labels of a cell are separated by one of | ; , or stand in [...] with "
                      "commas: write the cell so, or leave such rows out by pack.where",
                      cell, rules->positive);
}

/* A cell that may hold several labels. */
static pulmo_status rule_labels(const label_rules *rules, const sheet *s, size_t row,
                                const words *labels, const char *cell, ruling *out)
{
    if (rules->positive)
        return rule_finding(rules, s, row, labels, cell, out);
    if (rules->map)
        return rule_mapped(rules, s, row, labels, cell, out);
    if (is_list_cell(cell))
        return sheet_fail(s, row, rules->label,
                          "\"%s\": holds several labels; pack.finding: NAME makes one finding "
                          "against the rest, pack.label_map names those that are classes",
                          cell);
    if (strchr(cell, ','))
        return sheet_fail(s, row, rules->label,
                          "\"%s\": holds several labels, or one with a comma; pack.finding: NAME "
                          "makes one finding against the rest, pack.label_map names whole cells "
                          "that are classes",
                          cell);
    if (strcmp(cell, "-1") == 0 || strcmp(cell, "-1.0") == 0)
        return sheet_fail(s, row, rules->label,
                          "\"%s\": is what columns of findings hold; name the column as "
                          "pack.finding, and say by pack.uncertain what -1 is",
                          cell);
    out->label = cell;
    return PULMO_OK;
}

static pulmo_status rule_cell(const label_rules *rules, const sheet *s, size_t row,
                              const char *cell, ruling *out)
{
    words labels = {0};
    pulmo_status status = read_labels(rules, cell, &labels);
    if (status == PULMO_OK && labels.count == 0)
        status = rule_blank(rules, s, row, rules->label, out);
    else if (status == PULMO_OK)
        status = rule_labels(rules, s, row, &labels, cell, out);
    words_free(&labels);
    return status;
}

/* Class names of a finding have new names, too. */
static void rename_finding(const label_rules *rules, ruling *out)
{
    if (!rules->positive || !rules->map || out->fate != PULMO_LABEL_TAKEN)
        return;
    out->unnamed = out->label;
    out->label = pulmo_label_map_find(rules->map, out->label);
    if (!out->label)
        out->fate = PULMO_LABEL_UNNAMED;
}

/* A name that pack.label_map gives is a label, whatever it is: None: NORMAL. */
static bool is_blank_label(const label_rules *rules, const char *cell)
{
    bool named = rules->map && pulmo_label_map_find(rules->map, cell);
    return !named && pulmo_cell_is_blank(cell);
}

pulmo_status rules_apply(const label_rules *rules, const sheet *s, size_t row, ruling *out)
{
    bool has_own = rules->finding != NO_COLUMN;
    size_t column = has_own ? rules->finding : rules->label;
    *out = (ruling){.fate = PULMO_LABEL_TAKEN};
    if (column == NO_COLUMN)
        return PULMO_OK;
    const char *cell = sheet_cell(s, row, column);
    if (!cell) {
        out->fate = PULMO_LABEL_UNJOINED;
        return PULMO_OK;
    }
    if (is_blank_label(rules, cell))
        PULMO_TRY(rule_blank(rules, s, row, column, out));
    else if (has_own)
        PULMO_TRY(rule_column(rules, s, row, cell, out));
    else
        PULMO_TRY(rule_cell(rules, s, row, cell, out));
    rename_finding(rules, out);
    return PULMO_OK;
}
