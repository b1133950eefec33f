/* Plots as inline SVG: no script, no font and no colour of its own (report_style.c names them all),
 * and a text for those who do not see it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report_room.h"

#define WIDTH       420
#define SQUARE      400 /* height of figures whose axes both run from 0 to 1 */
#define LOW         270 /* of the others */
#define LEFT        58
#define RIGHT       16
#define TOP         18
#define BOTTOM      50
#define HIST_BINS   20
#define CLASSES_MAX 6 /* curves in one plot: as many as there are colours */

typedef struct plot {
    FILE *out;
    double left, top, width, height; /* px, of the area inside the axes */
    double x0, x1, y0, y1;           /* values at its edges */
} plot;

static double at_x(const plot *p, double x)
{
    return p->left + (x - p->x0) / (p->x1 - p->x0) * p->width;
}
static double at_y(const plot *p, double y)
{
    return p->top + p->height - (y - p->y0) / (p->y1 - p->y0) * p->height;
}

/* `says` is for screen readers. */
static plot begin(FILE *out, int height, const char *says)
{
    fprintf(out, "<svg class=\"plot\" role=\"img\" viewBox=\"0 0 %d %d\" aria-label=\"", WIDTH,
            height);
    html_text(out, says);
    fputs("\">\n", out);
    return (plot){out, LEFT, TOP, WIDTH - LEFT - RIGHT, height - TOP - BOTTOM, 0, 1, 0, 1};
}

static void end(const plot *p)
{
    fputs("</svg>\n", p->out);
}

static void text_at(const plot *p, double x, double y, const char *anchor, const char *class,
                    const char *text)
{
    fprintf(p->out, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", class, x, y,
            anchor);
    html_text(p->out, text);
    fputs("</text>\n", p->out);
}

static void segment(const plot *p, const char *class, double x0, double y0, double x1, double y1)
{
    fprintf(p->out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class,
            at_x(p, x0), at_y(p, y0), at_x(p, x1), at_y(p, y1));
}

/* 1, 2 or 5 times a power of ten, with at most five steps in the range. */
static double tick_step(double range)
{
    double step = pow(10, floor(log10(range)));
    static const double factors[] = {0.2, 0.5, 1, 2, 5, 10};
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++)
        if (range / (step * factors[i]) <= 5.01)
            return step * factors[i];
    return step * 10;
}

/* The multiples of `step` that an axis shows. */
static int first_tick(double low, double step)
{
    return (int)ceil(low / step - 1e-9);
}

static int last_tick(double high, double step)
{
    return (int)floor(high / step + 1e-6);
}

static void axis_x(const plot *p, double step, const char *label)
{
    for (int tick = first_tick(p->x0, step); tick <= last_tick(p->x1, step); tick++) {
        double x = tick * step;
        char text[32];
        snprintf(text, sizeof text, "%.4g", fabs(x) < step * 1e-6 ? 0.0 : x);
        text_at(p, at_x(p, x), p->top + p->height + 18, "middle", "tick", text);
    }
    fprintf(p->out, "<line class=\"axis\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
            p->left, p->top + p->height, p->left + p->width, p->top + p->height);
    text_at(p, p->left + p->width / 2, p->top + p->height + 40, "middle", "label", label);
}

static void axis_y(const plot *p, double step, const char *label)
{
    for (int tick = first_tick(p->y0, step); tick <= last_tick(p->y1, step); tick++) {
        double y = tick * step;
        char text[32];
        segment(p, "grid", p->x0, y, p->x1, y);
        snprintf(text, sizeof text, "%.4g", fabs(y) < step * 1e-6 ? 0.0 : fabs(y));
        text_at(p, p->left - 8, at_y(p, y) + 4, "end", "tick", text);
    }
    double x = 15, y = p->top + p->height / 2;
    fprintf(p->out,
            "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\" "
            "transform=\"rotate(-90 %.1f %.1f)\">",
            x, y, x, y);
    html_text(p->out, label);
    fputs("</text>\n", p->out);
}

