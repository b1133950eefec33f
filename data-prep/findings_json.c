/* What a pack would find, as one JSON object (RFC 8259). */
#include "findings.h"

#include <stdio.h>

/* Text is UTF-8 throughout: names that are none were spelled when they were listed. */
static void put_text(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *at = text; *at; at++) {
        const unsigned char byte = (unsigned char)*at;
        if (byte == '"' || byte == '\\')
            fprintf(out, "\\%c", byte);
        else if (byte < 0x20)
            fprintf(out, "\\u%04x", byte);
        else
            fputc(byte, out);
    }
    fputc('"', out);
}

static void put_key(FILE *out, const char *key)
{
    put_text(out, key);
    fputs(": ", out);
}

static void put_texts(FILE *out, const char *key, size_t count, char *const *texts)
{
    fputs(", ", out);
    put_key(out, key);
    fputc('[', out);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? ", " : "", out);
        put_text(out, texts[i]);
    }
    fputc(']', out);
}

static void put_lines(FILE *out, const char *key, const text_lines *lines)
{
    put_texts(out, key, lines->count, lines->text);
}

/* Refused files from `first` to `end`, with the reason of each. */
static void put_files(FILE *out, const char *key, const pack_plan *plan, size_t first, size_t end)
{
    fputs(", ", out);
    put_key(out, key);
    fputc('[', out);
    for (size_t i = first; i < end; i++) {
        fputs(i > first ? ", {\"path\": " : "{\"path\": ", out);
        put_text(out, plan->refused_paths.text[i]);
        fputs(", \"reason\": ", out);
        put_text(out, plan->refused_reasons.text[i]);
        fputc('}', out);
    }
    fputc(']', out);
}

static void put_split(FILE *out, const findings *f, int split)
{
    const pack_plan *plan = &f->p->plan;
    put_key(out, pulmo_split_name(split));
    fprintf(out, "{\"images\": %u, \"patients\": %u, \"classes\": {", plan->count[split],
            plan->patients[split]);
    for (int k = 0; k < plan->classes; k++) {
        fputs(k > 0 ? ", " : "", out);
        put_key(out, plan->class_names[k]);
        fprintf(out, "%u", findings_images(f, split, k));
    }
    fputs("}}", out);
}

static void put_splits(FILE *out, const findings *f)
{
    const char *between = "";
    fputs(", \"splits\": {", out);
    for (int s = 0; s < PULMO_SPLITS; s++) {
        if (f->p->plan.count[s] == 0)
            continue;
        fputs(between, out);
        put_split(out, f, s);
        between = ", ";
    }
    fputc('}', out);
}

static void put_patients(FILE *out, const pack_plan *plan)
{
    fprintf(out, ", \"patients\": {\"known\": %u, \"images_of_unknown\": %u, \"told_by\": ",
            plan->patients_all, plan->unknown);
    put_text(out, plan->patients_by ? plan->patients_by : "");
    fputc('}', out);
}

void findings_json(FILE *out, const findings *f)
{
    const pack_plan *plan = &f->p->plan;
    fputs("{\"source\": ", out);
    put_text(out, f->p->list.root);
    fprintf(out, ", \"files\": %zu", f->p->list.count);
    put_texts(out, "classes", (size_t)plan->classes, plan->class_names);
    put_splits(out, f);
    put_patients(out, plan);
    put_files(out, "unusable", plan, 0, plan->bad);
    put_files(out, "dropped", plan, plan->bad, plan->refused_paths.count);
    put_lines(out, "identical", &plan->identical);
    put_lines(out, "similar", &plan->similar);
    put_lines(out, "patients_in_several_splits", &plan->shared_patients);
    put_lines(out, "patients_in_several_classes", &plan->mixed_patients);
    put_lines(out, "leaks", &plan->leaks);
    put_lines(out, "left_out", &f->p->list.table_notes);
    put_lines(out, "notes", &plan->split_notes);
    put_lines(out, "warnings", &plan->warnings);
    put_lines(out, "source_notes", &f->p->list.notes);
    put_lines(out, "pack_refuses", &f->refusals);
    fputs("}\n", out);
}
