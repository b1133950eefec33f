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
    double part = (x - p->x0) / (p->x1 - p->x0);
    return p->left + part * p->width;
}

static double at_y(const plot *p, double y)
{
    double part = (y - p->y0) / (p->y1 - p->y0);
    return p->top + p->height - part * p->height;
}

/* `says` is for screen readers. */
static plot begin(FILE *out, int height, const char *says)
{
    fputs("<svg class=\"plot\" role=\"img\" ", out);
    fprintf(out, "viewBox=\"0 0 %d %d\" aria-label=\"", WIDTH, height);
    html_text(out, says);
    fputs("\">\n", out);
    return (plot){
        .out = out,
        .left = LEFT,
        .top = TOP,
        .width = WIDTH - LEFT - RIGHT,
        .height = height - TOP - BOTTOM,
        .x1 = 1,
        .y1 = 1,
    };
}

static void end(const plot *p)
{
    fputs("</svg>\n", p->out);
}

static void text_at(const plot *p, double x, double y, const char *anchor, const char *class,
                    const char *text)
{
    fprintf(p->out, "<text class=\"%s\" ", class);
    fprintf(p->out, "x=\"%.1f\" y=\"%.1f\" ", x, y);
    fprintf(p->out, "text-anchor=\"%s\">", anchor);
    html_text(p->out, text);
    fputs("</text>\n", p->out);
}

/* From (x0, y0) to (x1, y1) px. */
static void stroke(const plot *p, const char *class, double x0, double y0, double x1, double y1)
{
    fprintf(p->out, "<line class=\"%s\" ", class);
    fprintf(p->out, "x1=\"%.1f\" y1=\"%.1f\" ", x0, y0);
    fprintf(p->out, "x2=\"%.1f\" y2=\"%.1f\"/>\n", x1, y1);
}

/* The same in the axes' values. */
static void segment(const plot *p, const char *class, double x0, double y0, double x1, double y1)
{
    const double left = at_x(p, x0);
    const double right = at_x(p, x1);
    stroke(p, class, left, at_y(p, y0), right, at_y(p, y1));
}

/* The same from (0, y) to (1, y). */
static void level(const plot *p, const char *class, double y)
{
    segment(p, class, 0, y, 1, y);
}

/* The same over the whole height at x. */
static void upright(const plot *p, const char *class, double x)
{
    segment(p, class, x, p->y0, x, p->y1);
}

