/* The library itself: one lock around it, its reasons for failures as ours, its version. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "h5_room.h"

#define REASON_BYTES 512

/* Recursive: a visitor may read what it is shown. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

void h5_lock(void)
{
    static bool ready = false;
    static _Thread_local bool quiet =
        false; /* where the library knows threads, each has its own printing of errors */
    pthread_mutex_lock(&lock);
    /* A file that could not be flushed stays in the library's care for ever; its clean-up at
     * exit would try again and crash. All that we keep has been committed by then. */
    if (!ready)
        H5dont_atexit();
    if (!quiet)
        H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* we report errors our way */
    ready = quiet = true;
}

/* A lock knows its owner by the thread's number, and that is another one after a fork. */
void h5_lock_in_child(void)
{
    static const pthread_mutex_t fresh = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    lock = fresh;
    h5_lock();
}

void h5_unlock(void)
{
    pthread_mutex_unlock(&lock);
}

/* ---- the library's reasons ---- */

static herr_t keep_innermost(unsigned depth, const H5E_error2_t *error, void *context)
{
    (void)depth;
    if (error->desc && *error->desc)
        snprintf(context, REASON_BYTES, "%s", error->desc);
    return 0;
}

/* Of a system call that failed the library tells everything, over two lines; what helps are the
 * system's own words. */
static void shorten(char *reason)
{
    static const char mark[] = "error message = '";
    char *words = strstr(reason, mark), *end = words ? strchr(words + sizeof mark - 1, '\'') : NULL;
    if (end) {
        *end = '\0';
        memmove(reason, words + sizeof mark - 1, (size_t)(end - words) - sizeof mark + 2);
    }
    for (char *at = reason; *at; at++)
        if (*at == '\n')
            *at = ' ';
}

pulmo_status(h5_fail)(const pulmo_h5 *file, const char *object, const char *what)
{
    char reason[REASON_BYTES] = "";
    bool writing = file->temporary != NULL;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_innermost, reason);
    H5Eclear2(H5E_DEFAULT);
    /* The library gives an errno only where a system call failed. */
    bool refused = strstr(reason, "errno = ") != NULL;
    if (refused && !writing)
        what = "cannot be read"; /* it may be whole */
    shorten(reason);
    return pulmo_fail(refused || writing ? PULMO_IO : PULMO_DATA, "%s%s%s: %s%s%s%s", file->path,
                      object ? ": /" : "", object ? object + (*object == '/') : "", what,
                      *reason ? " (HDF5: " : "", reason, *reason ? ")" : "");
}

/* ---- opening ---- */

hid_t h5_access_properties(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fclose_degree(
        access, H5F_CLOSE_STRONG); /* damage can make the library lose count of what it opened */
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 11, 0))
    /* Files change by rename only, so locks protect nothing; on NFS and Lustre they often cannot be
     * had. */
    H5Pset_file_locking(access, false, true);
#endif
    return access;
}

pulmo_status h5_file_open(pulmo_h5 *file)
{
    hid_t properties = h5_access_properties();
    file->id = H5Fopen(file->path, H5F_ACC_RDONLY, properties);
    pulmo_status status = PULMO_OK;
    if (file->id < 0)
        status = h5_fail(file, NULL, "is not an HDF5 file, or is damaged");
    H5Pclose(properties);
    return status;
}

/* ---- its version ---- */

void pulmo_h5_library(char *out, size_t bytes)
{
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(out, bytes, "HDF5 %u.%u.%u", major, minor, release);
}
