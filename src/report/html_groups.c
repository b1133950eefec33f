/* The report's section on groups of images: a table a column, and forest plots. */
#include "report_room.h"

#include <math.h>
#include <string.h>

#include "pulmo/text.h"

#define CLASSES_DRAWN 6

/* ---- tables ---- */

static void cell(FILE *out, pulmo_interval it)
{
    fputs("<td class=\"n\">", out);
    html_number(out, it.value);
    if (!isnan(it.low)) {
        fputs("<small>", out);
        html_range(out, it);
        fputs("</small>", out);
    }
    fputs("</td>", out);
}

static void row(FILE *out, const report *r, const pulmo_group *group)
{
    fprintf(out, "<tr%s><th scope=\"row\">", group->is_small ? " class=\"small\"" : "");
    html_text(out, group->name);
    if (group->is_small)
        fputs(" *", out);
    if (r->classes > 2)
        html_tagged(out, "small", r->class_names[group->class]);
    fprintf(out, "</th><td class=\"n\">%u</td><td class=\"n\">", group->images);
    if (r->patients_unknown)
        fputs("\u2013</td>", out);
    else
        fprintf(out, "%u</td>", group->patients);
    for (int m = 0; m < PULMO_GROUP_MEASURE_COUNT; m++)
        cell(out, group->value[m]);
    fputs("</tr>\n", out);
}

static void heads(FILE *out, const char *column)
{
    fputs("<div class=\"scroll\"><table class=\"groups\"><caption>By ", out);
    html_text(out, column);
    fputs("</caption><thead><tr><th scope=\"col\">Group</th><th class=\"n\" scope=\"col\">Images"
          "</th><th class=\"n\" scope=\"col\">Patients</th>",
          out);
    for (int m = 0; m < PULMO_GROUP_MEASURE_COUNT; m++)
        fprintf(out, "<th class=\"n\" scope=\"col\">%s</th>", pulmo_group_measures[m].words);
    fputs("</tr></thead><tbody>\n", out);
}

static void tables(FILE *out, const report *r)
{
    const char *column = NULL;
    for (uint32_t i = 0; i < r->groups.count; i++) {
        const pulmo_group *group = &r->groups.group[i];
        const bool is_new = !column || strcmp(column, group->column) != 0;
        if (is_new && column)
            fputs("</tbody></table></div>\n", out);
        if (is_new)
            heads(out, group->column);
        column = group->column;
        row(out, r, group);
    }
    fputs("</tbody></table></div>\n", out);
}

/* ---- figures ---- */

static void figure(FILE *out, const report *r, int class, pulmo_group_measure measure)
{
    fputs("<figure><b>", out);
    html_text(out, pulmo_group_measures[measure].words);
    if (r->classes > 2)
        html_say(out, ", %s against the rest", r->class_names[class]);
    fputs("</b>", out);
    svg_forest(out, r, class, measure);
    fputs("</figure>\n", out);
}

/* Of more than two classes the areas alone. */
static void figures(FILE *out, const report *r)
{
    static const pulmo_group_measure of_two[] = {PULMO_GROUP_AUC, PULMO_GROUP_SENSITIVITY,
                                                 PULMO_GROUP_SPECIFICITY, PULMO_GROUP_INTERCEPT};
    fputs("<div class=\"figures\">\n", out);
    for (size_t m = 0; r->classes == 2 && m < sizeof of_two / sizeof of_two[0]; m++)
        figure(out, r, r->positive.index, of_two[m]);
    for (int k = 0; r->classes > 2 && k < r->classes && k < CLASSES_DRAWN; k++)
        figure(out, r, k, PULMO_GROUP_AUC);
    fputs("</div>\n", out);
}

static uint32_t count_small(const report *r)
{
    uint32_t small = 0;
    for (uint32_t i = 0; i < r->groups.count; i++)
        small += r->groups.group[i].is_small;
    return small;
}

void html_columns(FILE *out, const char *by)
{
    while (*by) {
        const int bytes = (int)strcspn(by, ",");
        html_say(out, "%.*s%s", bytes, by, by[bytes] ? ", " : "");
        by += bytes + (by[bytes] != 0);
    }
}

void html_groups(FILE *out, const report *r)
{
    if (r->groups.count == 0)
        return;
    const uint32_t small = count_small(r);
    fputs("<section><h2>Groups</h2>\n<p>", out);
    html_say(out, "The %s images by ", r->split[0].name);
    html_columns(out, r->by);
    fputs(". A model may be good on the whole and poor for some.", out);
    if (small > 0)
        fprintf(
            out,
            " <b>%u of %u group%s, marked *, %s too small for a claim</b>: fewer than %d patients "
            "with the class, or without it. Their intervals may hold less than they say.",
            small, r->groups.count, pulmo_plural(r->groups.count), pulmo_are(small),
            PULMO_GROUP_PATIENTS);
    fputs("</p>\n", out);
    figures(out, r);
    tables(out, r);
    fputs("<p class=\"soft\">Below a value: its 95 % interval, by patient where patients have "
          "several images. Dashed lines: all images together, for the intercept 0. The calibration "
          "intercept is above 0 where the finding is more frequent than the probabilities say, the "
          "slope is below 1 where they are too extreme. No difference between groups was tested: "
          "of many intervals some part by chance, and those that overlap prove no equality.</p>"
          "</section>\n",
          out);
}
