/* PyTorch's .pth.
 *
 * Legacy stream (before 1.6; torchvision's own files): pickles of a magic number, the protocol
 * 1001, facts of the system, the state dict, and the list of its storages' keys; then each storage
 * in that order: its number of elements (int64) and its elements, little-endian.
 *
 * Zip archive: NAME/data.pkl is the state dict's pickle, NAME/data/KEY a storage's elements, and
 * NAME/byteorder says "little" where it is there. Entries are checked against their CRC. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "pickle.h"
#include "weights_room.h"

#define PICKLE_BYTES_MAX ((uint64_t)64 << 20)
/* A convolution has at most a few MB; some files keep all in one storage. */
#define STORAGE_BYTES_MAX ((uint64_t)512 << 20)
#define KEY_BYTES         64
#define KEYS_MAX          4096
#define SHORT_STORAGE     "a storage is shorter than its pickle says"

/* A storage's elements, once found. */
typedef struct storage {
    char key[KEY_BYTES];
    const uint8_t *at;
    uint64_t bytes;
} storage;

typedef struct torch_file {
    weight_file *file;
    pickle pickle;
    int state;        /* node of the state dict */
    zip_t *zip;       /* NULL: a stream */
    char folder[256]; /* "NAME/" in the archive */
    storage *storages;
    int count;
} torch_file;

/* ---- the state dict ---- */

/* A checkpoint of one's own often keeps the state dict under a name. */
static pulmo_status find_state(torch_file *t)
{
    static const char *const names[] = {"state_dict", "model_state_dict", "model"};
    const pickle *p = &t->pickle;
    t->state = p->root;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int inner = pickle_get(p, p->root, names[i]);
        if (p->node[inner].kind == PICKLE_DICT)
            t->state = inner;
    }
    if (p->node[t->state].kind != PICKLE_DICT)
        return weights_bad(t->file, "holds no state dict");
    return PULMO_OK;
}

/* The last element that a tensor reaches, or -1 where its shape or strides make no sense. */
static int64_t reach_of(const source_tensor *tensor, int64_t offset)
{
    const int64_t most = (int64_t)1 << 40;
    int64_t reach = offset;
    if (offset < 0 || offset > most)
        return -1;
    for (int i = 0; i < tensor->rank; i++) {
        const int64_t stride = tensor->stride[i];
        const int64_t steps = tensor->shape[i] - 1;
        if (stride < 0 || stride > most)
            return -1;
        if (steps > 0 && stride > (most - reach) / steps)
            return -1;
        reach += steps * stride;
    }
    return reach;
}

/* Whether the shape has no more elements than the storage; a stride of 0 would make many of one. */
static bool fits_storage(const source_tensor *tensor, int64_t elements)
{
    for (int i = 0; i < tensor->rank; i++)
        elements /= tensor->shape[i];
    return elements > 0;
}

static pulmo_status storage_at(torch_file *t, const pickle_node *s, const uint8_t **out);

static int shape_of(void *context, const void *tensor, int64_t shape[4])
{
    const torch_file *t = context;
    const pickle_node *node = tensor;
    if (node->kind != PICKLE_TENSOR)
        return 0;
    int rank = pickle_ints(&t->pickle, node->last, 4, shape);
    if (rank < 0)
        return 0;
    return rank;
}

static pulmo_status read_tensor(void *context, const void *tensor, source_tensor *out)
{
    torch_file *t = context;
    const pickle *p = &t->pickle;
    const pickle_node *node = tensor;
    const char *name = out->name;
    if (node->kind != PICKLE_TENSOR)
        return weights_bad(t->file, "%s: is not a tensor", name);
    const pickle_node *s = &p->node[node->first];
    out->type = s->element;
    if (out->type == ELEMENT_OTHER)
        return weights_bad(t->file, "%s: has a dtype other than float32, float16 and bfloat16",
                           name);
    out->rank = shape_of(t, node, out->shape);
    if (out->rank < 1)
        return weights_bad(t->file, "%s: has a shape of the wrong rank", name);
    int strides = pickle_ints(p, node->stride, 4, out->stride);
    if (strides != out->rank)
        return weights_bad(t->file, "%s: has a shape of the wrong rank", name);
    for (int i = 0; i < out->rank; i++) {
        const int64_t size = out->shape[i];
        if (size < 1 || size > CHANNELS_MAX)
            return weights_bad(t->file, "%s: has a size out of range", name);
    }
    int64_t reach = reach_of(out, node->number);
    if (reach < 0 || reach >= s->number)
        return weights_bad(t->file, "%s: reaches beyond its storage of %" PRId64 " elements", name,
                           s->number);
    if (!fits_storage(out, s->number))
        return weights_bad(
            t->file, "%s: repeats elements of its storage; save it by tensor.contiguous()", name);
    const uint8_t *data = NULL;
    const uint64_t first = (uint64_t)node->number;
    PULMO_TRY(storage_at(t, s, &data));
    out->at = data + first * element_bytes(out->type);
    return PULMO_OK;
}

