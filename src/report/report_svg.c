/* Plots as inline SVG: no script, no font and no colour of its own (report_style.c names them all),
 * and a text for those who do not see it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report_plot.h"
#include "report_room.h"

#define HIST_BINS   20
#define CLASSES_MAX 6 /* curves in one plot: as many as there are colours */

/* The class of a curve, "k3", or of its filled marks, "f3". */
typedef struct curve_class {
    char name[16];
} curve_class;

static curve_class class_of(char kind, int curve)
{
    curve_class out;
    snprintf(out.name, sizeof out.name, "%c%d", kind, curve);
    return out;
}

/* Classes with a curve: of two the finding's, of more each against the rest, as far as colours go.
 */
static int curves_of(const report *r)
{
    if (r->classes == 2)
        return 1;
    if (r->classes > CLASSES_MAX)
        return CLASSES_MAX;
    return r->classes;
}

static int class_of_curve(const report *r, int curve)
{
    if (r->classes == 2)
        return r->positive.index;
    return curve;
}

/* The classes' names with a stroke of their colour, one below the other, from (x, y) px. */
static void legend(const plot *p, const report *r, double x, double y)
{
    const int curves = curves_of(r);
    for (int i = 0; i < curves; i++) {
        char class[16];
        snprintf(class, sizeof class, "curve k%d", i);
        plot_stroke(p, class, x, y, x + 18, y);
        plot_text(p, x + 24, y + 4, "start", "tick", r->class_names[i]);
        y += 17;
    }
}

/* ---- curves of a split ---- */

/* The operating point, with its threshold in words. */
static void mark_threshold(const plot *p, const report *r, double x, double y)
{
    char text[64];
    plot_dot(p, "mark", x, y, 5);
    snprintf(text, sizeof text, "threshold %.3f", r->threshold);
    if (isnan(x) || isnan(y) || isnan(r->threshold))
        return;
    /* The curve never falls: below and to the right of the dot there is room. */
    const double text_x = plot_x(p, x);
    const double below = plot_y(p, y) + 21;
    const double lowest = p->top + p->height - 6;
    const double text_y = fmin(below, lowest);
    if (x < 0.65)
        plot_text(p, text_x + 9, text_y, "start", "note", text);
    else
        plot_text(p, text_x, text_y, "end", "note", text);
}

void svg_roc(FILE *out, const report *r, const report_split *s)
{
    char says[160];
    const pulmo_metrics *m = &s->metrics;
    const pulmo_scored scored = report_scored(r, s);
    snprintf(says, sizeof says, "ROC curve of the %s split; area %.4f", s->name, m->auc);
    plot p = plot_begin(out, PLOT_SQUARE, says);
    plot_axis_y(&p, 0.2, "Sensitivity");
    plot_axis_x(&p, 0.2, "1 \u2212 specificity");
    plot_segment(&p, "chance", 0, 0, 1, 1);
    for (int k = 0; k < curves_of(r); k++) {
        const curve_class curve = class_of('k', k);
        const int class = class_of_curve(r, k);
        pulmo_roc roc;
        if (pulmo_roc_compute(&scored, class, &roc) != PULMO_OK)
            break;
        plot_line(&p, curve.name, roc.points, roc.fpr, roc.tpr);
        pulmo_roc_free(&roc);
    }
    if (r->classes == 2) {
        const double false_alarms = 1 - m->specificity.value;
        mark_threshold(&p, r, false_alarms, m->sensitivity.value);
    } else {
        const double left = p.left + p.width * 0.6;
        const double top = p.top + p.height * 0.65;
        legend(&p, r, left, top);
    }
    plot_end(&p);
}

void svg_pr(FILE *out, const report *r, const report_split *s)
{
    char says[160];
    bool two = r->classes == 2;
    const pulmo_metrics *m = &s->metrics;
    const pulmo_scored scored = report_scored(r, s);
    snprintf(says, sizeof says, "Precision-recall curve of the %s split; average precision %.4f",
             s->name, m->average_precision);
    plot p = plot_begin(out, PLOT_SQUARE, says);
    plot_axis_y(&p, 0.2, "Precision");
    plot_axis_x(&p, 0.2, "Recall (sensitivity)");
    if (two && s->count) {
        const pulmo_class_metrics *finding = &m->per_class[r->positive.index];
        const double prevalence = (double)finding->support / s->count;
        plot_level(&p, "chance", prevalence);
    }
    for (int k = 0; k < curves_of(r); k++) {
        const curve_class curve = class_of('k', k);
        const int class = class_of_curve(r, k);
        pulmo_pr pr;
        if (pulmo_pr_compute(&scored, class, &pr) != PULMO_OK)
            break;
        plot_line(&p, curve.name, pr.points, pr.recall, pr.precision);
        pulmo_pr_free(&pr);
    }
    if (two) {
        const double recall = m->sensitivity.value;
        const double precision = m->positive_value.value;
        plot_dot(&p, "mark", recall, precision, 5);
    } else {
        const double top = p.top + p.height * 0.65;
        legend(&p, r, p.left + 14, top);
    }
    plot_end(&p);
}

