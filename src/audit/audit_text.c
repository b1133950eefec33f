/* What an audit found, in lines for the end of a run. */
#include "audit_room.h"

#include <math.h>

#include "pulmo/text.h"

static void print_area(FILE *out, pulmo_interval it)
{
    if (isnan(it.value))
        fputs("undefined", out);
    else
        fprintf(out, "%.4f", it.value);
    if (!isnan(it.low))
        fprintf(out, " (%.4f\u2013%.4f)", it.low, it.high);
}

static void print_number(FILE *out, double value)
{
    if (isnan(value))
        fputs("undefined", out);
    else
        fprintf(out, "%.2f", value);
}

/* Quiet where cues tell little. */
static void print_headline(FILE *out, const pulmo_cue_model *model, const char *class)
{
    const bool loud = model->auc.value > PULMO_AUDIT_LOUD;
    fputs(loud ? "SHORTCUTS: the way the images were made tells " : "Shortcut audit: cues tell ",
          out);
    pulmo_text_show(out, class, SIZE_MAX);
    fputs(" with AUC ", out);
    print_area(out, model->auc);
    fputs(" without a look at a lung", out);
    if (loud) {
        int order[PULMO_CUES];
        pulmo_audit_order(model, order);
        fprintf(out, ", most by %s", pulmo_cue_words(order[0]));
    }
    fputc('\n', out);
}

static void print_split(FILE *out, const pulmo_audit_split *split, const pulmo_cue_figures *f)
{
    fprintf(out, "  %s: cues AUC ", split->name);
    print_area(out, f->cues);
    fputs(", rank correlation with the model's scores ", out);
    print_number(out, f->correlation);
    fprintf(out,
            "\n    among images alike in cues (%.0f of %.0f of the class have one): ", f->compared,
            f->positives);
    fputs("the model's AUC ", out);
    print_area(out, f->alike);
    fputs(", cues' ", out);
    print_number(out, f->cues_alike.value);
    fputs("; over all ", out);
    print_area(out, f->model);
    fputc('\n', out);
}

void pulmo_audit_print(FILE *out, const pulmo_audit *audit, const char *const *class_names)
{
    const int worst = pulmo_audit_worst(audit);
    if (worst < 0)
        return;
    const pulmo_cue_model *model = &audit->model[worst];
    print_headline(out, model, class_names[model->class]);
    for (int i = 0; i < audit->splits; i++)
        print_split(out, &audit->split[i], &audit->split[i].figures[worst]);
}
