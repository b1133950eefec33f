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

#include "audit.h"
#include "packing.h"
#include "seen.h"
#include "tabled.h"

#include "pulmo/dataset.h"
#include "pulmo/interrupt.h"
#include "pulmo/isa.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"

static bool is_root(const packing *p)
{
    return pulmo_comm_rank(p->comm) == 0;
}

/* ---- what was asked for ---- */

/* What the list says of every file: names, labels, patients, sizes. */
static void digest_names(const source_list *list, pulmo_digester *digester)
{
    for (size_t i = 0; i < list->count; i++) {
        const source_file *f = &list->file[i];
        pulmo_digester_add(digester, f->path, strlen(f->path) + 1);
        pulmo_digester_add(digester, f->label, strlen(f->label) + 1);
        pulmo_digester_add(digester, f->group, strlen(f->group) + 1);
        pulmo_digester_add(digester, &f->size_bytes, sizeof f->size_bytes);
    }
}

/* What decides whether a file has been touched. */
static void digest_times(const source_list *list, pulmo_digester *digester)
{
    for (size_t i = 0; i < list->count; i++) {
        const source_file *f = &list->file[i];
        pulmo_digester_add(digester, f->path, strlen(f->path) + 1);
        pulmo_digester_add(digester, &f->size_bytes, sizeof f->size_bytes);
        pulmo_digester_add(digester, &f->modified_ns, sizeof f->modified_ns);
    }
}

/* Keys that came later are named only where they are given: packs made before them stay valid. */
static void name_given(const pulmo_config *c, char *text, size_t bytes)
{
    const struct {
        const char *key, *pattern;
    } held[] = {{"val", c->pack.val_pattern},
                {"test", c->pack.test_pattern},
                {"exclude", c->pack.exclude_pattern}};
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof held / sizeof *held; i++)
        if (*held[i].pattern)
            at += (size_t)snprintf(text + at, bytes - at, "%s_pattern \"%s\", ", held[i].key,
                                   held[i].pattern);
    if (c->pack.patients_unknown)
        at += (size_t)snprintf(text + at, bytes - at, "patients_unknown, ");
    if (c->pack.folds > 0)
        snprintf(text + at, bytes - at, "folds %lld, ", (long long)c->pack.folds);
}

/* The same text and files, the same data set: every key of the pack section, and every file's name
 * and size. Times are left to p->key, so that a copy of the source packs into the same bytes. */
static pulmo_status describe_options(packing *p)
{
    const pulmo_config *c = p->options.config;
    char hex[PULMO_DIGEST_HEX];
    pulmo_digester *digester = NULL;
    PULMO_TRY(pulmo_digester_create(&digester));
    digest_names(&p->list, digester);
    tabled_digest(&p->list, digester);
    pulmo_digest digest = pulmo_digester_end(digester);
    pulmo_digest_hex(&digest, hex);
    char given[3 * (PULMO_TEXT_BYTES + 32) + 64];
    name_given(c, given, sizeof given);
    p->options_text = pulmo_format(
        "format %d, size %lld, shard_images %lld, pixels_max %lld, val_fraction %.17g, "
        "test_fraction %.17g, seed %lld, "
        "group_pattern \"%s\", label_pattern \"%s\", %sdecode %d, on_bad %d, leaks %d, files %s",
        1, (long long)c->pack.size, (long long)c->pack.shard_images, (long long)c->pack.pixels_max,
        c->pack.val_fraction, c->pack.test_fraction, (long long)c->pack.seed, c->pack.group_pattern,
        c->pack.label_pattern, given, c->pack.decode, c->pack.on_bad, c->pack.leaks, hex);
    return p->options_text ? PULMO_OK : PULMO_MEMORY;
}

/* What decoded pixels depend on: files, size and manner of decoding. Splits and patterns may change
 * without harm. */
static pulmo_status make_key(packing *p)
{
    const pulmo_config *c = p->options.config;
    pulmo_digester *digester = NULL;
    const int64_t settings[] = {2, c->pack.size, c->pack.pixels_max, c->pack.decode};
    PULMO_TRY(pulmo_digester_create(&digester));
    pulmo_digester_add(digester, settings, sizeof settings);
    digest_times(&p->list, digester);
    p->key = pulmo_digester_end(digester);
    return PULMO_OK;
}

