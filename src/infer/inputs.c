/* Image files that a user names. */
#include "inputs.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "pulmo/file.h"
#include "pulmo/memory.h"

#define FILE_BYTES_MAX ((size_t)256 << 20)

static pulmo_status add(input_list *list, const char *path)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        char **larger = realloc(list->paths, room * sizeof *larger);
        if (!larger)
            return pulmo_fail(PULMO_MEMORY, "out of memory for the list of images");
        list->paths = larger;
        list->room = room;
    }
    list->paths[list->count] = pulmo_strdup(path);
    return list->paths[list->count] ? (list->count++, PULMO_OK) : PULMO_MEMORY;
}

void input_list_free(input_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    free(list->paths);
    memset(list, 0, sizeof *list);
}

static bool is_jpeg_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && (strcasecmp(dot, ".jpeg") == 0 || strcasecmp(dot, ".jpg") == 0);
}

static pulmo_status add_directory(input_list *list, const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        return pulmo_fail(PULMO_IO, "%s: cannot list the directory: %s", path, strerror(errno));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count; i++) {
        struct stat about;
        char *full =
            entries[i]->d_name[0] == '.' ? NULL : pulmo_format("%s/%s", path, entries[i]->d_name);
        if (full && status == PULMO_OK && stat(full, &about) == 0) {
            if (S_ISDIR(about.st_mode))
                status = add_directory(list, full);
            else if (is_jpeg_name(full))
                status = add(list, full);
        }
        free(full);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static pulmo_status add_stdin(input_list *list)
{
    char *line = NULL;
    size_t room = 0;
    pulmo_status status = PULMO_OK;
    while (status == PULMO_OK && getline(&line, &room, stdin) > 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (*line)
            status = add(list, line);
    }
    free(line);
    return status;
}

pulmo_status input_list_collect(const char *const *inputs, int count, input_list *out)
{
    pulmo_status status = PULMO_OK;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < count && status == PULMO_OK; i++) {
        struct stat about;
        if (strcmp(inputs[i], "-") == 0)
            status = add_stdin(out);
        else if (stat(inputs[i], &about) == 0 && S_ISDIR(about.st_mode))
            status = add_directory(out, inputs[i]);
        else
            status = add(out, inputs[i]);
    }
    if (status == PULMO_OK && out->count == 0)
        status = pulmo_fail(
            PULMO_USAGE,
            "no images given; name files or directories of JPEGs, or - for a list on stdin");
    if (status != PULMO_OK)
        input_list_free(out);
    return status;
}

/* size_px 0: as it is. */
static pulmo_status read_image(const char *path, int size_px, pulmo_image *out)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    pulmo_decode_spec spec;
    pulmo_decode_spec_init(&spec);
    PULMO_TRY(pulmo_file_read(path, FILE_BYTES_MAX, &data, &bytes));
    pulmo_status status =
        size_px > 0 ? pulmo_jpeg_decode_resized(data, bytes, &spec, size_px, size_px, out, NULL)
                    : pulmo_jpeg_decode(data, bytes, &spec, out, NULL);
    free(data);
    return status == PULMO_OK ? PULMO_OK : pulmo_fail_in(status, "%s", path);
}

pulmo_status input_image_read(const char *path, pulmo_image *out)
{
    return read_image(path, 0, out);
}
pulmo_status input_image_read_resized(const char *path, int size_px, pulmo_image *out)
{
    return read_image(path, size_px, out);
}
