/* Image files that a user names. */
#include "inputs.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

#define FILE_BYTES_MAX ((size_t)256 << 20)

/* ---- the list ---- */

static pulmo_status list_add(input_list *list, const char *path)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        char **larger = realloc(list->paths, room * sizeof *larger);
        if (!larger)
            return pulmo_fail(PULMO_MEMORY, "out of memory for the list of images");
        list->paths = larger;
        list->room = room;
    }
    char *copy = pulmo_strdup(path);
    if (!copy)
        return PULMO_MEMORY;
    list->paths[list->count] = copy;
    list->count++;
    return PULMO_OK;
}

void input_list_free(input_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    free(list->paths);
    memset(list, 0, sizeof *list);
}

static void list_miss(input_list *list, const char *path, const char *reason)
{
    pulmo_warn("%s: %s", path, reason);
    list->missed++;
}

/* ---- directories ---- */

/* A directory being walked, and those it stands in. */
typedef struct folder {
    const struct folder *above;
    const char *path;
    dev_t device;
    ino_t inode;
} folder;

/* A link may lead back to a folder that it stands in. */
static bool is_inside_itself(const folder *in)
{
    for (const folder *f = in->above; f; f = f->above)
        if (f->device == in->device && f->inode == in->inode)
            return true;
    return false;
}

static pulmo_status add_directory(input_list *list, const folder *in);

static pulmo_status add_subdirectory(input_list *list, const folder *below)
{
    if (is_inside_itself(below)) {
        pulmo_warn("%s: leads back to a folder that it stands in; not followed", below->path);
        return PULMO_OK;
    }
    pulmo_status status = add_directory(list, below);
    if (status != PULMO_IO)
        return status;
    pulmo_warn("%s", pulmo_error());
    pulmo_error_clear();
    list->missed++;
    return PULMO_OK;
}

/* What cannot be looked at is reported: it may be an image, or a folder of them. */
static pulmo_status add_entry(input_list *list, const folder *in, const char *path)
{
    struct stat about, link;
    if (stat(path, &about) != 0) {
        int reason = errno;
        bool dangling = reason == ENOENT && lstat(path, &link) == 0 && S_ISLNK(link.st_mode);
        list_miss(list, path, dangling ? "is a link to nothing" : strerror(reason));
        return PULMO_OK;
    }
    if (S_ISDIR(about.st_mode)) {
        const folder below = {in, path, about.st_dev, about.st_ino};
        return add_subdirectory(list, &below);
    }
    return pulmo_image_is_file(path) ? list_add(list, path) : PULMO_OK;
}

/* "FOLDER" and "FOLDER/" give the same paths. */
static char *path_below(const char *path, const char *name)
{
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        length--;
    return pulmo_format("%.*s/%s", (int)length, path, name);
}

