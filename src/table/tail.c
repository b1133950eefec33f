/* Which file a row means, by the longest common tail of their paths. */
#include "tail.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Stands between the parts of a key: below every byte of a name, so that keys sort part by part. */
#define BETWEEN '\1'
/* So many files of one place and name are ambiguous, whatever their endings are. */
#define ALIKE_MOST 16

typedef struct tail_key {
    const char *key;
    uint32_t place; /* in the caller's list */
    uint32_t parts;
} tail_key;

struct tail_index {
    const char *const *paths;
    size_t count;  /* of the caller's list */
    size_t sorted; /* of those that are found */
    tail_key *key; /* (sorted) */
    char *text;
};

static const char *const image_endings[] = {".jpg",  ".jpeg", ".png", ".dcm", ".dicom",
                                            ".tiff", ".tif",  ".bmp", ".webp"};

/* Bytes of a name's ending as images have it, with its dot; 0 if it has none. */
static size_t ending_bytes(const char *name, size_t bytes)
{
    for (size_t i = 0; i < sizeof image_endings / sizeof *image_endings; i++) {
        const char *ending = image_endings[i];
        size_t length = strlen(ending);
        if (bytes <= length)
            continue;
        const char *tail = name + bytes - length;
        if (strncasecmp(tail, ending, length) == 0)
            return length;
    }
    return 0;
}

bool tail_is_image(const char *path)
{
    return ending_bytes(path, strlen(path)) > 0;
}

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

/* Writes the path's parts from the last to the first to `out`, which has room for strlen(path) + 1.
 * Empty parts and "." are left out. Returns how many there are. */
static uint32_t write_key(const char *path, char *out)
{
    uint32_t parts = 0;
    size_t end = strlen(path);
    while (end > 0) {
        size_t begin = end;
        while (begin > 0 && !is_slash(path[begin - 1]))
            begin--;
        size_t bytes = end - begin;
        bool is_here = bytes == 1 && path[begin] == '.';
        if (bytes > 0 && !is_here) {
            if (parts == 0)
                bytes -= ending_bytes(path + begin, bytes);
            else
                *out++ = BETWEEN;
            memcpy(out, path + begin, bytes);
            out += bytes;
            parts++;
        }
        end = begin > 0 ? begin - 1 : 0;
    }
    *out = '\0';
    return parts;
}

static int by_tail(const void *a, const void *b)
{
    const tail_key *left = a, *right = b;
    int order = strcmp(left->key, right->key);
    if (order != 0)
        return order;
    return left->place < right->place ? -1 : 1;
}

static size_t path_bytes(const char *path)
{
    return path ? strlen(path) + 1 : 0;
}

static void fill(tail_index *index)
{
    char *at = index->text;
    for (size_t i = 0; i < index->count; i++) {
        if (!index->paths[i])
            continue;
        uint32_t parts = write_key(index->paths[i], at);
        if (parts == 0)
            continue;
        index->key[index->sorted] = (tail_key){at, (uint32_t)i, parts};
        index->sorted++;
        at += strlen(at) + 1;
    }
    qsort(index->key, index->sorted, sizeof *index->key, by_tail);
}

pulmo_status tail_index_make(const char *const *paths, size_t count, tail_index **out)
{
    size_t bytes = 1;
    for (size_t i = 0; i < count; i++)
        bytes += path_bytes(paths[i]);
    tail_index *index = calloc(1, sizeof *index);
    if (!index)
        return pulmo_fail(PULMO_MEMORY, "out of memory for an index of paths");
    index->paths = paths;
    index->count = count;
    index->key = malloc((count + 1) * sizeof *index->key);
    index->text = malloc(bytes);
    if (!index->key || !index->text) {
        tail_index_free(index);
        return pulmo_fail(PULMO_MEMORY, "out of memory for an index of %zu paths", count);
    }
    fill(index);
    *out = index;
    return PULMO_OK;
}

void tail_index_free(tail_index *index)
{
    if (!index)
        return;
    free(index->key);
    free(index->text);
    free(index);
}

/* ---- matching ---- */

/* Parts that two keys have in common from the start. */
static uint32_t common_parts(const char *a, const char *b)
{
    uint32_t parts = 0;
    while (*a && *a == *b) {
        parts += *a == BETWEEN;
        a++;
        b++;
    }
    bool a_ends = *a == '\0' || *a == BETWEEN;
    bool b_ends = *b == '\0' || *b == BETWEEN;
    return a_ends && b_ends ? parts + 1 : parts;
}

