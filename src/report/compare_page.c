/* A comparison as a page of its own. */
#include <math.h>

#include "pulmo/text.h"
#include "compare.h"

#define LISTED 50 /* images that the page names; differences.csv has all */

/* ---- head ---- */

static const char *finding_of(const comparison *c)
{
    return c->input[0].class_names[c->input[0].finding];
}

static void head(FILE *out, const comparison *c)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
          "'unsafe-inline'; img-src data:\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n<title>",
          out);
    html_say(out, "%d models compared \u2013 pulmo", c->inputs);
    fprintf(out,
            "</title>\n<style>\n%s</style></head>\n<body>\n<header><p class=\"kicker\">pulmo "
            "compare</p><h1>",
            report_style);
    html_say(out, "%d models on the same %u images", c->inputs, c->count);
    fputs("</h1><p class=\"soft\">", out);
    html_say(out, "How well they tell %s.", finding_of(c));
    fputs("</p><p class=\"banner\"><strong>Research software, not a medical device.</strong> Not "
          "for diagnosis or any decision about a patient.</p></header>\n<main>\n",
          out);
}

/* Who was sampled, and so what intervals are of. */
static void say_sample(FILE *out, const comparison *c)
{
    const pulmo_sample *s = &c->sample;
    fputs("<p>", out);
    if (s->by_patient)
        html_say(out,
                 "All intervals are of 95 %% and by patient (%u patients), since some have "
                 "several images.",
                 s->patients);
    else if (c->patients_told)
        html_say(out, "All intervals are of 95 %% and by image: each of %u patients has one.",
                 s->patients);
    else
        fputs("All intervals are of 95 % and by image: patients are not told. Where some have "
              "several images the intervals are too narrow.",
              out);
    fputs("</p>\n", out);
    if (s->few)
        fprintf(out,
                "<p class=\"banner\"><strong>Few patients.</strong> %u with the finding and %u "
                "without: below %d of a side an interval may hold less than 95 %%.</p>\n",
                s->positives, s->negatives, PULMO_FEW_PATIENTS);
}

/* ---- each model ---- */

static void model_row(FILE *out, const comparison *c, int i)
{
    const compare_input *input = &c->input[i];
    fprintf(out, "<tr><th scope=\"row\">%c<small class=\"path\">", input->letter);
    html_text(out, input->name);
    if (!isnan(input->threshold))
        html_say(out, ", threshold %.4g", input->threshold);
    fputs("</small></th>", out);
    for (int m = 0; m < COMPARE_MEASURE_COUNT; m++) {
        fputs("<td class=\"n\">", out);
        html_number(out, c->measure[i][m].it.value);
        fputs("<small>", out);
        html_range(out, c->measure[i][m].it);
        fputs("</small></td>", out);
    }
    fputs("</tr>\n", out);
}

static void models(FILE *out, const comparison *c)
{
    fputs("<section><h2>Each model</h2>\n", out);
    say_sample(out, c);
    fputs("<div class=\"scroll\"><table><thead><tr><th></th>", out);
    for (int m = 0; m < COMPARE_MEASURE_COUNT; m++)
        fprintf(out, "<th class=\"n\">%s</th>", compare_words[m]);
    fputs("</tr></thead><tbody>\n", out);
    for (int i = 0; i < c->inputs; i++)
        model_row(out, c, i);
    fputs("</tbody></table></div>\n", out);
    for (int m = 0; m < COMPARE_MEASURE_COUNT; m++) {
        const pulmo_estimate *e = &c->measure[0][m];
        if (e->undefined)
            html_say(out, "%s: no value or no interval, since %s. ", compare_words[m],
                     e->undefined);
    }
    fputs("</section>\n", out);
}

/* ---- pairs ---- */

#define WIDE    220.0 /* of the drawing */
#define MIDDLE  (WIDE / 2)
#define HALF    100.0
#define AT_Y    12.0
#define REACHES 0.05 /* the least difference that the drawing's ends stand for */

/* What the ends of all drawings of a pair stand for. */
static double reach_of(const comparison *c, const compare_pair *p)
{
    double reach = isnan(c->margin) ? REACHES : fmax(REACHES, 1.2 * c->margin);
    for (int m = 0; m < COMPARE_MEASURE_COUNT; m++) {
        const pulmo_interval it = p->difference[m].difference;
        if (!isnan(it.low))
            reach = fmax(reach, 1.05 * fmax(fabs(it.low), fabs(it.high)));
    }
    return reach;
}

static void line_at(FILE *out, const char *class, double x)
{
    fprintf(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"2\" x2=\"%.1f\" y2=\"22\"/>", class, x, x);
}

static void draw(FILE *out, const comparison *c, pulmo_interval it, double reach)
{
    const double scale = HALF / reach;
    fprintf(
        out,
        "<svg class=\"interval\" role=\"img\" viewBox=\"0 0 220 24\" aria-label=\"%.3f, between "
        "%.3f and %.3f\">",
        it.value, it.low, it.high);
    line_at(out, "axis", MIDDLE);
    if (!isnan(c->margin))
        line_at(out, "cut", MIDDLE - c->margin * scale);
    fprintf(out, "<line class=\"span\" x1=\"%.1f\" y1=\"%.0f\" x2=\"%.1f\" y2=\"%.0f\"/>",
            MIDDLE + it.low * scale, AT_Y, MIDDLE + it.high * scale, AT_Y);
    fprintf(out, "<circle class=\"f0\" cx=\"%.1f\" cy=\"%.0f\" r=\"4.5\"/></svg>",
            MIDDLE + it.value * scale, AT_Y);
}

