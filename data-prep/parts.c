/* Decoding, resumable. The list is cut into parts of PART_FILES files; a part is decoded by one
 * rank into a file that appears whole or not at all, so that an interrupted pack resumes with the
 * parts that are missing, at any number of ranks. Memory does not grow with the images.
 *
 * part-00012:  part_head | part_entry[count] | SHA-256 of all before | pixels
 *
 * It is the program's own scratch file: numbers as this machine stores them, and gone when a pack
 * is done. No fsync: after a crash of the machine the digests show what did not reach the disk. */
#include "parts.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "names.h"
#include "packing.h"
#include "update.h"

#include "pulmo/file.h"
#include "pulmo/image.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/pool.h"
#include "pulmo/text.h"

#define PART_FILES     128
#define PART_VERSION   3
#define OPEN_PARTS     32
#define FILE_BYTES_MAX ((size_t)256 << 20)
#define REASON_BYTES   192

typedef struct part_head {
    char magic[8];
    uint32_t version, part, count, unused;
    pulmo_digest key;
} part_head;

typedef struct part_entry {
    image_record record;
    char reason[REASON_BYTES];
    uint8_t has_header;           /* it is a DICOM file, and these are of its header */
    char folded[PULMO_PSEUDONYM]; /* of names_fold_patient */
    char patient[PULMO_PATIENT_BYTES], header[PULMO_HEADERS_MAX * PULMO_HEADER_VALUE_BYTES];
} part_entry;

static const char magic[8] = "pulmopt";

static uint32_t parts_of(const source_list *list)
{
    return (uint32_t)((list->count + PART_FILES - 1) / PART_FILES);
}
static size_t first_of(uint32_t part)
{
    return (size_t)part * PART_FILES;
}
static uint32_t count_of(const source_list *list, uint32_t part)
{
    size_t left = list->count - first_of(part);
    return left < PART_FILES ? (uint32_t)left : PART_FILES;
}
static size_t entries_bytes(uint32_t count)
{
    return sizeof(part_head) + count * sizeof(part_entry);
}
static size_t pixels_at(uint32_t count)
{
    return entries_bytes(count) + sizeof(pulmo_digest);
}
static char *part_path(const char *work, uint32_t part)
{
    return pulmo_format("%s/part-%05u", work, part);
}

/* ---- one image ---- */

static void keep_header(const pulmo_decode_notes *notes, part_entry *entry)
{
    entry->has_header = notes->has_header;
    memcpy(entry->patient, notes->patient, sizeof entry->patient);
    memcpy(entry->header, notes->header, sizeof entry->header);
}

static pulmo_status decode_one(const char *path, const source_list *list,
                               const pulmo_config *config, part_entry *entry, pulmo_image *out)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    pulmo_decode_notes notes;
    pulmo_decode_spec spec;
    const pulmo_framing framing = framing_from(config);
    pulmo_decode_spec_framed(&spec, &framing, (int)config->pack.size);
    spec.pixels_max = (uint64_t)config->pack.pixels_max;
    spec.header = list->header;
    spec.headers = list->headers;
    PULMO_TRY(pulmo_file_read(path, FILE_BYTES_MAX, &data, &bytes));
    entry->record.digest = pulmo_digest_of(data, bytes);
    pulmo_status status = pulmo_image_decode(data, bytes, &spec, out, &notes);
    free(data);
    entry->record.profiled = notes.had_icc || notes.had_gamma;
    entry->record.format = (uint8_t)notes.format;
    entry->record.square = notes.source_height_px == notes.source_width_px;
    keep_header(&notes, entry);
    PULMO_TRY(names_fold_patient(list, entry->patient, entry->folded));
    PULMO_TRY(names_hide_patient(list, entry->patient, sizeof entry->patient));
    return status;
}

/* ---- one part ---- */

typedef struct filler {
    const source_list *list;
    const pulmo_pack_options *options;
    const char *work;
    const pulmo_digest *key;
    pulmo_pool *pool;
    uint32_t part;
    int fd;
    uint64_t end; /* of the pixels written */
    part_entry *entries;
    uint32_t order[PART_FILES]; /* the largest files first, so that threads end together */
    pthread_mutex_t lock;
    pulmo_progress progress;
    size_t done;
} filler;

