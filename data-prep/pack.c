/* pulmo pack: list, decode into spools, plan, write shards, write the manifest.
 *
 * Every rank lists the source and makes the same plan; decoding and shards are shared out. What
 * the files hold depends on the source and the options alone. */
#include "pulmo/pack.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "prep.h"
#include "pulmo/h5.h"
#include "pulmo/isa.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"

typedef struct packing {
    pulmo_comm *comm;
    pulmo_pack_options options;
    source_list list;
    image_record *records;
    pack_plan plan;
    pulmo_packed_form form;
    pulmo_packed_split split[SPLITS];
    char resize[96];
    char *options_text;
} packing;

static bool is_root(const packing *p) { return pulmo_comm_rank(p->comm) == 0; }

/* ---- what was asked for ---- */

/* The same text, the same data set: every key of the pack section, and every file's name, size
 * and time. */
static char *describe_options(const packing *p)
{
    const pulmo_config *c = p->options.config;
    char hex[PULMO_DIGEST_HEX];
    pulmo_digester *digester = NULL;
    if (pulmo_digester_create(&digester) != PULMO_OK) return NULL;
    for (size_t i = 0; i < p->list.count; i++) {
        const source_file *f = &p->list.file[i];
        pulmo_digester_add(digester, f->path, strlen(f->path) + 1);
        pulmo_digester_add(digester, f->label, strlen(f->label) + 1);
        pulmo_digester_add(digester, f->group, strlen(f->group) + 1);
        pulmo_digester_add(digester, &f->size_bytes, sizeof f->size_bytes);
        pulmo_digester_add(digester, &f->modified_ns, sizeof f->modified_ns);
    }
    pulmo_digest digest = pulmo_digester_end(digester);
    pulmo_digest_hex(&digest, hex);
    return pulmo_format("format %d, size %lld, shard_images %lld, pixels_max %lld, val_fraction %.17g, test_fraction %.17g, seed %lld, "
                        "group_pattern \"%s\", label_pattern \"%s\", decode %d, on_bad %d, files %s",
                        1, (long long)c->pack.size, (long long)c->pack.shard_images, (long long)c->pack.pixels_max,
                        c->pack.val_fraction, c->pack.test_fraction, (long long)c->pack.seed, c->pack.group_pattern,
                        c->pack.label_pattern, c->pack.decode, c->pack.on_bad, hex);
}

/* ---- the destination ---- */

/* 1 if DEST holds a finished pack of just this, 0 if none, -1 if of something else. */
static int look_at_destination(const packing *p)
{
    struct stat about;
    pulmo_h5 *file = NULL;
    char *text = NULL, *path = pulmo_format("%s/manifest.h5", p->options.destination);
    int found = 0;
    if (path && stat(path, &about) == 0) {
        found = -1;
        if (pulmo_h5_open(path, &file) == PULMO_OK && pulmo_h5_read_text(file, "options", &text) == PULMO_OK &&
            strcmp(text, p->options_text) == 0)
            found = 1;
        pulmo_error_clear();
    }
    pulmo_h5_close(file);
    free(text);
    free(path);
    return found;
}

static bool is_ours(const char *name)
{
    unsigned shard, shards;
    char split[8], rest[8] = "";
    if (strcmp(name, "manifest.h5") == 0 || strncmp(name, ".spool-", 7) == 0) return true;
    return sscanf(name, "%7[a-z]-%5u-of-%5u.%7s", split, &shard, &shards, rest) == 4 && strncmp(rest, "h5", 2) == 0;
}

/* Removes what an earlier or interrupted pack left; nothing else. */
static pulmo_status clear_destination(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory) return pulmo_fail(PULMO_IO, "%s: cannot be listed", path);
    /* The manifest goes first: without it nothing there counts as packed. */
    char *manifest = pulmo_format("%s/manifest.h5", path);
    if (manifest) unlink(manifest);
    free(manifest);
    for (struct dirent *entry; (entry = readdir(directory));) {
        char *full = is_ours(entry->d_name) ? pulmo_format("%s/%s", path, entry->d_name) : NULL;
        if (full) unlink(full);
        free(full);
    }
    closedir(directory);
    return PULMO_OK;
}

