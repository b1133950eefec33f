/* pulmo audit: a pack as far as its plan, and what it found. Nothing is packed; what is decoded
 * lies in a scratch directory meanwhile. */
#include "findings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alike.h"
#include "audit.h"
#include "headers.h"
#include "judge.h"
#include "ways.h"

#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

#define SHOWN 20 /* lines of each finding in text; JSON has all */

/* ---- looking ---- */

/* What pack would refuse is a finding, and the look goes on. */
static pulmo_status take_refusal(findings *f, pulmo_status status)
{
    if (status != PULMO_DATA && status != PULMO_CONFIG && status != PULMO_USAGE)
        return status;
    PULMO_TRY(lines_add(&f->refusals, "%s", pulmo_error()));
    pulmo_error_clear();
    return PULMO_OK;
}

static pulmo_status judge_bad(const packing *p)
{
    const pack_plan *plan = &p->plan;
    if (plan->bad == 0 || p->options.config->pack.on_bad != PULMO_ON_BAD_FAIL)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%zu file%s cannot be used and pack.on_bad is fail", plan->bad,
                      pulmo_plural(plan->bad));
}

static pulmo_status judge_leaks(const packing *p)
{
    const size_t leaks = p->plan.leaks.count;
    if (leaks == 0 || p->options.config->pack.leaks != PULMO_LEAKS_FAIL)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA,
                      "%s: %zu leak%s between splits. Ways out: --drop-leaks leaves them out of "
                      "train; %s; %s; --allow-leaks packs them as they are",
                      p->list.root, leaks, pulmo_plural(leaks),
                      ways_to_split(&p->list, p->options.config), ways_to_patients(&p->list));
}

static pulmo_status plan_source(findings *f)
{
    packing *p = f->p;
    near_pair *near = NULL;
    size_t count = 0;
    PULMO_TRY(audit_near(&p->store, &near, &count));
    const pulmo_status status = plan_make(&p->store, near, count, p->options.config, &p->plan);
    free(near);
    PULMO_TRY(take_refusal(f, status));
    PULMO_TRY(take_refusal(f, judge_bad(p)));
    return take_refusal(f, judge_leaks(p));
}

static pulmo_status look(findings *f)
{
    packing *p = f->p;
    PULMO_TRY(packing_list(p));
    PULMO_TRY(plan_classes(&p->list, &p->plan));
    PULMO_TRY(take_refusal(f, plan_judge_classes(&p->list, &p->plan)));
    PULMO_TRY(alike_classes(&p->plan, &p->list.notes));
    PULMO_TRY(packing_make_key(p));
    PULMO_TRY(packing_decode(p));
    PULMO_TRY(packing_open_store(p));
    PULMO_TRY(headers_apply(&p->store, &p->list));
    PULMO_TRY(take_refusal(f, judge_headers(&p->list, p->options.config)));
    return plan_source(f);
}

/* ---- telling ---- */

bool findings_are(const findings *f)
{
    const pack_plan *plan = &f->p->plan;
    const text_lines *const all[] = {
        &plan->refused_paths,  &plan->identical, &plan->similar, &plan->shared_patients,
        &plan->mixed_patients, &plan->leaks,     &f->refusals};
    for (size_t i = 0; i < PULMO_COUNT_OF(all); i++)
        if (all[i]->count > 0)
            return true;
    return false;
}

static void show_line(const char *text)
{
    fputs("  ", stdout);
    pulmo_text_show(stdout, text, SIZE_MAX);
    fputc('\n', stdout);
}

static void show_lines(const char *title, const text_lines *lines)
{
    if (lines->count == 0)
        return;
    printf("%s: %zu\n", title, lines->count);
    for (size_t i = 0; i < lines->count && i < SHOWN; i++)
        show_line(lines->text[i]);
    if (lines->count > SHOWN)
        printf("  ... %zu more (--format json has all)\n", lines->count - SHOWN);
}

static void show_split(const findings *f, int split)
{
    const pack_plan *plan = &f->p->plan;
    if (plan->count[split] == 0)
        return;
    printf("%-5s %6u image%s of %u known patient%s:", pulmo_split_name(split), plan->count[split],
           pulmo_plural(plan->count[split]), plan->patients[split],
           pulmo_plural(plan->patients[split]));
    for (int k = 0; k < plan->classes; k++) {
        fputs("  ", stdout);
        pulmo_text_show(stdout, plan->class_names[k], SIZE_MAX);
        printf(" %u", findings_images(f, split, k));
    }
    fputc('\n', stdout);
}