/* A dot per bin; with `whiskers`, how far chance alone may move it. */
static void calibration_marks(const plot *p, const pulmo_calibration *curve, const char *class,
                              bool whiskers)
{
    for (int b = 0; b < PULMO_CALIBRATION_BINS; b++) {
        const double x = curve->predicted[b];
        const double y = curve->observed[b];
        const uint32_t count = curve->count[b];
        if (count == 0)
            continue;
        if (whiskers) {
            uint64_t hits = (uint64_t)llround(y * count);
            pulmo_interval by_chance = pulmo_wilson(hits, count);
            plot_segment(p, "whisker", x, by_chance.low, x, by_chance.high);
        }
        plot_dot(p, class, x, y, 3.5);
    }
}

void svg_calibration(FILE *out, const report *r, const report_split *s)
{
    char says[160];
    bool two = r->classes == 2;
    const pulmo_scored scored = report_scored(r, s);
    snprintf(says, sizeof says, "Calibration of the %s split; expected calibration error %.4f",
             s->name, s->metrics.calibration_error);
    plot p = plot_begin(out, PLOT_SQUARE, says);
    plot_axis_y(&p, 0.2, "Observed share");
    plot_axis_x(&p, 0.2, "Predicted probability");
    plot_segment(&p, "chance", 0, 0, 1, 1);
    for (int k = 0; k < curves_of(r); k++) {
        const curve_class bins = class_of('k', k);
        const curve_class marks = class_of('f', k);
        const int class = class_of_curve(r, k);
        pulmo_calibration curve;
        if (pulmo_calibration_compute(&scored, class, &curve) != PULMO_OK)
            break;
        plot_line(&p, bins.name, PULMO_CALIBRATION_BINS, curve.predicted, curve.observed);
        calibration_marks(&p, &curve, marks.name, two);
    }
    if (!two)
        legend(&p, r, p.left + 14, p.top + 14);
    plot_end(&p);
}

/* ---- scores ---- */

/* Images per bin of probability: of two classes the finding's, upwards what is of it; of more that
 * of the predicted class, upwards what is right. */
static uint32_t count_scores(const report *r, const report_split *s, uint32_t up[HIST_BINS],
                             uint32_t down[HIST_BINS])
{
    const bool two = r->classes == 2;
    const size_t classes = (size_t)r->classes;
    uint32_t most = 1;
    for (uint32_t i = 0; i < s->count; i++) {
        const float *row = s->probabilities + i * classes;
        int class = s->predictions[i];
        if (two)
            class = r->positive.index;
        int bin = (int)(row[class] * HIST_BINS);
        if (bin >= HIST_BINS)
            bin = HIST_BINS - 1;
        uint32_t *count = down;
        if (s->labels[i] == class)
            count = up;
        count[bin]++;
        if (count[bin] > most)
            most = count[bin];
    }
    return most;
}

static void bar(const plot *p, const char *class, int bin, double value)
{
    if (value == 0)
        return;
    double left = plot_x(p, (double)bin / HIST_BINS) + 1;
    double right = plot_x(p, (bin + 1.0) / HIST_BINS) - 1;
    const double top = plot_y(p, fmax(value, 0));
    const double bottom = plot_y(p, fmin(value, 0));
    const double width = right - left;
    const double height = bottom - top;
    fprintf(p->out, "<rect class=\"%s\" ", class);
    fprintf(p->out, "x=\"%.1f\" y=\"%.1f\" ", left, top);
    fprintf(p->out, "width=\"%.1f\" height=\"%.1f\"/>\n", width, height);
}

/* What the bars upwards and downwards stand for. */
static void histogram_notes(const plot *p, const char *above, const char *below)
{
    char label[300];
    double left = p->left + 8;
    snprintf(label, sizeof label, "\u2191 %.200s", above);
    plot_text(p, left, p->top + 14, "start", "note t0", label);
    snprintf(label, sizeof label, "\u2193 %.200s", below);
    plot_text(p, left, p->top + p->height - 8, "start", "note t1", label);
}

void svg_histogram(FILE *out, const report *r, const report_split *s)
{
    uint32_t up[HIST_BINS] = {0};
    uint32_t down[HIST_BINS] = {0};
    char says[160];
    char label[300];
    const bool two = r->classes == 2;
    const char *finding = "the predicted class";
    const char *above = "right";
    const char *below = "wrong";
    if (two) {
        finding = r->class_names[r->positive.index];
        above = finding;
        below = r->class_names[1 - r->positive.index];
    }
    const double most = count_scores(r, s, up, down);
    snprintf(says, sizeof says,
             "Histogram of the %s split's scores, one class upwards and the other downwards",
             s->name);
    plot p = plot_begin(out, PLOT_SQUARE, says);
    p.y1 = most * 1.16;
    p.y0 = -p.y1;
    const double step = plot_tick_step(2 * most);
    plot_axis_y(&p, fmax(1, step), "Images");
    for (int b = 0; b < HIST_BINS; b++) {
        bar(&p, "f0", b, up[b]);
        bar(&p, "f1", b, -(double)down[b]);
    }
    plot_level(&p, "axis", 0);
    snprintf(label, sizeof label, "Probability of %.200s", finding);
    plot_axis_x(&p, 0.2, label);
    if (two && !isnan(r->threshold))
        plot_upright(&p, "cut", fmin(r->threshold, 1));
    histogram_notes(&p, above, below);
    plot_end(&p);
}

