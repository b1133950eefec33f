/* Files and directories. Not collective.
 *
 * A file appears whole or not at all: it is written under a temporary name beside its place
 * (PATH.tmp.PID.RANDOM), synced, renamed, and its directory is synced. A process that is killed
 * leaves at most a temporary file, which the functions below remove. */
#ifndef PULMO_FILE_H
#define PULMO_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/status.h"

/* Reads a whole file into `*data`, owned by the caller (free). PULMO_IO where it cannot be read;
 * PULMO_DATA for a pipe, which is not waited for, and for more than `max_bytes`. */
pulmo_status pulmo_file_read(const char *path, size_t max_bytes, uint8_t **data,
                             size_t *size_bytes);

/* Whether anything stands at `path`, links followed. PULMO_IO where that cannot be told: what is
 * there may be whole, and is not to be taken for nothing. */
pulmo_status pulmo_file_look(const char *path, bool *there);

/* Writes a whole file, in place of one that is there. After a failure (PULMO_IO, PULMO_MEMORY)
 * the old file stands as it was. */
pulmo_status pulmo_file_write(const char *path, const void *data, size_t size_bytes);

/* Writes all bytes at `offset` of an open file, however many calls it takes. False with errno set,
 * and without a report: the caller says what it was writing. */
bool pulmo_file_write_at(int fd, const void *data, size_t bytes, uint64_t offset);

/* For writers that need a name to write to: a fresh temporary name beside `path`. Owned by the
 * caller (free); NULL with the report set. */
char *pulmo_file_temporary_name(const char *path);
/* The temporary file, closed by its writer, takes the place of `path`: fsync, rename, fsync of the
 * directory. After PULMO_IO the temporary file may still be there. */
pulmo_status pulmo_file_publish(const char *temporary, const char *path);

/* Removes temporary files of DIRECTORY/NAME. Only where no other process can be writing it. */
void pulmo_file_remove_leftovers(const char *directory, const char *name);
/* Seconds without a byte more, after which a temporary file is what a killed process left: one that
 * is being written grows every few seconds. */
#define PULMO_ABANDONED_S 600
/* The same for every name in a directory where others may be writing: removes those that nobody
 * has written to for `idle_s` seconds. */
void pulmo_file_remove_abandoned(const char *directory, double idle_s);

/* The full path of what is there, links followed; "" where nothing is. Owned by the caller.
 * PULMO_MEMORY. */
pulmo_status pulmo_file_full_path(const char *path, char **out);

/* Whether `path`, which need not be there, is `directory` or lies below it, links followed. False
 * for want of memory. */
bool pulmo_file_is_inside(const char *path, const char *directory);

/* mkdir -p. PULMO_IO names what stands in the way. */
pulmo_status pulmo_directory_make(const char *path);
/* Removes a directory with all that is in it; links are removed, not followed. False with errno
 * set, and without a report, so that the report of what went wrong before stays. */
bool pulmo_directory_remove(const char *path);

#endif
