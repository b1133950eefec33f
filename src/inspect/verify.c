/* `pulmo verify`: files compared with the digests in them. */
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pulmo/h5.h"
#include "pulmo/inspect.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

typedef struct verification {
    FILE *out;
    const char *path; /* of the file at hand */
    uint64_t files, without, differences, unreadable;
} verification;

static void show_line(FILE *out, const char *path, const char *what)
{
    pulmo_text_show(out, path, SIZE_MAX);
    fputs(": ", out);
    pulmo_text_show(out, what, SIZE_MAX);
    fputc('\n', out);
}

static void show_difference(void *context, const char *what)
{
    verification *v = context;
    show_line(v->out, v->path, what);
}

/* Notes the report, which names the file. One that cannot be read at the moment may be whole. */
static void show_report(verification *v, pulmo_status status)
{
    pulmo_text_show(v->out, pulmo_error(), SIZE_MAX);
    fputc('\n', v->out);
    pulmo_error_clear();
    if (status == PULMO_IO)
        v->unreadable++;
    else
        v->differences++;
}

static pulmo_status verify_file(verification *v, const char *path)
{
    pulmo_h5 *file = NULL;
    uint64_t differences = 0;
    v->path = path;
    v->files++;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = pulmo_h5_verify(file, show_difference, v, &differences);
    v->differences += differences;
    if (status == PULMO_OK && !pulmo_h5_is_verified(file)) {
        v->without++;
        pulmo_h5_say_unverified(file);
    }
    pulmo_h5_close(file);
    if (status == PULMO_MEMORY)
        return status;
    if (status != PULMO_OK)
        show_report(v, status);
    return PULMO_OK;
}

/* ---- directories ---- */

static bool is_h5(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot && strcmp(dot, ".h5") == 0;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static pulmo_status verify_entry(verification *v, const FTSENT *entry)
{
    if (entry->fts_info == FTS_F && is_h5(entry->fts_name))
        return verify_file(v, entry->fts_path);
    bool failed = entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR;
    if (!failed)
        return PULMO_OK;
    char *what = pulmo_format("cannot be read: %s", strerror(entry->fts_errno));
    show_line(v->out, entry->fts_path, what ? what : "cannot be read");
    free(what);
    v->unreadable++;
    return PULMO_OK;
}

/* Every .h5 in it and below, in the order of names. */
static pulmo_status verify_directory(verification *v, const char *path)
{
    char *root = strdup(path);
    char *roots[] = {root, NULL};
    FTS *walk = root ? fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name) : NULL;
    pulmo_status status = PULMO_OK;
    if (!walk)
        status = pulmo_fail(PULMO_MEMORY, "%s: out of memory", path);
    while (status == PULMO_OK) {
        const FTSENT *entry = fts_read(walk);
        if (!entry)
            break;
        status = verify_entry(v, entry);
    }
    if (walk)
        fts_close(walk);
    free(root);
    if (status == PULMO_OK && v->files == 0 && v->unreadable == 0)
        return pulmo_fail(PULMO_DATA,
                          "%s: holds no .h5 file; name a run, a packed data set, or a file", path);
    return status;
}

/* ---- all of it ---- */

static pulmo_status conclude(const verification *v, const char *path)
{
    unsigned long long files = v->files;
    unsigned long long without = v->without;
    if (v->differences > 0)
        return pulmo_fail(PULMO_DATA,
                          "%s: %llu thing%s not what was written (listed above); restore the files "
                          "from a copy, or make them anew",
                          path, (unsigned long long)v->differences,
                          v->differences == 1 ? " is" : "s are");
    if (v->unreadable > 0)
        return pulmo_fail(
            PULMO_IO,
            "%s: %llu file%s cannot be read at the moment (listed above); verify again "
            "when all can",
            path, (unsigned long long)v->unreadable, pulmo_plural(v->unreadable));
    if (without == files)
        pulmo_info("%s: nothing is verified: %llu file%s without digests", path, files,
                   pulmo_plural(files));
    else if (without > 0)
        pulmo_info("%s: %llu of %llu files %s what was written; without digests: %llu", path,
                   files - without, files, files - without == 1 ? "is" : "are", without);
    else
        pulmo_info("%s: %llu file%s what was written", path, files, files == 1 ? " is" : "s are");
    return PULMO_OK;
}

pulmo_status pulmo_verify(const char *path, FILE *out)
{
    struct stat about;
    verification v = {.out = out};
    bool is_directory = stat(path, &about) == 0 && S_ISDIR(about.st_mode);
    if (is_directory)
        PULMO_TRY(verify_directory(&v, path));
    else
        PULMO_TRY(verify_file(&v, path));
    return conclude(&v, path);
}
