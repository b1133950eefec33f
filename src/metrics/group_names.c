/* Which columns are meant, and which group of a column an image is of. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pulmo/memory.h"
#include "pulmo/text.h"
#include "metrics_groups.h"

#define NOT_RECORDED "not recorded"
#define QUARTILES    4

/* ---- columns ---- */

/* The column whose name is the first `bytes` bytes; -1 for the format, -2 for none. */
static int column_named(const char *name, size_t bytes, int columns, const char *const *names)
{
    for (int c = 0; c < columns; c++)
        if (strlen(names[c]) == bytes && memcmp(names[c], name, bytes) == 0)
            return c;
    if (bytes == strlen(GROUP_FORMAT) && memcmp(name, GROUP_FORMAT, bytes) == 0)
        return -1;
    return -2;
}

static pulmo_status no_column(const char *name, int bytes, int columns, const char *const *names)
{
    pulmo_text text;
    char *there = NULL;
    PULMO_TRY(pulmo_text_open(&text));
    for (int c = 0; c < columns; c++)
        fprintf(text.stream, "%s, ", names[c]);
    fputs(GROUP_FORMAT, text.stream);
    PULMO_TRY(pulmo_text_take(&text, &there));
    pulmo_status status = pulmo_fail(
        PULMO_USAGE,
        "--by: there is no column \"%.*s\"; there %s: %s (pack.keep keeps columns of a table and "
        "elements of DICOM headers)",
        bytes, name, pulmo_are((uint64_t)columns + 1), there);
    free(there);
    return status;
}

/* ":18:40:65", which ends at `end`. */
static pulmo_status read_cuts(const char *at, const char *end, group_wish *wish)
{
    while (at < end) {
        char *rest = NULL;
        const double cut = strtod(at + 1, &rest);
        const bool is_number = rest > at + 1 && rest <= end && isfinite(cut);
        const bool ends = is_number && (rest == end || *rest == ':');
        if (!ends)
            return pulmo_fail(PULMO_USAGE, "--by %s: \"%.*s\" must be numbers, as in %s:18:40:65",
                              wish->name, (int)(end - at), at, wish->name);
        if (wish->cuts > 0 && cut <= wish->cut[wish->cuts - 1])
            return pulmo_fail(PULMO_USAGE, "--by %s: cuts must rise: %g stands behind %g",
                              wish->name, cut, wish->cut[wish->cuts - 1]);
        if (wish->cuts == GROUP_CUTS_MAX)
            return pulmo_fail(PULMO_USAGE, "--by %s: at most %d cuts", wish->name, GROUP_CUTS_MAX);
        wish->cut[wish->cuts++] = cut;
        at = rest;
    }
    return PULMO_OK;
}

/* "Age" or "Age:18:40", `bytes` of it. A name that holds a colon is found whole. */
static pulmo_status read_wish(const char *text, size_t bytes, int columns, const char *const *names,
                              group_wish *out)
{
    size_t name_bytes = bytes;
    *out = (group_wish){.column = column_named(text, bytes, columns, names)};
    if (out->column == -2) {
        const char *colon = memchr(text, ':', bytes);
        if (colon)
            name_bytes = (size_t)(colon - text);
        out->column = column_named(text, name_bytes, columns, names);
    }
    if (out->column == -2)
        return no_column(text, (int)name_bytes, columns, names);
    out->name = GROUP_FORMAT;
    if (out->column >= 0)
        out->name = names[out->column];
    return read_cuts(text + name_bytes, text + bytes, out);
}

static bool is_same_wish(const group_wish *a, const group_wish *b)
{
    if (a->column != b->column || a->cuts != b->cuts)
        return false;
    return memcmp(a->cut, b->cut, (size_t)a->cuts * sizeof *a->cut) == 0;
}

/* The last one of a list, among those before it. */
static pulmo_status check_new(const group_wish *list, uint32_t last)
{
    for (uint32_t i = 0; i < last; i++)
        if (is_same_wish(&list[i], &list[last]))
            return pulmo_fail(PULMO_USAGE, "--by: \"%s\" stands there twice; once is enough",
                              list[last].name);
    return PULMO_OK;
}

pulmo_status group_wishes(const char *by, int columns, const char *const *names, group_wish **out,
                          uint32_t *wishes)
{
    uint32_t most = 1;
    for (const char *at = by; *at; at++)
        most += *at == ',';
    group_wish *list = calloc(most, sizeof *list);
    *wishes = 0;
    if (!list)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %u columns", most);
    pulmo_status status = PULMO_OK;
    for (const char *at = by; status == PULMO_OK && *wishes < most; ++*wishes) {
        const size_t bytes = strcspn(at, ",");
        status = read_wish(at, bytes, columns, names, &list[*wishes]);
        if (status == PULMO_OK)
            status = check_new(list, *wishes);
        at += bytes + 1;
    }
    if (status != PULMO_OK)
        free(list);
    else
        *out = list;
    return status;
}

