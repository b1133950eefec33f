/* The page: one file that needs no network, no script and nothing beside it. */
#include <math.h>
#include <string.h>

#include "pulmo/metrics.h"
#include "pulmo/text.h"
#include "report_room.h"

#define CLASSES_NAMED 12 /* named in sentences */

/* ---- summary ---- */

static const char *split_in_words(const char *split)
{
    if (strcmp(split, "val") == 0)
        return "validation";
    return strcmp(split, "train") == 0 ? "training" : split;
}

static void two_classes_in_words(FILE *out, const report *r, const pulmo_metrics *m)
{
    const int positive = r->positive.index, negative = 1 - positive;
    const char *sick = r->class_names[positive], *other = r->class_names[negative];
    const uint32_t *of_sick = m->confusion + 2 * positive, *of_other = m->confusion + 2 * negative;
    uint32_t sick_count = m->per_class[positive].support, found = of_sick[positive];
    uint32_t other_count = m->per_class[negative].support, spared = of_other[negative];
    html_say(out, " Of %u %s image%s, ", sick_count, sick, pulmo_plural(sick_count));
    fprintf(out, "<b>%u %s found</b> and %u missed.", found, found == 1 ? "was" : "were",
            of_sick[negative]);
    html_say(out, " Of %u %s image%s, ", other_count, other, pulmo_plural(other_count));
    fprintf(out, "<b>%u %s recognised</b> and %u wrongly called ", spared,
            spared == 1 ? "was" : "were", of_other[positive]);
    html_text(out, sick);
    fputs(".", out);
}

static void classes_in_words(FILE *out, const report *r, const pulmo_metrics *m)
{
    for (int k = 0; k < r->classes && k < CLASSES_NAMED; k++) {
        uint32_t n = m->per_class[k].support;
        html_say(out, " Of %u %s image%s, %u %s found.", n, r->class_names[k], pulmo_plural(n),
                 m->confusion[k * r->classes + k],
                 m->confusion[k * r->classes + k] == 1 ? "was" : "were");
    }
    if (r->classes > CLASSES_NAMED)
        fprintf(out, " The other %d classes are in the table below.", r->classes - CLASSES_NAMED);
}

static void card(FILE *out, const char *name, pulmo_interval it)
{
    fputs("<li><span class=\"name\">", out);
    html_text(out, name);
    fputs("</span><span class=\"value\">", out);
    html_number(out, it.value);
    fputs("</span>", out);
    if (!isnan(it.low)) {
        fputs("<span class=\"range\">95 % interval ", out);
        html_range(out, it);
        fputs("</span>", out);
    }
    svg_interval(out, name, it);
    fputs("</li>\n", out);
}

static void cards(FILE *out, const report *r, const pulmo_metrics *m)
{
    const pulmo_interval balanced = {m->balanced_accuracy, NAN, NAN}, f1 = {m->macro_f1, NAN, NAN};
    fputs("<ul class=\"cards\">\n", out);
    card(out, "Accuracy", m->accuracy_ci);
    card(out, r->classes == 2 ? "Sensitivity" : "Balanced accuracy",
         r->classes == 2 ? m->sensitivity : balanced);
    card(out, r->classes == 2 ? "Specificity" : "F1, mean over classes",
         r->classes == 2 ? m->specificity : f1);
    card(out, r->classes == 2 ? "AUC" : "AUC, mean over classes", m->auc_ci);
    fputs("</ul>\n", out);
}

static void finding_of_scores_in_words(FILE *out, const report *r)
{
    html_say(out, "The positive class is %s", r->class_names[r->positive.index]);
    if (r->positive.by == PULMO_POSITIVE_ORDER)
        fputs(", which is the last one: nothing told which is the finding", out);
    fputs(". ", out);
    if (!isnan(r->threshold))
        fprintf(out, "An image is called that from a probability of %.4f on. ", r->threshold);
    html_say(out, "That threshold %s. ", r->threshold_rule);
}