/* 1, 2 or 5 times a power of ten, with at most five steps in the range. */
static double tick_step(double range)
{
    static const double factors[] = {0.2, 0.5, 1, 2, 5, 10};
    const double exponent = floor(log10(range));
    const double power = pow(10, exponent);
    for (size_t i = 0; i < sizeof factors / sizeof factors[0]; i++) {
        double step = power * factors[i];
        if (range / step <= 5.01)
            return step;
    }
    return power * 10;
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

static void tick_text(char *out, size_t bytes, double value, double step)
{
    if (fabs(value) < step * 1e-6)
        value = 0.0;
    snprintf(out, bytes, "%.4g", value);
}

static void axis_x(const plot *p, double step, const char *label)
{
    const double bottom = p->top + p->height;
    const double right = p->left + p->width;
    const double middle = p->left + p->width / 2;
    const int last = last_tick(p->x1, step);
    for (int tick = first_tick(p->x0, step); tick <= last; tick++) {
        double x = tick * step;
        char text[32];
        tick_text(text, sizeof text, x, step);
        text_at(p, at_x(p, x), bottom + 18, "middle", "tick", text);
    }
    stroke(p, "axis", p->left, bottom, right, bottom);
    text_at(p, middle, bottom + 40, "middle", "label", label);
}

/* Values below zero are shown without their sign. */
static void axis_y(const plot *p, double step, const char *label)
{
    const int last = last_tick(p->y1, step);
    for (int tick = first_tick(p->y0, step); tick <= last; tick++) {
        double y = tick * step;
        char text[32];
        segment(p, "grid", p->x0, y, p->x1, y);
        tick_text(text, sizeof text, fabs(y), step);
        text_at(p, p->left - 8, at_y(p, y) + 4, "end", "tick", text);
    }
    const double x = 15;
    const double y = p->top + p->height / 2;
    fprintf(p->out, "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" ", x, y);
    fputs("text-anchor=\"middle\" ", p->out);
    fprintf(p->out, "transform=\"rotate(-90 %.1f %.1f)\">", x, y);
    html_text(p->out, label);
    fputs("</text>\n", p->out);
}

/* Two places in px that nobody could tell apart. */
static bool are_one(double x0, double y0, double x1, double y1)
{
    const double across = fabs(x1 - x0);
    const double upwards = fabs(y1 - y0);
    return across < 0.2 && upwards < 0.2;
}

/* A line through the points; those nobody could tell apart and those without a value are left out.
 */
static void line(const plot *p, const char *class, uint64_t n, const double *x, const double *y)
{
    double last_x = -1e9;
    double last_y = -1e9;
    bool started = false;
    for (uint64_t i = 0; i < n; i++) {
        bool is_last = i + 1 == n;
        if (isnan(x[i]) || isnan(y[i]))
            continue;
        const double px = at_x(p, x[i]);
        const double py = at_y(p, y[i]);
        if (started && !is_last && are_one(px, py, last_x, last_y))
            continue;
        if (started)
            fputc('L', p->out);
        else
            fprintf(p->out, "<path class=\"curve %s\" d=\"M", class);
        fprintf(p->out, "%.1f %.1f", px, py);
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
    const double px = at_x(p, x);
    const double py = at_y(p, y);
    fprintf(p->out, "<circle class=\"%s\" ", class);
    fprintf(p->out, "cx=\"%.1f\" cy=\"%.1f\" ", px, py);
    fprintf(p->out, "r=\"%.1f\"/>\n", radius);
}

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
        stroke(p, class, x, y, x + 18, y);
        text_at(p, x + 24, y + 4, "start", "tick", r->class_names[i]);
        y += 17;
    }
}

/* ---- curves of a split ---- */

/* The operating point, with its threshold in words. */
static void mark_threshold(const plot *p, const report *r, double x, double y)
{
    char text[64];
    dot(p, "mark", x, y, 5);
    snprintf(text, sizeof text, "threshold %.3f", r->threshold);
    if (isnan(x) || isnan(y))
        return;
    /* The curve never falls: below and to the right of the dot there is room. */
    const double text_x = at_x(p, x);
    const double below = at_y(p, y) + 21;
    const double lowest = p->top + p->height - 6;
    const double text_y = fmin(below, lowest);
    if (x < 0.65)
        text_at(p, text_x + 9, text_y, "start", "note", text);
    else
        text_at(p, text_x, text_y, "end", "note", text);
}

void svg_roc(FILE *out, const report *r, const report_split *s)
{
    char says[160];
    const pulmo_metrics *m = &s->metrics;
    const pulmo_scored scored = report_scored(r, s);
    snprintf(says, sizeof says, "ROC curve of the %s split; area %.4f", s->name, m->auc);
    plot p = begin(out, SQUARE, says);
    axis_y(&p, 0.2, "Sensitivity");
    axis_x(&p, 0.2, "1 \u2212 specificity");
    segment(&p, "chance", 0, 0, 1, 1);
    for (int k = 0; k < curves_of(r); k++) {
        const curve_class curve = class_of('k', k);
        const int class = class_of_curve(r, k);
        pulmo_roc roc;
        if (pulmo_roc_compute(&scored, class, &roc) != PULMO_OK)
            break;
        line(&p, curve.name, roc.points, roc.fpr, roc.tpr);
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
    end(&p);
}

void svg_pr(FILE *out, const report *r, const report_split *s)
{
    char says[160];
    bool two = r->classes == 2;
    const pulmo_metrics *m = &s->metrics;
    const pulmo_scored scored = report_scored(r, s);
    snprintf(says, sizeof says, "Precision-recall curve of the %s split; average precision %.4f",
             s->name, m->average_precision);
    plot p = begin(out, SQUARE, says);
    axis_y(&p, 0.2, "Precision");
    axis_x(&p, 0.2, "Recall (sensitivity)");
    if (two && s->count) {
        const pulmo_class_metrics *finding = &m->per_class[r->positive.index];
        const double prevalence = (double)finding->support / s->count;
        level(&p, "chance", prevalence);
    }
    for (int k = 0; k < curves_of(r); k++) {
        const curve_class curve = class_of('k', k);
        const int class = class_of_curve(r, k);
        pulmo_pr pr;
        if (pulmo_pr_compute(&scored, class, &pr) != PULMO_OK)
            break;
        line(&p, curve.name, pr.points, pr.recall, pr.precision);
        pulmo_pr_free(&pr);
    }
    if (two) {
        const double recall = m->sensitivity.value;
        const double precision = m->positive_value.value;
        dot(&p, "mark", recall, precision, 5);
    } else {
        const double top = p.top + p.height * 0.65;
        legend(&p, r, p.left + 14, top);
    }
    end(&p);
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
            segment(p, "whisker", x, by_chance.low, x, by_chance.high);
        }
        dot(p, class, x, y, 3.5);
    }
}

