/* The library itself: one lock around it, its reasons for failures as ours, its version. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "h5_room.h"

#define REASON_BYTES 512

/* Recursive: a visitor may read what it is shown. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

static _Thread_local int depth; /* of this thread's locks */
static pulmo_status unsaid;     /* what the library was refused, and nobody has been told */
static bool lacked;   /* it was refused memory at least once, and may be at odds with itself */
static bool doubtful; /* the last time for a damaged file, perhaps */
static int untrusted; /* open files that may ask for any amount of it */

/* Files that are being written. Their own lock is held for a moment only, so that they are found
 * while another thread writes. */
static pthread_mutex_t begun_lock = PTHREAD_MUTEX_INITIALIZER;
static pulmo_h5 *begun;

/* The system's errno is in the words of a call to it that failed. */
static herr_t see_cause(unsigned level, const H5E_error2_t *error, void *context)
{
    pulmo_status *cause = context;
    (void)level;
    if (error->maj_num == H5E_RESOURCE || error->min_num == H5E_CANTALLOC)
        *cause = PULMO_MEMORY;
    else if (error->desc && strstr(error->desc, "errno = ") && *cause == PULMO_OK)
        *cause = PULMO_IO;
    return 0;
}

/* Called by the library at the end of each call that failed, with nothing to print. What is asked
 * with a yes or no, and set without a look at the status, would go on as if all had been well.
 * Many of its reasons do not name a lack of memory; errno does, which h5_lock reset. */
static herr_t note_failure(hid_t stack, void *unused)
{
    bool refused = errno == ENOMEM;
    (void)unused;
    if (refused)
        unsaid = PULMO_MEMORY;
    herr_t walked = H5Ewalk2(stack, H5E_WALK_DOWNWARD, see_cause, &unsaid);
    if (unsaid == PULMO_MEMORY) {
        lacked = true;
        doubtful = untrusted > 0;
    }
    if (refused)
        errno = ENOMEM;
    return walked;
}

/* With the lock held, once. */
static bool begin(void)
{
    /* A file that could not be flushed stays in the library's care for ever; its clean-up at
     * exit would try again and crash. All that we keep has been committed by then. */
    bool begins = H5dont_atexit() >= 0 && H5open() >= 0;
    /* A link to another file is not followed, nor the file opened: it is none of those that were
     * named. */
    if (begins)
        begins = H5Lunregister(H5L_TYPE_EXTERNAL) >= 0;
    if (!begins)
        unsaid = PULMO_MEMORY;
    return begins;
}

void h5_lock(void)
{
    static bool ready = false;
    static _Thread_local bool quiet =
        false; /* where the library knows threads, each has its own printing of errors */
    pthread_mutex_lock(&lock);
    if (depth++ == 0)
        errno = 0;
    if (!ready)
        ready = begin();
    if (ready && !quiet) /* we report errors our way */
        quiet = H5Eset_auto2(H5E_DEFAULT, note_failure, NULL) >= 0;
}

/* A lock knows its owner by the thread's number, and that is another one after a fork. */
void h5_lock_in_child(void)
{
    static const pthread_mutex_t fresh = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    static const pthread_mutex_t fresh_begun = PTHREAD_MUTEX_INITIALIZER;
    lock = fresh;
    begun_lock = fresh_begun;
    begun = NULL; /* they are the parent's */
    lacked = false;
    h5_lock();
    errno = 0;
}

void h5_unlock(void)
{
    if (--depth == 0 && errno == ENOMEM)
        lacked = true; /* a few of the library's functions do not say so */
    pthread_mutex_unlock(&lock);
}

bool pulmo_h5_is_at_work(void)
{
    return depth > 0;
}

bool pulmo_h5_lacked_memory(void)
{
    return lacked;
}

/* ---- files that are being written ---- */

void h5_begun_add(pulmo_h5 *file)
{
    pthread_mutex_lock(&begun_lock);
    file->next = begun;
    begun = file;
    pthread_mutex_unlock(&begun_lock);
}

void h5_begun_remove(const pulmo_h5 *file)
{
    pulmo_h5 **at = &begun;
    pthread_mutex_lock(&begun_lock);
    while (*at && *at != file)
        at = &(*at)->next;
    if (*at)
        *at = file->next;
    pthread_mutex_unlock(&begun_lock);
}