static void threshold_in_words(FILE *out, const report *r)
{
    if (r->classes == 2 && r->is_scores) {
        finding_of_scores_in_words(out, r);
    } else if (r->classes == 2) {
        html_say(out,
                 "The positive class is %s%s. An image is called that from a probability of "
                 "%.4f on. ",
                 r->class_names[r->positive.index],
                 r->positive.by == PULMO_POSITIVE_ORDER
                     ? ", which is the last one: nothing told which is the finding"
                     : "",
                 r->threshold);
        if (pulmo_metrics_rule_given(r->threshold_rule, NULL))
            fputs("That threshold was set beforehand. ", out);
        else if (r->folds > 0)
            fputs("That is the folds' mean: each image was decided by the threshold of its own "
                  "fold, chosen on that fold's validation images. ",
                  out);
        else if (r->models > 1)
            fprintf(out, "That threshold is the mean of the %lld models' own. ",
                    (long long)r->models);
        else
            html_say(
                out,
                "That threshold was chosen on the validation images by the rule \u201c%s\u201d, "
                "before any test image was scored. ",
                r->threshold_rule);
    } else {
        fputs("An image is given the class of the largest probability. ", out);
    }
    if (r->temperature != 1)
        fprintf(out,
                "Probabilities were calibrated on the validation images (temperature scaling, T = "
                "%.3f). ",
                r->temperature);
}

/* What figures of the validation images are worth. */
static const char *validation_caution(const report *r)
{
    if (!r->finished)
        return "Training has not finished. These are figures of the validation images so far.";
    if (r->epochs > 0)
        return "There is no test split. These are figures of the validation images, on which the "
               "best epoch and the threshold were chosen: they flatter the model.";
    return "These are figures of validation images. If the best epoch and the threshold were "
           "chosen "
           "on them, they flatter the model.";
}

static void caution(FILE *out, const report *r, const report_split *s)
{
    if (r->is_scores) {
        fputs("<p class=\"banner\">Another program made these scores. It is not known here whether "
              "its model, or its threshold, was chosen on these images or on others of the same "
              "patients; if so, the figures flatter it.</p>\n",
              out);
        return;
    }
    if (strcmp(s->name, "test") == 0)
        return;
    fputs("<p class=\"banner\">", out);
    if (strcmp(s->name, "val") == 0)
        html_say(out, "%s", validation_caution(r));
    else
        html_say(
            out,
            "These are figures of the %s images, which the model has seen: they say nothing about "
            "new images.",
            split_in_words(s->name));
    fputs("</p>\n", out);
}

static void summary(FILE *out, const report *r, const report_split *s)
{
    const pulmo_metrics *m = &s->metrics;
    fputs("<section><h2>Result</h2>\n", out);
    caution(out, r, s);
    fputs("<p class=\"verdict\">", out);
    html_say(out, "Of %u %s image%s, ", m->count, split_in_words(s->name), pulmo_plural(m->count));
    fprintf(out, "<b>%u %s classified correctly</b>.", m->correct,
            m->correct == 1 ? "was" : "were");
    if (r->classes == 2)
        two_classes_in_words(out, r, m);
    else
        classes_in_words(out, r, m);
    fputs("</p>\n", out);
    cards(out, r, m);
    fputs("<p class=\"soft\">", out);
    threshold_in_words(out, r);
    html_sample(out, m);
    fputs("An interval of 95 % says how far chance alone may have moved a value with this many "
          "images and patients. It knows nothing of other hospitals or devices.",
          out);
    fputs("</p></section>\n", out);
}

/* ---- errors ---- */

static void matrix(FILE *out, const report *r, const pulmo_metrics *m)
{
    if (r->classes > CLASSES_WIDE) {
        fputs("<p class=\"soft\">The confusion matrix of so many classes is in "
              "<code>results.h5</code>.</p>\n",
              out);
        return;
    }
    fputs("<div class=\"scroll\"><table class=\"matrix\"><caption>Confusion "
          "matrix</caption><thead><tr><th scope=\"col\">Truth</th>",
          out);
    for (int k = 0; k < r->classes; k++) {
        fputs("<th scope=\"col\">called<br>", out);
        html_text(out, r->class_names[k]);
        fputs("</th>", out);
    }
    fputs("</tr></thead><tbody>\n", out);
    for (int j = 0; j < r->classes; j++) {
        fputs("<tr><th scope=\"row\">", out);
        html_text(out, r->class_names[j]);
        fputs("</th>", out);
        for (int k = 0; k < r->classes; k++) {
            uint32_t n = m->confusion[j * r->classes + k], support = m->per_class[j].support;
            double part = support ? (double)n / support : 0;
            fprintf(out, "<td class=\"%s\" style=\"--part:%.3f\">%u<small>%.1f %%</small></td>",
                    j == k ? "hit" : "miss", part, n, 100 * part);
        }
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table></div>\n<p class=\"soft\">Per cent are of the images of a row. Blue is "
          "right, orange wrong.</p>\n",
          out);
}

