/* Files that appear whole or not at all: temporary name, fsync, rename, fsync of the directory. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "h5_room.h"
#include "pulmo/file.h"
#include "pulmo/memory.h"

static pulmo_h5 *handle_of(const char *path, bool temporary)
{
    pulmo_h5 *file = calloc(1, sizeof *file);
    if (!file) {
        pulmo_fail(PULMO_MEMORY, "%s: out of memory", path);
        return NULL;
    }
    file->id = -1;
    file->path = pulmo_strdup(path);
    if (temporary)
        file->temporary = pulmo_file_temporary_name(path);
    if (file->path && (!temporary || file->temporary))
        return file;
    free(file->path);
    free(file->temporary);
    free(file);
    return NULL;
}

/* Emptied first: the library keeps a file open that it could not flush, and its room on disk with
 * it. */
static void remove_temporary(const pulmo_h5 *file)
{
    if (truncate(file->temporary, 0) == 0 || errno != ENOENT)
        unlink(file->temporary);
}

static void free_handle(pulmo_h5 *file)
{
    h5_begun_remove(file);
    h5_records_free(file);
    free(file->path);
    free(file->temporary);
    free(file);
}

pulmo_status pulmo_h5_create(const char *path, pulmo_h5 **out)
{
    pulmo_h5 *file = handle_of(path, true);
    if (!file)
        return PULMO_MEMORY;
    /* HDF5's own words for a missing directory are poor: ask the system first. */
    int fd = open(file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        pulmo_fail(PULMO_IO, "%s: cannot be created: %s", path, strerror(errno));
        free_handle(file);
        return PULMO_IO;
    }
    close(fd);
    h5_lock();
    hid_t access = h5_access_properties(), creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
    H5Pset_obj_track_times(creation, false);
    file->id = H5Fcreate(file->temporary, H5F_ACC_TRUNC, creation, access);
    h5_begun_add(file);
    /* Asked for the reason before another call of the library forgets it. */
    pulmo_status status = file->id < 0 ? h5_fail(file, NULL, "cannot be created") : PULMO_OK;
    H5Pclose(access);
    H5Pclose(creation);
    h5_unlock();
    if (status == PULMO_OK)
        *out = file;
    else
        pulmo_h5_close(file);
    return status;
}

pulmo_status pulmo_h5_commit(pulmo_h5 *file)
{
    h5_hole *holes = NULL;
    size_t count = 0;
    h5_lock();
    bool flushed = H5Fflush(file->id, H5F_SCOPE_GLOBAL) >= 0;
    pulmo_status status = flushed ? PULMO_OK : h5_fail(file, NULL, "cannot be written");
    if (status == PULMO_OK && file->has_digests)
        status = h5_holes_of(file, &holes, &count);
    bool ended = H5Fclose(file->id) >= 0;
    if (status == PULMO_OK && !ended)
        status = h5_fail(file, NULL, "cannot be written");
    file->id = -1;
    h5_unlock();
    if (status == PULMO_OK)
        status = h5_seal_append(file, holes, count);
    free(holes);
    if (status == PULMO_OK)
        status = h5_unsaid_of(file);
    if (status == PULMO_OK)
        status = pulmo_file_publish(file->temporary, file->path);
    if (status != PULMO_OK) {
        h5_unsaid_reset(PULMO_OK);
        remove_temporary(file);
    }
    free_handle(file);
    return status;
}

/* Values are compared with their digests where other tools dropped the seal. */
static pulmo_status open_for_reading(pulmo_h5 *file)
{
    if (!file->is_sealed)
        PULMO_TRY(h5_rehearse(file));
    h5_lock();
    h5_count_untrusted(file, 1);
    pulmo_status status = h5_file_open(file);
    if (status != PULMO_OK)
        h5_count_untrusted(file, -1);
    if (status == PULMO_OK && !file->is_sealed)
        status = h5_content_check(file);
    h5_unlock();
    return status;
}

pulmo_status pulmo_h5_open(const char *path, pulmo_h5 **out)
{
    struct stat about;
    if (stat(path, &about) != 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be opened: %s", path, strerror(errno));
    if (S_ISDIR(about.st_mode))
        return pulmo_fail(PULMO_IO, "%s: is a directory, not an HDF5 file", path);
    /* Opening a pipe would wait for ever. */
    if (!S_ISREG(about.st_mode))
        return pulmo_fail(PULMO_IO, "%s: is a pipe or a device, must be an HDF5 file", path);
    if (access(path, R_OK) != 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be opened: %s", path, strerror(errno));
    pulmo_h5 *file = handle_of(path, false);
    if (!file)
        return PULMO_MEMORY;
    pulmo_status status = h5_seal_check(path, &file->is_sealed);
    if (status == PULMO_OK)
        status = open_for_reading(file);
    if (status == PULMO_OK)
        *out = file;
    else
        pulmo_h5_close(file);
    return status;
}

void pulmo_h5_close(pulmo_h5 *file)
{
    if (!file)
        return;
    /* A reader's close loses nothing; why a file is given up has been told. */
    pulmo_status before = file->temporary ? PULMO_OK : h5_unsaid_so_far();
    h5_lock();
    if (file->id >= 0) {
        H5Fclose(file->id);
        h5_count_untrusted(file, -1);
    }
    H5Eclear2(H5E_DEFAULT);
    h5_unlock();
    h5_unsaid_reset(before);
    if (file->temporary)
        remove_temporary(file);
    free_handle(file);
}

const char *pulmo_h5_path(const pulmo_h5 *file)
{
    return file->path;
}
