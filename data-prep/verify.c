/* pulmo pack --verify: everything that a packed data set holds, read again and compared with the
 * digests in its manifest. Shards are shared out among ranks, images of a shard among threads. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names.h"
#include "packing.h"
#include "source.h"

#include "pulmo/dataset.h"
#include "pulmo/h5.h"
#include "pulmo/image.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/pack.h"
#include "pulmo/packed.h"
#include "pulmo/pool.h"
#include "pulmo/text.h"

enum { PATHS, GROUPS, DIGESTS, PIXELS, COLUMNS };
static const char *const columns[COLUMNS] = {"paths", "groups", "digests", "pixel_digests"};

/* A split as its manifest has it. */
typedef struct listed {
    const char *name;
    pulmo_cut cut;
    int32_t *labels;
    char **text[COLUMNS];
} listed;

typedef struct verifying {
    pulmo_comm *comm;
    const char *destination, *source, *key_file;
    pulmo_pseudonyms *names; /* of the source, where the pack has pseudonyms */
    pulmo_pool *pool;
    int height, width, channels, turn;
    listed split;
    pulmo_h5 *file; /* of the shard */
    char *path;
    uint32_t first;
    pthread_mutex_t lock; /* of the lines */
    text_lines differs;
    pulmo_failure failed; /* of the check itself: out of memory */
    uint64_t images, sources;
    int64_t unreadable; /* of the lines: files that cannot be read at the moment */
} verifying;

/* Keeps the thread's report where the check itself has failed; nothing is known of the data then.
 */
static void keep_failure(verifying *v, pulmo_status status)
{
    if (v->failed.status == PULMO_OK)
        pulmo_failure_keep(&v->failed, status);
}

/* Notes what differs; the check continues. */
static void differs(verifying *v, const char *file, const char *what, const char *which)
{
    pthread_mutex_lock(&v->lock);
    pulmo_status status = lines_add(&v->differs, "%s: %s%s", file, what, which);
    if (status != PULMO_OK)
        keep_failure(v, status);
    pthread_mutex_unlock(&v->lock);
}

/* Notes the report, which names its file. One that is there and cannot be read may be whole. */
static void report_differs(verifying *v, pulmo_status status, const char *path)
{
    bool gone = access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
    bool of_the_file = status == PULMO_IO || status == PULMO_DATA;
    pthread_mutex_lock(&v->lock);
    if (of_the_file) {
        v->unreadable += status == PULMO_IO && !gone;
        status = lines_add(&v->differs, "%s", pulmo_error());
    }
    if (status != PULMO_OK)
        keep_failure(v, status);
    pthread_mutex_unlock(&v->lock);
    pulmo_error_clear();
}

/* ---- a shard ---- */

/* Image `i`'s path in the source; NULL where its name went with the file. */
static const char *path_of(const verifying *v, uint32_t i)
{
    const char *path = v->split.text[PATHS][i];
    return v->names ? pulmo_pseudonyms_find(v->names, path) : path;
}

static bool is_digest(const pulmo_digest *found, const char *wanted)
{
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest_hex(found, hex);
    return strcmp(hex, wanted) == 0;
}

/* The digest of an image as it was packed: a grey one has one channel. */
static pulmo_digest digest_pixels(pulmo_image *image)
{
    pulmo_image_collapse_grey(image);
    size_t pixels = (size_t)image->height_px * (size_t)image->width_px;
    return pulmo_digest_of(image->pixels, pixels * (size_t)image->channels);
}

/* Image `row` of the shard, into `image`, whose pixels have room for it. */
static void compare_image(verifying *v, uint32_t row, pulmo_image *image)
{
    uint32_t i = v->first + row;
    const char *source = v->split.text[PATHS][i];
    pulmo_status status = pulmo_h5_read_rows(v->file, "images", PULMO_H5_U8, row, 1, image->pixels);
    if (status == PULMO_DATA) {
        differs(v, v->path, "cannot be read: image of ", source);
        pulmo_error_clear();
        return;
    }
    if (status != PULMO_OK) {
        report_differs(v, status, v->path);
        return;
    }
    pulmo_digest found = digest_pixels(image);
    if (!is_digest(&found, v->split.text[PIXELS][i]))
        differs(v, v->path, "other pixels than were packed: image of ", source);
}

static void check_image(void *context, int task, int thread)
{
    verifying *v = context;
    size_t pixels = (size_t)v->height * (size_t)v->width;
    pulmo_image image = {.height_px = v->height, .width_px = v->width, .channels = v->channels};
    (void)thread;
    image.pixels = malloc(pixels * (size_t)v->channels);
    if (image.pixels)
        compare_image(v, (uint32_t)task, &image);
    else
        report_differs(v, pulmo_fail(PULMO_MEMORY, "%s: out of memory", v->path), v->path);
    pulmo_image_free(&image);
}

