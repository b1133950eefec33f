/* Numbered layers, as PyTorch's Sequential names them. torchvision's and timm's VGG say
 * features.0.weight, features.0.bias, features.2.weight ...; a state dict of `features` alone says
 * 0.weight; DataParallel, torch.compile and a model around them put words before or between
 * (module.features.0.weight, features.module.0.weight, _orig_mod.backbone.features.0.weight). All
 * that counts is that the same words stand before every number.
 *
 * With batch normalisation a convolution N is followed by N + 1 with weight, bias, running_mean and
 * running_var, each of one number per channel. */
#include <stdlib.h>
#include <string.h>

#include "weights_room.h"

#define NUMBERS_MAX 64 /* VGG19 with batch normalisation ends at features.52 */
#define NAMES_MAX   1000000
#define PREFIX_MAX  (NAME_BYTES - 32)

/* PyTorch's default, which a state dict does not hold. */
#define BATCH_NORM_EPSILON 1e-5

typedef enum tensor_part {
    PART_WEIGHT,
    PART_BIAS,
    PART_MEAN,
    PART_VARIANCE,
    PARTS,
} tensor_part;

static const char *const part_names[PARTS] = {"weight", "bias", "running_mean", "running_var"};

typedef struct numbered_name {
    const char *text;
    size_t bytes, prefix_bytes; /* the prefix ends with its dot; 0 for a bare number */
    int number;
    tensor_part part;
    const void *tensor;
} numbered_name;

/* ---- one name ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool find_part(const char *text, size_t bytes, tensor_part *out)
{
    for (int part = 0; part < PARTS; part++) {
        const char *known = part_names[part];
        if (strlen(known) != bytes)
            continue;
        if (memcmp(text, known, bytes) != 0)
            continue;
        *out = (tensor_part)part;
        return true;
    }
    return false;
}

/* PREFIX NUMBER "." PART; false for any other name. */
static bool parse_name(const char *text, size_t bytes, numbered_name *out)
{
    size_t dot = bytes;
    while (dot > 0 && text[dot - 1] != '.')
        dot--;
    if (dot < 2 || !find_part(text + dot, bytes - dot, &out->part))
        return false;
    size_t end = dot - 1, begin = end;
    while (begin > 0 && is_digit(text[begin - 1]))
        begin--;
    size_t digits = end - begin;
    bool padded = digits > 1 && text[begin] == '0';
    bool behind_word = begin > 0 && text[begin - 1] != '.';
    if (digits < 1 || digits > 2)
        return false;
    if (padded || behind_word || begin > PREFIX_MAX)
        return false;
    out->text = text;
    out->bytes = bytes;
    out->prefix_bytes = begin;
    out->number = 0;
    for (size_t i = begin; i < end; i++) {
        int digit = text[i] - '0';
        out->number = 10 * out->number + digit;
    }
    return out->number < NUMBERS_MAX;
}

static pulmo_status make_room(const weight_file *file, numbered_names *names)
{
    if (names->count < names->room)
        return PULMO_OK;
    if (names->count >= NAMES_MAX)
        return weights_bad(file, "holds more tensors than any VGG");
    int room = names->room ? 2 * names->room : 128;
    numbered_name *larger = realloc(names->name, (size_t)room * sizeof *larger);
    if (!larger)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", file->path);
    names->name = larger;
    names->room = room;
    return PULMO_OK;
}

pulmo_status numbered_names_add(const weight_file *file, numbered_names *names, const char *name,
                                size_t bytes, const void *tensor)
{
    numbered_name parsed = {.tensor = tensor};
    if (!parse_name(name, bytes, &parsed))
        return PULMO_OK;
    PULMO_TRY(make_room(file, names));
    names->name[names->count] = parsed;
    names->count++;
    return PULMO_OK;
}

void numbered_names_free(numbered_names *names)
{
    free(names->name);
    memset(names, 0, sizeof *names);
}

/* ---- the network among the names ---- */