void pulmo_h5_leave(void)
{
    /* Another thread may be changing the list. */
    if (pthread_mutex_trylock(&begun_lock) != 0)
        return;
    for (const pulmo_h5 *file = begun; file; file = file->next)
        unlink(file->temporary);
    pthread_mutex_unlock(&begun_lock);
}

/* ---- the library's reasons ---- */

static pulmo_status take_unsaid(void)
{
    pthread_mutex_lock(&lock);
    pulmo_status was = unsaid;
    unsaid = PULMO_OK;
    pthread_mutex_unlock(&lock);
    return was;
}

pulmo_status pulmo_h5_begin(void)
{
    h5_lock();
    h5_unlock();
    if (take_unsaid() == PULMO_OK)
        return PULMO_OK;
    return pulmo_fail(PULMO_MEMORY, "out of memory: libhdf5 cannot begin");
}

pulmo_status h5_unsaid_so_far(void)
{
    pthread_mutex_lock(&lock);
    pulmo_status now = unsaid;
    pthread_mutex_unlock(&lock);
    return now;
}

void h5_unsaid_reset(pulmo_status to)
{
    pthread_mutex_lock(&lock);
    unsaid = to;
    pthread_mutex_unlock(&lock);
}

pulmo_status pulmo_h5_unsaid(const char *path)
{
    pulmo_status was = take_unsaid();
    if (was == PULMO_MEMORY)
        return pulmo_fail(was, "%s: out of memory (HDF5)", path);
    if (was == PULMO_IO)
        return pulmo_fail(was, "%s: what it needs cannot be read at the moment (HDF5)", path);
    return PULMO_OK;
}

/* Damage asks for any amount of memory; what is sealed has none, and what a child process walked
 * through asks for little. */
static bool is_trusted(const pulmo_h5 *file)
{
    return file->temporary || file->is_sealed || file->is_modest;
}

pulmo_status h5_unsaid_of(const pulmo_h5 *file)
{
    if (is_trusted(file) || h5_unsaid_so_far() != PULMO_MEMORY)
        return pulmo_h5_unsaid(file->path);
    (void)take_unsaid();
    return pulmo_fail(PULMO_DATA,
                      "%s: asks for more memory than there is (HDF5): it is damaged, or memory is "
                      "short",
                      file->path);
}

pulmo_status pulmo_h5_blame(pulmo_status status)
{
    bool calls_damage = status == PULMO_DATA || status == PULMO_WEIGHTS;
    pulmo_status refused = h5_unsaid_so_far();
    if (!calls_damage || refused == PULMO_OK || (refused == PULMO_MEMORY && doubtful))
        return status;
    return pulmo_h5_unsaid("what was read may be whole");
}

static herr_t keep_innermost(unsigned level, const H5E_error2_t *error, void *context)
{
    (void)level;
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
    note_failure(H5E_DEFAULT, NULL); /* a few of the library's functions do not call it */
    bool lacking = take_unsaid() == PULMO_MEMORY || lacked; /* it does not recover from it */
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, keep_innermost, reason);
    H5Eclear2(H5E_DEFAULT);
    /* The library gives an errno only where a system call failed. */
    bool refused = strstr(reason, "errno = ") != NULL;
    if (refused && !writing)
        what = "cannot be read"; /* it may be whole */
    shorten(reason);
    if (lacking && !refused && is_trusted(file))
        return pulmo_fail(PULMO_MEMORY, "%s%s%s: out of memory (HDF5: %s)", file->path,
                          object ? ": /" : "", object ? object + (*object == '/') : "", reason);
    return pulmo_fail(refused || writing ? PULMO_IO : PULMO_DATA, "%s%s%s: %s%s%s%s", file->path,
                      object ? ": /" : "", object ? object + (*object == '/') : "", what,
                      *reason ? " (HDF5: " : "", reason, *reason ? ")" : "");
}

/* ---- opening ---- */

void h5_count_untrusted(const pulmo_h5 *file, int change)
{
    if (!is_trusted(file))
        untrusted += change;
}

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