static pulmo_status check_labels(verifying *v, uint32_t count)
{
    const uint64_t rows = count;
    const int32_t *wanted = v->split.labels + v->first;
    int32_t *labels = malloc(((size_t)count + 1) * sizeof *labels);
    if (!labels)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", v->path);
    pulmo_status status = pulmo_h5_read(v->file, "labels", PULMO_H5_I32, 1, &rows, labels);
    if (status == PULMO_OK && memcmp(labels, wanted, count * sizeof *labels) != 0)
        differs(v, v->path, "other labels than the manifest's", "");
    free(labels);
    return status;
}

static pulmo_status check_column(verifying *v, int column, uint32_t count)
{
    char *const *wanted = v->split.text[column] + v->first;
    uint64_t found = 0;
    char **text = NULL;
    PULMO_TRY(pulmo_h5_read_strings(v->file, columns[column], &found, &text));
    bool same = found == count;
    for (uint32_t i = 0; same && i < count; i++)
        same = strcmp(text[i], wanted[i]) == 0;
    if (!same)
        differs(v, v->path, "other than the manifest's: ", columns[column]);
    free(text);
    return PULMO_OK;
}

static pulmo_status check_lists(verifying *v, uint32_t count)
{
    PULMO_TRY(check_labels(v, count));
    for (int c = PATHS; c <= DIGESTS; c++)
        PULMO_TRY(check_column(v, c, count));
    return PULMO_OK;
}

static pulmo_status check_shape(verifying *v, uint32_t count)
{
    pulmo_h5_shape shape;
    const uint64_t wanted[4] = {count, (uint64_t)v->height, (uint64_t)v->width,
                                (uint64_t)v->channels};
    PULMO_TRY(pulmo_h5_shape_of(v->file, "images", &shape));
    bool of_images = shape.type == PULMO_H5_U8 && shape.rank == 4;
    if (of_images && memcmp(shape.dims, wanted, sizeof wanted) == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: /images has not the shape that the manifest says", v->path);
}

static void check_shard(verifying *v, uint32_t shard)
{
    v->path = pulmo_shard_path(v->destination, v->split.name, shard, v->split.cut.shards);
    v->first = pulmo_cut_first(&v->split.cut, shard);
    uint32_t count = pulmo_cut_first(&v->split.cut, shard + 1) - v->first;
    pulmo_status status = v->path ? pulmo_h5_open(v->path, &v->file) : PULMO_MEMORY;
    if (status == PULMO_OK)
        status = check_shape(v, count);
    if (status == PULMO_OK)
        status = check_lists(v, count);
    if (status == PULMO_OK) {
        pulmo_pool_run(v->pool, (int)count, check_image, v);
        v->images += count;
    } else
        report_differs(v, status, v->path ? v->path : "");
    pulmo_h5_close(v->file);
    v->file = NULL;
    free(v->path);
}

/* ---- sources ---- */

static void compare_source(verifying *v, uint32_t i, const char *name)
{
    pulmo_digest found;
    char *path = pulmo_format("%s/%s", v->source, name);
    pulmo_status status = path ? pulmo_digest_of_file(path, &found) : PULMO_MEMORY;
    if (status != PULMO_OK)
        report_differs(v, status, path ? path : v->source);
    else if (!is_digest(&found, v->split.text[DIGESTS][i]))
        differs(v, path, "has changed since it was packed", "");
    free(path);
}

static void check_source(void *context, int task, int thread)
{
    verifying *v = context;
    uint32_t i = v->first + (uint32_t)task;
    const char *name = path_of(v, i);
    (void)thread;
    if (name)
        compare_source(v, i, name);
    else
        differs(v, v->source, "no file there was packed as ", v->split.text[PATHS][i]);
}

static void check_sources(verifying *v)
{
    uint32_t rank = (uint32_t)pulmo_comm_rank(v->comm);
    uint32_t size = (uint32_t)pulmo_comm_size(v->comm);
    uint32_t images = v->split.cut.count;
    v->first = pulmo_shard_first(images, rank, size);
    uint32_t end = pulmo_shard_first(images, rank + 1, size);
    uint32_t count = end - v->first;
    pulmo_pool_run(v->pool, (int)count, check_source, v);
    v->sources += count;
}

/* ---- a split ---- */

static void free_split(listed *split)
{
    free(split->labels);
    free(split->cut.first);
    for (int c = 0; c < COLUMNS; c++)
        free(split->text[c]);
    memset(split, 0, sizeof *split);
}

static pulmo_status read_column(pulmo_h5 *manifest, const char *base, int column, listed *out)
{
    char path[96];
    uint64_t found = 0;
    snprintf(path, sizeof path, "%s/%s", base, columns[column]);
    PULMO_TRY(pulmo_h5_read_strings(manifest, path, &found, &out->text[column]));
    if (found == out->cut.count)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: /%s has %llu entries, not %u", pulmo_h5_path(manifest), path,
                      (unsigned long long)found, out->cut.count);
}