/* A line through the points; those nobody could tell apart and those without a value are left out.
 */
static void line(const plot *p, const char *class, uint64_t n, const double *x, const double *y)
{
    double last_x = -1e9, last_y = -1e9;
    bool started = false;
    for (uint64_t i = 0; i < n; i++) {
        if (isnan(x[i]) || isnan(y[i]))
            continue;
        double px = at_x(p, x[i]), py = at_y(p, y[i]);
        if (started && i + 1 < n && fabs(px - last_x) < 0.2 && fabs(py - last_y) < 0.2)
            continue;
        if (!started)
            fprintf(p->out, "<path class=\"curve %s\" d=\"M", class);
        fprintf(p->out, "%s%.1f %.1f", started ? "L" : "", px, py);
        started = true;
        last_x = px;
        last_y = py;
    }
    if (started)
        fputs("\"/>\n", p->out);
}

static void dot(const plot *p, const char *class, double x, double y, double radius)
{
    if (isnan(x) || isnan(y))
        return;
    fprintf(p->out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"/>\n", class,
            at_x(p, x), at_y(p, y), radius);
}

/* Names with a stroke of their colour, one below the other, from (x, y) px. */
static void legend(const plot *p, double x, double y, int count, const char *const *names)
{
    for (int i = 0; i < count; i++, y += 17) {
        fprintf(p->out,
                "<line class=\"curve k%d\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", i,
                x, y, x + 18, y);
        text_at(p, x + 24, y + 4, "start", "tick", names[i]);
    }
}

/* Classes with a curve: of two the finding's, of more each against the rest, as far as colours go.
 */
static int curves_of(const report *r)
{
    if (r->classes == 2)
        return 1;
    return r->classes < CLASSES_MAX ? r->classes : CLASSES_MAX;
}

static int class_of_curve(const report *r, int curve)
{
    return r->classes == 2 ? r->positive.index : curve;
}

/* ---- curves of a split ---- */

void svg_roc(FILE *out, const report *r, const report_split *s)
{
    char says[160], class[8];
    bool two = r->classes == 2;
    const pulmo_scored scored = report_scored(r, s);
    snprintf(says, sizeof says, "ROC curve of the %s split; area %.4f", s->name, s->metrics.auc);
    plot p = begin(out, SQUARE, says);
    axis_y(&p, 0.2, "Sensitivity");
    axis_x(&p, 0.2, "1 \u2212 specificity");
    segment(&p, "chance", 0, 0, 1, 1);
    for (int k = 0; k < curves_of(r); k++) {
        pulmo_roc roc;
        if (pulmo_roc_compute(&scored, class_of_curve(r, k), &roc) != PULMO_OK)
            break;
        snprintf(class, sizeof class, "k%d", k);
        line(&p, class, roc.points, roc.fpr, roc.tpr);
        pulmo_roc_free(&roc);
    }
    if (two) {
        char text[64];
        double x = 1 - s->metrics.specificity.value, y = s->metrics.sensitivity.value;
        dot(&p, "mark", x, y, 5);
        snprintf(text, sizeof text, "threshold %.3f", r->threshold);
        /* The curve never falls: below and to the right of the dot there is room. */
        if (!isnan(x) && !isnan(y))
            text_at(&p, at_x(&p, x) + (x < 0.65 ? 9 : 0),
                    fmin(at_y(&p, y) + 21, p.top + p.height - 6), x < 0.65 ? "start" : "end",
                    "note", text);
    } else {
        legend(&p, p.left + p.width * 0.6, p.top + p.height * 0.65, curves_of(r),
               (const char *const *)r->class_names);
    }
    end(&p);
}