/* ---- cells ---- */

/* By the ending of its name: pseudonyms keep it. */
static const char *format_of(const char *path)
{
    static const struct {
        const char *ending, *format;
    } formats[] = {{".jpg", "JPEG"},
                   {".jpeg", "JPEG"},
                   {".png", "PNG"},
                   {".dcm", "DICOM"},
                   {".dicom", "DICOM"}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < PULMO_COUNT_OF(formats); i++)
        if (strcasecmp(dot, formats[i].ending) == 0)
            return formats[i].format;
    return "";
}

/* NULL where it says nothing. */
static const char *cell_of(const pulmo_group_source *source, const group_wish *wish, uint32_t image)
{
    const char *cell = NULL;
    if (wish->column < 0)
        cell = format_of(source->paths[image]);
    else
        cell = source->cells[wish->column][image];
    if (pulmo_cell_is_blank(cell))
        return NULL;
    return cell;
}

/* Years of a DICOM age (PS3.5, AS), whose unit stands at `unit`; 1 for what has no unit, 0 for
 * another ending. */
static double years_of(const char *unit)
{
    static const char units[] = "YMWD";
    static const double in_a_year[] = {1, 12, 365.25 / 7, 365.25};
    if (!*unit)
        return 1;
    const char *found = strchr(units, *unit);
    if (!found || unit[1])
        return 0;
    return 1 / in_a_year[found - units];
}

static bool number_of(const char *cell, double *out)
{
    char *rest = NULL;
    if (strspn(cell, "+-.0123456789") == 0)
        return false;
    const double number = strtod(cell, &rest);
    const double unit = years_of(rest);
    *out = number * unit;
    return rest > cell && unit > 0 && isfinite(number);
}

/* ---- groups by value ---- */

static pulmo_status add_name(group_split *out, char *name)
{
    if (!name)
        return PULMO_MEMORY;
    out->name[out->groups++] = name;
    return PULMO_OK;
}

static pulmo_status add_blank(const pulmo_group_source *source, const group_wish *wish,
                              group_split *out)
{
    for (uint32_t i = 0; i < source->count; i++) {
        if (cell_of(source, wish, i))
            continue;
        out->has_blank = true;
        out->member[i] = out->groups;
    }
    if (!out->has_blank)
        return PULMO_OK;
    return add_name(out, pulmo_strdup(NOT_RECORDED));
}

static pulmo_status too_many(const group_wish *wish, uint32_t different)
{
    return pulmo_fail(
        PULMO_USAGE,
        "--by %s: has %u different values: at most %d can be groups; leave it out, or "
        "give a column of fewer",
        wish->name, different, GROUPS_MAX);
}

/* Cells, `known` of them, and the images that they are of. */
typedef struct known_cells {
    uint32_t known;
    const char **cell;
    uint32_t *image, *number;
} known_cells;

static pulmo_status name_values(const known_cells *k, uint32_t different, group_split *out)
{
    for (uint32_t i = 0; i < k->known; i++) {
        const uint32_t group = k->number[i];
        char **name = &out->name[group];
        out->member[k->image[i]] = group;
        if (!*name)
            *name = pulmo_strdup(k->cell[i]);
        if (!*name)
            return PULMO_MEMORY;
    }
    out->groups = different;
    return PULMO_OK;
}

static pulmo_status split_by_value(const pulmo_group_source *source, const group_wish *wish,
                                   group_split *out)
{
    const size_t room = (size_t)source->count + 1;
    known_cells k = {.cell = calloc(room, sizeof *k.cell),
                     .image = calloc(room, sizeof *k.image),
                     .number = calloc(room, sizeof *k.number)};
    uint32_t different = 0;
    pulmo_status status = PULMO_OK;
    if (!k.cell || !k.image || !k.number)
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for %u cells", source->count));
    for (uint32_t i = 0; i < source->count; i++) {
        const char *cell = cell_of(source, wish, i);
        if (!cell)
            continue;
        k.cell[k.known] = cell;
        k.image[k.known] = i;
        k.known++;
    }
    PULMO_GOTO(pulmo_names_number(k.cell, k.known, k.number, &different));
    if (different > GROUPS_MAX)
        PULMO_GOTO(too_many(wish, different));
    PULMO_GOTO(name_values(&k, different, out));
out:
    free(k.cell);
    free(k.image);
    free(k.number);
    return status;
}

