/* What a pack says of itself: printed, in leaks.txt, in the manifest. */
#include <stdio.h>
#include <stdlib.h>

#include "judge.h"
#include "packing.h"
#include "tabled.h"
#include "ways.h"

#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

#define LEAKS_SHOWN 20

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

static uint32_t images_of(const pack_plan *plan)
{
    const uint32_t *count = plan->count;
    return count[0] + count[1] + count[2];
}

/* Patients of each split, as in "train 247, val 62". */
static void name_patients(const pack_plan *plan, char *text, size_t bytes)
{
    const char *between = "";
    size_t at = 0;
    for (int s = 0; s < PULMO_SPLITS && at < bytes; s++) {
        const char *name = pulmo_split_name(s);
        if (plan->count[s] == 0)
            continue;
        at += (size_t)snprintf(text + at, bytes - at, "%s%s %u", between, name, plan->patients[s]);
        between = ", ";
    }
}

/* Patients of each split and how they were told; a loud line where they were not. */
static void report_patients(const packing *p)
{
    const pack_plan *plan = &p->plan;
    char splits[128] = "";
    const char *first = "";
    for (int s = PULMO_SPLITS - 1; s >= 0; s--)
        judge_unknown(&p->list, s, &first);
    name_patients(plan, splits, sizeof splits);
    if (p->list.nameless > 0)
        pulmo_info("%zu DICOM file%s without a PatientID", p->list.nameless,
                   pulmo_plural(p->list.nameless));
    if (plan->patients_all > 0)
        pulmo_info("patients: %u (%s), told by %s", plan->patients_all, splits, plan->patients_by);
    if (plan->unknown == 0)
        return;
    if (p->options.config->pack.patients_unknown) {
        pulmo_info("patients unknown, as --patients-unknown says: %u of %u image%s count as a "
                   "patient each; scores may be too good",
                   plan->unknown, images_of(plan), pulmo_plural(images_of(plan)));
        return;
    }
    pulmo_warn("PATIENTS UNKNOWN: the names of %u of %u image%s tell none, such as %s: one "
               "patient may stand in several splits, and scores may be too good. "
               "pack.group_pattern finds patients in such paths; --patients-unknown says that "
               "they are not known",
               plan->unknown, images_of(plan), pulmo_plural(images_of(plan)), first);
}

static uint32_t images_of_class(const pack_plan *plan, int s, int class)
{
    const uint32_t *order = plan->order[s];
    uint32_t images = 0;
    for (uint32_t i = 0; i < plan->count[s]; i++)
        images += plan->label[order[i]] == class;
    return images;
}

static void report_split(const pack_plan *plan, int s)
{
    char text[512] = "";
    size_t at = 0;
    for (int k = 0; k < plan->classes && at < sizeof text; k++) {
        const char *class = plan->class_names[k];
        uint32_t images = images_of_class(plan, s, k);
        at += (size_t)snprintf(text + at, sizeof text - at, "  %s %u", class, images);
    }
    if (plan->count[s] > 0)
        pulmo_info("%-5s %6u image%s %s", pulmo_split_name(s), plan->count[s],
                   pulmo_plural(plan->count[s]), text);
}

static void report_notes(const pack_plan *plan)
{
    const text_lines *notes = &plan->split_notes;
    const text_lines *warnings = &plan->warnings;
    char *const *path = plan->refused_paths.text;
    char *const *reason = plan->refused_reasons.text;
    for (size_t i = 0; i < notes->count; i++)
        pulmo_info("%s", notes->text[i]);
    for (size_t i = 0; i < warnings->count; i++)
        pulmo_warn("%s", warnings->text[i]);
    if (plan->profiled > 0)
        pulmo_info("colour profiles and gamma are ignored; images that have one: %u",
                   plan->profiled);
    for (size_t i = 0; i < plan->refused_paths.count; i++)
        pulmo_info("refused: %s: %s", path[i], reason[i]);
}