#define CLASS_COLUMNS 6

static void class_row(FILE *out, const char *name, const pulmo_interval *values, uint32_t support,
                      const char *class)
{
    fprintf(out, "<tr%s><th scope=\"row\">", class);
    html_text(out, name);
    fputs("</th>", out);
    for (int i = 0; i < CLASS_COLUMNS; i++) {
        fputs("<td class=\"n\">", out);
        html_number(out, values[i].value);
        if (!isnan(values[i].low)) {
            fputs("<small>", out);
            html_range(out, values[i]);
            fputs("</small>", out);
        }
        fputs("</td>", out);
    }
    fprintf(out, "<td class=\"n\">%u</td></tr>\n", support);
}

static pulmo_interval bare(double value)
{
    return (pulmo_interval){value, NAN, NAN};
}

static void class_table(FILE *out, const report *r, const pulmo_metrics *m)
{
    static const char *const names[] = {"Precision",         "Recall", "Specificity", "F1", "AUC",
                                        "Average precision", "Images"};
    fputs("<div class=\"scroll\"><table><caption>Each class against the "
          "rest</caption><thead><tr><th scope=\"col\">Class</th>",
          out);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        fprintf(out, "<th class=\"n\" scope=\"col\">%s</th>", names[i]);
    fputs("</tr></thead><tbody>\n", out);
    double macro_auc = 0, macro_ap = 0, with_auc = 0, with_ap = 0;
    for (int k = 0; k < r->classes; k++) {
        const pulmo_class_metrics *c = &m->per_class[k];
        pulmo_interval recall = c->sensitivity;
        recall.value = c->recall;
        const pulmo_interval values[] = {bare(c->precision), recall,    c->specificity,
                                         bare(c->f1),        c->auc_ci, bare(c->average_precision)};
        class_row(out, r->class_names[k], values, c->support, "");
        if (!isnan(c->auc))
            macro_auc += c->auc, with_auc++;
        if (!isnan(c->average_precision))
            macro_ap += c->average_precision, with_ap++;
    }
    const pulmo_interval macro[] = {bare(m->macro_precision),
                                    bare(m->macro_recall),
                                    bare(NAN),
                                    bare(m->macro_f1),
                                    bare(with_auc > 0 ? macro_auc / with_auc : NAN),
                                    bare(with_ap > 0 ? macro_ap / with_ap : NAN)};
    const pulmo_interval weighted[] = {
        bare(m->weighted_precision), bare(m->weighted_recall), bare(NAN),
        bare(m->weighted_f1),        bare(m->weighted_auc),    bare(m->weighted_average_precision)};
    class_row(out, "Mean over classes", macro, m->count, " class=\"rule\"");
    class_row(out, "Weighted by images", weighted, m->count, "");
    fputs("</tbody></table></div>\n<p class=\"soft\">Below a value: its 95 % interval.</p>\n", out);
}

static void measures(FILE *out, const report *r, const pulmo_metrics *m)
{
    const pulmo_interval balanced = {m->balanced_accuracy, NAN, NAN},
                         ap = {m->average_precision, NAN, NAN}, brier = {m->brier, NAN, NAN};
    const pulmo_interval ece = {m->calibration_error, NAN, NAN}, loss = {m->log_loss, NAN, NAN};
    fputs("<div class=\"scroll\"><table><caption>More measures</caption><thead><tr><th "
          "scope=\"col\">Measure</th><th class=\"n\" "
          "scope=\"col\">"
          "Value</th><th class=\"n\" scope=\"col\">95 % interval</th></tr></thead><tbody>\n",
          out);
    if (r->classes == 2) {
        char text[400];
        snprintf(text, sizeof text,
                 "when the model says %.100s, how often it is right, among images like these",
                 r->class_names[r->positive.index]);
        html_measure(out, "Positive predictive value", text, m->positive_value);
        snprintf(text, sizeof text,
                 "when the model says %.100s, how often it is right, among images like these",
                 r->class_names[1 - r->positive.index]);
        html_measure(out, "Negative predictive value", text, m->negative_value);
    }
    html_measure(out, "Balanced accuracy",
                 "mean share found over the classes: a class counts alike however rare it is",
                 balanced);
    html_measure(out, "Average precision", "area under the precision-recall curve", ap);
    html_measure(out, "Brier score", "mean squared error of the probabilities; 0 is best", brier);
    html_measure(out, "Calibration error",
                 "how far probabilities stand from what happens, on average (10 bins); 0 is best",
                 ece);
    html_measure(out, "Log loss", "mean surprise at the truth, in nats; 0 is best", loss);
    fputs("</tbody></table></div>\n", out);
}