static pulmo_status add_directory(input_list *list, const folder *in)
{
    struct dirent **entries = NULL;
    int count = scandir(in->path, &entries, NULL, alphasort);
    if (count < 0)
        return pulmo_fail(errno == ENOMEM ? PULMO_MEMORY : PULMO_IO,
                          "%s: cannot list the directory: %s", in->path, strerror(errno));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        if (status == PULMO_OK && name[0] != '.') {
            char *path = path_below(in->path, name);
            status = path ? add_entry(list, in, path) : PULMO_MEMORY;
            free(path);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* ---- a list on stdin ---- */

/* All of stdin and a NUL behind it. Owned by the caller. */
static pulmo_status read_stdin(char **out, size_t *bytes)
{
    size_t size = 0, room = 1 << 16;
    char *text = malloc(room + 1);
    while (text) {
        size_t got = fread(text + size, 1, room - size, stdin);
        size += got;
        if (got == 0)
            break;
        if (size < room)
            continue;
        room *= 2;
        char *larger = realloc(text, room + 1);
        if (!larger)
            free(text);
        text = larger;
    }
    if (!text)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the list on stdin");
    if (ferror(stdin)) {
        free(text);
        return pulmo_fail(PULMO_IO, "the list on stdin cannot be read: %s", strerror(errno));
    }
    text[size] = '\0';
    *out = text;
    *bytes = size;
    return PULMO_OK;
}

static bool starts_with(const char *text, size_t bytes, const char *mark, size_t mark_bytes)
{
    return bytes >= mark_bytes && memcmp(text, mark, mark_bytes) == 0;
}

/* A byte order mark, which some programs write before UTF-8, is no part of a path. *skip: its
 * bytes. That of UTF-16, whose NULs would end paths, is refused. */
static pulmo_status skip_mark(const char *text, size_t bytes, size_t *skip)
{
    const bool wide =
        starts_with(text, bytes, "\xFF\xFE", 2) || starts_with(text, bytes, "\xFE\xFF", 2);
    *skip = starts_with(text, bytes, "\xEF\xBB\xBF", 3) ? 3 : 0;
    if (!wide || !memchr(text, '\0', bytes))
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "the list on stdin is UTF-16; paths are bytes, one a line: "
                                  "iconv -f UTF-16 -t UTF-8 LIST | pulmo ... -");
}

/* One path a line, or as `find -print0` writes them: where there is a NUL, paths end with NULs. */
static pulmo_status add_stdin(input_list *list)
{
    char *text = NULL;
    size_t bytes = 0;
    size_t skip = 0;
    PULMO_TRY(read_stdin(&text, &bytes));
    list->by_stdin = true;
    bool by_lines = memchr(text, '\0', bytes) == NULL;
    pulmo_status status = skip_mark(text, bytes, &skip);
    for (char *at = text + skip; status == PULMO_OK && at < text + bytes;) {
        size_t length = by_lines ? strcspn(at, "\n") : strlen(at);
        char *next = at + length + 1;
        at[length] = '\0';
        if (by_lines && length > 0 && at[length - 1] == '\r')
            at[length - 1] = '\0';
        if (*at)
            status = list_add(list, at);
        at = next;
    }
    free(text);
    return status;
}

/* ---- inputs ---- */

static pulmo_status add_input(input_list *list, const char *input)
{
    struct stat about;
    if (strcmp(input, "-") == 0)
        return add_stdin(list);
    if (stat(input, &about) != 0 || !S_ISDIR(about.st_mode))
        return list_add(list, input); /* what is wrong with it is reported when it is read */
    const folder in = {NULL, input, about.st_dev, about.st_ino};
    return add_directory(list, &in);
}

static pulmo_status check_any(const input_list *list)
{
    if (list->count > 0)
        return PULMO_OK;
    if (list->missed > 0)
        return pulmo_fail(PULMO_DATA,
                          "no image can be read: nothing is there but what is named above (%zu)",
                          list->missed);
    if (list->by_stdin)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_USAGE,
        "no images given; name files or directories of images, or - for a list on stdin");
}

pulmo_status input_list_collect(const char *const *inputs, int count, input_list *out)
{
    pulmo_status status = PULMO_OK;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < count && status == PULMO_OK; i++)
        status = add_input(out, inputs[i]);
    if (status == PULMO_OK)
        status = check_any(out);
    if (status != PULMO_OK)
        input_list_free(out);
    return status;
}

bool input_costs_one_image(pulmo_status status)
{
    return status != PULMO_MEMORY;
}

pulmo_status input_list_outcome(const input_list *list, size_t bad)
{
    if (bad + list->missed == 0)
        return PULMO_OK;
    const size_t all = list->count + list->missed;
    return pulmo_fail(PULMO_DATA, "%zu of %zu image%s could not be used; the others are done",
                      bad + list->missed, all, pulmo_plural(all));
}

/* ---- images ---- */

pulmo_status input_image_read(const char *path, const pulmo_framing *framing, int size_px,
                              int64_t pixels_max, pulmo_image *out)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    pulmo_decode_spec spec;
    pulmo_decode_spec_framed(&spec, framing, size_px);
    spec.pixels_max = (uint64_t)pixels_max;
    PULMO_TRY(pulmo_file_read(path, FILE_BYTES_MAX, &data, &bytes));
    pulmo_status status = pulmo_image_decode(data, bytes, &spec, out, NULL);
    free(data);
    if (status != PULMO_OK)
        pulmo_fail_in(status, "%s", path);
    return status;
}
