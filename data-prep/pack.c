/* pulmo pack: list, decode into parts, plan, write shards, publish them with a manifest.
 *
 * Every rank lists the source and makes the same plan; decoding and shards are shared out. What
 * the files hold depends on the source and the options alone. Each step finds what an interrupted
 * pack left of it (work.h) and resumes there. */
#include "pulmo/pack.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alike.h"
#include "audit.h"
#include "headers.h"
#include "judge.h"
#include "like.h"
#include "names.h"
#include "options.h"
#include "packing.h"
#include "seen.h"

#include "pulmo/dataset.h"
#include "pulmo/interrupt.h"
#include "pulmo/isa.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

static bool is_root(const packing *p)
{
    return pulmo_comm_rank(p->comm) == 0;
}

/* Does a step on rank 0; all ranks return its status. */
static pulmo_status on_root(packing *p, pulmo_status (*step)(packing *p))
{
    pulmo_status status = PULMO_OK;
    if (is_root(p))
        status = step(p);
    return pulmo_agree(p->comm, status);
}

/* ---- what was asked for ---- */

/* What decides whether a file has been touched. */
static void digest_times(const source_list *list, pulmo_digester *digester)
{
    for (size_t i = 0; i < list->count; i++) {
        const source_file *f = &list->file[i];
        pulmo_digester_add_text(digester, f->path);
        pulmo_digester_add(digester, &f->size_bytes, sizeof f->size_bytes);
        pulmo_digester_add(digester, &f->modified_ns, sizeof f->modified_ns);
    }
}

/* What is read of DICOM files; nothing where the keys are not given, as in packs made before them.
 */
static void digest_given(const source_list *list, const pulmo_config *c, pulmo_digester *digester)
{
    const pulmo_framing framing = framing_from(c);
    if (*framing.window)
        pulmo_digester_add_text(digester, framing.window);
    if (*framing.modalities)
        pulmo_digester_add_text(digester, framing.modalities);
    for (int h = 0; h < list->headers; h++)
        pulmo_digester_add_text(digester, pulmo_header_keyword(list->header[h]));
}

/* What decoded pixels depend on: files, size and manner of decoding. Splits and patterns may change
 * without harm. */
static void digest_decoding(const packing *p, const source_list *list, pulmo_digester *digester)
{
    const pulmo_config *c = p->options.config;
    const int64_t settings[] = {2, c->pack.size, c->pack.pixels_max, c->pack.decode};
    const int64_t framing[] = {c->pack.fit, c->pack.border};
    pulmo_digester_add(digester, settings, sizeof settings);
    if (c->pack.fit != PULMO_FIT_SQUASH || c->pack.border)
        pulmo_digester_add(digester, framing, sizeof framing);
    digest_given(&p->list, c, digester);
    digest_times(list, digester);
}

/* Of all files: whether any was touched since the pack. */
static pulmo_status make_key(packing *p)
{
    pulmo_digester *digester = NULL;
    PULMO_TRY(pulmo_digester_create(&digester));
    digest_decoding(p, &p->list, digester);
    p->key = pulmo_digester_end(digester);
    return PULMO_OK;
}

/* The files that are decoded: all, or the new ones. */
static const source_list *decoded(const packing *p)
{
    return p->old ? &p->old->fresh : &p->list;
}

/* Of the files that are decoded: parts of an update are no parts of a whole pack. */
pulmo_status packing_make_key(packing *p)
{
    pulmo_digester *digester = NULL;
    PULMO_TRY(pulmo_digester_create(&digester));
    if (p->old)
        pulmo_digester_add_text(digester, "update");
    digest_decoding(p, decoded(p), digester);
    p->parts_key = pulmo_digester_end(digester);
    return PULMO_OK;
}

/* Which images stand in which shard of a split. */
static void digest_split(const packing *p, int s, pulmo_digester *digester)
{
    const pulmo_packed_split *split = &p->split[s];
    size_t order_bytes = split->count * sizeof *p->plan.order[s];
    pulmo_digester_add(digester, &split->count, sizeof split->count);
    pulmo_digester_add(digester, p->plan.order[s], order_bytes);
    for (uint32_t shard = 0; shard <= split->shards; shard++) {
        uint32_t first = pulmo_packed_first(split, shard);
        pulmo_digester_add(digester, &first, sizeof first);
    }
}

/* What shards depend on: the options, what was decoded, the order, and where each shard begins. An
 * update and a whole pack of the same files have other shards of the same names. */
