/* What came with the program besides the program: configurations and scripts. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "pulmo/place.h"

#define NAME_BYTES 256
#define ENDING     ".yaml"

/* ---- configurations ---- */

/* "sets/nih" or "sets/nih.yaml" */
static bool find_by_name(const char *name, char path[PULMO_PLACE_BYTES])
{
    char file[NAME_BYTES];
    int length = snprintf(file, sizeof file, "%s" ENDING, name);
    if (length < 0 || length >= NAME_BYTES || *name == '\0' || strstr(name, ".."))
        return false;
    return pulmo_place_find(PULMO_PLACE_CONFIGS, file, path) ||
           (strstr(name, ENDING) && pulmo_place_find(PULMO_PLACE_CONFIGS, name, path));
}

/* Something that may be read as a file; a directory is often called "demo". */
static bool is_file(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && !S_ISDIR(about.st_mode);
}

pulmo_status find_configuration(arguments *a)
{
    const char *given = a->settings.path;
    if (!given || *given == '/' || is_file(given))
        return PULMO_OK;
    if (find_by_name(given, a->configuration)) {
        a->settings.path = a->configuration;
        return PULMO_OK;
    }
    if (strpbrk(given, "/."))
        return PULMO_OK; /* a path: who reads it says what is wrong */
    return pulmo_fail(PULMO_USAGE,
                      "-c %s: there is no such file, and no configuration of this name came with "
                      "the program; \"pulmo configs\" lists those that did",
                      given);
}

/* The first sentence of the comment that a configuration begins with, cut to `bytes`. */
static void read_first_sentence(FILE *file, char *out, size_t bytes)
{
    char line[NAME_BYTES];
    size_t length = 0;
    while (fgets(line, sizeof line, file) && *line == '#') {
        const char *text = line + strspn(line, "# ");
        for (; *text && *text != '\n' && length + 2 < bytes; text++) {
            out[length++] = *text;
            if (*text == '.' && (text[1] == ' ' || text[1] == '\n'))
                goto end;
        }
        out[length++] = ' ';
    }
end:
    out[length] = '\0';
}

/* `name` in `folder`, where it is a configuration. */
static void see_one(const char *folder, const char *name, see_configuration *see, void *context)
{
    char place[NAME_BYTES], path[PULMO_PLACE_BYTES], about[NAME_BYTES];
    size_t length = strlen(name);
    size_t ending = strlen(ENDING);
    if (length <= ending || strcmp(name + length - ending, ENDING) != 0)
        return;
    snprintf(place, sizeof place, "%s%.*s", folder, (int)(length - ending), name);
    if (!find_by_name(place, path))
        return;
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    read_first_sentence(file, about, sizeof about);
    fclose(file);
    see(context, place, about);
}

/* `folder` is "" or ends with a slash. */
static void see_folder(const char *folder, see_configuration *see, void *context)
{
    char directory[PULMO_PLACE_BYTES];
    struct dirent **entries = NULL;
    if (!pulmo_place_find(PULMO_PLACE_CONFIGS, folder, directory))
        return;
    int count = scandir(directory, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        see_one(folder, entries[i]->d_name, see, context);
        free(entries[i]);
    }
    free(entries);
}

void each_configuration(see_configuration *see, void *context)
{
    see_folder("", see, context);
    see_folder("sets/", see, context);
}

static void print_one(void *context, const char *name, const char *about)
{
    (void)context;
    printf("%-26s %s\n", name, about);
}

static pulmo_status print_file(const char *path)
{
    char piece[4096];
    size_t bytes = 0;
    FILE *file = fopen(path, "r");
    if (!file)
        return pulmo_fail(PULMO_IO, "%s: %s", path, strerror(errno));
    while ((bytes = fread(piece, 1, sizeof piece, file)) > 0)
        fwrite(piece, 1, bytes, stdout);
    bool broken = ferror(file) != 0;
    fclose(file);
    return broken ? pulmo_fail(PULMO_IO, "%s: cannot be read", path) : PULMO_OK;
}

pulmo_status run_configs(arguments *a)
{
    char path[PULMO_PLACE_BYTES];
    if (!pulmo_place_find(PULMO_PLACE_CONFIGS, "", path))
        return pulmo_fail(PULMO_IO, "no configurations came with this program: it was copied away "
                                    "from its installation; install it whole (cmake --install)");
    if (a->operand_count == 1) {
        if (find_by_name(a->operands[0], path))
            return print_file(path);
        return pulmo_fail(PULMO_USAGE,
                          "no configuration \"%s\" came with the program; \"pulmo "
                          "configs\" lists those that did",
                          a->operands[0]);
    }
    each_configuration(print_one, NULL);
    return PULMO_OK;
}

/* ---- scripts ---- */

/* In place of this process. `words` ends with NULL. */
static pulmo_status become(char *const *words)
{
    fflush(stdout);
    execvp(words[0], words);
    return pulmo_fail(PULMO_IO, "%s: cannot be started: %s", words[0], strerror(errno));
}

static pulmo_status find_script(pulmo_place place, const char *name, char path[PULMO_PLACE_BYTES])
{
    if (pulmo_place_find(place, name, path))
        return PULMO_OK;
    return pulmo_fail(PULMO_IO,
                      "%s did not come with this program: it was copied away from its "
                      "installation; install it whole (cmake --install)",
                      name);
}

static char *word(const char *text)
{
    return (char *)(uintptr_t)text;
}

pulmo_status run_fetch(arguments *a)
{
    char script[PULMO_PLACE_BYTES];
    PULMO_TRY(find_script(PULMO_PLACE_TOOLS, "fetch-weights", script));
    char *words[] = {script, NULL, NULL, NULL};
    if (a->operand_count == 2) {
        words[1] = word("--out");
        words[2] = word(a->operands[1]);
    }
    return become(words);
}

/* Tells the script where the program is, and to write where it was asked. */
static pulmo_status set_quickstart(void)
{
    char program[PULMO_PLACE_BYTES];
    if (!pulmo_place_program(program))
        return pulmo_fail(PULMO_IO, "the system does not tell where this program is");
    if (setenv("PULMO", program, 1) != 0 || setenv("PULMO_RUNS", "runs", 0) != 0)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    return PULMO_OK;
}

pulmo_status run_quickstart(arguments *a)
{
    char script[PULMO_PLACE_BYTES];
    PULMO_TRY(find_script(PULMO_PLACE_JOBS, "quickstart.sh", script));
    PULMO_TRY(set_quickstart());
    /* bash, the script, --, NULL */
    size_t most = (size_t)a->operand_count + 2 * (size_t)a->settings.count + 4;
    char **words = calloc(most, sizeof *words);
    if (!words)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    size_t count = 0;
    int first = 0;
    words[count++] = word("bash");
    words[count++] = script;
    if (a->operand_count > 0 && a->operands[0][0] != '-')
        words[count++] = word(a->operands[first++]);
    words[count++] = word("--");
    for (int i = first; i < a->operand_count; i++)
        words[count++] = word(a->operands[i]);
    for (int i = 0; i < a->settings.count; i++) {
        words[count++] = word("--set");
        words[count++] = word(a->settings.sets[i]);
    }
    pulmo_status status = become(words);
    free(words);
    return status;
}
