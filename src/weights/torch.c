/* PyTorch's .pth.
 *
 * Legacy stream (before 1.6; torchvision's own files): pickles of a magic number, the protocol
 * 1001, facts of the system, the state dict, and the list of its storages' keys; then each storage
 * in that order: its number of elements (int64) and its elements, little-endian.
 *
 * Zip archive: NAME/data.pkl is the state dict's pickle, NAME/data/KEY a storage's elements, and
 * NAME/byteorder says "little" where it is there. Entries are checked against their CRC. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

#include "pickle.h"
#include "pulmo/memory.h"
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
    return p->node[t->state].kind == PICKLE_DICT ? PULMO_OK
                                                 : weights_bad(t->file, "holds no state dict");
}

/* The last element that a tensor reaches, or -1 where its shape or strides make no sense. */
static int64_t reach_of(const source_tensor *tensor, int64_t offset)
{
    const int64_t most = (int64_t)1 << 40;
    int64_t reach = offset;
    if (offset < 0 || offset > most)
        return -1;
    for (int i = 0; i < tensor->rank; i++) {
        if (tensor->stride[i] < 0 || tensor->stride[i] > most)
            return -1;
        if (tensor->shape[i] > 1 && tensor->stride[i] > (most - reach) / (tensor->shape[i] - 1))
            return -1;
        reach += (tensor->shape[i] - 1) * tensor->stride[i];
    }
    return reach;
}

static pulmo_status storage_at(torch_file *t, const pickle_node *s, const uint8_t **out);

static int shape_of(void *context, const void *tensor, int64_t shape[4])
{
    const torch_file *t = context;
    const pickle_node *node = tensor;
    if (node->kind != PICKLE_TENSOR)
        return 0;
    int rank = pickle_ints(&t->pickle, node->last, 4, shape);
    return rank > 0 ? rank : 0;
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
    if (out->rank < 1 || pickle_ints(p, node->stride, 4, out->stride) != out->rank)
        return weights_bad(t->file, "%s: has a shape of the wrong rank", name);
    for (int i = 0; i < out->rank; i++)
        if (out->shape[i] < 1 || out->shape[i] > CHANNELS_MAX)
            return weights_bad(t->file, "%s: has a size out of range", name);
    int64_t reach = reach_of(out, node->number);
    if (reach < 0 || reach >= s->number)
        return weights_bad(t->file, "%s: reaches beyond its storage of %" PRId64 " elements", name,
                           s->number);
    const uint8_t *data = NULL;
    PULMO_TRY(storage_at(t, s, &data));
    out->at = data + (uint64_t)node->number * element_bytes(out->type);
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
        const pickle_node *key = &p->node[p->cell[cell].node];
        const int value_cell = p->cell[cell].next;
        const pickle_node *value = &p->node[p->cell[value_cell].node];
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
    for (int i = 0; i < t->count; i++)
        if (strlen(t->storages[i].key) == s->length &&
            memcmp(t->storages[i].key, s->text, s->length) == 0)
            return &t->storages[i];
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
    storage *new = &t->storages[t->count++];
    memcpy(new->key, key, length);
    new->key[length] = '\0';
    new->at = at;
    new->bytes = bytes;
    return PULMO_OK;
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
    uint64_t got = 0;
    zip_int64_t now = 1;
    while (now > 0) { /* to the very end, where the CRC is compared */
        uint8_t beyond;
        now = got < about.size ? zip_fread(entry, (uint8_t *)block + got, about.size - got)
                               : zip_fread(entry, &beyond, 1);
        if (now > 0)
            got += (uint64_t)now;
        if (got > about.size)
            break;
    }
    bool whole = now == 0 && got == about.size;
    zip_fclose(entry);
    if (!whole)
        return weights_bad(t->file, "%s in its archive is damaged (its checksum or size is wrong)",
                           name);
    *out = block;
    *size = got;
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
    if (known && (uint64_t)s->number > known->bytes / each)
        return weights_bad(t->file, SHORT_STORAGE);
    if (known) {
        *out = known->at;
        return PULMO_OK;
    }
    if (!t->zip)
        return weights_bad(t->file, "its storage \"%.*s\" is not among those it holds",
                           (int)(s->length < 64 ? s->length : 64), s->text);
    if (s->length >= KEY_BYTES || memchr(s->text, '\0', s->length))
        return weights_bad(t->file, "a storage has a key that is no name");
    if ((uint64_t)s->number > STORAGE_BYTES_MAX / each)
        return weights_bad(
            t->file, "a storage takes %" PRId64 " elements; at most %" PRIu64 " bytes are read",
            s->number, STORAGE_BYTES_MAX);
    snprintf(name, sizeof name, "%sdata/%.*s", t->folder, (int)s->length, s->text);
    PULMO_TRY(extract(t, name, (uint64_t)s->number * each, STORAGE_BYTES_MAX, &data, &size));
    *out = data;
    return add_storage(t, s->text, s->length, data, size);
}