/* The place of the first key whose first `bytes` bytes are not below those of `key`. */
static size_t lower_bound(const tail_index *index, const char *key, size_t bytes)
{
    size_t low = 0, high = index->sorted;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *found = index->key[middle].key;
        if (strncmp(found, key, bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t parts_at(const tail_index *index, size_t at, const char *key)
{
    if (at >= index->sorted)
        return 0;
    return common_parts(index->key[at].key, key);
}

/* Rows of one path: key[first] to key[end]. */
typedef struct row_group {
    size_t first, end;
    uint32_t shared; /* parts in common with any other row, at most */
} row_group;

static row_group next_group(const tail_index *rows, size_t first)
{
    const char *key = rows->key[first].key;
    row_group group = {.first = first, .end = first + 1};
    while (group.end < rows->sorted) {
        const char *next = rows->key[group.end].key;
        if (strcmp(next, key) != 0)
            break;
        group.end++;
    }
    uint32_t before = first > 0 ? parts_at(rows, first - 1, key) : 0;
    uint32_t after = parts_at(rows, group.end, key);
    group.shared = before > after ? before : after;
    return group;
}

/* The next part of a path and its bytes. */
static const char *next_part(const char *at, size_t *bytes)
{
    while (is_slash(*at))
        at++;
    *bytes = strcspn(at, "/\\");
    return at;
}

/* Folders at the start of a path that both have. */
static uint32_t common_folders(const char *a, const char *b, uint32_t most)
{
    for (uint32_t count = 0; count < most; count++) {
        size_t a_bytes = 0, b_bytes = 0;
        a = next_part(a, &a_bytes);
        b = next_part(b, &b_bytes);
        bool folder = a[a_bytes] != '\0' && b[b_bytes] != '\0';
        if (!folder || a_bytes != b_bytes || memcmp(a, b, a_bytes) != 0)
            return count;
        a += a_bytes;
        b += b_bytes;
    }
    return most;
}

static const char *path_of(const tail_index *index, size_t at)
{
    return index->paths[index->key[at].place];
}

/* Folders at the start that all rows have. */
static uint32_t folders_of_all(const tail_index *rows)
{
    uint32_t most = UINT32_MAX;
    const char *first = rows->sorted > 0 ? path_of(rows, 0) : "";
    for (size_t i = 1; i < rows->sorted; i++) {
        most = common_folders(first, path_of(rows, i), most);
        if (most == 0)
            break;
    }
    return most;
}

/* The longest tail that a row shares with files: key[first] is the shortest of those files, the
 * others follow. */
typedef struct candidates {
    size_t first;
    uint32_t parts;
} candidates;

/* Bytes of a key's first parts. */
static size_t bytes_of_parts(const char *key, uint32_t parts)
{
    const char *at = key;
    for (uint32_t i = 0; i < parts; i++)
        at = strchrnul(at + (i > 0), BETWEEN);
    return (size_t)(at - key);
}

static candidates find_candidates(const tail_index *files, const char *key)
{
    size_t at = lower_bound(files, key, strlen(key) + 1);
    uint32_t after = parts_at(files, at, key);
    uint32_t before = at > 0 ? parts_at(files, at - 1, key) : 0;
    candidates c = {.parts = before > after ? before : after};
    if (c.parts > 0)
        c.first = lower_bound(files, key, bytes_of_parts(key, c.parts));
    return c;
}

/* ---- folders on disk ---- */

/* A part of a key. `height`: how many parts below it the path has; a file's own folder has 1. */
typedef struct folder {
    const char *name;
    size_t bytes;
    uint32_t height;
} folder;

typedef struct folder_set {
    folder *one; /* (count), sorted */
    size_t count;
} folder_set;

static int by_folder(const void *a, const void *b)
{
    const folder *left = a, *right = b;
    if (left->height != right->height)
        return left->height < right->height ? -1 : 1;
    if (left->bytes != right->bytes)
        return left->bytes < right->bytes ? -1 : 1;
    return memcmp(left->name, right->name, left->bytes);
}

/* The folder of that height, of a key that has it. */
static folder folder_of(const char *key, uint32_t height)
{
    const char *name = key + bytes_of_parts(key, height) + 1;
    size_t bytes = (size_t)(strchrnul(name, BETWEEN) - name);
    return (folder){name, bytes, height};
}

/* Whether a file tells that its folders hold images. Images of DICOM may have no ending;
 * labels.csv and notes.txt are none. */
static bool may_be_image(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash ? slash : path, '.');
    bool has_ending = dot && isalpha((unsigned char)dot[1]);
    return !has_ending || tail_is_image(path);
}

static size_t count_folders(const tail_index *files)
{
    size_t count = 0;
    for (size_t i = 0; i < files->sorted; i++)
        count += files->key[i].parts - 1;
    return count;
}

static void add_folders(folder_set *set, const tail_key *file)
{
    for (uint32_t height = 1; height < file->parts; height++) {
        set->one[set->count] = folder_of(file->key, height);
        set->count++;
    }
}

static pulmo_status folder_set_make(const tail_index *files, folder_set *set)
{
    size_t count = count_folders(files);
    *set = (folder_set){.one = malloc((count + 1) * sizeof *set->one)};
    if (!set->one)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %zu folders", count);
    for (size_t i = 0; i < files->sorted; i++) {
        if (may_be_image(path_of(files, i)))
            add_folders(set, &files->key[i]);
    }
    qsort(set->one, set->count, sizeof *set->one, by_folder);
    return PULMO_OK;
}

/* Whether a file is below a folder of that name, at any height. */
static bool is_below(const tail_key *file, const folder *wanted)
{
    for (uint32_t height = 1; height < file->parts; height++) {
        folder one = folder_of(file->key, height);
        if (one.bytes == wanted->bytes && memcmp(one.name, wanted->name, one.bytes) == 0)
            return true;
    }
    return false;
}

/* Whether a file is below all folders that the row names above their common tail, but for those
 * that are not on disk at that height: names that the set has elsewhere. */
static bool is_in_place(const folder_set *on_disk, const tail_key *row, uint32_t parts,
                        const tail_key *file)
{
    for (uint32_t height = parts; height < row->parts; height++) {
        folder named = folder_of(row->key, height);
        if (is_below(file, &named))
            continue;
        if (bsearch(&named, on_disk->one, on_disk->count, sizeof named, by_folder))
            return false;
    }
    return true;
}

static const char *ending_of(const char *path)
{
    return path + strlen(path) - ending_bytes(path, strlen(path));
}

/* What rows are matched with. */
typedef struct sides {
    const tail_index *rows, *files;
    folder_set on_disk;
    uint32_t common; /* folders at the start of all rows */
} sides;

/* Of several files, the one that ends as the row says: a.png beside a.jpg. */
static tail_match choose(const sides *both, const candidates *c, const tail_key *row,
                         const char *row_path)
{
    const tail_index *files = both->files;
    size_t count = 0, alike = 0;
    tail_match match = {.file = TAIL_NONE};
    uint32_t matching = TAIL_NONE;
    const char *row_ending = ending_of(row_path);
    for (size_t i = c->first; parts_at(files, i, row->key) >= c->parts; i++) {
        uint32_t place = files->key[i].place;
        if (!is_in_place(&both->on_disk, row, c->parts, &files->key[i]))
            continue;
        const char *ending = ending_of(path_of(files, i));
        bool is_alike = strcasecmp(ending, row_ending) == 0;
        if (is_alike)
            matching = place;
        alike += is_alike;
        count++;
        if (count == 1)
            match.file = place;
        if (count == 2)
            match.other = place;
        if (alike > 1 || count == ALIKE_MOST)
            break;
    }
    if (count <= 1)
        return match;
    match.first = match.file;
    match.file = alike == 1 && count < ALIKE_MOST ? matching : TAIL_AMBIGUOUS;
    return match;
}

/* Whether the tail tells the rows of a group from all others. */
static bool is_telling(const tail_key *row, const row_group *group, const tail_key *shortest,
                       uint32_t parts, uint32_t folders)
{
    if (parts == row->parts || parts == shortest->parts)
        return true;
    if (group->shared >= parts)
        return false;
    return group->shared == 0 || parts + folders >= row->parts;
}

static void match_group(const sides *both, const row_group *group, tail_match *out)
{
    const tail_index *rows = both->rows, *files = both->files;
    const tail_key *row = &rows->key[group->first];
    candidates c = find_candidates(files, row->key);
    if (c.parts == 0)
        return;
    const tail_key *shortest = &files->key[c.first];
    if (!is_telling(row, group, shortest, c.parts, both->common))
        return;
    for (size_t i = group->first; i < group->end; i++) {
        row = &rows->key[i];
        out[row->place] = choose(both, &c, row, path_of(rows, i));
    }
}

pulmo_status tail_match_all(const tail_index *rows, const tail_index *files, tail_match *out)
{
    sides both = {.rows = rows, .files = files, .common = folders_of_all(rows)};
    PULMO_TRY(folder_set_make(files, &both.on_disk));
    for (size_t i = 0; i < rows->count; i++)
        out[i] = (tail_match){.file = TAIL_NONE};
    for (size_t at = 0; at < rows->sorted;) {
        row_group group = next_group(rows, at);
        match_group(&both, &group, out);
        at = group.end;
    }
    free(both.on_disk.one);
    return PULMO_OK;
}