static pulmo_status read_state(torch_file *t)
{
    const tensor_reader reader = {.context = t, .shape = shape_of, .read = read_tensor};
    const pickle *p = &t->pickle;
    numbered_names names = {0};
    pulmo_status status = find_state(t);
    int next = 0;
    for (int cell = p->node[t->state].first; cell && status == PULMO_OK; cell = next) {
        const int key_node = p->cell[cell].node;
        const int value_cell = p->cell[cell].next;
        const int value_node = p->cell[value_cell].node;
        const pickle_node *key = &p->node[key_node];
        const pickle_node *value = &p->node[value_node];
        next = p->cell[value_cell].next;
        if (key->kind == PICKLE_TEXT)
            status = numbered_names_add(t->file, &names, key->text, key->length, value);
    }
    if (status == PULMO_OK)
        status = weights_by_numbers(t->file, &names, &reader);
    numbered_names_free(&names);
    return status;
}

/* ---- storages ---- */

static storage *known_storage(const torch_file *t, const pickle_node *s)
{
    for (int i = 0; i < t->count; i++) {
        storage *known = &t->storages[i];
        if (strlen(known->key) != s->length)
            continue;
        if (memcmp(known->key, s->text, s->length) == 0)
            return known;
    }
    return NULL;
}

static pulmo_status add_storage(torch_file *t, const char *key, uint32_t length, const uint8_t *at,
                                uint64_t bytes)
{
    if (t->count == KEYS_MAX || length >= KEY_BYTES)
        return weights_bad(t->file, "has more, or longer-named, storages than any VGG");
    if (!t->storages)
        t->storages = calloc(KEYS_MAX, sizeof *t->storages);
    if (!t->storages)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", t->file->path);
    storage *new = &t->storages[t->count];
    t->count++;
    memcpy(new->key, key, length);
    new->key[length] = '\0';
    new->at = at;
    new->bytes = bytes;
    return PULMO_OK;
}

/* Whether the entry has `size` bytes and its CRC is right, which libzip compares at the very end.
 */
static bool read_entry(zip_file_t *entry, uint64_t size, uint8_t *out)
{
    uint8_t beyond;
    uint64_t got = 0;
    while (got < size) {
        zip_int64_t now = zip_fread(entry, out + got, size - got);
        if (now <= 0)
            return false;
        got += (uint64_t)now;
    }
    return zip_fread(entry, &beyond, 1) == 0;
}

/* One entry of the archive whole, which must have `bytes` (or at most `most` where that is 0). */
static pulmo_status extract(torch_file *t, const char *name, uint64_t bytes, uint64_t most,
                            uint8_t **out, uint64_t *size)
{
    zip_stat_t about;
    zip_stat_init(&about);
    if (zip_stat(t->zip, name, 0, &about) != 0 || !(about.valid & ZIP_STAT_SIZE))
        return weights_bad(t->file, "its archive misses %s", name);
    if (about.size > most)
        return weights_bad(
            t->file, "%s in its archive takes %" PRIu64 " bytes; at most %" PRIu64 " are read",
            name, (uint64_t)about.size, most);
    if (bytes && about.size != bytes)
        return weights_bad(t->file, "%s in its archive has %" PRIu64 " bytes, not %" PRIu64, name,
                           (uint64_t)about.size, bytes);
    void *block = NULL;
    PULMO_TRY(weights_block(t->file, about.size, &block));
    zip_file_t *entry = zip_fopen(t->zip, name, 0);
    if (!entry)
        return weights_bad(t->file, "%s in its archive cannot be read: %s", name,
                           zip_strerror(t->zip));
    bool whole = read_entry(entry, about.size, block);
    zip_fclose(entry);
    if (!whole)
        return weights_bad(t->file, "%s in its archive is damaged (its checksum or size is wrong)",
                           name);
    *out = block;
    *size = about.size;
    return PULMO_OK;
}

/* Elements of a storage; from an archive they are extracted when first asked for. Two tensors may
 * share one and say different sizes. */