void packing_report(const packing *p)
{
    const pack_plan *plan = &p->plan;
    for (int s = 0; s < PULMO_SPLITS; s++)
        report_split(plan, s);
    report_patients(p);
    report_notes(plan);
    show_lines("byte-identical files", &plan->identical, 5);
    show_lines("near duplicates (kept in one split where pulmo split the set)", &plan->similar, 5);
    show_lines("patients in several splits", &plan->shared_patients, 5);
    show_lines("patients in several classes", &plan->mixed_patients, 5);
    bool all = p->old && p->options.config->pack.leaks == PULMO_LEAKS_FAIL;
    show_lines("leaks between splits", &plan->leaks, all ? SIZE_MAX : LEAKS_SHOWN);
}

static void write_lines(FILE *stream, const text_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        pulmo_text_show(stream, lines->text[i], SIZE_MAX);
        fputc('\n', stream);
    }
}

/* DEST stays as it is, and so do its options. */
static pulmo_status refuse_added_leaks(const packing *p)
{
    const text_lines *leaks = &p->plan.leaks;
    return pulmo_fail(PULMO_DATA,
                      "%s: with the new files, %zu leak%s between splits would make scores on val "
                      "and test too good; the first: %s (all are listed above). --update keeps the "
                      "options. Ways out: take the new files of these leaks out of the source, or "
                      "pack anew with --overwrite and --drop-leaks or --allow-leaks. %s is as it "
                      "was",
                      p->options.source, leaks->count, pulmo_plural(leaks->count), leaks->text[0],
                      p->options.destination);
}

pulmo_status packing_refuse_leaks(packing *p)
{
    if (p->old)
        return refuse_added_leaks(p);
    const text_lines *leaks = &p->plan.leaks;
    const char *destination = p->options.destination;
    pulmo_text text = {0};
    char *path = pulmo_format("%s/leaks.txt", destination);
    pulmo_status status = path ? pulmo_text_open(&text) : PULMO_MEMORY;
    if (status == PULMO_OK) {
        write_lines(text.stream, leaks);
        status = pulmo_text_write(&text, path);
    }
    free(path);
    PULMO_TRY(status);
    return pulmo_fail(
        PULMO_DATA,
        "%s: %zu leak%s between splits would make scores on val and test too good; "
        "the first: %s (all: %s/leaks.txt). "
        "Ways out: --drop-leaks leaves them out of train; %s; %s; --allow-leaks packs "
        "them as they are. What is decoded is kept",
        p->options.source, leaks->count, pulmo_plural(leaks->count), leaks->text[0], destination,
        ways_to_split(&p->list, p->options.config), ways_to_patients(&p->list));
}

/* How splits were made: notes, then warnings. Owned by the caller. */
static pulmo_status join_notes(const pack_plan *plan, char **out)
{
    text_lines all = {0};
    pulmo_status status = lines_append(&all, &plan->split_notes);
    if (status == PULMO_OK)
        status = lines_append(&all, &plan->warnings);
    if (status == PULMO_OK)
        status = lines_join(&all, "; ", out);
    lines_free(&all);
    return status;
}

pulmo_status packing_write_manifest(const packing *p)
{
    const pack_plan *plan = &p->plan;
    pulmo_packed_split present[PULMO_SPLITS];
    char *notes = NULL;
    PULMO_TRY(join_notes(plan, &notes));
    char *config = pulmo_config_section_lines(p->visible, "pack");
    pulmo_manifest manifest = {.form = p->form,
                               .split = present,
                               .split_notes = notes,
                               .pseudonyms = p->list.key_name,
                               .options = p->options_text,
                               .config = config,
                               .refused_paths = as_lines(&plan->refused_paths),
                               .refused_reasons = as_lines(&plan->refused_reasons),
                               .identical = as_lines(&plan->identical),
                               .similar = as_lines(&plan->similar),
                               .shared_patients = as_lines(&plan->shared_patients),
                               .mixed_patients = as_lines(&plan->mixed_patients),
                               .patients = plan_patients(plan),
                               .patients_by = plan->patients_by,
                               .leaks = as_lines(&plan->leaks)};
    for (int s = 0; s < PULMO_SPLITS; s++) {
        if (p->split[s].count == 0)
            continue;
        present[manifest.splits] = p->split[s];
        manifest.splits++;
    }
    tabled_describe(&p->list, &manifest);
    pulmo_status status = PULMO_MEMORY;
    if (config)
        status = pulmo_manifest_write(p->options.destination, &manifest);
    free(notes);
    free(config);
    return status;
}
