/* Decoding: every rank decodes its share once, resized pixels go to a spool file of its own, and
 * a small record of each image to all ranks. Memory does not grow with the images. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "prep.h"
#include "pulmo/image.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/pool.h"

#define FILE_BYTES_MAX ((size_t)256 << 20)
#define HASH_SIDE 8

static char *spool_path(const char *destination, int rank) { return pulmo_format("%s/.spool-%d", destination, rank); }

/* ---- one image ---- */

/* Mean of each cell of a THUMB x THUMB grid; colours are averaged. */
static void make_thumb(const pulmo_image *image, uint8_t thumb[THUMB * THUMB])
{
    for (int ty = 0; ty < THUMB; ty++)
        for (int tx = 0; tx < THUMB; tx++) {
            int y0 = ty * image->height_px / THUMB, y1 = (ty + 1) * image->height_px / THUMB;
            int x0 = tx * image->width_px / THUMB, x1 = (tx + 1) * image->width_px / THUMB;
            uint64_t sum = 0, count = (uint64_t)(y1 - y0) * (uint64_t)(x1 - x0) * (uint64_t)image->channels;
            for (int y = y0; y < y1; y++) {
                const uint8_t *row = image->pixels + ((size_t)y * (size_t)image->width_px + (size_t)x0) * (size_t)image->channels;
                for (int i = 0; i < (x1 - x0) * image->channels; i++) sum += row[i];
            }
            thumb[ty * THUMB + tx] = (uint8_t)((sum + count / 2) / count);
        }
}

/* One bit a neighbouring pair of 8 x 9 cells: is the right one brighter? */
static uint64_t difference_hash(const uint8_t thumb[THUMB * THUMB])
{
    uint64_t hash = 0;
    for (int y = 0; y < HASH_SIDE; y++)
        for (int x = 0; x < HASH_SIDE; x++) {
            const uint8_t *a = thumb + 2 * y * THUMB + 2 * x, *b = x < HASH_SIDE - 1 ? a + 2 : thumb + 2 * y * THUMB;
            int left = a[0] + a[1] + a[THUMB] + a[THUMB + 1], right = b[0] + b[1] + b[THUMB] + b[THUMB + 1];
            hash = hash << 1 | (right > left);
        }
    return hash;
}

static pulmo_status decode_one(const char *path, const pulmo_config *config, image_record *record, pulmo_image *out)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    pulmo_image image = {0};
    pulmo_decode_notes notes;
    pulmo_decode_spec spec;
    int size = (int)config->pack.size;
    pulmo_decode_spec_init(&spec);
    spec.pixels_max = (uint64_t)config->pack.pixels_max;
    if (config->pack.decode == PULMO_DECODE_FAST) spec.fast_target_px = size;
    PULMO_TRY(pulmo_file_read(path, FILE_BYTES_MAX, &data, &bytes));
    record->digest = pulmo_digest_of(data, bytes);
    pulmo_status status = pulmo_jpeg_decode(data, bytes, &spec, &image, &notes);
    free(data);
    PULMO_TRY(status);
    record->had_icc = (uint8_t)notes.had_icc;
    if (notes.warning[0]) status = pulmo_fail(PULMO_DATA, "is damaged: %s", notes.warning);
    if (status == PULMO_OK) status = pulmo_image_resize(&image, size, size, out);
    pulmo_image_free(&image);
    return status;
}

/* ---- this rank's share ---- */

typedef struct spooler {
    const source_list *list;
    const pulmo_pack_options *options;
    pulmo_comm *comm;
    int fd;
    size_t first, count;
    uint64_t end;          /* of the spool */
    pthread_mutex_t lock;
    image_record *records; /* (count) */
    pulmo_status status;   /* of the spool itself */
    char report[512];
    pulmo_progress progress;
    size_t done;
} spooler;

static bool write_at(int fd, const uint8_t *data, size_t bytes, uint64_t offset)
{
    while (bytes > 0) {
        ssize_t wrote = pwrite(fd, data, bytes, (off_t)offset);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        data += wrote;
        offset += (uint64_t)wrote;
        bytes -= (size_t)wrote;
    }
    return true;
}

static void keep_pixels(spooler *s, image_record *record, pulmo_image *image)
{
    pulmo_image_collapse_grey(image);
    size_t bytes = (size_t)image->height_px * (size_t)image->width_px * (size_t)image->channels;
    record->channels = (uint8_t)image->channels;
    record->pixel_digest = pulmo_digest_of(image->pixels, bytes);
    make_thumb(image, record->thumb);
    record->hash = difference_hash(record->thumb);
    pthread_mutex_lock(&s->lock);
    record->offset = s->end;
    s->end += bytes;
    pthread_mutex_unlock(&s->lock);
    record->spool = pulmo_comm_rank(s->comm);
    record->usable = 1;
    if (write_at(s->fd, image->pixels, bytes, record->offset)) return;
    pthread_mutex_lock(&s->lock);
    s->status = PULMO_IO;
    snprintf(s->report, sizeof s->report, "%s: cannot write decoded pixels: %s; make room there", s->options->destination, strerror(errno));
    pthread_mutex_unlock(&s->lock);
}

