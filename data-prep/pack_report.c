/* What a pack says of itself: printed, in leaks.txt, in the manifest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "packing.h"
#include "tabled.h"

#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

static pulmo_lines as_lines(const text_lines *lines)
{
    return (pulmo_lines){.count = lines->count, .text = (const char *const *)lines->text};
}

static void show_lines(const char *title, const text_lines *lines, size_t most)
{
    if (lines->count == 0)
        return;
    pulmo_info("%s: %zu", title, lines->count);
    for (size_t i = 0; i < lines->count && i < most; i++)
        pulmo_info("  %s", lines->text[i]);
    if (lines->count > most)
        pulmo_info("  ... %zu more in manifest.h5", lines->count - most);
}

/* Patients of each split and how they were told; a loud line where they were not. */
static void report_patients(const packing *p)
{
    const pack_plan *plan = &p->plan;
    char splits[128] = "";
    const char *first = "";
    for (int s = PULMO_SPLITS - 1; s >= 0; s--)
        judge_unknown(&p->list, s, &first);
    for (int s = 0; s < PULMO_SPLITS; s++) {
        size_t at = strlen(splits);
        if (plan->count[s] > 0)
            snprintf(splits + at, sizeof splits - at, "%s%s %u", at ? ", " : "",
                     pulmo_split_name(s), plan->patients[s]);
    }
    if (plan->patients_all > 0)
        pulmo_info("patients: %u (%s), told by %s", plan->patients_all, splits, plan->patients_by);
    if (plan->unknown > 0)
        pulmo_warn("PATIENTS UNKNOWN: the names of %u of %u images tell none, such as %s: one "
                   "patient may stand in several splits, and scores may be too good. "
                   "pack.group_pattern finds patients in such paths; --patients-unknown says that "
                   "they are not known",
                   plan->unknown, plan->count[0] + plan->count[1] + plan->count[2], first);
}

void packing_report(const packing *p)
{
    const pack_plan *plan = &p->plan;
    for (int s = 0; s < PULMO_SPLITS; s++) {
        char text[512] = "";
        size_t at = 0;
        for (int k = 0; k < plan->classes && at < sizeof text; k++) {
            uint32_t images = 0;
            for (uint32_t i = 0; i < plan->count[s]; i++)
                images += plan->label[plan->order[s][i]] == k;
            at += (size_t)snprintf(text + at, sizeof text - at, "  %s %u", plan->class_names[k],
                                   images);
        }
        if (plan->count[s] > 0)
            pulmo_info("%-5s %6u images %s", pulmo_split_name(s), plan->count[s], text);
    }
    report_patients(p);
    for (size_t i = 0; i < plan->split_notes.count; i++)
        pulmo_info("%s", plan->split_notes.text[i]);
    for (size_t i = 0; i < plan->warnings.count; i++)
        pulmo_warn("%s", plan->warnings.text[i]);
    for (size_t i = 0; i < plan->refused_paths.count; i++)
        pulmo_info("refused: %s: %s", plan->refused_paths.text[i], plan->refused_reasons.text[i]);
    show_lines("byte-identical files", &plan->identical, 5);
    show_lines("near duplicates (kept in one split where pulmo split the set)", &plan->similar, 5);
    show_lines("patients in several splits", &plan->shared_patients, 5);
    show_lines("patients in several classes", &plan->mixed_patients, 5);
    show_lines("leaks between splits", &plan->leaks, 20);
}

pulmo_status packing_refuse_leaks(const packing *p)
{
    pulmo_text text = {0};
    char *path = pulmo_format("%s/leaks.txt", p->options.destination);
    pulmo_status status = path ? pulmo_text_open(&text) : PULMO_MEMORY;
    if (status == PULMO_OK) {
        for (size_t i = 0; i < p->plan.leaks.count; i++)
            fprintf(text.stream, "%s\n", p->plan.leaks.text[i]);
        status = pulmo_text_write(&text, path);
    }
    free(path);
    PULMO_TRY(status);
    return pulmo_fail(PULMO_DATA,
                      "%s: %zu leaks between splits would make scores on val and test too good; "
                      "the first: %s (all: %s/leaks.txt). "
                      "Ways out: --drop-leaks leaves them out of train; class folders without "
                      "train/ val/ test/ and --val-fraction, --test-fraction give "
                      "splits that do not leak; pack.group_pattern finds patients by another rule; "
                      "--allow-leaks packs them as they are. What is decoded "
                      "is kept",
                      p->options.source, p->plan.leaks.count, p->plan.leaks.text[0],
                      p->options.destination);
}

/* Adds lines to a text in which they are parted by "; ". */
static void join_lines(const text_lines *lines, char *text, size_t bytes)
{
    for (size_t i = 0; i < lines->count; i++) {
        size_t at = strlen(text);
        snprintf(text + at, bytes - at, "%s%s", at ? "; " : "", lines->text[i]);
    }
}

pulmo_status packing_write_manifest(const packing *p)
{
    const pack_plan *plan = &p->plan;
    pulmo_packed_split present[PULMO_SPLITS];
    char notes[1024] = "";
    join_lines(&plan->split_notes, notes, sizeof notes);
    join_lines(&plan->warnings, notes, sizeof notes);
    pulmo_manifest manifest = {.form = p->form,
                               .split = present,
                               .split_notes = notes,
                               .options = p->options_text,
                               .refused_paths = as_lines(&plan->refused_paths),
                               .refused_reasons = as_lines(&plan->refused_reasons),
                               .identical = as_lines(&plan->identical),
                               .similar = as_lines(&plan->similar),
                               .shared_patients = as_lines(&plan->shared_patients),
                               .mixed_patients = as_lines(&plan->mixed_patients),
                               .patients = plan_patients(plan),
                               .patients_by = plan->patients_by,
                               .leaks = as_lines(&plan->leaks)};
    for (int s = 0; s < PULMO_SPLITS; s++)
        if (p->split[s].count > 0)
            present[manifest.splits++] = p->split[s];
    tabled_describe(&p->list, &manifest);
    return pulmo_manifest_write(p->options.destination, &manifest);
}