static bool same_prefix(const numbered_name *a, const numbered_name *b)
{
    if (a->prefix_bytes != b->prefix_bytes)
        return false;
    return memcmp(a->text, b->text, a->prefix_bytes) == 0;
}

static bool says_features(const numbered_name *name)
{
    static const char word[] = "features.";
    const size_t length = sizeof word - 1;
    for (size_t at = 0; at + length <= name->prefix_bytes; at++) {
        bool begins = at == 0 || name->text[at - 1] == '.';
        if (begins && memcmp(name->text + at, word, length) == 0)
            return true;
    }
    return false;
}

/* How much a name looks like the weight of a VGG's first convolution; 0: not at all. */
static int likeness(const numbered_name *name, const tensor_reader *reader)
{
    int64_t shape[4] = {0};
    if (name->number != 0 || name->part != PART_WEIGHT)
        return 0;
    if (reader->shape(reader->context, name->tensor, shape) != 4)
        return 0;
    int points = 1;
    if (says_features(name))
        points += 2;
    if (shape[1] == 3)
        points += 1;
    return points;
}

/* NULL, and *status says why, where there is none or more than one. */
static const numbered_name *choose_first(const weight_file *file, const numbered_names *names,
                                         const tensor_reader *reader, pulmo_status *status)
{
    const numbered_name *best = NULL, *equal = NULL;
    int most = 0;
    for (int i = 0; i < names->count; i++) {
        const numbered_name *name = &names->name[i];
        int points = likeness(name, reader);
        if (points == 0 || points < most)
            continue;
        bool again = best && same_prefix(name, best);
        equal = points == most && !again ? best : NULL;
        best = name;
        most = points;
    }
    if (!best) {
        *status = weights_bad(file, "features.0.weight: is missing, or of the wrong rank "
                                    "(words before its number may be others, or none)");
        return NULL;
    }
    if (equal) {
        char one[NAME_BYTES], other[NAME_BYTES];
        source_name(equal->text, equal->bytes, one);
        source_name(best->text, best->bytes, other);
        *status = weights_bad(file, "holds two networks (%s, %s); save one alone", one, other);
        return NULL;
    }
    return best;
}

/* ---- its layers ---- */

typedef struct layer_walk {
    weight_file *file;
    const tensor_reader *reader;
    const numbered_name *at[NUMBERS_MAX][PARTS]; /* NULL: not there */
    int before;                                  /* number of the last convolution */
    const numbered_name *any;
} layer_walk;

static int rank_of(const layer_walk *w, const numbered_name *name)
{
    int64_t shape[4];
    const tensor_reader *reader = w->reader;
    if (!name)
        return 0;
    return reader->shape(reader->context, name->tensor, shape);
}

static pulmo_status read_part(const layer_walk *w, int number, tensor_part part, source_tensor *out)
{
    const numbered_name *name = w->at[number][part];
    if (!name) {
        char prefix[NAME_BYTES];
        source_name(w->any->text, w->any->prefix_bytes, prefix);
        return weights_bad(w->file, "%s%d.%s: is missing", prefix, number, part_names[part]);
    }
    source_name(name->text, name->bytes, out->name);
    return w->reader->read(w->reader->context, name->tensor, out);
}

/* Two convolutions are 2 apart inside a block and 3 apart across a max-pool; a batch normalisation
 * between them counts for one more. */
static pulmo_status follow(layer_walk *w, const source_conv *conv, int number)
{
    weight_file *file = w->file;
    if (file->convs == PULMO_CONVS_MAX)
        return weights_bad(file, "%s: is one layer too many", conv->weight.name);
    if (file->convs == 0)
        return PULMO_OK;
    source_conv *last = &file->conv[file->convs - 1];
    int apart = number - w->before;
    if (last->norm.there)
        apart--;
    if (apart != 2 && apart != 3)
        return weights_bad(file,
                           "%s: does not follow the layer before it by 2 (ReLU) or 3 (ReLU, pool), "
                           "and one more for batch normalisation: not a VGG",
                           conv->weight.name);
    last->pool_after = apart == 3;
    return PULMO_OK;
}

