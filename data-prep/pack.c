/* pulmo pack: list, decode into parts, plan, write shards, publish them with a manifest.
 *
 * Every rank lists the source and makes the same plan; decoding and shards are shared out. Files
 * depend on source and options alone. Each step resumes where an interrupted pack stopped. */
#include "pulmo/pack.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit.h"
#include "judge.h"
#include "parts.h"
#include "plan.h"
#include "source.h"
#include "tabled.h"
#include "work.h"

#include "pulmo/dataset.h"
#include "pulmo/interrupt.h"
#include "pulmo/isa.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/packed.h"
#include "pulmo/pool.h"
#include "pulmo/text.h"

#define APPENDED 16 /* images written to a shard at once: HDF5 is one thread's at a time */

typedef struct packing {
    pulmo_comm *comm;
    pulmo_pack_options options;
    source_list list;
    work_place place;
    part_store store;
    uint8_t *fresh; /* parts decoded by this rank in this run */
    pack_plan plan;
    pulmo_packed_form form;
    pulmo_packed_split split[PULMO_SPLITS];
    char resize[96];
    char *options_text;
    pulmo_digest key;
} packing;

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

/* ---- shards ---- */

static pulmo_status make_form(packing *p)
{
    int size = (int)p->options.config->pack.size;
    bool fast = p->options.config->pack.decode == PULMO_DECODE_FAST;
    snprintf(p->resize, sizeof p->resize, "antialiased bilinear to %d x %d, 8-bit, as Pillow", size,
             size);
    p->form = (pulmo_packed_form){.height_px = size,
                                  .width_px = size,
                                  .channels = p->plan.channels,
                                  .classes = p->plan.classes,
                                  .class_names = (const char *const *)p->plan.class_names,
                                  .resize = p->resize,
                                  .decode = fast ? "libjpeg, scaled integer DCT"
                                                 : "libjpeg, accurate integer DCT",
                                  .is_demo = p->list.is_demo};
    return PULMO_OK;
}

/* The columns of a split, in packed order; all in one block that is freed with it. */
static pulmo_status make_split(packing *p, int s)
{
    uint32_t n = p->plan.count[s], per_shard = (uint32_t)p->options.config->pack.shard_images;
    int32_t *labels = malloc((2 * (size_t)n + 1) * sizeof *labels); /* and folds behind them */
    bool folds = s == PULMO_SPLIT_TRAIN && p->plan.folds > 0;
    const char **columns = malloc((4 * (size_t)n + 1) * sizeof *columns);
    char(*hex)[PULMO_DIGEST_HEX] = malloc((2 * (size_t)n + 1) * sizeof *hex);
    p->split[s] = (pulmo_packed_split){.name = pulmo_split_name(s),
                                       .count = n,
                                       .shards = n ? (n + per_shard - 1) / per_shard : 1,
                                       .patients = p->plan.patients[s],
                                       .folds = p->plan.folds,
                                       .fold = labels && folds ? labels + n : NULL,
                                       .labels = labels,
                                       .paths = columns,
                                       .groups = columns + n,
                                       .digests = columns + 2 * (size_t)n,
                                       .pixel_digests = columns + 3 * (size_t)n};
    if (!labels || !columns || !hex) {
        free(hex);
        if (columns)
            columns[4 * (size_t)n] = NULL;
        return pulmo_fail(PULMO_MEMORY, "out of memory for the %s split", pulmo_split_name(s));
    }
    columns[4 * (size_t)n] = (const char *)hex; /* kept to be freed */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t f = p->plan.order[s][i];
        pulmo_digest_hex(&p->store.records[f].digest, hex[2 * i]);
        pulmo_digest_hex(&p->store.records[f].pixel_digest, hex[2 * i + 1]);
        labels[i] = p->plan.label[f];
        if (folds)
            labels[n + i] = p->plan.fold[f];
        columns[i] = p->list.file[f].path;
        columns[n + i] = p->list.file[f].group;
        columns[2 * (size_t)n + i] = hex[2 * i];
        columns[3 * (size_t)n + i] = hex[2 * i + 1];
    }
    return tabled_columns(&p->list, p->plan.order[s], &p->split[s]);
}

static void free_split(pulmo_packed_split *split)
{
    tabled_columns_free(split);
    if (split->labels && split->paths)
        free((void *)(uintptr_t)split->paths[4 * (size_t)split->count]);
    free((void *)(uintptr_t)split->labels);
    free((void *)(uintptr_t)split->paths);
}

