/* The section on calibration and use, of two classes: whether probabilities mean what they say,
 * what calling from a threshold on is worth, and what a result means elsewhere. */
#include <math.h>

#include "report_plot.h"
#include "report_room.h"

/* ---- plots ---- */

#define WIDE      420.0
#define HIGH      300.0
#define LEFT      52.0
#define RIGHT     12.0
#define TOP       12.0
#define BOTTOM    44.0
#define POINTS    200 /* of a curve that are drawn, at most */
#define TICKS     5
#define AXIS_MOST 0.05 /* the least height of a plot of net benefit */

typedef struct frame {
    FILE *out;
    double low, high; /* of y; x runs from 0 to 1 */
} frame;

static double at_x(double x)
{
    return LEFT + x * (WIDE - LEFT - RIGHT);
}

static double at_y(const frame *f, double y)
{
    const double part = (y - f->low) / (f->high - f->low);
    return HIGH - BOTTOM - part * (HIGH - TOP - BOTTOM);
}

static void rule(const frame *f, const char *class, double x0, double y0, double x1, double y1)
{
    fprintf(f->out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", class,
            at_x(x0), at_y(f, y0), at_x(x1), at_y(f, y1));
}

/* Lines at round values of y. */
static void draw_levels(const frame *f)
{
    const double step = plot_tick_step(f->high - f->low);
    const int last = (int)floor(f->high / step + 1e-6);
    for (int tick = (int)ceil(f->low / step - 1e-6); tick <= last; tick++) {
        const double y = tick * step;
        rule(f, "grid", 0, y, 1, y);
        fprintf(f->out,
                "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n",
                LEFT - 6, at_y(f, y) + 4, y);
    }
}

static void begin(const frame *f, const char *says, const char *x_words)
{
    fprintf(f->out,
            "<svg class=\"plot\" role=\"img\" viewBox=\"0 0 %.0f %.0f\" aria-label=\"%s\">\n", WIDE,
            HIGH, says);
    draw_levels(f);
    for (int i = 0; i <= TICKS; i++) {
        const double part = (double)i / TICKS;
        fprintf(f->out,
                "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%.4g</text>\n",
                at_x(part), HIGH - BOTTOM + 16, part);
    }
    fprintf(f->out,
            "<text class=\"label\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
            at_x(0.5), HIGH - 6, x_words);
}

static void point(const frame *f, bool first, double x, double y)
{
    const double inside = fmin(fmax(y, f->low), f->high);
    fprintf(f->out, "%s%.1f,%.1f", first ? "" : " ", at_x(x), at_y(f, inside));
}

static void open_line(const frame *f, const char *class)
{
    fprintf(f->out, "<polyline class=\"%s\" points=\"", class);
}

static void close_line(const frame *f)
{
    fputs("\"/>\n", f->out);
}

static void draw_smooth(FILE *out, const pulmo_smooth_curve *curve)
{
    const frame f = {out, 0, 1};
    const uint32_t count = curve->points < POINTS ? curve->points : POINTS;
    begin(&f, "Smoothed calibration curve", "probability");
    rule(&f, "chance", 0, 0, 1, 1);
    open_line(&f, "curve k0");
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t at = (uint64_t)i * (curve->points - 1) / (count - 1);
        point(&f, i == 0, curve->p[at], curve->share[at]);
    }
    close_line(&f);
    fputs("</svg>\n", out);
}

static void draw_benefit(FILE *out, const pulmo_benefit *benefit)
{
    double most = AXIS_MOST;
    for (int t = 0; t < PULMO_BENEFITS; t++)
        most = fmax(most, fmax(benefit[t].model.value, benefit[t].treat_all.value));
    const frame f = {out, -0.25 * most, most};
    begin(&f, "Net benefit over thresholds", "threshold");
    rule(&f, "axis", 0, 0, 1, 0);
    open_line(&f, "chance");
    for (int t = 0; t < PULMO_BENEFITS && benefit[t].treat_all.value >= f.low; t++)
        point(&f, t == 0, benefit[t].threshold, benefit[t].treat_all.value);
    fputs("\" fill=\"none", out);
    close_line(&f);
    open_line(&f, "curve k0");
    for (int t = 0; t < PULMO_BENEFITS; t++)
        point(&f, t == 0, benefit[t].threshold, benefit[t].model.value);
    close_line(&f);
    fputs("</svg>\n", out);
}