/* Of the image without what pads it, by which images of one aspect would look alike. */
static pulmo_status make_sketch(const filler *f, const pulmo_image *image,
                                int8_t out[PULMO_SKETCH_BYTES])
{
    pulmo_image inner = {0};
    if (f->options->config->pack.fit == PULMO_FIT_PAD) {
        PULMO_TRY(pulmo_image_unpad(image, &inner));
        image = &inner;
    }
    pulmo_sketch_make(image->pixels, image->height_px, image->width_px, image->channels, out);
    pulmo_image_free(&inner);
    return PULMO_OK;
}

static pulmo_status keep_pixels(filler *f, image_record *record, pulmo_image *image)
{
    size_t pixels = (size_t)image->height_px * (size_t)image->width_px;
    size_t bytes = pixels * (size_t)image->channels;
    record->channels = (uint8_t)image->channels;
    record->pixel_digest = pulmo_digest_of(image->pixels, bytes);
    PULMO_TRY(make_sketch(f, image, record->sketch));
    record->usable = 1;
    pthread_mutex_lock(&f->lock);
    record->offset = f->end;
    f->end += bytes;
    pthread_mutex_unlock(&f->lock);
    if (pulmo_file_write_at(f->fd, image->pixels, bytes, record->offset))
        return PULMO_OK;
    return pulmo_fail(PULMO_IO,
                      "%s: cannot write decoded pixels: %s; make room there, the same command then "
                      "resumes",
                      f->work, strerror(errno));
}

/* The reason alone: the manifest has the path beside it. */
static void keep_reason(part_entry *entry, const char *path)
{
    const char *reason = pulmo_error();
    size_t named = strlen(path);
    if (strncmp(reason, path, named) == 0 && reason[named] == ':')
        reason += named + 2;
    snprintf(entry->reason, sizeof entry->reason, "%.191s", reason);
}

/* A file that cannot be used is recorded as such. One that cannot be read is not: a disk or a file
 * server may be well again in a minute, and the part must not be kept without the image. */
static pulmo_status fill_entry(filler *f, const char *path, part_entry *entry)
{
    pulmo_image image = {0};
    pulmo_status status = decode_one(path, f->list, f->options->config, entry, &image);
    if (status == PULMO_OK)
        status = keep_pixels(f, &entry->record, &image);
    else if (status == PULMO_IO)
        pulmo_fail(
            status,
            "%s; what is decoded is kept: run the same command again when it can be read, or "
            "leave it out by pack.exclude_pattern",
            pulmo_error());
    pulmo_image_free(&image);
    if (status != PULMO_DATA)
        return status;
    keep_reason(entry, path);
    return PULMO_OK;
}

static pulmo_status decode_task(void *context, int task, int thread)
{
    filler *f = context;
    uint32_t place = f->order[task];
    const source_file *file = &f->list->file[first_of(f->part) + place];
    part_entry *entry = &f->entries[place];
    pulmo_status status = PULMO_OK;
    (void)thread;
    if (pulmo_interrupt_wanted())
        return PULMO_INTERRUPTED;
    char *path = source_file_place(f->list->root, file);
    if (!path)
        return PULMO_MEMORY;
    if (file->refusal)
        snprintf(entry->reason, sizeof entry->reason, "%s", file->refusal);
    else
        status = fill_entry(f, path, entry);
    pthread_mutex_lock(&f->lock);
    f->done++;
    pulmo_progress_update(&f->progress, (double)f->done, NULL);
    pthread_mutex_unlock(&f->lock);
    free(path);
    return status;
}

static void order_files(filler *f, uint32_t count)
{
    const source_file *file = &f->list->file[first_of(f->part)];
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = i;
        while (k > 0) {
            uint32_t before = f->order[k - 1];
            if (file[before].size_bytes >= file[i].size_bytes)
                break;
            f->order[k] = before;
            k--;
        }
        f->order[k] = i;
    }
}

static bool write_entries(const filler *f, uint32_t count)
{
    part_head head = {.version = PART_VERSION, .part = f->part, .count = count, .key = *f->key};
    size_t bytes = count * sizeof *f->entries;
    pulmo_digester *digester = NULL;
    memcpy(head.magic, magic, sizeof head.magic);
    if (pulmo_digester_create(&digester) != PULMO_OK)
        return false;
    pulmo_digester_add(digester, &head, sizeof head);
    pulmo_digester_add(digester, f->entries, bytes);
    pulmo_digest digest = pulmo_digester_end(digester);
    return pulmo_file_write_at(f->fd, &head, sizeof head, 0) &&
           pulmo_file_write_at(f->fd, f->entries, bytes, sizeof head) &&
           pulmo_file_write_at(f->fd, &digest, sizeof digest, entries_bytes(count));
}