static pulmo_status read_labels(pulmo_h5 *manifest, const char *base, listed *out)
{
    char path[96];
    const uint64_t count = out->cut.count;
    snprintf(path, sizeof path, "%s/labels", base);
    out->labels = malloc(((size_t)count + 1) * sizeof *out->labels);
    if (!out->labels)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", pulmo_h5_path(manifest));
    return pulmo_h5_read(manifest, path, PULMO_H5_I32, 1, &count, out->labels);
}

static pulmo_status read_split(pulmo_h5 *manifest, const char *name, listed *out)
{
    char base[64];
    *out = (listed){.name = name};
    snprintf(base, sizeof base, "splits/%s", name);
    PULMO_TRY(pulmo_cut_read(manifest, base, &out->cut));
    for (int c = 0; c < COLUMNS; c++)
        PULMO_TRY(read_column(manifest, base, c, out));
    return read_labels(manifest, base, out);
}

/* The split's own digest, as training would check it. */
static void check_digest(verifying *v, const char *name)
{
    pulmo_dataset *dataset = NULL;
    pulmo_status status = pulmo_dataset_open(v->destination, name, 0, &dataset);
    if (status != PULMO_OK)
        report_differs(v, status, v->destination);
    pulmo_dataset_close(dataset);
}

/* This rank's share of a split that was read. */
static void check_share(verifying *v)
{
    int rank = pulmo_comm_rank(v->comm);
    int size = pulmo_comm_size(v->comm);
    size_t before = v->differs.count;
    for (uint32_t s = 0; s < v->split.cut.shards; s++) {
        if (v->turn % size == rank)
            check_shard(v, s);
        v->turn++;
    }
    if (v->source)
        check_sources(v);
    /* What shards lack has been said above. */
    if (rank == 0 && v->differs.count == before)
        check_digest(v, v->split.name);
}

static void check_split(verifying *v, pulmo_h5 *manifest, const char *name)
{
    bool is_root = pulmo_comm_rank(v->comm) == 0;
    pulmo_status status = read_split(manifest, name, &v->split);
    if (status == PULMO_OK)
        check_share(v);
    else if (is_root)
        report_differs(v, status, pulmo_h5_path(manifest));
    free_split(&v->split);
}

/* ---- all of it ---- */

/* The shape of all images. */
static pulmo_status read_shape(verifying *v, pulmo_h5 *manifest)
{
    int64_t height = 0;
    int64_t width = 0;
    int64_t channels = 0;
    PULMO_TRY(pulmo_h5_get_int(manifest, "/", "height", &height));
    PULMO_TRY(pulmo_h5_get_int(manifest, "/", "width", &width));
    PULMO_TRY(pulmo_h5_get_int(manifest, "/", "channels", &channels));
    bool sized = height >= 1 && height <= 32768 && width >= 1 && width <= 32768;
    bool coloured = channels == 1 || channels == 3;
    if (!sized || !coloured)
        return pulmo_fail(PULMO_DATA, "%s: says images of %lld x %lld x %lld",
                          pulmo_h5_path(manifest), (long long)height, (long long)width,
                          (long long)channels);
    v->height = (int)height;
    v->width = (int)width;
    v->channels = (int)channels;
    return PULMO_OK;
}

static pulmo_status open_manifest(const verifying *v, const char *path, pulmo_h5 **manifest)
{
    struct stat about;
    const char *destination = v->destination;
    if (stat(destination, &about) != 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be opened: %s; --verify takes a packed data set",
                          destination, strerror(errno));
    if (!S_ISDIR(about.st_mode))
        return pulmo_fail(PULMO_DATA,
                          "%s: is a file; --verify takes a packed data set, \"pulmo verify\" any "
                          ".h5 file of pulmo's",
                          destination);
    if (stat(path, &about) != 0)
        return pulmo_fail(
            PULMO_DATA,
            "%s: holds no manifest.h5: it is not a packed data set, or its packing was "
            "interrupted; name the DEST of a pack, or give the command of the pack again",
            destination);
    return pulmo_h5_open(path, manifest);
}