/* ---- tables ---- */

static void estimate_row(FILE *out, const char *name, const char *meaning, const pulmo_estimate *e)
{
    html_measure(out, name, e->undefined ? e->undefined : meaning, e->it);
}

static void calibration_table(FILE *out, const pulmo_use *use)
{
    const pulmo_estimate index = {{use->curve.index, NAN, NAN}, use->curve.undefined};
    fputs("<div class=\"scroll\"><table><thead><tr><th>Calibration</th><th class=\"n\">Value</th>"
          "<th class=\"n\">95 %</th></tr></thead><tbody>\n",
          out);
    estimate_row(out, "Intercept at slope 1",
                 "0 where probabilities are neither too high nor too low; below 0: too high",
                 &use->line.in_the_large);
    estimate_row(out, "Intercept", "of intercept and slope together", &use->line.intercept);
    estimate_row(out, "Slope", "1 where they are as far apart as they should be; below 1: too far",
                 &use->line.slope);
    estimate_row(out, "Integrated calibration index",
                 "mean distance of the smoothed curve from the probability; has no interval",
                 &index);
    fputs("</tbody></table></div>\n", out);
}

static void cell(FILE *out, pulmo_interval it)
{
    fputs("<td class=\"n\">", out);
    if (isinf(it.value))
        fputs("\u221e", out);
    else
        html_number(out, it.value);
    fputs("<small>", out);
    if (isinf(it.high))
        fprintf(out, "from %.3f", it.low);
    else
        html_range(out, it);
    fputs("</small></td>", out);
}

static const char *const rule_words[PULMO_OPERATING_RULES] = {
    "As images are called", "Specificity at least 90 %", "Specificity at least 95 %",
    "Sensitivity at least 90 %", "Sensitivity at least 95 %"};

static void row_head(FILE *out, const report *r, const pulmo_operating_point *p, int rule_at)
{
    const double threshold = rule_at == PULMO_AS_CALLED ? r->threshold : p->threshold;
    fprintf(out, "<tr><th scope=\"row\">%s<small>", rule_words[rule_at]);
    if (isinf(threshold))
        fputs("no image is called", out);
    else
        fprintf(out, "from probability %.4f on", threshold);
    fputs("</small></th>", out);
}

