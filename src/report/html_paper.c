/* The report's last section: methods and results as a paper would have them, with a mark where
 * something is not known here, and which items of reporting guidelines the page answers.
 *
 * Items of TRIPOD+AI are by number (Collins et al., BMJ 2024;385:e078378), those of STARD-AI
 * (Sounderajah et al., Nature Medicine 2025) and CLAIM (Tejani et al., Radiology: Artificial
 * Intelligence 2024) by topic. */
#include "report_room.h"

#include <math.h>
#include <string.h>

#include "pulmo/text.h"

/* ---- words ---- */

/* What the authors have to fill in. */
static void gap(FILE *out, const char *what)
{
    fputs("<mark>[", out);
    html_text(out, what);
    fputs(": not recorded]</mark>", out);
}

static void figure(FILE *out, const char *name, pulmo_interval it)
{
    html_text(out, name);
    fputc(' ', out);
    if (isnan(it.value))
        fputs("undefined", out);
    else
        html_number(out, it.value);
    if (isnan(it.low))
        return;
    fputs(" (95 % CI ", out);
    html_range(out, it);
    fputc(')', out);
}

/* Whether intervals of areas are by patient. */
static bool is_by_patient(const report *r, const report_split *s)
{
    const pulmo_scored scored = report_scored(r, s);
    return scored.patient && scored.patients < scored.count;
}

/* ---- methods ---- */

static void parts(FILE *out, const report *r)
{
    static const char *const names[PULMO_SPLITS] = {"training", "validation", "test"};
    const char *join = "";
    for (int p = 0; p < PULMO_SPLITS; p++) {
        const report_part *part = &r->part[p];
        if (!part->present)
            continue;
        fprintf(out, "%s%lld images", join, (long long)part->count);
        if (!r->patients_unknown)
            fprintf(out, " of %lld patients", (long long)part->patients);
        fprintf(out, " for %s", names[p]);
        join = "; ";
    }
}

static void data_of_run(FILE *out, const report *r)
{
    fputs(" The data were ", out);
    parts(out, r);
    fputs(". ", out);
    if (*r->carve)
        html_say(out, "Splits: %s. ", r->carve);
    if (r->patients_unknown)
        fputs("Patients could not be told apart, so one may stand on both sides of a split. ", out);
    else
        fprintf(out, "%llu patient%s and %llu picture%s stood in more than one split. ",
                (unsigned long long)r->shared_patients.count,
                pulmo_plural(r->shared_patients.count), (unsigned long long)r->leaks.count,
                pulmo_plural(r->leaks.count));
    if (r->overlap > 0)
        fprintf(out,
                "The model had been made of %lld of these images, or of other images of their "
                "patients, so the figures are too good. ",
                (long long)r->overlap);
    if (r->refused.count > 0)
        fprintf(out, "%llu file%s could not be read and took no part. ",
                (unsigned long long)r->refused.count, pulmo_plural(r->refused.count));
    html_say(out, "Images were brought to %lld \u00d7 %lld pixels (%s; %s).", (long long)r->size_px,
             (long long)r->size_px, r->decode, r->resize);
}

static void collection(FILE *out)
{
    fputs("Chest radiographs were collected at ", out);
    gap(out, "institutions");
    fputs(" between ", out);
    gap(out, "dates");
    fputs(" from ", out);
    gap(out, "eligibility and how patients were found");
    fputs(", with ", out);
    gap(out, "scanner");
    fputs(". The reference standard was ", out);
    gap(out, "who or what set the labels, blinded to what");
    fputs(".", out);
}

static void data(FILE *out, const report *r, const report_split *s)
{
    fputs("<p><b>Data.</b> ", out);
    if (r->is_demo)
        fputs("The images are phantoms that a program drew, for demonstration.", out);
    else
        collection(out);
    if (r->has_data)
        data_of_run(out, r);
    else if (r->is_scores && !r->patients_unknown)
        fprintf(out, " Scored were %u images of %u patients.", s->count, r->scores.patients);
    else
        fprintf(out, " Scored were %u images.", s->count);
    fputs(" The number of images was set by ", out);
    gap(out, "sample size");
    fputs(".</p>\n", out);
}

static void training(FILE *out, const report *r)
{
    if (r->trained_convolutions > 0)
        fprintf(out, "VGG16, of which the head and the last %lld convolutions were trained",
                (long long)r->trained_convolutions);
    else
        fputs("VGG16, whose convolutions stayed as they were and whose head was trained", out);
    fputs(", on convolutions trained before on ", out);
    gap(out, "data set of the initial weights");
    html_say(out, ", by pulmo %s. ", r->version);
    if (r->folds > 0)
        fprintf(out,
                "%lld models were cross-validated, each image scored by one that had not seen "
                "it. ",
                (long long)r->folds);
    else if (r->models > 1)
        fprintf(out, "Probabilities of %lld models were averaged. ", (long long)r->models);
    if (r->epochs > 0)
        fprintf(out, "It was trained for %llu epochs, and the model of epoch %d was kept. ",
                (unsigned long long)r->epochs, r->best_epoch);
    if (*r->config)
        fputs("All settings stand under Configuration.", out);
}