void svg_pr(FILE *out, const report *r, const report_split *s)
{
    char says[160], class[8];
    bool two = r->classes == 2;
    const pulmo_scored scored = report_scored(r, s);
    snprintf(says, sizeof says, "Precision-recall curve of the %s split; average precision %.4f",
             s->name, s->metrics.average_precision);
    plot p = begin(out, SQUARE, says);
    axis_y(&p, 0.2, "Precision");
    axis_x(&p, 0.2, "Recall (sensitivity)");
    if (two && s->count) {
        uint32_t positives = s->metrics.per_class[r->positive.index].support;
        double share = (double)positives / s->count;
        segment(&p, "chance", 0, share, 1, share);
    }
    for (int k = 0; k < curves_of(r); k++) {
        pulmo_pr pr;
        if (pulmo_pr_compute(&scored, class_of_curve(r, k), &pr) != PULMO_OK)
            break;
        snprintf(class, sizeof class, "k%d", k);
        line(&p, class, pr.points, pr.recall, pr.precision);
        pulmo_pr_free(&pr);
    }
    if (two)
        dot(&p, "mark", s->metrics.sensitivity.value, s->metrics.positive_value.value, 5);
    else
        legend(&p, p.left + 14, p.top + p.height * 0.65, curves_of(r),
               (const char *const *)r->class_names);
    end(&p);
}

void svg_calibration(FILE *out, const report *r, const report_split *s)
{
    char says[160], class[8];
    bool two = r->classes == 2;
    const pulmo_scored scored = report_scored(r, s);
    snprintf(says, sizeof says, "Calibration of the %s split; expected calibration error %.4f",
             s->name, s->metrics.calibration_error);
    plot p = begin(out, SQUARE, says);
    axis_y(&p, 0.2, "Observed share");
    axis_x(&p, 0.2, "Predicted probability");
    segment(&p, "chance", 0, 0, 1, 1);
    for (int k = 0; k < curves_of(r); k++) {
        pulmo_calibration curve;
        if (pulmo_calibration_compute(&scored, class_of_curve(r, k), &curve) != PULMO_OK)
            break;
        snprintf(class, sizeof class, "k%d", k);
        line(&p, class, PULMO_CALIBRATION_BINS, curve.predicted, curve.observed);
        for (int b = 0; b < PULMO_CALIBRATION_BINS;
             b++) { /* how far chance alone may move each bin */
            pulmo_interval by_chance =
                pulmo_wilson((uint64_t)llround(curve.observed[b] * curve.count[b]), curve.count[b]);
            if (curve.count[b] == 0)
                continue;
            if (two)
                segment(&p, "whisker", curve.predicted[b], by_chance.low, curve.predicted[b],
                        by_chance.high);
            snprintf(class, sizeof class, "f%d", k);
            dot(&p, class, curve.predicted[b], curve.observed[b], 3.5);
        }
    }
    if (!two)
        legend(&p, p.left + 14, p.top + 14, curves_of(r), (const char *const *)r->class_names);
    end(&p);
}

/* ---- scores ---- */

/* Images per bin of probability: of two classes the finding's, upwards what is of it; of more that
 * of the predicted class, upwards what is right. */
static uint32_t count_scores(const report *r, const report_split *s, uint32_t up[HIST_BINS],
                             uint32_t down[HIST_BINS])
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < s->count; i++) {
        const float *row = s->probabilities + (size_t)i * (size_t)r->classes;
        int class = r->classes == 2 ? r->positive.index : s->predictions[i];
        int bin = (int)(row[class] * HIST_BINS);
        if (bin >= HIST_BINS)
            bin = HIST_BINS - 1;
        uint32_t *count = s->labels[i] == class ? up : down;
        if (++count[bin] > most)
            most = count[bin];
    }
    return most;
}

static void bar(const plot *p, const char *class, int bin, double value)
{
    double x0 = at_x(p, (double)bin / HIST_BINS) + 1, x1 = at_x(p, (bin + 1.0) / HIST_BINS) - 1;
    double y0 = at_y(p, fmax(value, 0)), y1 = at_y(p, fmin(value, 0));
    if (value != 0)
        fprintf(p->out,
                "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n",
                class, x0, y0, x1 - x0, y1 - y0);
}