static void decode_task(void *context, int task, int thread)
{
    spooler *s = context;
    image_record *record = &s->records[task];
    pulmo_image image = {0};
    (void)thread;
    if (s->status != PULMO_OK) return;
    char *path = pulmo_format("%s/%s", s->list->root, s->list->file[s->first + (size_t)task].path);
    pulmo_status status = path ? decode_one(path, s->options->config, record, &image) : PULMO_MEMORY;
    if (status == PULMO_OK) keep_pixels(s, record, &image);
    else {
        /* The reason alone: the manifest has the path beside it. */
        const char *reason = pulmo_error();
        size_t named = path ? strlen(path) : 0;
        if (path && strncmp(reason, path, named) == 0 && reason[named] == ':') reason += named + 2;
        snprintf(record->reason, sizeof record->reason, "%.191s", reason);
    }
    pulmo_image_free(&image);
    free(path);
    pthread_mutex_lock(&s->lock);
    pulmo_progress_update(&s->progress, (double)++s->done, NULL);
    pthread_mutex_unlock(&s->lock);
}

static pulmo_status fill_local(spooler *s)
{
    pulmo_pool *pool = NULL;
    int threads = s->options->threads > 0 ? s->options->threads : 1;
    char *path = spool_path(s->options->destination, pulmo_comm_rank(s->comm));
    s->records = pulmo_alloc(s->count + 1, sizeof *s->records);
    if (!path || !s->records) {
        free(path);
        return PULMO_MEMORY;
    }
    pulmo_status status = pulmo_pool_create(threads, &pool);
    s->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (s->fd < 0 && status == PULMO_OK) status = pulmo_fail(PULMO_IO, "%s: cannot be created: %s", path, strerror(errno));
    if (status == PULMO_OK) {
        pulmo_progress_begin(&s->progress, "  decode", "img", (double)s->count);
        pulmo_pool_run(pool, (int)s->count, decode_task, s);
        pulmo_progress_end(&s->progress);
        status = s->status == PULMO_OK ? PULMO_OK : pulmo_fail(s->status, "%s", s->report);
    }
    if (s->fd >= 0) close(s->fd);
    pulmo_pool_destroy(pool);
    free(path);
    return status;
}

pulmo_status spool_fill(pulmo_comm *comm, const source_list *list, const pulmo_pack_options *options, image_record **out)
{
    uint64_t rank = (uint64_t)pulmo_comm_rank(comm), size = (uint64_t)pulmo_comm_size(comm);
    void *all = NULL;
    size_t bytes = 0;
    spooler s = {.list = list, .options = options, .comm = comm, .fd = -1};
    s.first = rank * list->count / size;
    s.count = (rank + 1) * list->count / size - s.first;
    pthread_mutex_init(&s.lock, NULL);
    pulmo_status status = pulmo_agree(comm, fill_local(&s));
    if (status == PULMO_OK) status = pulmo_gather_all(comm, s.records, s.count * sizeof *s.records, &all, &bytes, NULL);
    pthread_mutex_destroy(&s.lock);
    pulmo_free(s.records);
    *out = all;
    return status;
}

/* ---- reading back ---- */

struct spool_reader {
    int ranks;
    const char *destination;
    uint8_t *grey;
    int fd[];
};

pulmo_status spool_open(const char *destination, int ranks, spool_reader **out)
{
    spool_reader *reader = malloc(sizeof *reader + (size_t)ranks * sizeof(int));
    if (!reader) return pulmo_fail(PULMO_MEMORY, "out of memory for spools");
    reader->ranks = ranks;
    reader->destination = destination;
    reader->grey = NULL;
    for (int r = 0; r < ranks; r++) reader->fd[r] = -1;
    *out = reader;
    return PULMO_OK;
}

static pulmo_status read_at(spool_reader *reader, const image_record *record, uint8_t *pixels, size_t bytes)
{
    int *fd = &reader->fd[record->spool];
    char *path = spool_path(reader->destination, record->spool);
    if (!path) return PULMO_MEMORY;
    pulmo_status status = PULMO_OK;
    if (*fd < 0) *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || pread(*fd, pixels, bytes, (off_t)record->offset) != (ssize_t)bytes)
        status = pulmo_fail(PULMO_IO, "%s: cannot be read back: %s; all ranks must see DEST", path, strerror(errno));
    free(path);
    return status;
}

pulmo_status spool_read(spool_reader *reader, const image_record *record, int size_px, int channels, uint8_t *pixels)
{
    size_t count = (size_t)size_px * (size_t)size_px;
    if (record->channels == channels) return read_at(reader, record, pixels, count * (size_t)channels);
    if (!reader->grey && !(reader->grey = malloc(count))) return pulmo_fail(PULMO_MEMORY, "out of memory for an image");
    PULMO_TRY(read_at(reader, record, reader->grey, count));
    for (size_t i = 0; i < count; i++) memset(pixels + 3 * i, reader->grey[i], 3);
    return PULMO_OK;
}

void spool_close(spool_reader *reader)
{
    if (!reader) return;
    for (int r = 0; r < reader->ranks; r++)
        if (reader->fd[r] >= 0) close(reader->fd[r]);
    free(reader->grey);
    free(reader);
}

void spool_remove(const char *destination, int rank)
{
    char *path = spool_path(destination, rank);
    if (path) unlink(path);
    free(path);
}