static void threshold(FILE *out, const report *r)
{
    html_say(out, " An image was called %s from a probability of %.4f on, a threshold ",
             r->class_names[r->positive.index], r->threshold);
    if (r->is_scores)
        gap(out, "how the threshold was chosen");
    else if (pulmo_metrics_rule_given(r->threshold_rule, NULL))
        fputs("that was set beforehand", out);
    else
        html_say(out, "by the rule \u201c%s\u201d", r->threshold_rule);
    fputs(".", out);
}

static void model(FILE *out, const report *r)
{
    fputs("<p><b>Model.</b> ", out);
    if (r->is_scores) {
        gap(out, "model, its training and its data");
        fputs(".", out);
    } else {
        training(out, r);
    }
    if (r->classes == 2 && !isnan(r->threshold))
        threshold(out, r);
    else if (r->classes > 2)
        fputs(" An image was given the class of the largest probability.", out);
    fputs("</p>\n", out);
}

static void statistics(FILE *out, const report *r, const report_split *s)
{
    fputs("<p><b>Statistics.</b> Discrimination is the area under the ROC curve. ", out);
    if (is_by_patient(r, s))
        fputs("Patients have several images; so intervals are by patient: Obuchowski's (1997) for "
              "areas, Wilson's of the effective number of images for proportions.",
              out);
    else
        fputs("Intervals are of 95 %: DeLong's for areas, Wilson's for proportions.", out);
    fputs(" Calibration is shown as curves, with the Brier score", out);
    if (r->classes == 2)
        fputs(", and as intercept and slope; use as net benefit and at several operating points",
              out);
    fputs(".", out);
    if (r->groups.count > 0) {
        fputs(" Groups were by ", out);
        html_columns(out, r->by);
        fprintf(out,
                "; intervals in groups are by patient where patients repeat. A group of fewer than "
                "%d patients with the class, or without it, was held too small for a claim. "
                "Differences between groups were not tested.",
                PULMO_GROUP_PATIENTS);
    }
    fputs(" Missing data: ", out);
    gap(out, "images or labels that were left out, and why");
    fputs("</p>\n", out);
}

/* ---- results ---- */

static void result_of_two(FILE *out, const report *r, const pulmo_metrics *m)
{
    const uint32_t with = m->per_class[r->positive.index].support;
    html_say(out, " %u of them (%.1f %%) had %s. ", with, 100.0 * with / m->count,
             r->class_names[r->positive.index]);
    figure(out, "AUC was", m->auc_ci);
    figure(out, ", sensitivity", m->sensitivity);
    figure(out, ", specificity", m->specificity);
    figure(out, ", positive predictive value", m->positive_value);
    figure(out, " and negative predictive value", m->negative_value);
    fputs(" at this prevalence.", out);
}

static void result_of_many(FILE *out, const report *r, const pulmo_metrics *m)
{
    html_say(out, " %d classes, each against the rest:", r->classes);
    for (int k = 0; k < r->classes; k++) {
        html_say(out, "%s %s (%u images), ", k > 0 ? ";" : "", r->class_names[k],
                 m->per_class[k].support);
        figure(out, "AUC", m->per_class[k].auc_ci);
    }
    fputs(".", out);
}

/* The lowest and the highest area of a column's groups that are large enough for a claim. */
static void range_of_column(FILE *out, const report *r, const char *column)
{
    const pulmo_group *low = NULL, *high = NULL;
    for (uint32_t i = 0; i < r->groups.count; i++) {
        const pulmo_group *g = &r->groups.group[i];
        const double auc = g->value[PULMO_GROUP_AUC].value;
        if (strcmp(g->column, column) != 0 || g->is_small || g->is_blank || isnan(auc))
            continue;
        if (!low || auc < low->value[PULMO_GROUP_AUC].value)
            low = g;
        if (!high || auc > high->value[PULMO_GROUP_AUC].value)
            high = g;
    }
    html_say(out, " By %s, ", column);
    if (!low || low == high) {
        fputs("fewer than two groups were large enough for a claim.", out);
        return;
    }
    figure(out, "AUC ranged from", low->value[PULMO_GROUP_AUC]);
    html_say(out, " for %s ", low->name);
    figure(out, "to", high->value[PULMO_GROUP_AUC]);
    html_say(out, " for %s.", high->name);
}