/* ---- history ---- */

static void bounds(const double *values, uint64_t n, double *low, double *high)
{
    for (uint64_t i = 0; i < n; i++) {
        if (!isfinite(values[i]))
            continue;
        *low = fmin(*low, values[i]);
        *high = fmax(*high, values[i]);
    }
}

/* The axes hold all values, and a little more. */
static plot begin_history(FILE *out, const report *r, const char *says, int count,
                          const int *columns)
{
    double low = INFINITY;
    double high = -INFINITY;
    for (int c = 0; c < count; c++)
        bounds(r->history[columns[c]], r->epochs, &low, &high);
    if (high < low) {
        low = 0;
        high = 0;
    }
    const double share = (high - low) * 0.08;
    const double room = fmax(share, 0.01);
    plot p = plot_begin(out, PLOT_LOW, says);
    p.x0 = 1;
    p.x1 = fmax(2, (double)r->epochs);
    p.y0 = fmax(0, low - room);
    p.y1 = high + room;
    return p;
}

/* A line, and a dot per epoch where there are few. */
static void history_curve(const plot *p, const report *r, int curve, const double *epoch,
                          const double *values)
{
    const curve_class joined = class_of('k', curve);
    const curve_class marks = class_of('f', curve);
    plot_line(p, joined.name, r->epochs, epoch, values);
    if (r->epochs > 40)
        return;
    for (uint64_t e = 0; e < r->epochs; e++)
        plot_dot(p, marks.name, epoch[e], values[e], 3);
}

static void history_plot(FILE *out, const report *r, const char *says, const char *label, int count,
                         const int *columns)
{
    double *epoch = calloc(r->epochs + 1, sizeof *epoch);
    if (!epoch)
        return;
    for (uint64_t e = 0; e < r->epochs; e++)
        epoch[e] = (double)e + 1;
    plot p = begin_history(out, r, says, count, columns);
    const double step_y = plot_tick_step(p.y1 - p.y0);
    const double step_x = plot_tick_step(p.x1 - p.x0);
    plot_axis_y(&p, step_y, label);
    plot_axis_x(&p, fmax(1, step_x), "Epoch");
    if (r->best_epoch > 0)
        plot_upright(&p, "cut", r->best_epoch);
    for (int c = 0; c < count; c++) {
        const double *values = r->history[columns[c]];
        history_curve(&p, r, c, epoch, values);
    }
    free(epoch);
    plot_end(&p);
}

void svg_loss(FILE *out, const report *r)
{
    static const int columns[] = {PULMO_HISTORY_TRAIN_LOSS, PULMO_HISTORY_VAL_LOSS};
    history_plot(out, r, "Training and validation loss per epoch", "Loss", 2, columns);
}

void svg_validation(FILE *out, const report *r)
{
    static const int columns[] = {PULMO_HISTORY_TRAIN_ACCURACY, PULMO_HISTORY_VAL_ACCURACY,
                                  PULMO_HISTORY_VAL_AUC};
    history_plot(out, r, "Training accuracy, validation accuracy and validation AUC per epoch",
                 "Accuracy, AUC", 3, columns);
}

/* ---- one value ---- */

void svg_interval(FILE *out, const char *name, pulmo_interval it)
{
    const plot p = {
        .out = out,
        .left = 6,
        .top = 4,
        .width = 208,
        .height = 16,
        .x1 = 1,
        .y1 = 1,
    };
    if (isnan(it.value))
        return;
    fputs("<svg class=\"interval\" role=\"img\" viewBox=\"0 0 220 24\" aria-label=\"", out);
    html_text(out, name);
    fprintf(out, " %.3f", it.value);
    if (!isnan(it.low))
        fprintf(out, ", between %.3f and %.3f", it.low, it.high);
    fputs("\">\n", out);
    plot_level(&p, "rail", 0.5);
    for (int i = 0; i <= 4; i++) {
        double x = i / 4.0;
        plot_segment(&p, "rail", x, 0.3, x, 0.7);
    }
    if (!isnan(it.low))
        plot_segment(&p, "span", it.low, 0.5, it.high, 0.5);
    plot_dot(&p, "f0", it.value, 0.5, 4.5);
    fputs("</svg>\n", out);
}