/* ---- groups by number ---- */

static int compare_numbers(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    if (a < b)
        return -1;
    return a > b;
}

/* Every cell that says something as a number; false where one is none. */
static bool read_numbers(const pulmo_group_source *source, const group_wish *wish, double *numbers,
                         uint32_t *known, const char **other)
{
    *known = 0;
    for (uint32_t i = 0; i < source->count; i++) {
        const char *cell = cell_of(source, wish, i);
        if (!cell)
            continue;
        if (!number_of(cell, &numbers[*known])) {
            *other = cell;
            return false;
        }
        ++*known;
    }
    return true;
}

static uint32_t count_different(const double *sorted, uint32_t count)
{
    uint32_t different = count > 0;
    for (uint32_t i = 1; i < count; i++)
        different += sorted[i] != sorted[i - 1];
    return different;
}

/* At the quartiles; those that would leave a bin empty are left out. */
static void cut_at_quartiles(const double *sorted, uint32_t count, group_wish *wish)
{
    for (uint32_t q = 1; q < QUARTILES; q++) {
        const double cut = sorted[(uint64_t)q * count / QUARTILES];
        const double below = wish->cuts > 0 ? wish->cut[wish->cuts - 1] : sorted[0];
        if (cut > below)
            wish->cut[wish->cuts++] = cut;
    }
}

static char *name_of_bin(const group_wish *wish, int bin)
{
    if (bin == 0)
        return pulmo_format("below %.6g", wish->cut[0]);
    if (bin == wish->cuts)
        return pulmo_format("%.6g and above", wish->cut[bin - 1]);
    return pulmo_format("%.6g to below %.6g", wish->cut[bin - 1], wish->cut[bin]);
}

static pulmo_status split_by_number(const pulmo_group_source *source, const group_wish *wish,
                                    group_split *out)
{
    for (int bin = 0; bin <= wish->cuts; bin++)
        PULMO_TRY(add_name(out, name_of_bin(wish, bin)));
    for (uint32_t i = 0; i < source->count; i++) {
        const char *cell = cell_of(source, wish, i);
        double number = 0;
        if (!cell || !number_of(cell, &number))
            continue;
        uint32_t bin = 0;
        while (bin < (uint32_t)wish->cuts && number >= wish->cut[bin])
            bin++;
        out->member[i] = bin;
    }
    return PULMO_OK;
}

/* ---- either ---- */

/* By number where all are numbers, and cuts are given or there are many of them. */
static pulmo_status split_cells(const pulmo_group_source *source, group_wish *wish, double *numbers,
                                group_split *out)
{
    uint32_t known = 0;
    const char *other = NULL;
    const bool are_numbers = read_numbers(source, wish, numbers, &known, &other);
    if (!are_numbers && wish->cuts > 0)
        return pulmo_fail(PULMO_USAGE,
                          "--by %s: cuts are for numbers, and \"%s\" is none; give the name alone",
                          wish->name, other);
    if (!are_numbers)
        return split_by_value(source, wish, out);
    qsort(numbers, known, sizeof *numbers, compare_numbers);
    if (wish->cuts == 0 && count_different(numbers, known) <= GROUP_NUMBERS)
        return split_by_value(source, wish, out);
    if (wish->cuts == 0)
        cut_at_quartiles(numbers, known, wish);
    return split_by_number(source, wish, out);
}

pulmo_status group_split_of(const pulmo_group_source *source, const group_wish *wish,
                            group_split *out)
{
    const size_t room = (size_t)source->count + 1;
    group_wish own = *wish;
    memset(out, 0, sizeof *out);
    out->member = calloc(room, sizeof *out->member);
    double *numbers = calloc(room, sizeof *numbers);
    pulmo_status status = PULMO_OK;
    if (!out->member || !numbers)
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for %u images", source->count));
    PULMO_GOTO(split_cells(source, &own, numbers, out));
    PULMO_GOTO(add_blank(source, wish, out));
out:
    free(numbers);
    return status;
}

void group_split_free(group_split *split)
{
    for (uint32_t g = 0; g < GROUPS_MAX + 1; g++)
        free(split->name[g]);
    free(split->member);
}

pulmo_status pulmo_groups_check(const char *by, const pulmo_group_source *source)
{
    group_wish *wish = NULL;
    uint32_t wishes = 0;
    group_split split;
    PULMO_TRY(group_wishes(by, source->columns, source->names, &wish, &wishes));
    pulmo_status status = PULMO_OK;
    for (uint32_t i = 0; status == PULMO_OK && i < wishes; i++) {
        status = group_split_of(source, &wish[i], &split);
        group_split_free(&split);
    }
    free(wish);
    return status;
}
