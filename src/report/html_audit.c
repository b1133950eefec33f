/* The report's section on shortcuts: how far the way images were made tells their class, and the
 * model beside it. */
#include "report_room.h"

#include <math.h>

#define CUES_SHOWN 5

bool audit_is_loud(const report *r)
{
    const int worst = pulmo_audit_worst(&r->audit);
    return worst >= 0 && r->audit.model[worst].auc.value > PULMO_AUDIT_LOUD;
}

static void area(FILE *out, pulmo_interval it)
{
    html_number(out, it.value);
    if (isnan(it.low))
        return;
    fputs(" (95 % interval ", out);
    html_range(out, it);
    fputs(")", out);
}

static void verdict(FILE *out, const pulmo_cue_model *model, const char *class, bool is_loud)
{
    fputs(is_loud ? "<p class=\"banner\"><strong>" : "<p>", out);
    html_say(out, "The way these images were made tells %s", class);
    fputs(" with AUC ", out);
    area(out, model->auc);
    fputs(" without a look at a lung.", out);
    if (is_loud)
        fputs("</strong> The model may have learned that in place of disease, and films of another "
              "place are made in another way. Do not trust its figures until it has been evaluated "
              "on such films.",
              out);
    fputs("</p>\n", out);
}

static void strongest_cues(FILE *out, const pulmo_cue_model *model, const char *class)
{
    int order[PULMO_CUES];
    pulmo_audit_order(model, order);
    fputs("<p>What tells it best, each alone:</p>\n<ul>\n", out);
    for (int i = 0; i < CUES_SHOWN; i++) {
        const int cue = order[i];
        const double auc = model->single_auc[cue];
        fputs("<li>", out);
        html_say(out, "%s, %s in %s", pulmo_cue_words(cue), auc >= 0.5 ? "more" : "less", class);
        fprintf(out, " (AUC %.3f)</li>\n", fmax(auc, 1 - auc));
    }
    fputs("</ul>\n", out);
}

static void table(FILE *out, const pulmo_audit_split *split, const pulmo_cue_figures *f,
                  const char *class)
{
    const pulmo_interval all = {f->correlation, NAN, NAN};
    const pulmo_interval rest = {f->correlation_of_rest, NAN, NAN};
    char meaning[300];
    fputs("<div class=\"scroll\"><table><caption>", out);
    html_say(out, "%s, on the %s images", class, split->name);
    fputs("</caption><thead><tr><th scope=\"col\">Measure</th><th class=\"n\" scope=\"col\">Value"
          "</th><th class=\"n\" scope=\"col\">95 % interval</th></tr></thead><tbody>\n",
          out);
    html_measure(out, "AUC of cues alone", "of a regression on cues of the training images",
                 f->cues);
    html_measure(out, "AUC of the model", "over all pairs of images", f->model);
    snprintf(meaning, sizeof meaning,
             "%.0f of %.0f images of %.150s have one like them among the others", f->compared,
             f->positives, class);
    html_measure(out, "AUC of the model among images alike in cues", meaning, f->alike);
    html_measure(out, "AUC of cues among images alike in cues",
                 "what is left of them there: 0.5 is nothing", f->cues_alike);
    html_measure(out, "Rank correlation of the model's score and the cue score",
                 "1: the model orders images as cues do; 0: nothing in common", all);
    snprintf(meaning, sizeof meaning,
             "whether false alarms go with cues: images that are not %.200s", class);
    html_measure(out, "The same among the others", meaning, rest);
    fputs("</tbody></table></div>\n", out);
}

/* Of more than two classes, all that were audited. */
static void each_class(FILE *out, const report *r)
{
    const pulmo_audit *audit = &r->audit;
    if (audit->audited < 2)
        return;
    fputs("<div class=\"scroll\"><table><caption>Each class against the rest, by cues "
          "alone</caption><thead><tr><th scope=\"col\">Class</th><th class=\"n\" scope=\"col\">AUC"
          "</th><th class=\"n\" scope=\"col\">95 % interval</th></tr></thead><tbody>\n",
          out);
    for (int k = 0; k < audit->audited; k++) {
        const pulmo_cue_model *model = &audit->model[k];
        html_measure(out, r->class_names[model->class], "", model->auc);
    }
    fputs("</tbody></table></div>\n", out);
}

void html_audit(FILE *out, const report *r)
{
    const int worst = pulmo_audit_worst(&r->audit);
    if (worst < 0)
        return;
    const pulmo_audit *audit = &r->audit;
    const pulmo_cue_model *model = &audit->model[worst];
    const char *class = r->class_names[model->class];
    fputs("<section><h2>Shortcuts</h2>\n", out);
    verdict(out, model, class, audit_is_loud(r));
    strongest_cues(out, model, class);
    if (audit->splits > 0) {
        const pulmo_audit_split *split = &audit->split[audit->splits - 1];
        table(out, split, &split->figures[worst], class);
    }
    each_class(out, r);
    fprintf(
        out,
        "<p class=\"soft\">%d cues were measured of each image, which know no anatomy: "
        "sharpness at six scales, tones, and how light borders, corners and eighths of height "
        "and width are. A logistic regression on those of %u training images tells the class "
        "of patients that were left out with the AUC above. Some of that may be disease: a "
        "lung full of fluid changes tones too. Among images alike in cues (covariate-adjusted, "
        "Janes and Pepe 2009) the model has to read what cues do not say. Intervals here are from "
        "patients drawn again (cluster bootstrap), for all rows alike; an AUC elsewhere on "
        "this page has a slightly different one, by a formula.</p></section>\n",
        PULMO_CUES, audit->images);
}
