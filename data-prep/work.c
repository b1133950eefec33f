/* DEST and the work in progress beneath it; the picture is in work.h. */
#include "work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "seen.h"

#include "pulmo/file.h"
#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/packed.h"

pulmo_status work_name(const char *destination, work_place *out)
{
    *out = (work_place){.destination = destination, .lock = -1};
    out->work = pulmo_format("%s/.pack", destination);
    out->out = pulmo_format("%s/.pack/out", destination);
    if (out->work && out->out)
        return PULMO_OK;
    work_free(out);
    return PULMO_MEMORY;
}

void work_free(work_place *w)
{
    if (w->lock >= 0)
        close(w->lock);
    free(w->work);
    free(w->out);
    *w = (work_place){.lock = -1};
}

/* ---- digests in files ---- */

/* Whether a file holds just this digest; *found: whether it is there at all. */
static bool holds(const char *directory, const char *name, const char hex[PULMO_DIGEST_HEX],
                  bool *found)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    char *path = pulmo_format("%s/%s", directory, name);
    *found = path && pulmo_file_read(path, 4096, &data, &bytes) == PULMO_OK;
    bool same = *found && bytes == PULMO_DIGEST_HEX - 1 && memcmp(data, hex, bytes) == 0;
    pulmo_error_clear();
    free(data);
    free(path);
    return same;
}

/* Not synced: half of it is as good as none. */
static pulmo_status put(const char *directory, const char *name, const char hex[PULMO_DIGEST_HEX])
{
    char *path = pulmo_format("%s/%s", directory, name);
    FILE *file = path ? fopen(path, "w") : NULL;
    bool whole = file && fputs(hex, file) >= 0;
    if (file && fclose(file) != 0)
        whole = false;
    pulmo_status status = whole ? PULMO_OK
                                : pulmo_fail(PULMO_IO, "%s/%s: cannot be written: %s", directory,
                                             name, strerror(errno));
    free(path);
    return status;
}

static pulmo_status read_options(const char *manifest, char **out)
{
    pulmo_h5 *file = NULL;
    PULMO_TRY(pulmo_h5_open(manifest, &file));
    pulmo_status status = pulmo_h5_read_text(file, "options", out);
    pulmo_h5_close(file);
    return status;
}

pulmo_status work_has_pack(const work_place *w, bool *packed)
{
    char *manifest = pulmo_format("%s/manifest.h5", w->destination);
    pulmo_status status = manifest ? pulmo_file_look(manifest, packed) : PULMO_MEMORY;
    free(manifest);
    return status;
}

pulmo_status work_look(const work_place *w, const char *options_text, const pulmo_digest *files,
                       int *found)
{
    char *text = NULL, *manifest = pulmo_format("%s/manifest.h5", w->destination);
    bool packed = false;
    *found = 0;
    pulmo_status status = manifest ? pulmo_file_look(manifest, &packed) : PULMO_MEMORY;
    if (status == PULMO_OK && packed) {
        status = read_options(manifest, &text);
        bool same = status == PULMO_OK && strcmp(text, options_text) == 0;
        *found = same && seen_matches(w->destination, files) ? 1 : -1;
    }
    free(text);
    free(manifest);
    if (status == PULMO_IO || status == PULMO_MEMORY)
        return status;
    pulmo_error_clear(); /* a damaged one is a pack of something else */
    return PULMO_OK;
}

/* ---- removing and moving ---- */