static pulmo_status storage_at(torch_file *t, const pickle_node *s, const uint8_t **out)
{
    const storage *known = known_storage(t, s);
    const uint64_t each = (uint64_t)s->element_bytes;
    uint8_t *data = NULL;
    uint64_t size = 0;
    char name[512];
    const uint64_t elements = (uint64_t)s->number;
    if (known) {
        if (elements > known->bytes / each)
            return weights_bad(t->file, SHORT_STORAGE);
        *out = known->at;
        return PULMO_OK;
    }
    if (!t->zip)
        return weights_bad(t->file, "its storage \"%.*s\" is not among those it holds",
                           (int)(s->length < 64 ? s->length : 64), s->text);
    if (s->length >= KEY_BYTES || memchr(s->text, '\0', s->length))
        return weights_bad(t->file, "a storage has a key that is no name");
    if (elements > STORAGE_BYTES_MAX / each)
        return weights_bad(
            t->file, "a storage takes %" PRId64 " elements; at most %" PRIu64 " bytes are read",
            s->number, STORAGE_BYTES_MAX);
    snprintf(name, sizeof name, "%sdata/%.*s", t->folder, (int)s->length, s->text);
    PULMO_TRY(extract(t, name, elements * each, STORAGE_BYTES_MAX, &data, &size));
    *out = data;
    return add_storage(t, s->text, s->length, data, size);
}

/* ---- the stream ---- */

/* The state dict's references to storages, ordered by key, so that each key is found at once. */
typedef struct references {
    const pickle_node **at;
    size_t count;
} references;

static int by_key(const void *a, const void *b)
{
    const pickle_node *first = *(const pickle_node *const *)a;
    const pickle_node *second = *(const pickle_node *const *)b;
    if (first->length != second->length)
        return first->length < second->length ? -1 : 1;
    return memcmp(first->text, second->text, first->length);
}

/* `out->at` is owned by the caller (free). */
static pulmo_status collect_references(const torch_file *t, references *out)
{
    const pickle *p = &t->pickle;
    size_t count = 0;
    for (int i = 0; i < p->nodes; i++)
        count += p->node[i].kind == PICKLE_STORAGE;
    out->at = calloc(count + 1, sizeof(const pickle_node *));
    if (!out->at)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", t->file->path);
    for (int i = 0; i < p->nodes; i++)
        if (p->node[i].kind == PICKLE_STORAGE)
            out->at[out->count++] = &p->node[i];
    qsort(out->at, out->count, sizeof(const pickle_node *), by_key);
    return PULMO_OK;
}

/* Bytes of an element of the storage called `key`; 0 if nothing refers to it. */
static uint64_t bytes_of_element(const references *known, const pickle_node *key)
{
    if (key->kind != PICKLE_TEXT)
        return 0;
    const pickle_node **found =
        bsearch(&key, known->at, known->count, sizeof(const pickle_node *), by_key);
    return found ? (uint64_t)(*found)->element_bytes : 0;
}

/* Where each storage stands behind the pickles. Whether it holds what a tensor needs of it, reading
 * that tensor says. */
static pulmo_status place_listed(torch_file *t, const references *known, int keys, uint64_t at)
{
    const pickle *p = &t->pickle;
    const weight_file *file = t->file;
    if (p->node[keys].kind != PICKLE_LIST)
        return weights_bad(file, "its list of storages is missing");
    for (int cell = p->node[keys].first; cell; cell = p->cell[cell].next) {
        const int key_node = p->cell[cell].node;
        const pickle_node *key = &p->node[key_node];
        const uint64_t each = bytes_of_element(known, key);
        if (each == 0)
            return weights_bad(file, "lists a storage that no tensor uses");
        if (file->size - at < 8)
            return weights_bad(file, "ends before its storages do: it is truncated");
        const uint64_t elements = source_number(file->bytes + at, 8);
        at += 8;
        if (elements > (file->size - at) / each)
            return weights_bad(file, "ends before its storages do: it is truncated");
        const uint64_t bytes = elements * each;
        PULMO_TRY(add_storage(t, key->text, key->length, file->bytes + at, bytes));
        at += bytes;
    }
    return PULMO_OK;
}

static pulmo_status place_storages(torch_file *t, int keys, uint64_t at)
{
    references known = {0};
    pulmo_status status = collect_references(t, &known);
    if (status == PULMO_OK)
        status = place_listed(t, &known, keys, at);
    free(known.at);
    return status;
}

/* 0x1950a86a20f9469cfc6c modulo 2^64, as a pickle's integers are read. */
#define STREAM_MAGIC 0xa86a20f9469cfc6cu

static bool is_int(const pickle *p, int node, uint64_t wanted)
{
    const pickle_node *n = &p->node[node];
    return n->kind == PICKLE_INT && (uint64_t)n->number == wanted;
}