static pulmo_status digest_plan(const packing *p, pulmo_digest *out)
{
    pulmo_digester *digester = NULL;
    PULMO_TRY(pulmo_digester_create(&digester));
    pulmo_digester_add(digester, p->options_text, strlen(p->options_text));
    for (size_t i = 0; i < p->list.count; i++) {
        const image_record *record = &p->store.records[i];
        pulmo_digester_add(digester, &record->digest, sizeof record->digest);
        pulmo_digester_add(digester, &record->pixel_digest, sizeof record->pixel_digest);
    }
    for (int s = 0; s < PULMO_SPLITS; s++)
        digest_split(p, s, digester);
    *out = pulmo_digester_end(digester);
    return PULMO_OK;
}

/* ---- all of it ---- */

pulmo_status packing_list(packing *p)
{
    source_use use = {.tests = p->options.like};
    PULMO_TRY(work_name(p->options.destination, &p->place));
    if (p->options.update && !p->options.overwrite)
        PULMO_TRY(work_has_pack(&p->place, &use.updates));
    PULMO_TRY(pulmo_window_check(p->options.config->pack.window));
    return source_list_make(p->options.source, p->options.config, use, &p->list);
}

static pulmo_status name_classes(packing *p)
{
    if (p->options.like)
        return like_classes(p->options.like, &p->list, &p->plan);
    PULMO_TRY(plan_classes(&p->list, &p->plan));
    return plan_judge_classes(&p->list, &p->plan);
}

/* What depends on the names that are written. */
static pulmo_status name_local(packing *p)
{
    PULMO_TRY(names_hide(&p->list));
    PULMO_TRY(name_classes(p));
    PULMO_TRY(alike_classes(&p->plan, &p->list.notes));
    PULMO_TRY(make_key(p));
    PULMO_TRY(names_visible(&p->list, p->options.config, &p->visible));
    PULMO_TRY(options_describe(&p->list, p->visible, &p->options_text));
    return p->options.like ? like_describe(p->options.like, &p->options_text) : PULMO_OK;
}

/* Whether what was packed can still be opened. Pixels are --verify's matter. A shard that cannot be
 * read just now may be whole: PULMO_IO. */
static pulmo_status check_whole(const packing *p, bool *whole)
{
    pulmo_status status = PULMO_OK;
    for (int s = 0; s < PULMO_SPLITS && status == PULMO_OK; s++) {
        pulmo_dataset *dataset = NULL;
        status = pulmo_dataset_open(p->options.destination, pulmo_split_name(s), 1, &dataset);
        pulmo_dataset_close(dataset);
    }
    *whole = status == PULMO_OK;
    if (status == PULMO_OK || status == PULMO_IO)
        return status;
    pulmo_warn("%s: packing again", pulmo_error());
    pulmo_error_clear();
    return PULMO_OK;
}

/* What is to be done. */
enum { TO_PACK, TO_ADD, NOTHING_TO_DO };

/* Rank 0. */
static pulmo_status choose_task(packing *p, int *task)
{
    bool whole = false;
    int found = 0;
    PULMO_TRY(work_look(&p->place, p->options_text, &p->key, &found));
    *task = TO_PACK;
    if (found == 0 || p->options.overwrite)
        return PULMO_OK;
    if (found == 1) {
        PULMO_TRY(check_whole(p, &whole));
        *task = whole ? NOTHING_TO_DO : TO_PACK;
        return PULMO_OK;
    }
    *task = TO_ADD;
    if (p->options.update)
        return PULMO_OK;
    return pulmo_fail(PULMO_USAGE,
                      "%s: holds a pack of other files or options, or the files have been "
                      "touched since; choose another destination, add new files by --update, or "
                      "give --overwrite",
                      p->options.destination);
}

static pulmo_status write_seen(packing *p)
{
    return seen_write(p->options.destination, &p->key, &p->list);
}

/* Which files are new, beside the pack that is there. */
static pulmo_status find_new(packing *p, int *task)
{
    const char *destination = p->options.destination;
    pulmo_status status = update_open(destination, &p->list, p->visible, is_root(p), &p->old);
    PULMO_TRY(pulmo_agree(p->comm, status));
    PULMO_TRY(pulmo_agree(p->comm, headers_adopt(p->old, &p->list)));
    size_t added = p->old->fresh.count;
    if (is_root(p))
        pulmo_info("%s: %zu file%s %s new", destination, added, pulmo_plural(added),
                   pulmo_are(added));
    if (added > 0)
        return PULMO_OK;
    *task = NOTHING_TO_DO; /* but to remember the files' times */
    return on_root(p, write_seen);
}