void svg_calibration(FILE *out, const report *r, const report_split *s)
{
    char says[160];
    bool two = r->classes == 2;
    const pulmo_scored scored = report_scored(r, s);
    snprintf(says, sizeof says, "Calibration of the %s split; expected calibration error %.4f",
             s->name, s->metrics.calibration_error);
    plot p = begin(out, SQUARE, says);
    axis_y(&p, 0.2, "Observed share");
    axis_x(&p, 0.2, "Predicted probability");
    segment(&p, "chance", 0, 0, 1, 1);
    for (int k = 0; k < curves_of(r); k++) {
        const curve_class bins = class_of('k', k);
        const curve_class marks = class_of('f', k);
        const int class = class_of_curve(r, k);
        pulmo_calibration curve;
        if (pulmo_calibration_compute(&scored, class, &curve) != PULMO_OK)
            break;
        line(&p, bins.name, PULMO_CALIBRATION_BINS, curve.predicted, curve.observed);
        calibration_marks(&p, &curve, marks.name, two);
    }
    if (!two)
        legend(&p, r, p.left + 14, p.top + 14);
    end(&p);
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
    double left = at_x(p, (double)bin / HIST_BINS) + 1;
    double right = at_x(p, (bin + 1.0) / HIST_BINS) - 1;
    const double top = at_y(p, fmax(value, 0));
    const double bottom = at_y(p, fmin(value, 0));
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
    text_at(p, left, p->top + 14, "start", "note t0", label);
    snprintf(label, sizeof label, "\u2193 %.200s", below);
    text_at(p, left, p->top + p->height - 8, "start", "note t1", label);
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
    plot p = begin(out, SQUARE, says);
    p.y1 = most * 1.16;
    p.y0 = -p.y1;
    const double step = tick_step(2 * most);
    axis_y(&p, fmax(1, step), "Images");
    for (int b = 0; b < HIST_BINS; b++) {
        bar(&p, "f0", b, up[b]);
        bar(&p, "f1", b, -(double)down[b]);
    }
    level(&p, "axis", 0);
    snprintf(label, sizeof label, "Probability of %.200s", finding);
    axis_x(&p, 0.2, label);
    if (two)
        upright(&p, "cut", fmin(r->threshold, 1));
    histogram_notes(&p, above, below);
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
    plot p = begin(out, LOW, says);
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
    line(p, joined.name, r->epochs, epoch, values);
    if (r->epochs > 40)
        return;
    for (uint64_t e = 0; e < r->epochs; e++)
        dot(p, marks.name, epoch[e], values[e], 3);
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
    const double step_y = tick_step(p.y1 - p.y0);
    const double step_x = tick_step(p.x1 - p.x0);
    axis_y(&p, step_y, label);
    axis_x(&p, fmax(1, step_x), "Epoch");
    if (r->best_epoch > 0)
        upright(&p, "cut", r->best_epoch);
    for (int c = 0; c < count; c++) {
        const double *values = r->history[columns[c]];
        history_curve(&p, r, c, epoch, values);
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
    level(&p, "rail", 0.5);
    for (int i = 0; i <= 4; i++) {
        double x = i / 4.0;
        segment(&p, "rail", x, 0.3, x, 0.7);
    }
    if (!isnan(it.low))
        segment(&p, "span", it.low, 0.5, it.high, 0.5);
    dot(&p, "f0", it.value, 0.5, 4.5);
    fputs("</svg>\n", out);
}