static pulmo_status fill_open_part(filler *f, const char *path, const char *temporary)
{
    uint32_t count = count_of(f->list, f->part);
    memset(f->entries, 0, PART_FILES * sizeof *f->entries);
    f->end = pixels_at(count);
    order_files(f, count);
    PULMO_TRY(pulmo_pool_try(f->pool, (int)count, decode_task, f));
    if (pulmo_interrupt_wanted())
        return PULMO_INTERRUPTED;
    if (write_entries(f, count) && rename(temporary, path) == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO,
                      "%s: cannot be written: %s; make room there, the same command then resumes",
                      path, strerror(errno));
}

static pulmo_status fill_part(filler *f)
{
    char *path = part_path(f->work, f->part);
    char *temporary = path ? pulmo_format("%s.tmp", path) : NULL;
    pulmo_status status = temporary ? PULMO_OK : PULMO_MEMORY;
    if (status == PULMO_OK) {
        f->fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (f->fd < 0)
            status = pulmo_fail(PULMO_IO, "%s: cannot be created: %s", temporary, strerror(errno));
        else
            status = fill_open_part(f, path, temporary);
        if (f->fd >= 0)
            close(f->fd);
        if (status != PULMO_OK)
            unlink(temporary);
    }
    free(temporary);
    free(path);
    return status;
}

/* ---- what is there already ---- */

static bool read_whole(int fd, void *out, size_t bytes, size_t offset)
{
    ssize_t got = pread(fd, out, bytes, (off_t)offset);
    return got == (ssize_t)bytes;
}

static bool is_head(const part_head *head, const pulmo_digest *key, uint32_t part, uint32_t count)
{
    if (memcmp(head->magic, magic, sizeof magic) != 0 || head->version != PART_VERSION)
        return false;
    if (head->part != part || head->count != count)
        return false;
    return memcmp(&head->key, key, sizeof *key) == 0;
}

/* Reads and checks a part's entries; PULMO_DATA, without a report, if it is missing, of another
 * pack, or not whole. */
static pulmo_status read_entries(const source_list *list, const char *work, const pulmo_digest *key,
                                 uint32_t part, part_entry *entries)
{
    uint32_t count = count_of(list, part);
    size_t bytes = count * sizeof *entries;
    part_head head;
    pulmo_digest kept;
    pulmo_digester *digester = NULL;
    char *path = part_path(work, part);
    if (!path)
        return PULMO_MEMORY;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    free(path);
    if (fd < 0)
        return PULMO_DATA;
    bool whole = read_whole(fd, &head, sizeof head, 0) &&
                 read_whole(fd, entries, bytes, sizeof head) &&
                 read_whole(fd, &kept, sizeof kept, entries_bytes(count));
    close(fd);
    if (!whole || !is_head(&head, key, part, count))
        return PULMO_DATA;
    PULMO_TRY(pulmo_digester_create(&digester));
    pulmo_digester_add(digester, &head, sizeof head);
    pulmo_digester_add(digester, entries, bytes);
    pulmo_digest found = pulmo_digester_end(digester);
    return memcmp(&found, &kept, sizeof kept) == 0 ? PULMO_OK : PULMO_DATA;
}

/* ---- this rank's share ---- */

/* Another rank may be told to end: it leaves a file for the others to see. */
static bool stop_is_wanted(const char *work)
{
    struct stat about;
    char *path = pulmo_format("%s/stop", work);
    bool wanted = path && stat(path, &about) == 0;
    if (path && !wanted && pulmo_interrupt_wanted())
        close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    free(path);
    return wanted || pulmo_interrupt_wanted();
}

/* Marks the missing parts of this rank's share; says where an earlier pack is resumed. */
static void begin_share(filler *f, int rank, int size, uint8_t *missing)
{
    size_t all = 0;
    size_t there = 0;
    for (uint32_t p = (uint32_t)rank; p < parts_of(f->list); p += (uint32_t)size) {
        uint32_t images = count_of(f->list, p);
        bool whole = read_entries(f->list, f->work, f->key, p, f->entries) == PULMO_OK;
        missing[p] = !whole;
        all += images;
        if (whole)
            there += images;
    }
    f->done = there;
    pulmo_progress_begin(&f->progress, "  decode", "img", (double)all);
    f->progress.skipped = (double)there;
    if (there > 0)
        pulmo_info("resuming an earlier pack: %zu of %zu image%s%s %s decoded", there, all,
                   pulmo_plural(all), size > 1 ? " of rank 0" : "", pulmo_are(there));
}