/* Near duplicates are looked for by rank 0; all ranks hear of them. */
static pulmo_status find_near(packing *p, near_pair **pairs, size_t *count)
{
    pulmo_status status = PULMO_OK;
    if (is_root(p))
        status = audit_near(&p->store, pairs, count);
    PULMO_TRY(pulmo_agree(p->comm, status));
    PULMO_TRY(pulmo_bcast(p->comm, count, sizeof *count, 0));
    if (!is_root(p))
        *pairs = malloc((*count + 1) * sizeof **pairs);
    if (!*pairs && *count > 0)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for near duplicates");
    PULMO_TRY(pulmo_agree(p->comm, status));
    if (*count == 0)
        return PULMO_OK;
    size_t bytes = *count * sizeof **pairs;
    return pulmo_bcast(p->comm, *pairs, bytes, 0);
}

static pulmo_status plan_local(packing *p, const near_pair *near, size_t near_count)
{
    const pulmo_config *config = p->options.config;
    const pack_plan *plan = &p->plan;
    PULMO_TRY(plan_make(&p->store, near, near_count, config, &p->plan));
    if (p->options.like)
        PULMO_TRY(like_judge(&p->plan));
    if (plan->bad > 0 && config->pack.on_bad == PULMO_ON_BAD_FAIL)
        return pulmo_fail(PULMO_DATA,
                          "%zu file%s cannot be used and pack.on_bad is fail; the first: %s: %s",
                          plan->bad, pulmo_plural(plan->bad), plan->refused_paths.text[0],
                          plan->refused_reasons.text[0]);
    return packing_make_splits(p);
}

pulmo_status packing_open_store(packing *p)
{
    part_store *parts = p->old ? &p->added : &p->store;
    PULMO_TRY(parts_open(decoded(p), p->options.config, p->place.work, &p->parts_key, parts));
    parts->fresh = p->fresh;
    if (!p->old)
        return PULMO_OK;
    return update_store(p->old, p->options.destination, &p->added, &p->store);
}

/* Rank 0: shards of another plan are of no use. */
static pulmo_status keep_plan(packing *p)
{
    pulmo_digest digest;
    PULMO_TRY(digest_plan(p, &digest));
    return work_plan(&p->place, &digest);
}

static bool leaks_are(const packing *p, int manner)
{
    return p->plan.leaks.count > 0 && (int)p->options.config->pack.leaks == manner;
}

static pulmo_status read_headers(packing *p)
{
    PULMO_TRY(headers_apply(&p->store, &p->list));
    return judge_headers(&p->list, p->options.config);
}

static pulmo_status plan_all(packing *p)
{
    near_pair *near = NULL;
    size_t near_count = 0;
    pulmo_status status = pulmo_agree(p->comm, packing_open_store(p));
    if (status == PULMO_OK)
        status = pulmo_agree(p->comm, read_headers(p));
    if (status == PULMO_OK)
        status = find_near(p, &near, &near_count);
    if (status == PULMO_OK)
        status = pulmo_agree(p->comm, plan_local(p, near, near_count));
    free(near);
    PULMO_TRY(status);
    if (is_root(p))
        packing_report(p);
    if (leaks_are(p, PULMO_LEAKS_FAIL))
        return on_root(p, packing_refuse_leaks);
    return on_root(p, keep_plan);
}

static shard_names names_of(const packing *p, int s)
{
    return (shard_names){.split = pulmo_split_name(s),
                         .old_shards = p->old->split[s].cut.shards,
                         .shards = p->split[s].shards};
}

/* Old shards under their new names beside the old ones, and the new shards: until the manifest
 * follows, the older pack stays as it was. */
static pulmo_status move_added(const packing *p)
{
    for (int s = 0; s < PULMO_SPLITS; s++)
        if (p->old->split[s].cut.count > 0)
            PULMO_TRY(work_rename(&p->place, names_of(p, s)));
    return work_move(&p->place);
}

static void remove_renamed(const packing *p)
{
    for (int s = 0; s < PULMO_SPLITS; s++)
        if (p->old->split[s].cut.count > 0)
            work_remove_renamed(&p->place, names_of(p, s));
}

static pulmo_status publish(packing *p)
{
    size_t leaks = p->plan.leaks.count;
    if (!p->old)
        PULMO_TRY(work_publish(&p->place, &p->key, &p->list));
    else
        PULMO_TRY(move_added(p));
    PULMO_TRY(packing_write_manifest(p));
    if (p->old) {
        remove_renamed(p);
        PULMO_TRY(write_seen(p));
    }
    work_end(&p->place);
    if (leaks_are(p, PULMO_LEAKS_ALLOW))
        pulmo_warn("%zu %s allowed: scores on val and test will be too good", leaks,
                   leaks == 1 ? "leak between splits is" : "leaks between splits are");
    return PULMO_OK;
}

