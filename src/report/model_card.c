/* MODEL_CARD.md: what the model is, what it was made of, how good it is, and what it is not for. */
#include <math.h>
#include <string.h>

#include "pulmo/results.h"
#include "pulmo/split.h"
#include "pulmo/text.h"
#include "report_room.h"

/* Names of data in Markdown: a line break or a bar would tear the table, the others would mark up.
 */
static void put(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (strchr("\\`*_[]<>|#&", *text))
            fputc('\\', out);
        fputc((unsigned char)*text < 0x20 ? ' ' : *text, out);
    }
}

static void row(FILE *out, const char *name, pulmo_interval it)
{
    if (isnan(it.value))
        return;
    fprintf(out, "| %s | %.4f | ", name, it.value);
    if (isnan(it.low))
        fputs("|\n", out);
    else
        fprintf(out, "%.4f\u2013%.4f |\n", it.low, it.high);
}

static void performance(FILE *out, const report *r, const report_split *s)
{
    const pulmo_metrics *m = &s->metrics;
    fprintf(out, "## Performance on %s (%u image%s, %u right)\n\n", s->name, m->count,
            pulmo_plural(m->count), m->correct);
    if (strcmp(s->name, "val") == 0)
        fputs("The best epoch and the threshold were chosen on these images: the figures flatter "
              "the model.\n\n",
              out);
    fputs("| measure | value | 95 % interval |\n|---|---|---|\n", out);
    row(out, "accuracy", m->accuracy_ci);
    row(out, "balanced accuracy", (pulmo_interval){m->balanced_accuracy, NAN, NAN});
    row(out, "sensitivity", m->sensitivity);
    row(out, "specificity", m->specificity);
    row(out, "positive predictive value", m->positive_value);
    row(out, "negative predictive value", m->negative_value);
    row(out, "AUC", m->auc_ci);
    row(out, "average precision", (pulmo_interval){m->average_precision, NAN, NAN});
    row(out, "Brier score", (pulmo_interval){m->brier, NAN, NAN});
    row(out, "expected calibration error", (pulmo_interval){m->calibration_error, NAN, NAN});
    fputs("\n| class | precision | recall (95 % interval) | F1 | AUC (95 % interval) | images "
          "|\n|---|---|---|---|---|---|\n",
          out);
    for (int k = 0; k < r->classes; k++) {
        const pulmo_class_metrics *c = &m->per_class[k];
        fputs("| ", out);
        put(out, r->class_names[k]);
        fprintf(out, " | %.4f | ", c->precision);
        pulmo_interval_print(out, c->sensitivity);
        fprintf(out, " | %.4f | ", c->f1);
        pulmo_interval_print(out, c->auc_ci);
        fprintf(out, " | %u |\n", c->support);
    }
    fputs(
        "\nIntervals: by image Wilson's and DeLong's; by patient, where some have several images, "
        "from the variance between patients and Obuchowski's.\n\n",
        out);
}

/* How far cues tell the class that they tell best, and the model beside them. */
static void shortcuts(FILE *out, const report *r)
{
    const pulmo_audit *audit = &r->audit;
    const int worst = pulmo_audit_worst(audit);
    if (worst < 0)
        return;
    const pulmo_cue_model *model = &audit->model[worst];
    fputs("## Shortcuts\n\n", out);
    if (audit_is_loud(r))
        fputs("**The way the images were made tells the classes without a look at a lung; the "
              "model may have learned that.** Evaluate it on films of another place.\n\n",
              out);
    fputs("| ", out);
    put(out, r->class_names[model->class]);
    fputs(" against the rest | value | 95 % interval |\n|---|---|---|\n", out);
    row(out, "AUC of cues alone, training images of patients left out", model->auc);
    if (audit->splits > 0) {
        const pulmo_audit_split *split = &audit->split[audit->splits - 1];
        const pulmo_cue_figures *f = &split->figures[worst];
        row(out, "AUC of cues alone", f->cues);
        row(out, "AUC of the model among images alike in cues", f->alike);
        row(out, "rank correlation of both scores", (pulmo_interval){f->correlation, NAN, NAN});
        fprintf(out, "\nBut for the first, on %s.", split->name);
    }
    fputs(" Cues are numbers of an image that know no anatomy: sharpness, tones, borders.\n\n",
          out);
}

/* "3 patients in several splits" */
static void put_count(FILE *out, const report_lines *lines, const char *what, const char *rest)
{
    fprintf(out, "%llu %s%s%s", (unsigned long long)lines->count, what, pulmo_plural(lines->count),
            rest);
}

static void audit(FILE *out, const report *r)
{
    fputs("\n\nLeak audit: ", out);
    if (r->patients_partly)
        fputs("patients are unknown for some images; of the known ones ", out);
    if (r->patients_unknown)
        fputs("patients unknown; ", out);
    else
        put_count(out, &r->shared_patients, "patient", " and ");
    put_count(out, &r->leaks, "picture", " in several splits; ");
    if (!r->patients_unknown)
        put_count(out, &r->mixed_patients, "patient", " in several classes; ");
    fprintf(out, "%llu identical and ", (unsigned long long)r->identical.count);
    put_count(out, &r->similar, "nearly identical picture", "; ");
    put_count(out, &r->refused, "file", " refused.\n");
}