static pulmo_status check_places(const packing *p)
{
    char *source = realpath(p->options.source, NULL), *destination = realpath(p->options.destination, NULL);
    size_t length = source ? strlen(source) : 0;
    bool inside = source && destination && strncmp(destination, source, length) == 0 && (destination[length] == '/' || destination[length] == '\0');
    free(source);
    free(destination);
    if (inside) return pulmo_fail(PULMO_USAGE, "%s: lies inside the source %s; choose a destination elsewhere", p->options.destination, p->options.source);
    return PULMO_OK;
}

/* Rank 0; *done is set when there is nothing to do. */
static pulmo_status prepare_destination(const packing *p, int *done)
{
    int found = look_at_destination(p);
    *done = found == 1 && !p->options.overwrite;
    if (*done) return PULMO_OK;
    if (found == -1 && !p->options.overwrite)
        return pulmo_fail(PULMO_USAGE, "%s: holds a pack of other files or options; choose another destination, or give --overwrite", p->options.destination);
    PULMO_TRY(pulmo_directory_make(p->options.destination));
    PULMO_TRY(check_places(p));
    return clear_destination(p->options.destination);
}

/* ---- shards ---- */

static pulmo_status make_form(packing *p)
{
    int size = (int)p->options.config->pack.size;
    bool fast = p->options.config->pack.decode == PULMO_DECODE_FAST;
    snprintf(p->resize, sizeof p->resize, "antialiased bilinear to %d x %d, 8-bit, as Pillow", size, size);
    p->form = (pulmo_packed_form){.height_px = size, .width_px = size, .channels = p->plan.channels, .classes = p->plan.classes,
                                  .class_names = (const char *const *)p->plan.class_names, .resize = p->resize,
                                  .decode = fast ? "libjpeg, scaled integer DCT" : "libjpeg, accurate integer DCT", .is_demo = p->list.is_demo};
    return PULMO_OK;
}

/* The columns of a split, in packed order; all in one block that is freed with it. */
static pulmo_status make_split(packing *p, int s)
{
    uint32_t n = p->plan.count[s], per_shard = (uint32_t)p->options.config->pack.shard_images;
    int32_t *labels = malloc((n + 1) * sizeof *labels);
    const char **columns = malloc((4 * (size_t)n + 1) * sizeof *columns);
    char (*hex)[PULMO_DIGEST_HEX] = malloc((2 * (size_t)n + 1) * sizeof *hex);
    p->split[s] = (pulmo_packed_split){.name = split_names[s], .count = n, .shards = n ? (n + per_shard - 1) / per_shard : 1,
                                       .labels = labels, .paths = columns, .groups = columns + n, .digests = columns + 2 * (size_t)n,
                                       .pixel_digests = columns + 3 * (size_t)n};
    if (!labels || !columns || !hex) {
        free(hex);
        return pulmo_fail(PULMO_MEMORY, "out of memory for the %s split", split_names[s]);
    }
    columns[4 * (size_t)n] = (const char *)hex; /* kept to be freed */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t f = p->plan.order[s][i];
        pulmo_digest_hex(&p->records[f].digest, hex[2 * i]);
        pulmo_digest_hex(&p->records[f].pixel_digest, hex[2 * i + 1]);
        labels[i] = p->plan.label[f];
        columns[i] = p->list.file[f].path;
        columns[n + i] = p->list.file[f].group;
        columns[2 * (size_t)n + i] = hex[2 * i];
        columns[3 * (size_t)n + i] = hex[2 * i + 1];
    }
    return PULMO_OK;
}

static void free_split(pulmo_packed_split *split)
{
    if (split->labels && split->paths) free((void *)(uintptr_t)split->paths[4 * (size_t)split->count]);
    free((void *)(uintptr_t)split->labels);
    free((void *)(uintptr_t)split->paths);
}

