/* Inside the h5 room: the handle, the lock, and how HDF5's failures become ours. */
#ifndef PULMO_H5_ROOM_H
#define PULMO_H5_ROOM_H

#include <hdf5.h>

#include "pulmo/h5.h"

struct pulmo_h5 {
    hid_t id;
    char *path;      /* where the file is, or will be after commit */
    char *temporary; /* NULL for a file opened for reading */
};

/* The library's serial build is not thread safe: every public function holds this lock. */
void h5_lock(void);
void h5_unlock(void);

/* PULMO_IO for a file being written, or where the system refused to read; else PULMO_DATA. With
 * HDF5's own reason. */
pulmo_status h5_fail(const pulmo_h5 *file, const char *object, const char *what);
#ifdef __clang_analyzer__ /* which does not look into other files: it never returns PULMO_OK */
#define h5_fail(file, object, what) ((void)(h5_fail)(file, object, what), PULMO_DATA)
#endif

/* With the lock held: makes the missing groups on the way to `path`, one by one, since those that
 * the library makes in passing carry the time of day. */
bool h5_make_groups(pulmo_h5 *file, const char *path);

/* The type in memory, and in the file (little-endian). */
hid_t h5_memory_type(pulmo_h5_type type);
hid_t h5_file_type(pulmo_h5_type type);
/* A fixed-length, null-padded UTF-8 string type; the caller closes it. */
hid_t h5_string_type(size_t bytes);
/* Ours for theirs; -1 if it is none of ours. `string_bytes` gets a string's length. */
int h5_type_of(hid_t type, size_t *string_bytes);

/* The room a UTF-8 string may take: at most this many bytes in a file that we read. */
#define H5_STRING_MAX ((size_t)1 << 20)
/* Elements a dataset that we read may have, before we believe the file. */
#define H5_ELEMENTS_MAX ((uint64_t)1 << 40)

#endif