static pulmo_status read_norm(layer_walk *w, int number, source_norm *out)
{
    out->there = true;
    out->epsilon = BATCH_NORM_EPSILON;
    PULMO_TRY(read_part(w, number, PART_WEIGHT, &out->scale));
    PULMO_TRY(read_part(w, number, PART_BIAS, &out->shift));
    PULMO_TRY(read_part(w, number, PART_MEAN, &out->mean));
    return read_part(w, number, PART_VARIANCE, &out->variance);
}

static bool norm_is_at(const layer_walk *w, int number)
{
    if (number >= NUMBERS_MAX)
        return false;
    if (w->at[number][PART_MEAN])
        return true;
    return rank_of(w, w->at[number][PART_WEIGHT]) == 1;
}

/* The convolution `number` and the normalisation behind it; *next becomes what follows them. */
static pulmo_status read_layer(layer_walk *w, int number, int *next)
{
    source_conv conv = {0};
    PULMO_TRY(read_part(w, number, PART_WEIGHT, &conv.weight));
    PULMO_TRY(follow(w, &conv, number));
    *next = number + 1;
    if (norm_is_at(w, number + 1)) {
        PULMO_TRY(read_norm(w, number + 1, &conv.norm));
        *next = number + 2;
    }
    if (w->at[number][PART_BIAS] || !conv.norm.there)
        PULMO_TRY(read_part(w, number, PART_BIAS, &conv.bias));
    weight_file *file = w->file;
    file->conv[file->convs] = conv;
    file->convs++;
    w->before = number;
    return PULMO_OK;
}

static pulmo_status read_layers(layer_walk *w)
{
    int next = 0;
    for (int number = 0; number < NUMBERS_MAX; number = next) {
        const numbered_name *weight = w->at[number][PART_WEIGHT];
        next = number + 1;
        if (!weight)
            continue;
        int rank = rank_of(w, weight);
        if (rank == 2)
            break; /* a classifier in the same Sequential */
        if (rank == 1) {
            source_tensor odd = {0};
            source_name(weight->text, weight->bytes, odd.name);
            return weights_bad(w->file,
                               "%s: is neither a convolution nor batch normalisation "
                               "right behind one",
                               odd.name);
        }
        PULMO_TRY(read_layer(w, number, &next));
    }
    weight_file *file = w->file;
    if (file->convs == 0)
        return weights_bad(file, "is without a convolution features.0.weight");
    source_conv *last = &file->conv[file->convs - 1];
    last->pool_after = true;
    return PULMO_OK;
}

/* A pickle may hold one key twice, and which of the two is meant nobody can say. */
static pulmo_status place_name(layer_walk *w, const numbered_name *name)
{
    const numbered_name **at = &w->at[name->number][name->part];
    if (*at) {
        char text[NAME_BYTES];
        source_name(name->text, name->bytes, text);
        return weights_bad(w->file, "%s: is there twice", text);
    }
    *at = name;
    return PULMO_OK;
}

pulmo_status weights_by_numbers(weight_file *file, const numbered_names *names,
                                const tensor_reader *reader)
{
    layer_walk walk = {.file = file, .reader = reader};
    file->naming = "torchvision and timm (features.N)";
    pulmo_status status = PULMO_OK;
    walk.any = choose_first(file, names, reader, &status);
    if (!walk.any)
        return status;
    if (walk.any->prefix_bytes == 0)
        file->naming = "numbers alone (N.weight)";
    else if (!says_features(walk.any))
        file->naming = "numbers behind other words (NAME.N.weight)";
    for (int i = 0; i < names->count; i++) {
        const numbered_name *name = &names->name[i];
        if (same_prefix(name, walk.any))
            PULMO_TRY(place_name(&walk, name));
    }
    return read_layers(&walk);
}