static bool is_there(const packing *p, int s, uint32_t shard)
{
    char *path = pulmo_shard_path(p->place.out, pulmo_split_name(s), shard, p->split[s].shards);
    bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

/* The shard's images, APPENDED at a time. */
static pulmo_status append_images(const packing *p, part_store *store, int s, uint32_t shard,
                                  pulmo_shard_writer *writer, uint8_t *pixels)
{
    const pulmo_packed_split *split = &p->split[s];
    size_t bytes = (size_t)p->form.height_px * (size_t)p->form.width_px * (size_t)p->form.channels;
    uint32_t end = pulmo_shard_first(split->count, shard + 1, split->shards), gathered = 0;
    for (uint32_t i = pulmo_shard_first(split->count, shard, split->shards); i < end; i++) {
        PULMO_TRY(
            parts_read(store, p->plan.order[s][i], p->form.channels, pixels + gathered++ * bytes));
        if (gathered < APPENDED && i + 1 < end)
            continue;
        PULMO_TRY(pulmo_shard_append(writer, gathered, pixels));
        gathered = 0;
    }
    return PULMO_OK;
}

static pulmo_status write_shard(const packing *p, part_store *store, int s, uint32_t shard,
                                uint8_t *pixels)
{
    pulmo_shard_writer *writer = NULL;
    if (is_there(p, s, shard))
        return PULMO_OK;
    if (pulmo_interrupt_wanted())
        return pulmo_fail(
            PULMO_INTERRUPTED,
            "interrupted; finished shards are kept in %s: run the same command again to resume",
            p->place.work);
    PULMO_TRY(pulmo_shard_create(p->place.out, &p->form, &p->split[s], shard, &writer));
    pulmo_status status = append_images(p, store, s, shard, writer, pixels);
    if (status == PULMO_OK)
        return pulmo_shard_commit(writer);
    pulmo_shard_abandon(writer);
    return status;
}

/* Shards of one rank, shared out among its threads. */
typedef struct shard_work {
    const packing *p;
    int rank, size;
} shard_work;

/* The shard that is number `turn` over all splits. */
static pulmo_status write_turn(const packing *p, part_store *store, uint32_t turn)
{
    uint8_t *pixels =
        pulmo_alloc(APPENDED * 3, (size_t)p->form.height_px * (size_t)p->form.width_px);
    pulmo_status status = pixels ? PULMO_OK : PULMO_MEMORY;
    int s = 0;
    while (p->split[s].count == 0 || turn >= p->split[s].shards)
        turn -= p->split[s].count ? p->split[s].shards : 0, s++;
    if (status == PULMO_OK)
        status = write_shard(p, store, s, turn, pixels);
    pulmo_free(pixels);
    return status;
}

static pulmo_status shard_task(void *context, int task, int thread)
{
    const shard_work *w = context;
    part_store store = {0};
    (void)thread;
    PULMO_TRY(parts_share(&w->p->store, &store));
    pulmo_status status = write_turn(w->p, &store, (uint32_t)(task * w->size + w->rank));
    parts_unshare(&store);
    return status;
}

static pulmo_status write_my_shards(packing *p)
{
    shard_work w = {.p = p, .rank = pulmo_comm_rank(p->comm), .size = pulmo_comm_size(p->comm)};
    uint32_t shards = 0;
    pulmo_pool *pool = NULL;
    for (int s = 0; s < PULMO_SPLITS; s++)
        shards += p->split[s].count ? p->split[s].shards : 0;
    uint32_t mine = (shards + (uint32_t)(w.size - w.rank) - 1) / (uint32_t)w.size;
    PULMO_TRY(pulmo_pool_create(p->options.threads, &pool));
    pulmo_status status = pulmo_pool_try(pool, (int)mine, shard_task, &w);
    pulmo_pool_destroy(pool);
    return status;
}

/* ---- the report and the manifest ---- */

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
                   "patient may stand in several splits, and scores be too good. "
                   "pack.group_pattern finds patients in such paths; --patients-unknown says that "
                   "they are not known",
                   plan->unknown, plan->count[0] + plan->count[1] + plan->count[2], first);
}

static void report(const packing *p)
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

/* Every leak in a file, since there is no manifest. */
static pulmo_status refuse_leaks(const packing *p)
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

static pulmo_status write_manifest(const packing *p)
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

/* ---- all of it ---- */

static pulmo_status list_local(packing *p)
{
    PULMO_TRY(work_name(p->options.destination, &p->place));
    PULMO_TRY(source_list_make(p->options.source, p->options.config, &p->list));
    PULMO_TRY(plan_classes(&p->list, &p->plan));
    PULMO_TRY(make_key(p));
    return describe_options(p);
}