static void results(FILE *out, const report *r, const report_split *s)
{
    const char *column = "";
    const pulmo_metrics *m = &s->metrics;
    html_say(out, "Of %u %s images, %u were classified correctly; ", s->count, s->name, m->correct);
    figure(out, "accuracy was", m->accuracy_ci);
    fputs(".", out);
    if (r->classes == 2)
        result_of_two(out, r, m);
    else
        result_of_many(out, r, m);
    for (uint32_t i = 0; r->classes == 2 && i < r->groups.count; i++) {
        if (strcmp(column, r->groups.group[i].column) != 0)
            range_of_column(out, r, r->groups.group[i].column);
        column = r->groups.group[i].column;
    }
    fputs(" Tested on films of another place: ", out);
    gap(out, "external validation");
}

/* ---- guidelines ---- */

typedef struct guideline_row {
    const char *section, *tripod, *stard, *claim;
} guideline_row;

static const guideline_row guideline[] = {
    {"Result", "15, 23a", "estimates of accuracy and their precision",
     "performance with measures of uncertainty"},
    {"Hits and errors", "23a", "cross tabulation with the reference standard",
     "failure analysis of wrong cases"},
    {"Scores", "12e, 23a", "positivity cut-off of the index test", "metrics of performance"},
    {"Calibration and use", "12e, 23a", "test results of use: predictive values, likelihood ratios",
     "calibration; thresholds"},
    {"Groups", "14, 20b, 23a, 23b", "variability across subgroups; bias and fairness",
     "performance in subgroups"},
    {"Shortcuts", "16, 26", "sources of bias", "robustness; limitations"},
    {"Training", "12c, 21", "development of the index test", "training; choice of the final model"},
    {"Data and splits", "5a, 7, 11, 12a, 20a, 21", "datasets and how they were partitioned",
     "data sources; preprocessing; partitions and their disjointness"},
    {"Configuration", "12c, 22", "index test, enough to repeat it", "model; software; parameters"},
    {"Provenance", "12g, 18f, 22", "version of the index test", "where code and model are"},
    {"not on this page", "1\u20134, 5b, 6, 8\u201310, 13, 17, 18a\u2013e, 19, 20c, 24, 25, 27",
     "intended use; participants; reference standard; sample size; protocol, registration, funding",
     "background; ground truth; sample size; ethics; demographics; limitations; funding"},
};

/* Sections that the page has not are no answer. */
static bool is_on_page(const report *r, const char *section)
{
    const struct {
        const char *section;
        bool is_there;
    } some[] = {{"Calibration and use", r->classes == 2},
                {"Groups", r->groups.count > 0},
                {"Shortcuts", pulmo_audit_worst(&r->audit) >= 0},
                {"Training", r->epochs > 0},
                {"Data and splits", r->has_data},
                {"Configuration", *r->config != '\0'}};
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++)
        if (strcmp(some[i].section, section) == 0)
            return some[i].is_there;
    return true;
}

static void guidelines(FILE *out, const report *r)
{
    fputs(
        "<div class=\"scroll\"><table><caption>Where this page answers reporting guidelines"
        "</caption><thead><tr><th scope=\"col\">Section</th><th scope=\"col\">TRIPOD+AI 2024, items"
        "</th><th scope=\"col\">STARD-AI 2025, topics</th><th scope=\"col\">CLAIM 2024, "
        "topics</th></tr></thead><tbody>\n",
        out);
    for (size_t i = 0; i < sizeof guideline / sizeof guideline[0]; i++) {
        const guideline_row *row = &guideline[i];
        if (!is_on_page(r, row->section))
            continue;
        fputs("<tr><th scope=\"row\">", out);
        html_text(out, row->section);
        fputs("</th>", out);
        html_tagged(out, "td", row->tripod);
        html_tagged(out, "td", row->stard);
        html_tagged(out, "td", row->claim);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n", out);
}

void html_paper(FILE *out, const report *r)
{
    if (r->splits == 0 || !r->finished)
        return;
    const report_split *s = &r->split[0];
    fputs("<section><h2>For a paper</h2>\n<p class=\"soft\">Numbers are filled in from the scores "
          "above. What is marked is not known here: fill it in, and judge the rest.</p>\n"
          "<h3>Methods</h3>\n",
          out);
    data(out, r, s);
    model(out, r);
    statistics(out, r, s);
    fputs("<h3>Results</h3>\n<p>", out);
    results(out, r, s);
    fputs("</p>\n", out);
    guidelines(out, r);
    fputs("</section>\n", out);
}