static void show_notes(const packing *p)
{
    const text_lines *notes = &p->list.notes;
    const text_lines *table_notes = &p->list.table_notes;
    for (size_t i = 0; i < notes->count; i++)
        pulmo_warn("%s", notes->text[i]);
    for (size_t i = 0; i < table_notes->count; i++)
        pulmo_info("%s", table_notes->text[i]);
}

static pulmo_status agree_on_task(packing *p, int *task)
{
    pulmo_status status = PULMO_OK;
    if (is_root(p))
        status = choose_task(p, task);
    PULMO_TRY(pulmo_agree(p->comm, status));
    PULMO_TRY(pulmo_bcast(p->comm, task, sizeof *task, 0));
    if (*task == TO_ADD)
        return find_new(p, task);
    return PULMO_OK;
}

/* Rank 0. */
static pulmo_status begin_work(packing *p)
{
    return work_begin(&p->place, p->options.source, &p->parts_key);
}

pulmo_status packing_decode(packing *p)
{
    const char *work = p->place.work;
    PULMO_TRY(on_root(p, begin_work));
    return parts_fill(p->comm, decoded(p), &p->options, work, &p->parts_key, &p->fresh);
}

static pulmo_status do_work(packing *p)
{
    PULMO_TRY(packing_decode(p));
    PULMO_TRY(plan_all(p));
    PULMO_TRY(pulmo_agree(p->comm, packing_write_shards(p)));
    return on_root(p, publish);
}

/* Where the new files are not to be added, the pack is left as it was. What a disk or a signal
 * interrupted is kept, to be resumed. */
static bool leaves_nothing(const packing *p, pulmo_status status)
{
    return is_root(p) && p->old && p->place.lock >= 0 && status == PULMO_DATA;
}

static pulmo_status pack_all(packing *p)
{
    int task = TO_PACK;
    const char *destination = p->options.destination;
    PULMO_TRY(pulmo_agree(p->comm, packing_list(p)));
    PULMO_TRY(names_choose(p->comm, &p->options, &p->list));
    PULMO_TRY(pulmo_agree(p->comm, name_local(p)));
    PULMO_TRY(pulmo_same(p->comm, "the source's files", p->options_text));
    if (is_root(p))
        show_notes(p);
    PULMO_TRY(agree_on_task(p, &task));
    PULMO_TRY(pulmo_agree(p->comm, packing_make_key(p)));
    if (task == NOTHING_TO_DO) {
        if (is_root(p))
            work_clear(&p->place, &p->parts_key);
        pulmo_info("%s: these files are packed already, with the same options; nothing to do",
                   destination);
        return PULMO_OK;
    }
    pulmo_status status = do_work(p);
    if (leaves_nothing(p, status))
        work_end(&p->place);
    PULMO_TRY(status);
    const pulmo_packed_form *form = &p->form;
    const uint32_t *count = p->plan.count;
    const uint32_t images = count[0] + count[1] + count[2];
    pulmo_info("packed %u image%s of %d x %d x %d into %s", images, pulmo_plural(images),
               form->height_px, form->width_px, form->channels, destination);
    return PULMO_OK;
}

int packing_threads(pulmo_comm *comm)
{
    int ranks = pulmo_comm_node_size(comm);
    if (ranks < 1)
        ranks = 1;
    int threads = pulmo_cpu_count() / ranks;
    return threads > 0 ? threads : 1;
}

void packing_free(packing *p)
{
    if (!p)
        return;
    packing_free_splits(p);
    pack_plan_free(&p->plan);
    if (p->store.list)
        parts_close(&p->store);
    if (p->added.list)
        parts_close(&p->added);
    update_close(p->old);
    source_list_free(&p->list);
    work_free(&p->place);
    free(p->options_text);
    free(p->visible);
    free(p->fresh);
    free(p);
}

packing *packing_create(pulmo_comm *comm, const pulmo_pack_options *options, pulmo_status *status)
{
    packing *p = pulmo_calloc_agreed(comm, sizeof *p, "out of memory", status);
    if (!p)
        return NULL;
    p->comm = comm;
    p->options = *options;
    p->place.lock = -1;
    if (p->options.threads == 0)
        p->options.threads = packing_threads(comm);
    return p;
}

pulmo_status pulmo_pack(pulmo_comm *comm, const pulmo_pack_options *options)
{
    pulmo_status status = PULMO_OK;
    packing *p = packing_create(comm, options, &status);
    if (!p)
        return status;
    pulmo_interrupt_listen();
    status = names_reveal(&p->list, pack_all(p));
    packing_free(p);
    return status;
}
