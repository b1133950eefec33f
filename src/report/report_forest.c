/* Forest plots: a row a group, its value and interval; the value of all images as a line. */
#include <math.h>
#include <string.h>

#include "pulmo/text.h"
#include "report_plot.h"
#include "report_room.h"

#define ROW_PX      21
#define LABELS_PX   158
#define LABEL_BYTES 24
#define TOP_PX      8
#define BOTTOM_PX   50
#define INTERCEPTS  4.0 /* a larger one is cut off */

/* The part of a name that has room, and then an ellipsis. */
static void label(const plot *p, double y, const char *class, const char *name, bool is_small)
{
    char text[LABEL_BYTES + 16] = "";
    size_t at = 0;
    while (name[at]) {
        size_t next = pulmo_character_bytes(name + at);
        next = next > 0 ? next : 1;
        if (at + next > LABEL_BYTES)
            break;
        at += next;
    }
    snprintf(text, sizeof text, "%.*s%s%s", (int)at, name, name[at] ? "\u2026" : "",
             is_small ? " *" : "");
    plot_text(p, LABELS_PX - 10, y + 4, "end", class, text);
}

static bool is_shown(const pulmo_group *group, int class)
{
    return group->class == class;
}

/* Groups of the class, and a heading a column. */
static int rows_of(const report *r, int class)
{
    int rows = 0;
    const char *column = "";
    for (uint32_t i = 0; i < r->groups.count; i++) {
        const pulmo_group *group = &r->groups.group[i];
        if (!is_shown(group, class))
            continue;
        rows += 1 + (strcmp(column, group->column) != 0);
        column = group->column;
    }
    return rows;
}

/* Ends of the axis: areas from 0.5 on where none is below. */
static void set_axis(const report *r, int class, pulmo_group_measure measure, plot *p)
{
    double low = INFINITY, most = 1;
    for (uint32_t i = 0; i < r->groups.count; i++) {
        const pulmo_group *group = &r->groups.group[i];
        const pulmo_interval it = group->value[measure];
        if (!is_shown(group, class) || isnan(it.value))
            continue;
        low = fmin(low, isnan(it.low) ? it.value : it.low);
        most = fmax(most, fmax(fabs(it.low), fabs(it.high)));
    }
    if (measure == PULMO_GROUP_AUC && low >= 0.5)
        p->x0 = 0.5;
    if (measure != PULMO_GROUP_INTERCEPT)
        return;
    p->x1 = fmin(INTERCEPTS, ceil(most));
    p->x0 = -p->x1;
}

/* What groups are compared with; NaN where there is none. */
static double of_all(const report *r, int class, pulmo_group_measure measure)
{
    const pulmo_class_metrics *m = &r->split[0].metrics.per_class[class];
    switch (measure) {
    case PULMO_GROUP_AUC:
        return m->auc;
    case PULMO_GROUP_SENSITIVITY:
        return m->sensitivity.value;
    case PULMO_GROUP_SPECIFICITY:
        return m->specificity.value;
    case PULMO_GROUP_INTERCEPT:
        return 0;
    default:
        return NAN;
    }
}

static double within(const plot *p, double x)
{
    return fmin(p->x1, fmax(p->x0, x));
}

static void draw(const plot *p, double y, pulmo_interval it, bool is_small)
{
    if (isnan(it.value)) {
        plot_text(p, p->left + 8, y + 4, "start", "tick", "undefined");
        return;
    }
    if (!isnan(it.low)) {
        const double left = plot_x(p, within(p, it.low)), right = plot_x(p, within(p, it.high));
        plot_stroke(p, is_small ? "faint-whisker" : "forest", left, y, right, y);
    }
    if (it.value < p->x0 || it.value > p->x1)
        return;
    const double place = (p->top + p->height - y) / p->height;
    plot_dot(p, is_small ? "hollow" : "f0", it.value, place, 4);
}

void svg_forest(FILE *out, const report *r, int class, pulmo_group_measure measure)
{
    char says[160];
    const char *column = "", *words = pulmo_group_measures[measure].words;
    const int rows = rows_of(r, class);
    const double all = of_all(r, class, measure);
    snprintf(says, sizeof says, "%s of each group, with its 95 %% interval", words);
    plot p = plot_begin(out, TOP_PX + rows * ROW_PX + BOTTOM_PX, says);
    p.top = TOP_PX;
    p.height = rows * ROW_PX;
    p.left = LABELS_PX;
    p.width = PLOT_WIDTH - LABELS_PX - 16;
    set_axis(r, class, measure, &p);
    if (!isnan(all))
        plot_upright(&p, "chance", all);
    double y = p.top + ROW_PX / 2.0;
    for (uint32_t i = 0; i < r->groups.count; i++) {
        const pulmo_group *group = &r->groups.group[i];
        if (!is_shown(group, class))
            continue;
        if (strcmp(column, group->column) != 0) {
            label(&p, y, "note", group->column, false);
            y += ROW_PX;
        }
        column = group->column;
        label(&p, y, "tick", group->name, group->is_small);
        draw(&p, y, group->value[measure], group->is_small);
        y += ROW_PX;
    }
    plot_axis_x(&p, plot_tick_step(p.x1 - p.x0), words);
    plot_end(&p);
}