typedef bool (*is_wanted)(const char *name);
static bool is_part(const char *name)
{
    return strncmp(name, "part-", 5) == 0 || strcmp(name, "stop") == 0;
}
static bool is_scratch(const char *name)
{
    return strcmp(name, "stop") == 0 || strstr(name, ".tmp") != NULL;
}
static bool is_any(const char *name)
{
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* The end of a file's name, or of what a write that was killed left of it. */
static bool is_ending(const char *name)
{
    return strcmp(name, "h5") == 0 || strncmp(name, "h5.tmp.", 7) == 0;
}

/* What a pack puts into DEST; nobody else's file is to be taken for one. */
static bool is_ours(const char *name)
{
    unsigned shard, shards;
    char split[8];
    int at = 0;
    if (strcmp(name, "leaks.txt") == 0 || strcmp(name, SEEN_NAME) == 0)
        return true;
    if (strncmp(name, "manifest.", 9) == 0)
        return is_ending(name + 9);
    if (sscanf(name, "%7[a-z]-%10u-of-%10u.%n", split, &shard, &shards, &at) != 3 || at == 0 ||
        !is_ending(name + at))
        return false;
    return pulmo_split_find(split) >= 0;
}

/* Removes files of a directory, returns how many; one that is not there has none. */
static int remove_files(const char *directory, is_wanted wanted)
{
    int removed = 0;
    DIR *entries = opendir(directory);
    if (!entries)
        return 0;
    for (struct dirent *entry; (entry = readdir(entries));) {
        char *full = wanted(entry->d_name) ? pulmo_format("%s/%s", directory, entry->d_name) : NULL;
        if (full && unlink(full) == 0)
            removed++;
        free(full);
    }
    closedir(entries);
    return removed;
}

pulmo_status work_move(const work_place *w)
{
    pulmo_status status = PULMO_OK;
    DIR *entries = opendir(w->out);
    if (!entries)
        return pulmo_fail(PULMO_IO, "%s: cannot be listed: %s", w->out, strerror(errno));
    for (struct dirent *entry; status == PULMO_OK && (entry = readdir(entries));) {
        if (!is_ours(entry->d_name))
            continue;
        char *from = pulmo_format("%s/%s", w->out, entry->d_name),
             *to = pulmo_format("%s/%s", w->destination, entry->d_name);
        if (!from || !to)
            status = PULMO_MEMORY;
        else if (rename(from, to) != 0)
            status =
                pulmo_fail(PULMO_IO, "%s: cannot be moved to %s: %s", from, to, strerror(errno));
        free(from);
        free(to);
    }
    closedir(entries);
    return status;
}

/* Names of a shard before and after; NULL for want of memory. */
static bool name_shard(const work_place *w, shard_names n, uint32_t shard, char **before,
                       char **after)
{
    *before = pulmo_shard_path(w->destination, n.split, shard, n.old_shards);
    *after = pulmo_shard_path(w->destination, n.split, shard, n.shards);
    return *before && *after;
}

static pulmo_status link_shard(const char *before, const char *after)
{
    unlink(after); /* of an update that was interrupted */
    if (link(before, after) == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_IO,
                      "%s: cannot be linked to %s: %s; pack anew with --overwrite where "
                      "the file system knows no links",
                      before, after, strerror(errno));
}

pulmo_status work_rename(const work_place *w, shard_names n)
{
    pulmo_status status = PULMO_OK;
    for (uint32_t k = 0; k < n.old_shards && n.shards != n.old_shards && status == PULMO_OK; k++) {
        char *before = NULL, *after = NULL;
        status = name_shard(w, n, k, &before, &after) ? link_shard(before, after) : PULMO_MEMORY;
        free(before);
        free(after);
    }
    return status;
}

void work_remove_renamed(const work_place *w, shard_names n)
{
    for (uint32_t k = 0; k < n.old_shards && n.shards != n.old_shards; k++) {
        char *before = NULL, *after = NULL;
        if (name_shard(w, n, k, &before, &after))
            unlink(before);
        free(before);
        free(after);
    }
}

pulmo_status work_publish(const work_place *w, const pulmo_digest *files, const source_list *list)
{
    /* The old manifest goes first: without it nothing there counts as packed. */
    char *manifest = pulmo_format("%s/manifest.h5", w->destination);
    if (!manifest)
        return PULMO_MEMORY;
    unlink(manifest);
    free(manifest);
    remove_files(w->destination, is_ours);
    pulmo_status status = work_move(w);
    return status == PULMO_OK ? seen_write(w->destination, files, list) : status;
}

void work_end(const work_place *w)
{
    remove_files(w->out, is_any);
    rmdir(w->out);
    remove_files(w->work, is_any);
    rmdir(w->work);
}

/* ---- beginning ---- */

/* Before anything is made. */
static pulmo_status check_places(const work_place *w, const char *source_path)
{
    if (pulmo_file_is_inside(w->destination, source_path))
        return pulmo_fail(PULMO_USAGE,
                          "%s: lies inside the source %s; choose a destination elsewhere",
                          w->destination, source_path);
    return PULMO_OK;
}

/* A file system that knows no locks does without. */
static pulmo_status take_lock(work_place *w)
{
    char *path = pulmo_format("%s/lock", w->work);
    if (!path)
        return PULMO_MEMORY;
    w->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int reason = errno;
    free(path);
    if (w->lock < 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be written to: %s", w->work, strerror(reason));
    if (flock(w->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return pulmo_fail(
            PULMO_USAGE,
            "%s: another pulmo pack is at work there; wait for it or choose another destination",
            w->destination);
    return PULMO_OK;
}

pulmo_status work_begin(work_place *w, const char *source, const pulmo_digest *key)
{
    char hex[PULMO_DIGEST_HEX];
    bool found = false;
    PULMO_TRY(check_places(w, source));
    PULMO_TRY(pulmo_directory_make(w->destination));
    PULMO_TRY(pulmo_directory_make(w->out));
    PULMO_TRY(take_lock(w));
    pulmo_digest_hex(key, hex);
    remove_files(w->work, is_scratch);
    remove_files(w->out, is_scratch);
    if (holds(w->work, "key", hex, &found))
        return PULMO_OK;
    int removed = remove_files(w->work, is_part);
    if (found && removed > 0)
        pulmo_info("%s: an interrupted pack of other files or options was there; starting again",
                   w->destination);
    return put(w->work, "key", hex);
}

void work_clear(work_place *w, const pulmo_digest *key)
{
    char hex[PULMO_DIGEST_HEX];
    struct stat about;
    bool found = false;
    if (stat(w->work, &about) != 0)
        return;
    pulmo_digest_hex(key, hex);
    bool of_this_pack = holds(w->work, "key", hex, &found) || !found;
    if (of_this_pack && take_lock(w) == PULMO_OK)
        work_end(w);
    pulmo_error_clear();
}

pulmo_status work_plan(const work_place *w, const pulmo_digest *plan)
{
    char hex[PULMO_DIGEST_HEX];
    bool found = false;
    pulmo_digest_hex(plan, hex);
    if (holds(w->work, "plan", hex, &found))
        return PULMO_OK;
    remove_files(w->out, is_any);
    return put(w->work, "plan", hex);
}