/* Whether what was packed can still be opened. Pixels are --verify's matter. */
static bool is_whole(const packing *p)
{
    pulmo_status status = PULMO_OK;
    for (int s = 0; s < PULMO_SPLITS && status == PULMO_OK; s++) {
        pulmo_dataset *dataset = NULL;
        status = pulmo_dataset_open(p->options.destination, pulmo_split_name(s), 1, &dataset);
        pulmo_dataset_close(dataset);
    }
    if (status != PULMO_OK)
        pulmo_warn("%s: packing again", pulmo_error());
    pulmo_error_clear();
    return status == PULMO_OK;
}

/* Rank 0; *done is set when there is nothing to do. */
static pulmo_status begin(packing *p, int *done)
{
    int found = work_look(&p->place, p->options_text, &p->key);
    *done = found == 1 && !p->options.overwrite && is_whole(p);
    if (*done)
        return PULMO_OK;
    if (found == -1 && !p->options.overwrite)
        return pulmo_fail(PULMO_USAGE,
                          "%s: holds a pack of other files or options, or the files have been "
                          "touched since; choose another destination, or "
                          "give --overwrite",
                          p->options.destination);
    return work_begin(&p->place, p->options.source, &p->key);
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
    PULMO_TRY(make_form(p));
    for (int s = 0; s < PULMO_SPLITS; s++)
        PULMO_TRY(make_split(p, s));
    return PULMO_OK;
}

static pulmo_status plan_all(packing *p)
{
    near_pair *near = NULL;
    size_t near_count = 0;
    pulmo_digest digest;
    pulmo_status status = pulmo_agree(
        p->comm, parts_open(&p->list, p->options.config, p->place.work, &p->key, &p->store));
    p->store.fresh = p->fresh;
    if (status == PULMO_OK)
        status = find_near(p, &near, &near_count);
    if (status == PULMO_OK)
        status = pulmo_agree(p->comm, plan_local(p, near, near_count));
    free(near);
    PULMO_TRY(status);
    if (is_root(p))
        report(p);
    if (p->plan.leaks.count > 0 && p->options.config->pack.leaks == PULMO_LEAKS_FAIL)
        return pulmo_agree(p->comm, is_root(p) ? refuse_leaks(p) : PULMO_OK);
    status = digest_plan(p, &digest);
    if (status == PULMO_OK && is_root(p))
        status = work_plan(&p->place, &digest);
    return pulmo_agree(p->comm, status);
}

static pulmo_status publish(packing *p)
{
    PULMO_TRY(work_publish(&p->place, &p->key));
    PULMO_TRY(write_manifest(p));
    work_end(&p->place);
    if (p->plan.leaks.count > 0 && p->options.config->pack.leaks == PULMO_LEAKS_ALLOW)
        pulmo_warn("%zu leaks between splits are allowed: scores on val and test will be too good",
                   p->plan.leaks.count);
    return PULMO_OK;
}

static pulmo_status pack_all(packing *p)
{
    int done = 0;
    PULMO_TRY(pulmo_agree(p->comm, list_local(p)));
    PULMO_TRY(pulmo_same(p->comm, "the source's files", p->options_text));
    for (size_t i = 0; i < p->list.notes.count && is_root(p); i++)
        pulmo_warn("%s", p->list.notes.text[i]);
    for (size_t i = 0; i < p->list.table_notes.count && is_root(p); i++)
        pulmo_info("%s", p->list.table_notes.text[i]);
    PULMO_TRY(pulmo_agree(p->comm, is_root(p) ? begin(p, &done) : PULMO_OK));
    PULMO_TRY(pulmo_bcast(p->comm, &done, sizeof done, 0));
    if (done) {
        pulmo_info("%s: these files are packed already, with the same options; nothing to do",
                   p->options.destination);
        return PULMO_OK;
    }
    PULMO_TRY(parts_fill(p->comm, &p->list, &p->options, p->place.work, &p->key, &p->fresh));
    PULMO_TRY(plan_all(p));
    PULMO_TRY(pulmo_agree(p->comm, write_my_shards(p)));
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
    for (int s = 0; s < PULMO_SPLITS; s++)
        free_split(&p->split[s]);
    pack_plan_free(&p->plan);
    if (p->store.list)
        parts_close(&p->store);
    source_list_free(&p->list);
    work_free(&p->place);
    free(p->options_text);
    free(p->fresh);
    free(p);
    return status;
}
