/* `pulmo verify`: files compared with the digests in them. */
#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pulmo/h5.h"
#include "pulmo/inspect.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

#define TAKEN "verify takes a .h5 file of pulmo's, a run or a packed data set"

typedef struct verification {
    FILE *out;
    const char *path; /* of the file at hand */
    uint64_t files, without, differences, unreadable;
    bool has_shard, has_manifest;
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

static pulmo_status note_kind(verification *v, pulmo_h5 *file)
{
    char *kind = NULL;
    if (!pulmo_h5_has_attribute(file, "/", "pulmo_kind"))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(file, "/", "pulmo_kind", &kind));
    v->has_shard = v->has_shard || strcmp(kind, "shard") == 0;
    v->has_manifest = v->has_manifest || strcmp(kind, "manifest") == 0;
    free(kind);
    return PULMO_OK;
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
    if (status == PULMO_OK)
        status = note_kind(v, file);
    if (status == PULMO_OK && !pulmo_h5_is_verified(file)) {
        v->without++;
        pulmo_h5_say_unverified(file);
    }
    pulmo_h5_close(file);
    bool of_the_file = status == PULMO_DATA || status == PULMO_IO;
    if (!of_the_file)
        return status;
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

/* A file, or what should be one: a link to nothing, a pipe, what cannot be looked at. */
static bool is_of_a_file(int info)
{
    return info == FTS_F || info == FTS_SLNONE || info == FTS_DEFAULT || info == FTS_NS;
}

static pulmo_status verify_entry(verification *v, const FTSENT *entry)
{
    if (is_of_a_file(entry->fts_info) && is_h5(entry->fts_name))
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

/* Every .h5 in it and below, links followed, in the order of names. */
static pulmo_status verify_directory(verification *v, const char *path)
{
    char *root = strdup(path);
    char *roots[] = {root, NULL};
    FTS *walk = root ? fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name) : NULL;
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
        return pulmo_fail(PULMO_DATA, "%s: holds no .h5 file; " TAKEN, path);
    if (status == PULMO_OK && v->has_shard && !v->has_manifest && v->unreadable == 0) {
        show_line(v->out, path,
                  "holds shards of a packed data set, but no manifest.h5 that lists them");
        v->differences++;
    }
    return status;
}

/* ---- all of it ---- */

static pulmo_status conclude(const verification *v, const char *path)
{
    unsigned long long files = v->files;
    unsigned long long without = v->without;
    if (v->differences > 0)
        return pulmo_fail(
            PULMO_DATA,
            "%s: %llu thing%s %s not what was written (listed above); restore the files "
            "from a copy, or make them anew",
            path, (unsigned long long)v->differences, pulmo_plural(v->differences),
            pulmo_are(v->differences));
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
        pulmo_info("%s: of %llu files, %llu %s what was written, and %llu without digests", path,
                   files, files - without, pulmo_are(files - without), without);
    else
        pulmo_info("%s: %llu file%s %s what was written", path, files, pulmo_plural(files),
                   pulmo_are(files));
    return PULMO_OK;
}

/* Whether a file begins as HDF5 does; true where it cannot be read, which is told by who tries. */
static bool begins_as_hdf5(const char *path)
{
    static const char signature[] = "\x89HDF\r\n\x1a\n";
    char begin[sizeof signature - 1];
    FILE *file = fopen(path, "rb");
    if (!file)
        return true;
    bool same = fread(begin, 1, sizeof begin, file) == sizeof begin &&
                memcmp(begin, signature, sizeof begin) == 0;
    fclose(file);
    return same;
}

/* A file that was never one of pulmo's is not a damaged one. */
static pulmo_status verify_named(verification *v, const char *path, const struct stat *about)
{
    if (S_ISREG(about->st_mode) && !is_h5(path) && !begins_as_hdf5(path))
        return pulmo_fail(PULMO_DATA, "%s: is not an HDF5 file; " TAKEN, path);
    return verify_file(v, path);
}

pulmo_status pulmo_verify(const char *path, FILE *out)
{
    struct stat about;
    verification v = {.out = out};
    if (stat(path, &about) != 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be opened: %s; " TAKEN, path, strerror(errno));
    if (S_ISDIR(about.st_mode))
        PULMO_TRY(verify_directory(&v, path));
    else
        PULMO_TRY(verify_named(&v, path, &about));
    return conclude(&v, path);
}
