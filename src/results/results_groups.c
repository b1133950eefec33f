/* Figures of groups of images: as text, as groups.csv, and in results.h5.
 *
 *   /groups/{column,group,class} (R)     a row a group, of more than two classes one a class
 *   /groups/{images,patients,positives,small} (R)
 *   /groups/{MEASURE,MEASURE_low95,MEASURE_high95} (R)
 *       attributes of /groups: by, split, patients_least */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "pulmo/text.h"
#include "results_room.h"

pulmo_group_source pulmo_split_source(const pulmo_dataset_info *info)
{
    return (pulmo_group_source){.count = info->count,
                                .paths = info->paths,
                                .patients = info->groups,
                                .columns = info->kept,
                                .names = info->kept_names,
                                .cells = info->kept_columns};
}

pulmo_status pulmo_split_groups(const pulmo_model *model, const pulmo_split_scores *scores,
                                const char *by, pulmo_groups *out)
{
    const pulmo_group_source source = pulmo_split_source(scores->info);
    const pulmo_scored scored = pulmo_split_scored(model, scores);
    const pulmo_decision decision = pulmo_model_decision(model);
    return pulmo_groups_compute(&scored, &decision, &source, by, out);
}

/* ---- text ---- */

#define GROUP_WIDE   24
#define NUMBER_WIDE  10
#define MEASURE_WIDE 23

/* Up to the next column of `wide` characters; behind the last one, 0, there is none. */
static void pad(FILE *out, int printed, int wide)
{
    if (wide > 0)
        fprintf(out, "%*s", wide > printed ? wide - printed : 1, "");
}

static int width_of(int measure)
{
    return measure + 1 < PULMO_GROUP_MEASURE_COUNT ? MEASURE_WIDE : 0;
}

static void print_measure(FILE *out, pulmo_interval it, int wide)
{
    char text[64];
    int printed = 9;
    if (isnan(it.value))
        fputs("undefined", out);
    else if (isnan(it.low))
        printed = fprintf(out, "%.3f", it.value);
    else {
        printed = snprintf(text, sizeof text, "%.3f (%.3f\u2013%.3f)", it.value, it.low, it.high);
        fputs(text, out);
        printed -= (int)strlen("\u2013") - 1;
    }
    pad(out, printed, wide);
}

static void print_heads(FILE *out, const char *column)
{
    fputc('\n', out);
    const size_t shown = pulmo_text_show(out, column, SIZE_MAX);
    pad(out, (int)shown, GROUP_WIDE);
    fprintf(out, "%-*s%-*s", NUMBER_WIDE, "images", NUMBER_WIDE, "patients");
    for (int m = 0; m < PULMO_GROUP_MEASURE_COUNT; m++)
        fprintf(out, "%-*s", width_of(m), pulmo_group_measures[m].words);
    fputc('\n', out);
}

static void print_group(FILE *out, const pulmo_group *group, int classes,
                        const char *const *class_names)
{
    int printed = fprintf(out, "%s", group->is_small ? "* " : "  ");
    printed += (int)pulmo_text_show(out, group->name, SIZE_MAX);
    if (classes > 2) {
        printed += fprintf(out, ", ");
        printed += (int)pulmo_text_show(out, class_names[group->class], SIZE_MAX);
    }
    pad(out, printed, GROUP_WIDE);
    fprintf(out, "%-*u%-*u", NUMBER_WIDE, group->images, NUMBER_WIDE, group->patients);
    for (int m = 0; m < PULMO_GROUP_MEASURE_COUNT; m++)
        print_measure(out, group->value[m], width_of(m));
    fputc('\n', out);
}

void pulmo_groups_print(FILE *out, const pulmo_groups *groups, int classes,
                        const char *const *class_names)
{
    bool any_small = false;
    const char *column = "";
    if (groups->count == 0)
        return;
    fprintf(out, "Groups, with 95 %% intervals");
    if (classes == 2)
        fprintf(out, ", of %s", class_names[groups->group[0].class]);
    for (uint32_t i = 0; i < groups->count; i++) {
        const pulmo_group *group = &groups->group[i];
        if (strcmp(column, group->column) != 0)
            print_heads(out, group->column);
        column = group->column;
        print_group(out, group, classes, class_names);
        any_small = any_small || group->is_small;
    }
    if (any_small)
        fprintf(out,
                "* too small for a claim: fewer than %d patients with the class, or without it\n",
                PULMO_GROUP_PATIENTS);
    fputs("No difference between groups was tested: intervals that do not overlap are no test.\n\n",
          out);
}

/* ---- groups.csv ---- */

static void csv_number(FILE *out, double value)
{
    if (isnan(value))
        fputc(',', out);
    else
        fprintf(out, ",%.9g", value);
}

static void csv_heads(FILE *out)
{
    fputs("column,group,class,images,patients,positives,small", out);
    for (int m = 0; m < PULMO_GROUP_MEASURE_COUNT; m++) {
        const char *name = pulmo_group_measures[m].name;
        fprintf(out, ",%s,%s_low95,%s_high95", name, name, name);
    }
    fputc('\n', out);
}

static void csv_group(FILE *out, const pulmo_group *group, const char *class)
{
    pulmo_csv_field(out, group->column);
    fputc(',', out);
    pulmo_csv_field(out, group->name);
    fputc(',', out);
    pulmo_csv_name(out, class);
    fprintf(out, ",%u,%u,%u,%d", group->images, group->patients, group->positives, group->is_small);
    for (int m = 0; m < PULMO_GROUP_MEASURE_COUNT; m++) {
        csv_number(out, group->value[m].value);
        csv_number(out, group->value[m].low);
        csv_number(out, group->value[m].high);
    }
    fputc('\n', out);
}