static pulmo_status fill_share(filler *f, int rank, int size, const uint8_t *missing)
{
    pulmo_status status = PULMO_OK;
    uint32_t parts = parts_of(f->list);
    for (uint32_t p = (uint32_t)rank; p < parts && status == PULMO_OK; p += (uint32_t)size) {
        if (!missing[p])
            continue;
        f->part = p;
        status = stop_is_wanted(f->work) ? PULMO_INTERRUPTED : fill_part(f);
    }
    if (status == PULMO_INTERRUPTED)
        stop_is_wanted(f->work);
    pulmo_progress_end(&f->progress);
    if (status == PULMO_INTERRUPTED)
        pulmo_fail(
            status,
            "interrupted; what is decoded is kept in %s: run the same command again to resume",
            f->work);
    return status;
}

static pulmo_status fill_local(filler *f, int rank, int size, uint8_t **fresh)
{
    int threads = f->options->threads > 0 ? f->options->threads : 1;
    uint8_t *missing = calloc(parts_of(f->list) + 1, 1);
    pulmo_status status = PULMO_OK;
    f->entries = calloc(PART_FILES, sizeof *f->entries);
    if (!missing || !f->entries)
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory for the records of a part"));
    PULMO_GOTO(pulmo_pool_create(threads, &f->pool));
    begin_share(f, rank, size, missing);
    PULMO_GOTO(fill_share(f, rank, size, missing));
out:
    pulmo_pool_destroy(f->pool);
    free(f->entries);
    *fresh = missing;
    return status;
}

pulmo_status parts_fill(pulmo_comm *comm, const source_list *list,
                        const pulmo_pack_options *options, const char *work,
                        const pulmo_digest *key, uint8_t **fresh)
{
    filler f = {.list = list, .options = options, .work = work, .key = key, .fd = -1};
    pthread_mutex_init(&f.lock, NULL);
    int rank = pulmo_comm_rank(comm);
    int size = pulmo_comm_size(comm);
    pulmo_status status = pulmo_agree(comm, fill_local(&f, rank, size, fresh));
    pthread_mutex_destroy(&f.lock);
    return status;
}

/* ---- reading back ---- */

struct part_files {
    int fd[OPEN_PARTS]; /* part p in place p % OPEN_PARTS */
    uint32_t part[OPEN_PARTS];
    uint8_t grey[];
};

/* The header's values behind each other, in no more memory than they need. */
static pulmo_status take_facts(const part_entry *entry, int values, char **out)
{
    const size_t patient = strlen(entry->patient) + 1;
    const size_t folded = strlen(entry->folded) + 1;
    size_t bytes = 0;
    for (int i = 0; i < values; i++)
        bytes += strlen(entry->header + bytes) + 1;
    *out = malloc(patient + folded + bytes);
    if (!*out)
        return pulmo_fail(PULMO_MEMORY, "out of memory for headers");
    memcpy(*out, entry->patient, patient);
    memcpy(*out + patient, entry->folded, folded);
    memcpy(*out + patient + folded, entry->header, bytes);
    return PULMO_OK;
}

static pulmo_status read_part(part_store *store, const pulmo_digest *key, uint32_t part,
                              part_entry *entries)
{
    pulmo_status status = read_entries(store->list, store->work, key, part, entries);
    if (status == PULMO_DATA)
        return pulmo_fail(PULMO_IO, "%s/part-%05u: cannot be read back; all ranks must see DEST",
                          store->work, part);
    PULMO_TRY(status);
    for (uint32_t i = 0; i < count_of(store->list, part); i++) {
        const part_entry *entry = &entries[i];
        size_t f = first_of(part) + i;
        store->records[f] = entry->record;
        if (entry->has_header)
            PULMO_TRY(take_facts(entry, store->list->headers, &store->facts[f]));
        if (entry->record.usable)
            continue;
        store->reasons[f] = pulmo_strdup(entry->reason);
        if (!store->reasons[f])
            return PULMO_MEMORY;
    }
    return PULMO_OK;
}