static pulmo_status read_stream(torch_file *t)
{
    const uint8_t *bytes = t->file->bytes;
    const uint64_t size = t->file->size;
    uint64_t at = 0;
    pickle *p = &t->pickle;
    PULMO_TRY(pickle_read(p, bytes, size, &at));
    if (!is_int(p, p->root, STREAM_MAGIC))
        return weights_bad(t->file, "is a pickle, but none of torch.save's");
    PULMO_TRY(pickle_read(p, bytes, size, &at));
    if (!is_int(p, p->root, 1001))
        return weights_bad(t->file, "has a protocol other than 1001");
    PULMO_TRY(pickle_read(p, bytes, size, &at));
    int little = pickle_get(p, p->root, "little_endian");
    if (!is_int(p, little, 1))
        return weights_bad(t->file, "was written on a big-endian machine");
    PULMO_TRY(pickle_read(p, bytes, size, &at));
    int state = p->root;
    PULMO_TRY(pickle_read(p, bytes, size, &at));
    int keys = p->root;
    p->root = state;
    PULMO_TRY(place_storages(t, keys, at));
    return read_state(t);
}

pulmo_status weights_read_torch_stream(weight_file *file)
{
    torch_file t = {.file = file, .pickle = {.path = file->path}};
    file->format = "PyTorch .pth (legacy stream)";
    pulmo_status status = read_stream(&t);
    pickle_free(&t.pickle);
    free(t.storages);
    return status;
}

/* ---- the archive ---- */

#define DATA_PICKLE "data.pkl"

/* data.pkl in any folder, or in none. */
static bool is_data_pickle(const char *name)
{
    const size_t length = strlen(name);
    const size_t own = strlen(DATA_PICKLE);
    if (length < own)
        return false;
    const char *last = name + length - own;
    if (strcmp(last, DATA_PICKLE) != 0)
        return false;
    return last == name || last[-1] == '/';
}

static pulmo_status find_folder(torch_file *t)
{
    zip_int64_t count = zip_get_num_entries(t->zip, 0);
    for (zip_int64_t i = 0; i < count; i++) {
        const char *name = zip_get_name(t->zip, (zip_uint64_t)i, 0);
        if (!name || !is_data_pickle(name))
            continue;
        const size_t length = strlen(name) - strlen(DATA_PICKLE);
        if (length >= sizeof t->folder)
            break;
        snprintf(t->folder, sizeof t->folder, "%.*s", (int)length, name);
        return PULMO_OK;
    }
    if (zip_name_locate(t->zip, "model.weights.h5", 0) >= 0)
        return weights_bad(t->file, "is Keras 3's whole model (.keras); save its weights alone, "
                                    "model.save_weights(\"FILE.weights.h5\"), or take "
                                    "model.weights.h5 out of it (it is a zip archive)");
    return weights_bad(t->file, "is a zip archive without PyTorch's data.pkl");
}

static pulmo_status read_zip(torch_file *t)
{
    char name[300];
    uint8_t *bytes = NULL;
    uint64_t size = 0;
    uint64_t at = 0;
    PULMO_TRY(find_folder(t));
    snprintf(name, sizeof name, "%sbyteorder", t->folder);
    if (zip_name_locate(t->zip, name, 0) >= 0) {
        PULMO_TRY(extract(t, name, 0, 16, &bytes, &size));
        if (size < 6 || memcmp(bytes, "little", 6) != 0)
            return weights_bad(t->file, "was written on a big-endian machine");
    }
    snprintf(name, sizeof name, "%sdata.pkl", t->folder);
    PULMO_TRY(extract(t, name, 0, PICKLE_BYTES_MAX, &bytes, &size));
    PULMO_TRY(pickle_read(&t->pickle, bytes, size, &at));
    return read_state(t);
}

pulmo_status weights_read_torch_zip(weight_file *file)
{
    torch_file t = {.file = file, .pickle = {.path = file->path}};
    int code = 0;
    file->format = "PyTorch .pth (zip archive)";
    errno = 0;
    t.zip = zip_open(file->path, ZIP_RDONLY, &code);
    if (!t.zip && errno == ENOMEM)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory for its archive", file->path);
    if (!t.zip) {
        zip_error_t error;
        zip_error_init_with_code(&error, code);
        pulmo_status status =
            weights_bad(file, "its archive cannot be opened (truncated or damaged): %s",
                        zip_error_strerror(&error));
        zip_error_fini(&error);
        return status;
    }
    pulmo_status status = read_zip(&t);
    /* libzip gives few reasons, and asks for no more than a file of this size justifies. */
    if (status == PULMO_WEIGHTS && errno == ENOMEM)
        status = pulmo_fail(PULMO_MEMORY, "%s: out of memory for its archive", file->path);
    zip_discard(t.zip);
    pickle_free(&t.pickle);
    free(t.storages);
    return status;
}