/* Whether all images are of one class, so that what compares classes is not there. */
static bool has_one_class(const pulmo_metrics *m)
{
    for (int k = 0; k < m->classes; k++)
        if (m->per_class[k].support == m->count)
            return true;
    return false;
}

static void errors(FILE *out, const report *r, const report_split *s)
{
    const bool alone = has_one_class(&s->metrics);
    fputs("<section><h2>Hits and errors</h2>\n<div class=\"duo\"><div>", out);
    matrix(out, r, &s->metrics);
    fputs("</div><div>", out);
    if (alone)
        fputs("<p>All images are of one class. What needs images of another cannot be computed: "
              "AUC, precision, F1, predictive values, ROC, precision-recall and calibration "
              "curves.</p>",
              out);
    else
        class_table(out, r, &s->metrics);
    fputs("</div></div>\n", out);
    if (!alone)
        measures(out, r, &s->metrics);
    fputs("</section>\n", out);
}

/* ---- curves ---- */

static void curves_over_thresholds(FILE *out, const report *r, const report_split *s)
{
    const pulmo_metrics *m = &s->metrics;
    bool two = r->classes == 2;
    fputs("<figure><b>ROC curve</b>", out);
    svg_roc(out, r, s);
    fprintf(out,
            "<figcaption>How many are found against how many false alarms, over all thresholds%s. "
            "Area %.4f; the dashed line is a "
            "coin.</figcaption></figure>\n",
            two ? "; the dot is the one in use" : ", each class against the rest", m->auc);
    fputs("<figure><b>Precision and recall</b>", out);
    svg_pr(out, r, s);
    fprintf(out,
            "<figcaption>How often a finding is right against how many are found. Average "
            "precision %.4f%s.</figcaption></figure>\n",
            m->average_precision,
            two ? "; the dashed line is calling every image positive" : ", mean over classes");
    fputs("<figure><b>Calibration</b>", out);
    svg_calibration(out, r, s);
    fprintf(out,
            "<figcaption>Of images given a probability of 0.7, do 7 in 10 have the finding? On the "
            "dashed line they do%s. Calibration "
            "error %.4f.</figcaption></figure>\n",
            two ? "; bars are what chance allows" : "", m->calibration_error);
}

static void curves(FILE *out, const report *r, const report_split *s)
{
    bool two = r->classes == 2;
    fputs("<section><h2>Scores</h2>\n<div class=\"figures\">\n", out);
    if (!has_one_class(&s->metrics))
        curves_over_thresholds(out, r, s);
    fputs("<figure><b>Distribution of scores</b>", out);
    svg_histogram(out, r, s);
    fprintf(out, "<figcaption>%s</figcaption></figure>\n",
            two ? "Images by their probability and true class. Right of the dotted line they are "
                  "called positive."
                : "Images by the probability of the class they were given: right upwards, wrong "
                  "downwards.");
    fputs("</div></section>\n", out);
}