/* ---- the stream ---- */

/* Bytes of an element of the storage called `key`, from the state dict's references; 0 if there is
 * none. */
static int bytes_of_element(const torch_file *t, const pickle_node *key)
{
    const pickle *p = &t->pickle;
    for (int i = 0; i < p->nodes; i++) {
        const pickle_node *n = &p->node[i];
        if (n->kind == PICKLE_STORAGE && n->length == key->length &&
            memcmp(n->text, key->text, key->length) == 0)
            return n->element_bytes;
    }
    return 0;
}

static uint64_t u64_at(const uint8_t *from)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | from[i];
    return value;
}

/* Where each storage stands behind the pickles. */
static pulmo_status place_storages(torch_file *t, int keys, uint64_t at)
{
    const pickle *p = &t->pickle;
    const weight_file *file = t->file;
    if (p->node[keys].kind != PICKLE_LIST)
        return weights_bad(file, "its list of storages is missing");
    for (int cell = p->node[keys].first; cell; cell = p->cell[cell].next) {
        const pickle_node *key = &p->node[p->cell[cell].node];
        int each = key->kind == PICKLE_TEXT ? bytes_of_element(t, key) : 0;
        if (each == 0)
            return weights_bad(file, "lists a storage that no tensor uses");
        if (file->size - at < 8)
            return weights_bad(file, "ends before its storages do: it is truncated");
        uint64_t elements = u64_at(file->bytes + at);
        at += 8;
        if (elements > (file->size - at) / (uint64_t)each)
            return weights_bad(file, "ends before its storages do: it is truncated");
        PULMO_TRY(
            add_storage(t, key->text, key->length, file->bytes + at, elements * (uint64_t)each));
        for (int i = 0; i < p->nodes; i++) /* what the pickle says of it must be true */
            if (p->node[i].kind == PICKLE_STORAGE &&
                known_storage(t, &p->node[i]) == &t->storages[t->count - 1] &&
                (uint64_t)p->node[i].number > elements)
                return weights_bad(file, SHORT_STORAGE);
        at += elements * (uint64_t)each;
    }
    return PULMO_OK;
}

static pulmo_status read_stream(torch_file *t)
{
    const uint8_t *bytes = t->file->bytes;
    uint64_t size = t->file->size, at = 0;
    pickle *p = &t->pickle;
    PULMO_TRY(
        pickle_read(p, bytes, size, &at)); /* magic 0x1950a86a20f9469cfc6c, here modulo 2^64 */
    if (p->node[p->root].kind != PICKLE_INT ||
        (uint64_t)p->node[p->root].number != 0xa86a20f9469cfc6cu)
        return weights_bad(t->file, "is a pickle, but none of torch.save's");
    PULMO_TRY(pickle_read(p, bytes, size, &at));
    if (p->node[p->root].kind != PICKLE_INT || p->node[p->root].number != 1001)
        return weights_bad(t->file, "has a protocol other than 1001");
    PULMO_TRY(pickle_read(p, bytes, size, &at));
    int little = pickle_get(p, p->root, "little_endian");
    if (p->node[little].kind != PICKLE_INT || p->node[little].number != 1)
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

static pulmo_status find_folder(torch_file *t)
{
    zip_int64_t count = zip_get_num_entries(t->zip, 0);
    for (zip_int64_t i = 0; i < count; i++) {
        const char *name = zip_get_name(t->zip, (zip_uint64_t)i, 0);
        size_t length = name ? strlen(name) : 0;
        if (length < 8 || strcmp(name + length - 8, "data.pkl") != 0 ||
            (length > 8 && name[length - 9] != '/'))
            continue;
        if (length - 8 >= sizeof t->folder)
            break;
        snprintf(t->folder, sizeof t->folder, "%.*s", (int)(length - 8), name);
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
    uint64_t size = 0, at = 0;
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
    t.zip = zip_open(file->path, ZIP_RDONLY, &code);
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
    zip_discard(t.zip);
    pickle_free(&t.pickle);
    free(t.storages);
    return status;
}