static struct part_files *make_files(int size_px)
{
    size_t grey_bytes = (size_t)size_px * (size_t)size_px;
    struct part_files *files = calloc(1, sizeof *files + grey_bytes);
    if (!files) {
        pulmo_fail(PULMO_MEMORY, "out of memory for an image");
        return NULL;
    }
    for (int i = 0; i < OPEN_PARTS; i++)
        files->fd[i] = -1;
    return files;
}

static void free_files(struct part_files *files)
{
    for (int i = 0; files && i < OPEN_PARTS; i++)
        if (files->fd[i] >= 0)
            close(files->fd[i]);
    free(files);
}

pulmo_status parts_share(const part_store *store, part_store *out)
{
    *out = *store;
    out->files = make_files(store->size_px);
    return out->files ? PULMO_OK : PULMO_MEMORY;
}

void parts_unshare(part_store *store)
{
    free_files(store->files);
    memset(store, 0, sizeof *store);
}

pulmo_status parts_open(const source_list *list, const pulmo_config *config, const char *work,
                        const pulmo_digest *key, part_store *out)
{
    part_entry *entries = malloc(PART_FILES * sizeof *entries);
    *out = (part_store){.list = list, .work = work, .size_px = (int)config->pack.size};
    out->records = malloc((list->count + 1) * sizeof *out->records);
    out->reasons = calloc(list->count + 1, sizeof *out->reasons);
    out->facts = calloc(list->count + 1, sizeof *out->facts);
    out->files = make_files(out->size_px);
    pulmo_status status = PULMO_OK;
    if (!entries || !out->records || !out->reasons || !out->facts || !out->files)
        status = pulmo_fail(PULMO_MEMORY, "out of memory for %zu records", list->count);
    for (uint32_t p = 0; p < parts_of(list) && status == PULMO_OK; p++)
        status = read_part(out, key, p, entries);
    free(entries);
    if (status != PULMO_OK)
        parts_close(out);
    return status;
}

/* Where a file stands among those that were decoded. */
static uint32_t place_of(const part_store *store, uint32_t file)
{
    return store->old ? store->old->place[file] : file;
}

static pulmo_status read_at(part_store *store, uint32_t file, uint8_t *pixels, size_t bytes)
{
    uint32_t part = place_of(store, file) / PART_FILES;
    uint32_t place = part % OPEN_PARTS;
    int *fd = &store->files->fd[place];
    uint64_t offset = store->records[file].offset;
    if (*fd >= 0 && store->files->part[place] != part) {
        close(*fd);
        *fd = -1;
    }
    char *path = part_path(store->work, part);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = PULMO_OK;
    if (*fd < 0)
        *fd = open(path, O_RDONLY | O_CLOEXEC);
    store->files->part[place] = part;
    if (*fd < 0 || !read_whole(*fd, pixels, bytes, offset))
        status = pulmo_fail(PULMO_IO, "%s: cannot be read back: %s; all ranks must see DEST", path,
                            strerror(errno));
    free(path);
    return status;
}

pulmo_status parts_read(part_store *store, uint32_t file, int channels, uint8_t *pixels)
{
    if (update_split_of(store->old, file) >= 0)
        return update_read(store->old, file, channels, pixels);
    const image_record *record = &store->records[file];
    uint32_t part = place_of(store, file) / PART_FILES;
    size_t count = (size_t)store->size_px * (size_t)store->size_px;
    size_t bytes = count * record->channels;
    bool as_wanted = record->channels == channels;
    uint8_t *to = as_wanted ? pixels : store->files->grey;
    PULMO_TRY(read_at(store, file, to, bytes));
    pulmo_digest found = record->pixel_digest;
    bool fresh = store->fresh && store->fresh[part];
    if (!fresh)
        found = pulmo_digest_of(to, bytes);
    if (memcmp(&found, &record->pixel_digest, sizeof found) != 0)
        return pulmo_fail(PULMO_IO,
                          "%s/part-%05u: is damaged; remove %s and run the same command again",
                          store->work, part, store->work);
    for (size_t i = 0; !as_wanted && i < count; i++)
        memset(pixels + 3 * i, to[i], 3);
    return PULMO_OK;
}

void parts_close(part_store *store)
{
    for (size_t i = 0; store->reasons && i < store->list->count; i++)
        free(store->reasons[i]);
    for (size_t i = 0; store->facts && i < store->list->count; i++)
        free(store->facts[i]);
    free_files(store->files);
    free(store->facts);
    free(store->reasons);
    free(store->records);
    memset(store, 0, sizeof *store);
}