static void rates_table(FILE *out, const report *r, const pulmo_use *use)
{
    fputs("<div class=\"scroll\"><table><thead><tr><th>Operating point</th><th class=\"n\">"
          "Sensitivity</th><th class=\"n\">Specificity</th><th class=\"n\">LR+</th><th class=\"n\">"
          "LR\u2212</th></tr></thead><tbody>\n",
          out);
    for (int i = 0; i < PULMO_OPERATING_RULES; i++) {
        const pulmo_operating_point *p = &use->point[i];
        row_head(out, r, p, i);
        cell(out, p->sensitivity);
        cell(out, p->specificity);
        cell(out, p->likelihood_positive);
        cell(out, p->likelihood_negative);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

static void values_table(FILE *out, const report *r, const pulmo_use *use, bool positive)
{
    fprintf(out,
            "<div class=\"scroll\"><table><thead><tr><th>%s predictive value at a prevalence of"
            "</th>",
            positive ? "Positive" : "Negative");
    for (int k = 0; k < PULMO_PREVALENCES; k++)
        fprintf(out, "<th class=\"n\">%.0f %%</th>", 100 * pulmo_prevalences[k]);
    fputs("</tr></thead><tbody>\n", out);
    for (int i = 0; i < PULMO_OPERATING_RULES; i++) {
        const pulmo_operating_point *p = &use->point[i];
        row_head(out, r, p, i);
        for (int k = 0; k < PULMO_PREVALENCES; k++)
            cell(out, positive ? p->predictive_positive[k] : p->predictive_negative[k]);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

static void patient_row(FILE *out, const char *name, const pulmo_per_patient *p)
{
    fprintf(out, "<tr><th scope=\"row\">%s</th>", name);
    cell(out, p->auc);
    cell(out, p->sensitivity);
    cell(out, p->specificity);
    fputs("</tr>\n", out);
}

static void patients_table(FILE *out, const pulmo_metrics *m, const pulmo_use *use)
{
    const pulmo_per_patient images = {m->auc_ci, m->sensitivity, m->specificity};
    fputs("<div class=\"scroll\"><table><thead><tr><th>Of images and of patients</th><th "
          "class=\"n\">AUC</th><th class=\"n\">Sensitivity</th><th class=\"n\">Specificity</th>"
          "</tr></thead><tbody>\n",
          out);
    patient_row(out, "Images", &images);
    patient_row(out, "Patients, by their largest probability", &use->largest);
    patient_row(out, "Patients, by their mean probability", &use->mean);
    fputs("</tbody></table></div>\n", out);
}

/* ---- the section ---- */

void html_sample(FILE *out, const pulmo_metrics *m)
{
    const pulmo_sample *s = &m->sample;
    if (s->by_patient)
        fprintf(out, "Intervals are by patient (%u patients, some with several images). ",
                s->patients);
    else
        fprintf(out, "Intervals are by image (%u patients of one image each). ", s->patients);
    if (m->classes == 2 && s->few)
        fprintf(
            out,
            "Patients are few (%u with the finding, %u without): below %d of a side an interval "
            "may hold less than 95 %%. ",
            s->positives, s->negatives, PULMO_FEW_PATIENTS);
}

static void figures(FILE *out, const pulmo_use *use)
{
    fputs("<div class=\"figures\">\n", out);
    if (use->curve.points > 1) {
        fputs("<figure><b>Calibration, smoothed</b>", out);
        draw_smooth(out, &use->curve);
        fputs("<figcaption>The share of images with the finding over their probability (lowess). "
              "On the dashed line probabilities are right.</figcaption></figure>\n",
              out);
    }
    fputs("<figure><b>Net benefit</b>", out);
    draw_benefit(out, use->benefit);
    fputs("<figcaption>True positives less false ones, weighted by the odds of the threshold, per "
          "image. Dashed: treating all; the line at 0: treating none.</figcaption></figure>\n"
          "</div>\n",
          out);
}

static void section(FILE *out, const report *r, const pulmo_metrics *m, const pulmo_use *use)
{
    fputs("<section id=\"use\"><h2>Calibration and use</h2>\n<p>", out);
    html_sample(out, m);
    fputs("</p>\n", out);
    calibration_table(out, use);
    figures(out, use);
    rates_table(out, r, use);
    values_table(out, r, use, true);
    values_table(out, r, use, false);
    fputs("<p class=\"soft\">Points that reach a sensitivity or specificity were chosen on these "
          "very "
          "images; their intervals choose them again. LR: likelihood ratio. A predictive value is "
          "what a result means where so many have the finding.</p>\n",
          out);
    if (m->sample.by_patient)
        patients_table(out, m, use);
    fputs("</section>\n", out);
}

pulmo_status html_use(FILE *out, const report *r, const report_split *s)
{
    const pulmo_scored scored = report_scored(r, s);
    const pulmo_decision by = {r->positive.index, r->threshold};
    pulmo_use use;
    if (r->classes != 2 || s->metrics.sample.positives == 0 || s->metrics.sample.negatives == 0)
        return PULMO_OK;
    PULMO_TRY(pulmo_use_compute(&scored, &by, &use));
    section(out, r, &s->metrics, &use);
    pulmo_use_free(&use);
    return PULMO_OK;
}