pulmo_status pulmo_groups_csv(const char *path, const pulmo_groups *groups,
                              const char *const *class_names)
{
    pulmo_text text;
    PULMO_TRY(pulmo_text_open(&text));
    csv_heads(text.stream);
    for (uint32_t i = 0; i < groups->count; i++) {
        const pulmo_group *group = &groups->group[i];
        csv_group(text.stream, group, class_names[group->class]);
    }
    return pulmo_text_write(&text, path);
}

/* ---- results.h5 ---- */

static const char group_name[] = "groups";

typedef struct group_columns {
    uint64_t rows;
    const char **text; /* (rows) */
    int64_t *number;
    double *real;
} group_columns;

static pulmo_status put_texts(pulmo_h5 *file, const group_columns *c, const char *name,
                              const char *long_name)
{
    const results_field field = {name, long_name, NULL, PULMO_H5_STRING, 1, {c->rows}, c->text};
    return results_put(file, group_name, &field);
}

static pulmo_status put_numbers(pulmo_h5 *file, const group_columns *c, const char *name,
                                const char *long_name)
{
    const results_field field = {name, long_name, "1", PULMO_H5_I64, 1, {c->rows}, c->number};
    return results_put(file, group_name, &field);
}

static pulmo_status put_reals(pulmo_h5 *file, const group_columns *c, const char *name,
                              const char *long_name)
{
    const results_field field = {name, long_name, "1", PULMO_H5_F64, 1, {c->rows}, c->real};
    return results_put(file, group_name, &field);
}

static pulmo_status put_names(pulmo_h5 *file, const pulmo_groups *groups, group_columns *c,
                              const char *const *class_names)
{
    for (uint64_t i = 0; i < c->rows; i++)
        c->text[i] = groups->group[i].column;
    PULMO_TRY(put_texts(file, c, "column", "column that the images are grouped by"));
    for (uint64_t i = 0; i < c->rows; i++)
        c->text[i] = groups->group[i].name;
    PULMO_TRY(put_texts(file, c, "group", "value, or bin of numbers, of the group"));
    for (uint64_t i = 0; i < c->rows; i++)
        c->text[i] = class_names[groups->group[i].class];
    return put_texts(file, c, "class", "class, against the rest");
}

static pulmo_status put_counts(pulmo_h5 *file, const pulmo_groups *groups, group_columns *c)
{
    for (uint64_t i = 0; i < c->rows; i++)
        c->number[i] = groups->group[i].images;
    PULMO_TRY(put_numbers(file, c, "images", "images of the group"));
    for (uint64_t i = 0; i < c->rows; i++)
        c->number[i] = groups->group[i].patients;
    PULMO_TRY(put_numbers(file, c, "patients", "patients of the group"));
    for (uint64_t i = 0; i < c->rows; i++)
        c->number[i] = groups->group[i].positives;
    PULMO_TRY(put_numbers(file, c, "positives", "images of the class"));
    for (uint64_t i = 0; i < c->rows; i++)
        c->number[i] = groups->group[i].is_small;
    return put_numbers(file, c, "small", "1: too small for a claim");
}

static pulmo_status put_measure(pulmo_h5 *file, const pulmo_groups *groups, group_columns *c,
                                int measure)
{
    static const struct {
        const char *suffix, *words;
        size_t offset;
    } parts[] = {{"", "", offsetof(pulmo_interval, value)},
                 {"_low95", ": the 95 % interval's lower end", offsetof(pulmo_interval, low)},
                 {"_high95", ": the 95 % interval's upper end", offsetof(pulmo_interval, high)}};
    char name[80], words[120];
    const pulmo_group_measure_words *of = &pulmo_group_measures[measure];
    for (size_t p = 0; p < PULMO_COUNT_OF(parts); p++) {
        for (uint64_t i = 0; i < c->rows; i++) {
            const char *value = (const char *)&groups->group[i].value[measure];
            memcpy(&c->real[i], value + parts[p].offset, sizeof c->real[i]);
        }
        snprintf(name, sizeof name, "%s%s", of->name, parts[p].suffix);
        snprintf(words, sizeof words, "%s%s", of->words, parts[p].words);
        PULMO_TRY(put_reals(file, c, name, words));
    }
    return PULMO_OK;
}

static pulmo_status put_all(pulmo_h5 *file, const pulmo_groups *groups, group_columns *c,
                            const char *const *class_names)
{
    PULMO_TRY(put_names(file, groups, c, class_names));
    PULMO_TRY(put_counts(file, groups, c));
    for (int m = 0; m < PULMO_GROUP_MEASURE_COUNT; m++)
        PULMO_TRY(put_measure(file, groups, c, m));
    return PULMO_OK;
}

pulmo_status results_groups(pulmo_h5 *file, const pulmo_results *r)
{
    const size_t room = (size_t)r->groups->count + 1;
    const char *const *class_names = (const char *const *)r->model->class_names;
    group_columns c = {.rows = r->groups->count,
                       .text = calloc(room, sizeof *c.text),
                       .number = calloc(room, sizeof *c.number),
                       .real = calloc(room, sizeof *c.real)};
    pulmo_status status = PULMO_OK;
    if (!c.text || !c.number || !c.real)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for groups");
    if (status == PULMO_OK)
        status = put_all(file, r->groups, &c, class_names);
    free(c.text);
    free(c.number);
    free(c.real);
    PULMO_TRY(status);
    PULMO_TRY(pulmo_h5_set_text(file, group_name, "by", r->by));
    PULMO_TRY(pulmo_h5_set_text(file, group_name, "split", r->test->split));
    return pulmo_h5_set_int(file, group_name, "patients_least", PULMO_GROUP_PATIENTS);
}