static pulmo_status write_shard(const packing *p, spool_reader *spools, int s, uint32_t shard, uint8_t *pixels)
{
    pulmo_shard_writer *writer = NULL;
    const pulmo_packed_split *split = &p->split[s];
    uint32_t end = pulmo_shard_first(split->count, shard + 1, split->shards);
    PULMO_TRY(pulmo_shard_create(p->options.destination, &p->form, split, shard, &writer));
    pulmo_status status = PULMO_OK;
    for (uint32_t i = pulmo_shard_first(split->count, shard, split->shards); i < end && status == PULMO_OK; i++) {
        status = spool_read(spools, &p->records[p->plan.order[s][i]], p->form.height_px, p->form.channels, pixels);
        if (status == PULMO_OK) status = pulmo_shard_append(writer, pixels);
    }
    if (status == PULMO_OK) return pulmo_shard_commit(writer);
    pulmo_shard_abandon(writer);
    return status;
}

static pulmo_status write_my_shards(const packing *p)
{
    int rank = pulmo_comm_rank(p->comm), size = pulmo_comm_size(p->comm), turn = 0;
    spool_reader *spools = NULL;
    pulmo_status status = PULMO_OK;
    uint8_t *pixels = pulmo_alloc(3, (size_t)p->form.height_px * (size_t)p->form.width_px);
    if (!pixels) return PULMO_MEMORY;
    status = spool_open(p->options.destination, size, &spools);
    for (int s = 0; s < SPLITS; s++)
        for (uint32_t shard = 0; shard < p->split[s].shards && p->split[s].count > 0; shard++, turn++)
            if (status == PULMO_OK && turn % size == rank) status = write_shard(p, spools, s, shard, pixels);
    spool_close(spools);
    pulmo_free(pixels);
    return status;
}

/* ---- the report and the manifest ---- */

static pulmo_lines as_lines(const text_lines *lines)
{
    return (pulmo_lines){.count = lines->count, .text = (const char *const *)lines->text};
}

static void show_lines(const char *title, const text_lines *lines, size_t most)
{
    if (lines->count == 0) return;
    pulmo_info("%s: %zu", title, lines->count);
    for (size_t i = 0; i < lines->count && i < most; i++) pulmo_info("  %s", lines->text[i]);
    if (lines->count > most) pulmo_info("  ... %zu more in manifest.h5", lines->count - most);
}

static void report(const packing *p)
{
    const pack_plan *plan = &p->plan;
    for (int s = 0; s < SPLITS; s++) {
        char text[512] = "";
        size_t at = 0;
        for (int k = 0; k < plan->classes && at < sizeof text; k++) {
            uint32_t images = 0;
            for (uint32_t i = 0; i < plan->count[s]; i++) images += plan->label[plan->order[s][i]] == k;
            at += (size_t)snprintf(text + at, sizeof text - at, "  %s %u", plan->class_names[k], images);
        }
        if (plan->count[s] > 0) pulmo_info("%-5s %6u images %s", split_names[s], plan->count[s], text);
    }
    for (size_t i = 0; i < plan->carve.count; i++) pulmo_info("%s", plan->carve.text[i]);
    for (size_t i = 0; i < plan->refused_paths.count; i++)
        pulmo_info("refused: %s: %s", plan->refused_paths.text[i], plan->refused_reasons.text[i]);
    show_lines("byte-identical files", &plan->identical, 5);
    show_lines("near duplicates (kept in one split where pulmo carved it)", &plan->similar, 5);
    show_lines("patients in several splits or classes", &plan->shared_patients, 5);
}

/* Leaks between splits that came with the source: said loudly, since scores would be too good. */
static void warn_of_leaks(const packing *p)
{
    size_t leaks = 0;
    for (size_t i = 0; i < p->plan.shared_patients.count; i++) leaks += strstr(p->plan.shared_patients.text[i], ": in splits") != NULL;
    if (leaks > 0) pulmo_warn("%zu patients stand in more than one split: scores on val and test may be too good", leaks);
}