static void training(FILE *out, const report *r)
{
    if (r->epochs == 0)
        return;
    fputs("<section><h2>Training</h2>\n<p>", out);
    fprintf(out, "%llu %s were trained.", (unsigned long long)r->epochs,
            r->epochs == 1 ? "epoch" : "epochs");
    if (r->best_epoch > 0)
        fprintf(out, " The model kept is that of epoch %d (dotted line), %s.", r->best_epoch,
                isnan(r->history[PULMO_HISTORY_VAL_LOSS][0])
                    ? "the last, as there were no validation images"
                    : "chosen on the validation images");
    fputs(" Training figures are over augmented images, with dropout at work; they may be worse "
          "than those of validation.</p>\n"
          "<div class=\"figures\"><figure><b>Loss</b>",
          out);
    svg_loss(out, r);
    fputs("<figcaption><span class=\"swatch b0\"></span>training &ensp;<span class=\"swatch "
          "b1\"></span>validation</figcaption></figure>\n"
          "<figure><b>Accuracy and AUC</b>",
          out);
    svg_validation(out, r);
    fputs("<figcaption><span class=\"swatch b0\"></span>training accuracy &ensp;<span "
          "class=\"swatch b1\"></span>validation accuracy &ensp;"
          "<span class=\"swatch b2\"></span>validation AUC</figcaption></figure></div></section>\n",
          out);
}

/* ---- the page ---- */

static void model_in_words(FILE *out, const report *r)
{
    if (r->folds > 0)
        fprintf(out,
                "Cross-validation of %lld models, each image scored by the one that had not "
                "seen it. Each: ",
                (long long)r->folds);
    else if (r->models > 1)
        fprintf(out, "The mean of %lld models' probabilities. The first of them: ",
                (long long)r->models);
    if (r->trained_convolutions > 0)
        fprintf(out, "VGG16, its last %lld convolutions and head trained, ",
                (long long)r->trained_convolutions);
    else
        fputs("VGG16 with frozen convolutions and a trained head, ", out);
    fputs("classifying chest X-rays as ", out);
}

static void head(FILE *out, const report *r)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
          "'unsafe-inline'; img-src data:\">\n"
          "<link rel=\"icon\" href=\"data:,\">\n<title>",
          out);
    html_say(out, "%s \u2013 pulmo report", r->title);
    fprintf(
        out,
        "</title>\n<style>\n%s</style></head>\n<body>\n<header><p class=\"kicker\">pulmo report",
        report_style);
    html_when(out, r);
    fputs("</p><h1>", out);
    html_text(out, r->title);
    fputs("</h1><p class=\"soft\">", out);
    if (r->is_scores)
        fputs("Scores that another program made, classifying images as ", out);
    else
        model_in_words(out, r);
    for (int k = 0; k < r->classes && k < CLASSES_NAMED; k++) {
        const char *join = k + 1 == r->classes ? " or " : ", ";
        html_say(out, "%s%s", k == 0 ? "" : join, r->class_names[k]);
    }
    fputs(r->classes > CLASSES_NAMED ? ", \u2026</p>\n" : "</p>\n", out);
    if (r->is_demo)
        fputs("<p class=\"banner\"><strong>DEMO data.</strong> These images are drawn by a "
              "program. They are no medical images, and nothing "
              "here says anything about medicine.</p>\n",
              out);
    if (r->overlap > 0)
        fprintf(
            out,
            "<p class=\"banner\"><strong>Too good.</strong> The model was made of %lld of these "
            "images, or of other images of their patients: the figures here flatter it.</p>\n",
            (long long)r->overlap);
    fputs("<p class=\"banner\"><strong>Research software, not a medical device.</strong> Not for "
          "diagnosis or any decision about a "
          "patient.</p></header>\n<main>\n",
          out);
}

pulmo_status report_html(FILE *out, const report *r, const char *images)
{
    head(out, r);
    if (r->splits > 0) {
        summary(out, r, &r->split[0]);
        if (audit_is_loud(r))
            html_audit(out, r);
        errors(out, r, &r->split[0]);
        curves(out, r, &r->split[0]);
        html_groups(out, r);
        PULMO_TRY(html_use(out, r, &r->split[0]));
    } else {
        fputs("<section><p class=\"banner\">No split has been scored yet.</p></section>\n", out);
    }
    fputs(images, out);
    if (!audit_is_loud(r))
        html_audit(out, r);
    training(out, r);
    html_data(out, r);
    html_made(out, r);
    html_paper(out, r);
    fputs("</main>\n<footer><p class=\"soft\">Written by pulmo ", out);
    html_text(out, r->version);
    fputs(". Research software, not a medical device.</p></footer>\n</body></html>\n", out);
    return PULMO_OK;
}