static pulmo_status find_names(verifying *v, pulmo_h5 *manifest)
{
    pulmo_pseudonym_key key;
    bool hidden = false;
    PULMO_TRY(names_key_of(manifest, v->key_file, &hidden, &key));
    if (!hidden)
        return PULMO_OK;
    pulmo_status status = names_of_files(v->source, &key, &v->names);
    explicit_bzero(&key, sizeof key);
    return status;
}

static pulmo_status verify_local(verifying *v, int threads)
{
    pulmo_h5 *manifest = NULL;
    char *path = pulmo_format("%s/manifest.h5", v->destination);
    pulmo_status status = PULMO_OK;
    if (!path)
        return PULMO_MEMORY;
    PULMO_GOTO(open_manifest(v, path, &manifest));
    PULMO_GOTO(read_shape(v, manifest));
    if (v->source)
        PULMO_GOTO(find_names(v, manifest));
    PULMO_GOTO(pulmo_pool_create(threads, &v->pool));
    for (int s = 0; s < PULMO_SPLITS; s++) {
        const char *name = pulmo_split_name(s);
        char base[64];
        snprintf(base, sizeof base, "splits/%s", name);
        if (pulmo_h5_exists(manifest, base))
            check_split(v, manifest, name);
    }
    status = pulmo_failure_raise(&v->failed);
out:
    pulmo_pool_destroy(v->pool);
    pulmo_h5_close(manifest);
    free(path);
    return status;
}

/* With names in place of pseudonyms, as far as the source's files tell them. */
static void write_line(const verifying *v, const char *line, FILE *out)
{
    char *shown = v->names ? pulmo_pseudonyms_reveal(v->names, line) : NULL;
    pulmo_text_show(out, shown ? shown : line, SIZE_MAX);
    fputc('\n', out);
    free(shown);
}

/* This rank's lines as one text, owned by the caller. */
static pulmo_status differences_text(const verifying *v, char **out)
{
    pulmo_text text;
    PULMO_TRY(pulmo_text_open(&text));
    for (size_t i = 0; i < v->differs.count; i++)
        write_line(v, v->differs.text[i], text.stream);
    return pulmo_text_take(&text, out);
}

/* Every rank's lines on rank 0's standard output; counts them. */
static pulmo_status show_all(verifying *v, int64_t *found)
{
    char *text = NULL;
    void *all = NULL;
    size_t all_bytes = 0;
    pulmo_status status = pulmo_agree(v->comm, differences_text(v, &text));
    if (status == PULMO_OK)
        status = pulmo_gather_all(v->comm, text, strlen(text), &all, &all_bytes, NULL);
    if (status == PULMO_OK && pulmo_comm_rank(v->comm) == 0)
        fwrite(all, 1, all_bytes, stdout);
    *found = (int64_t)v->differs.count;
    if (status == PULMO_OK)
        status = pulmo_sum_i64(v->comm, found, 1);
    pulmo_free(all);
    free(text);
    return status;
}

pulmo_status pulmo_pack_verify(pulmo_comm *comm, const pulmo_pack_options *options)
{
    const char *destination = options->destination;
    const char *source = options->source;
    verifying v = {.comm = comm,
                   .destination = destination,
                   .source = source,
                   .key_file = options->config->pack.key_file};
    int64_t found = 0;
    int threads = options->threads;
    if (threads == 0)
        threads = packing_threads(comm);
    pthread_mutex_init(&v.lock, NULL);
    pulmo_status status = pulmo_agree(comm, verify_local(&v, threads));
    if (status == PULMO_OK)
        status = show_all(&v, &found);
    int64_t seen[3] = {(int64_t)v.images, (int64_t)v.sources, v.unreadable};
    if (status == PULMO_OK)
        status = pulmo_sum_i64(comm, seen, 3);
    lines_free(&v.differs);
    pulmo_pseudonyms_destroy(v.names);
    pthread_mutex_destroy(&v.lock);
    PULMO_TRY(status);
    if (seen[2] > 0)
        return pulmo_fail(
            PULMO_IO,
            "%s: %lld file%s cannot be read at the moment (listed above); verify again "
            "when all can",
            destination, (long long)seen[2], pulmo_plural((uint64_t)seen[2]));
    if (found > 0)
        return pulmo_fail(PULMO_DATA,
                          "%s: %lld %s from what was packed (listed above); pack again "
                          "with --overwrite, or restore the files",
                          destination, (long long)found,
                          found == 1 ? "thing differs" : "things differ");
    pulmo_info("%s: %lld image%s%s %s what was packed", destination, (long long)seen[0],
               pulmo_plural((uint64_t)seen[0]), source ? " and their source files" : "",
               source ? "are" : pulmo_are((uint64_t)seen[0]));
    return PULMO_OK;
}