void svg_histogram(FILE *out, const report *r, const report_split *s)
{
    uint32_t up[HIST_BINS] = {0}, down[HIST_BINS] = {0};
    char says[160], label[300];
    bool two = r->classes == 2;
    const char *finding = two ? r->class_names[r->positive.index] : "the predicted class";
    const char *above = two ? finding : "right";
    const char *below = two ? r->class_names[1 - r->positive.index] : "wrong";
    double most = count_scores(r, s, up, down), step = tick_step(2 * most);
    snprintf(says, sizeof says,
             "Histogram of the %s split's scores, one class upwards and the other downwards",
             s->name);
    plot p = begin(out, SQUARE, says);
    if (step < 1)
        step = 1;
    p.y1 = most * 1.16;
    p.y0 = -p.y1;
    axis_y(&p, step, "Images");
    for (int b = 0; b < HIST_BINS; b++) {
        bar(&p, "f0", b, up[b]);
        bar(&p, "f1", b, -(double)down[b]);
    }
    segment(&p, "axis", 0, 0, 1, 0);
    snprintf(label, sizeof label, "Probability of %.200s", finding);
    axis_x(&p, 0.2, label);
    if (two)
        segment(&p, "cut", fmin(r->threshold, 1), p.y0, fmin(r->threshold, 1), p.y1);
    snprintf(label, sizeof label, "\u2191 %.200s", above);
    text_at(&p, p.left + 8, p.top + 14, "start", "note t0", label);
    snprintf(label, sizeof label, "\u2193 %.200s", below);
    text_at(&p, p.left + 8, p.top + p.height - 8, "start", "note t1", label);
    end(&p);
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

static void history_plot(FILE *out, const report *r, const char *says, const char *label, int count,
                         const int *columns)
{
    char class[8];
    double low = INFINITY, high = -INFINITY, *epoch = calloc(r->epochs + 1, sizeof *epoch);
    if (!epoch)
        return;
    for (uint64_t e = 0; e < r->epochs; e++)
        epoch[e] = (double)e + 1;
    for (int c = 0; c < count; c++)
        bounds(r->history[columns[c]], r->epochs, &low, &high);
    if (high < low)
        low = high = 0;
    double room = fmax((high - low) * 0.08, 0.01), step;
    plot p = begin(out, LOW, says);
    p.x0 = 1;
    p.x1 = fmax(2, (double)r->epochs);
    p.y0 = fmax(0, low - room);
    p.y1 = high + room;
    axis_y(&p, tick_step(p.y1 - p.y0), label);
    step = tick_step(p.x1 - p.x0);
    axis_x(&p, step < 1 ? 1 : step, "Epoch");
    if (r->best_epoch > 0)
        segment(&p, "cut", r->best_epoch, p.y0, r->best_epoch, p.y1);
    for (int c = 0; c < count; c++) {
        snprintf(class, sizeof class, "k%d", c);
        line(&p, class, r->epochs, epoch, r->history[columns[c]]);
        snprintf(class, sizeof class, "f%d", c);
        for (uint64_t e = 0; r->epochs <= 40 && e < r->epochs; e++)
            dot(&p, class, epoch[e], r->history[columns[c]][e], 3);
    }
    free(epoch);
    end(&p);
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
    plot p = {out, 6, 4, 208, 16, 0, 1, 0, 1};
    if (isnan(it.value))
        return;
    fputs("<svg class=\"interval\" role=\"img\" viewBox=\"0 0 220 24\" aria-label=\"", out);
    html_text(out, name);
    fprintf(out, " %.3f", it.value);
    if (!isnan(it.low))
        fprintf(out, ", between %.3f and %.3f", it.low, it.high);
    fputs("\">\n", out);
    segment(&p, "rail", 0, 0.5, 1, 0.5);
    for (int i = 0; i <= 4; i++)
        segment(&p, "rail", i / 4.0, 0.3, i / 4.0, 0.7);
    if (!isnan(it.low))
        segment(&p, "span", it.low, 0.5, it.high, 0.5);
    dot(&p, "f0", it.value, 0.5, 4.5);
    fputs("</svg>\n", out);
}