static void p_cell(FILE *out, double p)
{
    fputs("<td class=\"n\">", out);
    if (isnan(p))
        fputs("\u2013", out);
    else if (p < 0.0001)
        fputs("&lt; 0.0001", out);
    else
        fprintf(out, "%.4f", p);
    fputs("</td>", out);
}

static void inferior_cell(FILE *out, const compare_pair *p, int m)
{
    const char *words = p->not_inferior[m] ? "not inferior" : "not shown";
    if (p->difference[m].undefined)
        words = "\u2013";
    fprintf(out, "<td>%s</td>", words);
}

static void difference_row(FILE *out, const comparison *c, const compare_pair *p, int m,
                           double reach)
{
    const pulmo_difference *d = &p->difference[m];
    fprintf(out, "<tr><th scope=\"row\">%s<small>", compare_words[m]);
    html_text(out, d->undefined ? d->undefined : compare_method(c, m));
    fputs("</small></th><td class=\"n\">", out);
    html_number(out, d->difference.value);
    fputs("<small>", out);
    html_range(out, d->difference);
    fputs("</small></td><td>", out);
    if (!isnan(d->difference.low))
        draw(out, c, d->difference, reach);
    fputs("</td>", out);
    p_cell(out, d->p);
    if (c->pairs > 1)
        p_cell(out, p->holm[m]);
    if (!isnan(c->margin))
        inferior_cell(out, p, m);
    fputs("</tr>\n", out);
}

static void differences(FILE *out, const comparison *c, const compare_pair *p)
{
    const double reach = reach_of(c, p);
    fprintf(out,
            "<div class=\"scroll\"><table><thead><tr><th></th><th class=\"n\">%c less %c</th><th>"
            "\u2212%.2g to %.2g</th><th class=\"n\">p</th>",
            c->input[p->second].letter, c->input[p->first].letter, reach, reach);
    if (c->pairs > 1)
        fprintf(out, "<th class=\"n\">p, Holm of %d pairs</th>", c->pairs);
    if (!isnan(c->margin))
        fprintf(out, "<th>Margin %g</th>", c->margin);
    fputs("</tr></thead><tbody>\n", out);
    for (int m = 0; m < COMPARE_MEASURE_COUNT; m++)
        difference_row(out, c, p, m, reach);
    fputs("</tbody></table></div>\n", out);
    html_say(out, "McNemar's exact test of right and wrong, by image: p %.4g", p->mcnemar);
    if (c->sample.by_patient)
        fputs(" (it takes images of one patient for independent; the table does not)", out);
    fputs(".\n", out);
}

static void alone(FILE *out, const comparison *c, const compare_pair *p, int which)
{
    const pulmo_difference *d = &p->difference[COMPARE_ACCURACY];
    const uint64_t count = which == 0 ? d->only_first : d->only_second;
    const int right = which == 0 ? p->first : p->second;
    int named = 0;
    fprintf(out, "<h3>Right in %c alone: %llu image%s</h3>\n<ul class=\"lines\">\n",
            c->input[right].letter, (unsigned long long)count, pulmo_plural(count));
    for (uint32_t i = 0; i < c->count && named < LISTED; i++) {
        if (!compare_alone(c, p, which, i))
            continue;
        fputs("<li>", out);
        html_text(out, c->input[0].paths[c->row[0][i]]);
        html_say(out, " (%s)", c->input[0].class_names[c->input[0].labels[c->row[0][i]]]);
        fputs("</li>\n", out);
        named++;
    }
    fputs("</ul>\n", out);
    if (count > LISTED)
        fprintf(out, "<p class=\"soft\">The first %d; differences.csv has all.</p>\n", LISTED);
}

static void pair(FILE *out, const comparison *c, const compare_pair *p)
{
    fprintf(out, "<section><h2>%c against %c</h2>\n", c->input[p->second].letter,
            c->input[p->first].letter);
    differences(out, c, p);
    if (!isnan(c->margin))
        fputs("<p class=\"soft\">Not inferior: the interval's lower end lies above minus the "
              "margin (dashed), a one-sided test at 0.025. A margin is chosen before results are "
              "seen.</p>\n",
              out);
    alone(out, c, p, 0);
    alone(out, c, p, 1);
    fputs("</section>\n", out);
}

/* ---- what is missing ---- */

static void missing(FILE *out, const comparison *c)
{
    fputs("<section><h2>Images</h2>\n<ul class=\"lines\">\n", out);
    for (int i = 0; i < c->inputs; i++) {
        const compare_missing *m = &c->missing[i];
        fprintf(out, "<li>%c has scores of %u images and lacks %u that another has", //
                c->input[i].letter, c->input[i].count, m->count);
        for (uint32_t j = 0; j < m->count && j < COMPARE_NAMED; j++) {
            fputs(j > 0 ? ", " : ": ", out);
            html_text(out, m->paths[j]);
        }
        fputs(m->count > COMPARE_NAMED ? ", \u2026 (missing.csv has all)</li>\n" : "</li>\n", out);
    }
    fputs("</ul>\n<p class=\"soft\">Images are matched by their path. Only those that all have are "
          "compared.</p></section>\n",
          out);
}

void compare_page(FILE *out, const comparison *c)
{
    head(out, c);
    models(out, c);
    for (int i = 0; i < c->pairs; i++)
        pair(out, c, &c->pair[i]);
    missing(out, c);
    fputs("</main>\n<footer><p class=\"soft\">Written by pulmo " PULMO_VERSION
          ". Research software, not a medical device.</p></footer>\n</body></html>\n",
          out);
}