static pulmo_status write_manifest(const packing *p)
{
    const pack_plan *plan = &p->plan;
    pulmo_packed_split present[SPLITS];
    char carve[1024] = "";
    for (size_t i = 0; i < plan->carve.count; i++)
        snprintf(carve + strlen(carve), sizeof carve - strlen(carve), "%s%s", i ? "; " : "", plan->carve.text[i]);
    pulmo_manifest manifest = {.form = p->form, .split = present, .carve = carve, .options = p->options_text,
                               .refused_paths = as_lines(&plan->refused_paths), .refused_reasons = as_lines(&plan->refused_reasons),
                               .identical = as_lines(&plan->identical), .similar = as_lines(&plan->similar),
                               .shared_patients = as_lines(&plan->shared_patients)};
    for (int s = 0; s < SPLITS; s++)
        if (p->split[s].count > 0) present[manifest.splits++] = p->split[s];
    return pulmo_manifest_write(p->options.destination, &manifest);
}

/* ---- all of it ---- */

static pulmo_status list_local(packing *p)
{
    PULMO_TRY(source_list_make(p->options.source, p->options.config, &p->list));
    p->options_text = describe_options(p);
    return p->options_text ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "out of memory for the options");
}

static pulmo_status plan_local(packing *p)
{
    PULMO_TRY(pack_plan_make(&p->list, p->records, p->options.config, &p->plan));
    if (p->plan.refused_paths.count > 0 && p->options.config->pack.on_bad == PULMO_ON_BAD_FAIL)
        return pulmo_fail(PULMO_DATA, "%zu files cannot be used and pack.on_bad is fail; the first: %s: %s", p->plan.refused_paths.count,
                          p->plan.refused_paths.text[0], p->plan.refused_reasons.text[0]);
    PULMO_TRY(make_form(p));
    for (int s = 0; s < SPLITS; s++) PULMO_TRY(make_split(p, s));
    return PULMO_OK;
}

static pulmo_status pack_all(packing *p)
{
    int done = 0;
    PULMO_TRY(pulmo_agree(p->comm, list_local(p)));
    PULMO_TRY(pulmo_same(p->comm, "the source's files", p->options_text));
    PULMO_TRY(pulmo_agree(p->comm, is_root(p) ? prepare_destination(p, &done) : PULMO_OK));
    PULMO_TRY(pulmo_bcast(p->comm, &done, sizeof done, 0));
    if (done) {
        pulmo_info("%s: these files are packed already, with the same options; nothing to do", p->options.destination);
        return PULMO_OK;
    }
    PULMO_TRY(spool_fill(p->comm, &p->list, &p->options, &p->records));
    PULMO_TRY(pulmo_agree(p->comm, plan_local(p)));
    if (is_root(p)) report(p);
    PULMO_TRY(pulmo_agree(p->comm, write_my_shards(p)));
    PULMO_TRY(pulmo_agree(p->comm, is_root(p) ? write_manifest(p) : PULMO_OK));
    if (is_root(p)) warn_of_leaks(p);
    pulmo_info("packed %u images of %d x %d x %d into %s", p->plan.count[0] + p->plan.count[1] + p->plan.count[2], p->form.height_px,
               p->form.width_px, p->form.channels, p->options.destination);
    return PULMO_OK;
}

pulmo_status pulmo_pack(pulmo_comm *comm, const pulmo_pack_options *options)
{
    packing *p = calloc(1, sizeof *p);
    PULMO_TRY(pulmo_agree(comm, p ? PULMO_OK : pulmo_fail(PULMO_MEMORY, "out of memory")));
    p->comm = comm;
    p->options = *options;
    if (p->options.threads == 0) {
        int threads = pulmo_cpu_count() / (pulmo_comm_node_size(comm) > 0 ? pulmo_comm_node_size(comm) : 1);
        p->options.threads = threads > 0 ? threads : 1;
    }
    pulmo_status status = pack_all(p);
    if (p->records || status != PULMO_OK) spool_remove(options->destination, pulmo_comm_rank(comm));
    for (int s = 0; s < SPLITS; s++) free_split(&p->split[s]);
    pack_plan_free(&p->plan);
    pulmo_free(p->records);
    source_list_free(&p->list);
    free(p->options_text);
    free(p);
    return status;
}