/* What shards depend on: the options and what was decoded. */
static pulmo_status digest_plan(const packing *p, pulmo_digest *out)
{
    pulmo_digester *digester = NULL;
    PULMO_TRY(pulmo_digester_create(&digester));
    pulmo_digester_add(digester, p->options_text, strlen(p->options_text));
    for (size_t i = 0; i < p->list.count; i++) {
        pulmo_digester_add(digester, &p->store.records[i].digest, sizeof(pulmo_digest));
        pulmo_digester_add(digester, &p->store.records[i].pixel_digest, sizeof(pulmo_digest));
    }
    *out = pulmo_digester_end(digester);
    return PULMO_OK;
}

/* ---- all of it ---- */

static pulmo_status list_local(packing *p)
{
    PULMO_TRY(work_name(p->options.destination, &p->place));
    PULMO_TRY(source_list_make(p->options.source, p->options.config, &p->list));
    PULMO_TRY(plan_classes(&p->list, &p->plan));
    PULMO_TRY(make_key(p));
    return describe_options(p);
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

/* Which files are new, beside the pack that is there. */
static pulmo_status find_new(packing *p, int *task)
{
    PULMO_TRY(pulmo_agree(p->comm, update_open(p->options.destination, &p->list, p->options_text,
                                               is_root(p), &p->old)));
    if (is_root(p))
        pulmo_info("%s: %zu files are new", p->options.destination, p->old->fresh.count);
    if (p->old->fresh.count > 0)
        return PULMO_OK;
    *task = NOTHING_TO_DO; /* but to remember the files' times */
    return pulmo_agree(p->comm, is_root(p) ? seen_write(p->options.destination, &p->key, &p->list)
                                           : PULMO_OK);
}

/* Near duplicates are looked for by rank 0; all ranks hear of them. */
static pulmo_status find_near(packing *p, near_pair **pairs, size_t *count)
{
    PULMO_TRY(pulmo_agree(p->comm, is_root(p) ? audit_near(&p->store, pairs, count) : PULMO_OK));
    PULMO_TRY(pulmo_bcast(p->comm, count, sizeof *count, 0));
    if (!is_root(p))
        *pairs = malloc((*count + 1) * sizeof **pairs);
    PULMO_TRY(
        pulmo_agree(p->comm, *pairs || *count == 0
                                 ? PULMO_OK
                                 : pulmo_fail(PULMO_MEMORY, "out of memory for near duplicates")));
    return *count ? pulmo_bcast(p->comm, *pairs, *count * sizeof **pairs, 0) : PULMO_OK;
}

static pulmo_status plan_local(packing *p, const near_pair *near, size_t near_count)
{
    const pulmo_config *config = p->options.config;
    PULMO_TRY(plan_make(&p->store, near, near_count, config, &p->plan));
    if (p->plan.bad > 0 && config->pack.on_bad == PULMO_ON_BAD_FAIL)
        return pulmo_fail(
            PULMO_DATA, "%zu files cannot be used and pack.on_bad is fail; the first: %s: %s",
            p->plan.bad, p->plan.refused_paths.text[0], p->plan.refused_reasons.text[0]);
    return packing_make_splits(p);
}

/* The files that are decoded: all, or the new ones. */
static const source_list *decoded(const packing *p)
{
    return p->old ? &p->old->fresh : &p->list;
}

static pulmo_status open_store(packing *p)
{
    part_store *parts = p->old ? &p->added : &p->store;
    PULMO_TRY(parts_open(decoded(p), p->options.config, p->place.work, &p->key, parts));
    parts->fresh = p->fresh;
    return p->old ? update_store(p->old, p->options.destination, &p->added, &p->store) : PULMO_OK;
}

static pulmo_status plan_all(packing *p)
{
    near_pair *near = NULL;
    size_t near_count = 0;
    pulmo_digest digest;
    pulmo_status status = pulmo_agree(p->comm, open_store(p));
    if (status == PULMO_OK)
        status = find_near(p, &near, &near_count);
    if (status == PULMO_OK)
        status = pulmo_agree(p->comm, plan_local(p, near, near_count));
    free(near);
    PULMO_TRY(status);
    if (is_root(p))
        packing_report(p);
    if (p->plan.leaks.count > 0 && p->options.config->pack.leaks == PULMO_LEAKS_FAIL)
        return pulmo_agree(p->comm, is_root(p) ? packing_refuse_leaks(p) : PULMO_OK);
    status = digest_plan(p, &digest);
    if (status == PULMO_OK && is_root(p))
        status = work_plan(&p->place, &digest);
    return pulmo_agree(p->comm, status);
}

static shard_names names_of(const packing *p, int s)
{
    return (shard_names){.split = pulmo_split_name(s),
                         .old_shards = p->old->split[s].shards,
                         .shards = p->split[s].shards};
}

/* Old shards under their new names beside the old ones, and the new shards: until the manifest
 * follows, the older pack stays as it was. */
static pulmo_status move_added(const packing *p)
{
    for (int s = 0; s < PULMO_SPLITS; s++)
        if (p->old->split[s].count > 0)
            PULMO_TRY(work_rename(&p->place, names_of(p, s)));
    return work_move(&p->place);
}

static pulmo_status remove_renamed(const packing *p)
{
    for (int s = 0; s < PULMO_SPLITS; s++)
        if (p->old->split[s].count > 0)
            work_remove_renamed(&p->place, names_of(p, s));
    return seen_write(p->options.destination, &p->key, &p->list);
}

static pulmo_status publish(packing *p)
{
    if (!p->old)
        PULMO_TRY(work_publish(&p->place, &p->key, &p->list));
    else
        PULMO_TRY(move_added(p));
    PULMO_TRY(packing_write_manifest(p));
    if (p->old)
        PULMO_TRY(remove_renamed(p));
    work_end(&p->place);
    if (p->plan.leaks.count > 0 && p->options.config->pack.leaks == PULMO_LEAKS_ALLOW)
        pulmo_warn("%zu leaks between splits are allowed: scores on val and test will be too good",
                   p->plan.leaks.count);
    return PULMO_OK;
}

static pulmo_status pack_all(packing *p)
{
    int task = TO_PACK;
    PULMO_TRY(pulmo_agree(p->comm, list_local(p)));
    PULMO_TRY(pulmo_same(p->comm, "the source's files", p->options_text));
    for (size_t i = 0; i < p->list.notes.count && is_root(p); i++)
        pulmo_warn("%s", p->list.notes.text[i]);
    for (size_t i = 0; i < p->list.table_notes.count && is_root(p); i++)
        pulmo_info("%s", p->list.table_notes.text[i]);
    PULMO_TRY(pulmo_agree(p->comm, is_root(p) ? choose_task(p, &task) : PULMO_OK));
    PULMO_TRY(pulmo_bcast(p->comm, &task, sizeof task, 0));
    if (task == TO_ADD)
        PULMO_TRY(find_new(p, &task));
    if (task == NOTHING_TO_DO) {
        pulmo_info("%s: these files are packed already, with the same options; nothing to do",
                   p->options.destination);
        return PULMO_OK;
    }
    PULMO_TRY(pulmo_agree(p->comm, is_root(p) ? work_begin(&p->place, p->options.source, &p->key)
                                              : PULMO_OK));
    PULMO_TRY(parts_fill(p->comm, decoded(p), &p->options, p->place.work, &p->key, &p->fresh));
    PULMO_TRY(plan_all(p));
    PULMO_TRY(pulmo_agree(p->comm, packing_write_shards(p)));
    PULMO_TRY(pulmo_agree(p->comm, is_root(p) ? publish(p) : PULMO_OK));
    pulmo_info("packed %u images of %d x %d x %d into %s",
               p->plan.count[0] + p->plan.count[1] + p->plan.count[2], p->form.height_px,
               p->form.width_px, p->form.channels, p->options.destination);
    return PULMO_OK;
}

pulmo_status pulmo_pack(pulmo_comm *comm, const pulmo_pack_options *options)
{
    pulmo_status status = PULMO_OK;
    packing *p = pulmo_calloc_agreed(comm, sizeof *p, "out of memory", &status);
    if (!p)
        return status;
    p->comm = comm;
    p->options = *options;
    p->place.lock = -1;
    if (p->options.threads == 0) {
        int threads =
            pulmo_cpu_count() / (pulmo_comm_node_size(comm) > 0 ? pulmo_comm_node_size(comm) : 1);
        p->options.threads = threads > 0 ? threads : 1;
    }
    pulmo_interrupt_listen();
    status = pack_all(p);
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
    free(p->fresh);
    free(p);
    return status;
}