static void show_patients(const pack_plan *plan)
{
    if (plan->patients_by)
        printf("patients: %u known, told by %s\n", plan->patients_all, plan->patients_by);
    if (plan->unknown > 0)
        printf("images whose patient is not known: %u; pack.group_pattern finds patients in "
               "paths\n",
               plan->unknown);
}

static void show_unusable(const pack_plan *plan)
{
    if (plan->refused_paths.count == 0)
        return;
    printf("files that cannot be used, or are left out: %zu\n", plan->refused_paths.count);
    for (size_t i = 0; i < plan->refused_paths.count && i < SHOWN; i++) {
        fputs("  ", stdout);
        pulmo_text_show(stdout, plan->refused_paths.text[i], SIZE_MAX);
        fputs(": ", stdout);
        pulmo_text_show(stdout, plan->refused_reasons.text[i], SIZE_MAX);
        fputc('\n', stdout);
    }
    if (plan->refused_paths.count > SHOWN)
        printf("  ... %zu more (--format json has all)\n", plan->refused_paths.count - SHOWN);
}

static void show(const findings *f)
{
    const pack_plan *plan = &f->p->plan;
    const source_list *list = &f->p->list;
    pulmo_text_show(stdout, list->root, SIZE_MAX);
    printf(": %zu file%s, %d class%s\n", list->count, pulmo_plural(list->count), plan->classes,
           plan->classes == 1 ? "" : "es");
    for (int s = 0; s < PULMO_SPLITS; s++)
        show_split(f, s);
    show_patients(plan);
    show_unusable(plan);
    show_lines("byte-identical files", &plan->identical);
    show_lines("the same or nearly the same picture", &plan->similar);
    show_lines("patients in several splits", &plan->shared_patients);
    show_lines("patients in several classes", &plan->mixed_patients);
    show_lines("leaks between splits", &plan->leaks);
    show_lines("left out", &list->table_notes);
    show_lines("notes", &list->notes);
    show_lines("splits", &plan->split_notes);
    show_lines("warnings", &plan->warnings);
    show_lines("pack would refuse this source", &f->refusals);
    if (f->refusals.count == 0)
        puts("pack would take this source");
}

/* ---- all of it ---- */

static pulmo_status make_scratch(char **out)
{
    const char *parent = getenv("TMPDIR");
    char *path = pulmo_format("%s/pulmo-audit-XXXXXX", parent && *parent ? parent : "/tmp");
    if (!path)
        return PULMO_MEMORY;
    *out = path;
    if (mkdtemp(path))
        return PULMO_OK;
    const int reason = errno;
    *out = NULL;
    pulmo_status status = pulmo_fail(PULMO_IO, "%s: cannot be made: %s", path, strerror(reason));
    free(path);
    return status;
}

static pulmo_status tell(const findings *f, pulmo_pack_findings how)
{
    if (how.json)
        findings_json(stdout, f);
    else
        show(f);
    if (!how.strict || !findings_are(f))
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: has findings, and --strict was given", f->p->list.root);
}

static pulmo_status audit_in(pulmo_comm *comm, const pulmo_pack_options *options,
                             const char *scratch, pulmo_pack_findings how)
{
    pulmo_status status = PULMO_OK;
    pulmo_pack_options own = *options;
    own.destination = scratch;
    findings f = {.p = packing_create(comm, &own, &status)};
    if (!f.p)
        return status;
    status = look(&f);
    if (status == PULMO_OK)
        status = tell(&f, how);
    lines_free(&f.refusals);
    packing_free(f.p);
    return status;
}

pulmo_status pulmo_pack_audit(pulmo_comm *comm, const pulmo_pack_options *options,
                              pulmo_pack_findings how)
{
    char *scratch = NULL;
    if (pulmo_comm_size(comm) > 1)
        return pulmo_fail(PULMO_USAGE, "audit is the work of one process; start it without mpirun");
    PULMO_TRY(make_scratch(&scratch));
    const pulmo_status status = audit_in(comm, options, scratch, how);
    (void)pulmo_directory_remove(scratch);
    free(scratch);
    return status;
}