static void data(FILE *out, const report *r)
{
    if (!r->has_data)
        return;
    fputs("## Data\n\n| split | images | patients |", out);
    for (int k = 0; k < r->classes; k++) {
        fputc(' ', out);
        put(out, r->class_names[k]);
        fputs(" |", out);
    }
    fputs("\n|---|---|---|", out);
    for (int k = 0; k < r->classes; k++)
        fputs("---|", out);
    for (int p = 0; p < PULMO_SPLITS; p++) {
        if (!r->part[p].present)
            continue;
        fprintf(out, "\n| %s | %lld | ", pulmo_split_name(p), (long long)r->part[p].count);
        if (r->patients_unknown)
            fputs("unknown |", out);
        else
            fprintf(out, "%lld |", (long long)r->part[p].patients);
        for (int k = 0; k < r->classes; k++)
            fprintf(out, " %lld |", (long long)r->part[p].images[k]);
    }
    audit(out, r);
    if (r->fold >= 0)
        fprintf(out,
                "Cross-validation: of the split train, fold %lld is the test here, the next fold "
                "val.\n",
                (long long)r->fold);
    if (*r->patients_by) {
        fputs("Patients by: ", out);
        put(out, r->patients_by);
        fputs(".\n", out);
    }
    if (*r->carve) {
        fputs("Splits: ", out);
        put(out, r->carve);
        fputs(".\n", out);
    }
    if (*r->data_digest)
        fprintf(out, "SHA-256 of the packed splits: `%.64s`\n", r->data_digest);
    fputc('\n', out);
}

static void recipe(FILE *out, const report *r)
{
    fputs("## Recipe\n\n", out);
    if (r->folds > 0)
        fprintf(out,
                "Cross-validation: each image was scored by the model of its own fold, which had "
                "not seen it; %lld models, none of which is kept here. Each: ",
                (long long)r->folds);
    else if (r->models > 1)
        fprintf(out,
                "The mean of the probabilities of %lld models, each with its own head. The first: ",
                (long long)r->models);
    if (r->trained_convolutions > 0)
        fprintf(out, "VGG16's convolutions, all but the last %lld frozen",
                (long long)r->trained_convolutions);
    else
        fputs("VGG16's convolutions, frozen", out);
    if (*r->weights_digest)
        fprintf(out, " (weights SHA-256 `%.64s`)", r->weights_digest);
    fputs(", and a trained head", out);
    if (*r->head_digest)
        fprintf(out, " (SHA-256 `%.64s`)", r->head_digest);
    if (r->epochs > 0)
        fprintf(out, ". Epochs trained: %llu", (unsigned long long)r->epochs);
    if (r->folds == 0)
        fprintf(out, "%s: epoch %d", r->epochs > 0 ? "; kept" : ". Kept", r->best_epoch);
    fputs(".\n", out);
    if (r->classes == 2) {
        fputs("Positive class: ", out);
        put(out, r->class_names[r->positive.index]);
        if (r->positive.by == PULMO_POSITIVE_ORDER)
            fputs(", the last one, since nothing told which is the finding", out);
        fprintf(out, "; called from probability %.4f on (rule: ", r->threshold);
        put(out, r->threshold_rule);
        fputs(").", out);
    }
    if (r->temperature != 1)
        fprintf(out, " Logits are divided by the temperature %.4f, fitted on val.", r->temperature);
    if (*r->config)
        fprintf(out, "\n\n```yaml\n%s```\n\n", r->config);
    else
        fputs("\n\n", out);
}

void model_card(FILE *out, const report *r)
{
    char input[PULMO_FRAMING_WORDS];
    fputs("# Model card: ", out);
    put(out, r->title);
    fputs("\n\n**Research software, not a medical device.** Not for diagnosis or any decision "
          "about a patient.\n\n",
          out);
    if (r->is_demo)
        fputs("**DEMO data:** drawn by a program; nothing here says anything about medicine.\n\n",
              out);
    fputs("## What it does\n\nGives a chest X-ray one of these classes with a probability: ", out);
    for (int k = 0; k < r->classes; k++) {
        if (k > 0)
            fputs(", ", out);
        put(out, r->class_names[k]);
    }
    pulmo_framing_input(&r->framing, input);
    fprintf(out, ".\nInput: %s %lld x %lld px. Made with pulmo %s", input, (long long)r->size_px,
            (long long)r->size_px, r->version);
    if (*r->ended)
        fprintf(out, ", %s", r->date);
    fputs(".\n\n", out);
    data(out, r);
    recipe(out, r);
    for (int i = 0; i < r->splits; i++)
        performance(out, r, &r->split[i]);
    shortcuts(out, r);
    fputs("## Limits\n\n"
          "- The figures hold for images like those of the test split: the same sources, devices "
          "and mix of patients. Other hospitals' "
          "images are harder.\n"
          "- Predictive values change with how common a finding is.\n",
          out);
    if (r->patients_unknown)
        fputs("- Patients are unknown: one may stand in several splits, and the figures "
              "may be too good.\n",
              out);
    else if (r->patients_partly)
        fputs("- Patients are unknown for some images: one may stand in several splits, and the "
              "figures may be too good.\n",
              out);
    else
        fputs("- Patients are told from file names; where those mislead, one patient may stand in "
              "several splits.\n",
              out);
    fputs("- It knows no other finding than its classes, and gives every image one of them, "
          "whatever it shows.\n"
          "- Probabilities are as good as the calibration error says, on data like this.\n"
          "- It has not been tested for differences between ages, sexes or devices.\n",
          out);
}
