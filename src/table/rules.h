/* Inside the table room: what a row's cells say. */
#ifndef PULMO_TABLE_RULES_H
#define PULMO_TABLE_RULES_H

#include <stdbool.h>
#include <stddef.h>

#include "pulmo/config.h"
#include "pulmo/table.h"

#include "sheet.h"

/* pack.where: COLUMN=a|b or COLUMN!=a|b */
typedef struct condition {
    char *column;
    words values;
    bool negated;
} condition;

#define CONDITIONS_MAX 16
typedef struct conditions {
    size_t count;
    condition one[CONDITIONS_MAX];
} conditions;

/* PULMO_CONFIG with the rule. Owned by the caller (conditions_free). */
pulmo_status conditions_read(const char *text, conditions *out);
void conditions_free(conditions *c);
/* Whether the column's cell is as wanted: it, or any of several labels in it. NULL is no cell,
 * which is as blank. PULMO_MEMORY. */
pulmo_status condition_judge(const condition *c, const char *cell, bool *holds);

/* A column that no table has, or that was not asked for. */
#define NO_COLUMN SIZE_MAX

/* Adds the names of pack.label_map that pulmo_label_map_find was never asked for. */
pulmo_status label_map_unmet(const pulmo_label_map *map, words *out);

/* How a label comes about. Starts as zeros. */
typedef struct label_rules {
    size_t label;              /* column of pack.table_label, or NO_COLUMN */
    size_t finding;            /* column of the finding's own, or NO_COLUMN */
    char *positive, *negative; /* class names; NULL without pack.finding */
    int uncertain, blank;      /* PULMO_CELL_* */
    const pulmo_label_map *map;
} label_rules;

/* What the cells of a row say of its class. */
typedef struct ruling {
    pulmo_label_fate fate;
    const char *label;   /* where taken; borrowed from the sheet, the map or the rules */
    const char *unnamed; /* the label that pack.label_map does not name */
    const char *within;  /* the cell that holds the finding's name within another label */
} ruling;

/* PULMO_DATA with file, line, cell and the keys that decide. */
pulmo_status rules_apply(const label_rules *rules, const sheet *s, size_t row, ruling *out);

#endif
