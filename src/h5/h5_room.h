/* Inside the h5 room: the handle, the lock, and how HDF5's failures become ours. */
#ifndef PULMO_H5_ROOM_H
#define PULMO_H5_ROOM_H

#include <hdf5.h>

#include "pulmo/digest.h"
#include "pulmo/h5.h"

/* A dataset as it was given for writing; of a file being read, what is known of its rows. */
typedef struct h5_record {
    char *name;
    pulmo_digest digest; /* of one that was written whole */
    bool by_rows;
    uint64_t rows;
    size_t row_bytes;
    uint64_t *sums; /* (rows): XXH3 of each; NULL of a file being read: none are stored */
    uint8_t *given; /* (rows): 1 where the row was written */
} h5_record;

struct pulmo_h5 {
    hid_t id;
    char *path;      /* where the file is, or will be after commit */
    char *temporary; /* NULL for a file opened for reading */
    h5_record *record;
    size_t records;
    bool has_digests; /* they are in it, or were checked */
    bool is_sealed;   /* opened: its bytes are those that were written */
    bool free_texts;  /* being created: texts of attributes have no fixed length */
    bool is_modest;   /* opened: a child process has walked through it, and did not lack memory */
    pulmo_h5 *next;   /* of those that are being written */
};

/* The library's serial build is not thread safe: every public function holds this lock. */
void h5_lock(void);
void h5_unlock(void);
/* Makes the lock that the forking thread held the child's own. */
void h5_lock_in_child(void);
/* Files that pulmo_h5_leave gives up. Removing one that is not among them is a no-op. */
void h5_begun_add(pulmo_h5 *file);
void h5_begun_remove(const pulmo_h5 *file);

/* PULMO_IO for a file being written, or where the system refused to read; PULMO_MEMORY where the
 * library had none, though not for a file that may be damaged; else PULMO_DATA. With HDF5's own
 * reason. */
pulmo_status h5_fail(const pulmo_h5 *file, const char *object, const char *what);
#ifdef __clang_analyzer__ /* which does not look into other files: it never returns PULMO_OK */
#define h5_fail(file, object, what) ((void)(h5_fail)(file, object, what), PULMO_DATA)
#endif

/* With the lock held, when a file is opened for reading (1) and closed (-1). */
void h5_count_untrusted(const pulmo_h5 *file, int change);
/* With the lock held: all texts of an open attribute, of fixed length or any, as one block; the
 * caller frees it. PULMO_DATA for what is no text. */
pulmo_status h5_attribute_texts(const pulmo_h5 *file, hid_t attribute, const char *name, int *count,
                                char ***out);

/* pulmo_h5_unsaid of a file; of one that may ask for any amount of memory, lack of it is damage. */
pulmo_status h5_unsaid_of(const pulmo_h5 *file);
/* What pulmo_h5_unsaid would tell, and back to it (or to PULMO_OK) after failures that a status has
 * told, or that cost nothing. */
pulmo_status h5_unsaid_so_far(void);
void h5_unsaid_reset(pulmo_status to);

/* With the lock held: makes the missing groups on the way to `path`, one by one, since those that
 * the library makes in passing carry the time of day. */
pulmo_status h5_make_groups(pulmo_h5 *file, const char *path);

/* The type in memory, and in the file (little-endian). */
hid_t h5_memory_type(pulmo_h5_type type);
hid_t h5_file_type(pulmo_h5_type type);
/* A fixed-length, null-padded UTF-8 string type; the caller closes it. */
hid_t h5_string_type(size_t bytes);
/* A UTF-8 string of any length, ended by NUL; the caller closes it. */
hid_t h5_free_text_type(void);
bool h5_is_free_text(hid_t type);
/* Ours for theirs; -1 if it is none of ours. `string_bytes` gets a string's length. */
int h5_type_of(hid_t type, size_t *string_bytes);

/* How every file is opened; the caller closes it. */
hid_t h5_access_properties(void);
/* With the lock held: opens what is at file->path for reading. PULMO_DATA with HDF5's reason. */
pulmo_status h5_file_open(pulmo_h5 *file);
/* Opens, walks through and reads the file in a child process, within limits of memory and time.
 * PULMO_DATA where that ends the child; what the file's faults are else, the caller will find. */
pulmo_status h5_rehearse(pulmo_h5 *file);
/* The same for any work, with the lock held; `path` is for the report. The child is a copy of this
 * thread alone. `*lacked`: whether the library was refused memory in it. */
pulmo_status h5_in_child(const char *path, void (*work)(void *), void *context, bool *lacked);

/* ---- operations on datasets (handles.c, chunk.c) ---- */

/* Everything that one may have open; closed by h5_end. */
typedef struct h5_handles {
    hid_t dataset, space, memory, type, properties;
} h5_handles;
extern const h5_handles h5_no_handles;

/* Ends an operation that has come to `status`, with closing's own failure: chunks still in the
 * library's cache are written only then, and a full disk may be met no earlier. Unlocks. */
pulmo_status h5_end(const pulmo_h5 *file, h5_handles *h, const char *name, pulmo_status status);
/* Opens a dataset and selects rows [first, first + count) in it. */
pulmo_status h5_select_rows(pulmo_h5 *file, h5_handles *h, const char *name, uint64_t first,
                            uint64_t count);
/* Ours for the type the dataset is stored in; the memory type rows are given in. */
hid_t h5_stored_type(const h5_handles *h);
/* Whether all that is stored of rows [first, first + count) of an open dataset is found; of a
 * scalar, (0, 1). */
bool h5_has_chunks(const h5_handles *h, uint64_t first, uint64_t count);
/* Why an open dataset's values must not be read, or NULL: they are more, or in larger chunks, than
 * a file of this size can hold, or lie in other files. Takes constant time. */
const char *h5_disbelief(hid_t file, hid_t dataset, size_t element_bytes);

/* ---- what was written (record.c) ---- */

/* With the lock held, after all of a dataset was written: keeps its digest. `dims` (rank). */
pulmo_status h5_record_whole(pulmo_h5 *file, const char *name, hid_t type, int rank,
                             const uint64_t *dims, const void *data);
/* The same where the digest is made already. */
pulmo_status h5_record_digest(pulmo_h5 *file, const char *name, const pulmo_digest *digest);
/* With the lock held: begins a dataset that is written by rows. */
pulmo_status h5_record_rows(pulmo_h5 *file, const char *name, uint64_t rows, size_t row_bytes);
/* Keeps rows' sums; nothing for a dataset that is not written by rows. */
void h5_record_given(const pulmo_h5 *file, const char *name, uint64_t first, uint64_t count,
                     const void *rows);
/* NULL for a dataset that is not known. */
const h5_record *h5_record_find(const pulmo_h5 *file, const char *name);
/* With the lock held, of a file being read: keeps the rows' sums of a dataset (taken over), or NULL
 * for one that has none. */
pulmo_status h5_record_sums(pulmo_h5 *file, const char *name, uint64_t rows, uint64_t *sums);
/* PULMO_DATA, naming the first row that differs. */
pulmo_status h5_check_rows(const pulmo_h5 *file, const char *name, const uint64_t *sums,
                           uint64_t first, uint64_t count, size_t row_bytes, const void *rows);
void h5_records_free(pulmo_h5 *file);
/* "images_xxh3", owned by the caller (free); NULL when out of memory. */
char *h5_sums_name(const char *dataset);

/* ---- digests of values (content.c, verify.c) ---- */

#define H5_TEXT_NAME   "content_digests" /* a dataset of the root */
#define H5_DIGEST_NAME "content_sha256"  /* an attribute of the root */
#define H5_NAME_BYTES  512               /* of an object, as it is shown */

typedef struct content_line {
    char *name;
    pulmo_digest digest;
} content_line;

/* All that a file holds, while it is gathered. */
typedef struct content {
    pulmo_h5 *file;
    content_line *line;
    size_t lines;
    const char *object; /* whose attributes are visited, as in "/head" */
    pulmo_status status;
} content;

/* With the lock held: fills `lines`, ordered by name; c begins as {.file}. Freed by
 * h5_content_free, also after a failure. */
pulmo_status h5_content_gather(content *c);
void h5_content_free(content *c);

/* "int", "uint", "float" or "string"; NULL for what pulmo does not write. */
const char *h5_class_name(hid_t type);
/* "float 4 512 64": class, bytes of an element, dims (rank). */
void h5_put_shape(char *out, size_t out_bytes, hid_t type, int rank, const uint64_t *dims);
/* Begins the digest of a dataset's or an attribute's values: its type and shape. `*out` is ended by
 * pulmo_digester_end. */
pulmo_status h5_digest_begin(hid_t type, int rank, const uint64_t *dims, pulmo_digester **out);
/* Compares the file's values with the digests in it, but for rows that have sums of their own.
 * PULMO_OK without digests. PULMO_DATA names those that differ. */
pulmo_status h5_content_check(pulmo_h5 *file);

/* ---- the seal at the end of a file (seal.c) ---- */

/* Ends the closed temporary file with a digest of its bytes; those at `holes` are left out, since
 * rows' sums cover them. */
typedef struct h5_hole {
    uint64_t offset, bytes;
} h5_hole;
/* With the lock held: where the rows stand that have sums, in a file that was flushed. `*out` is
 * owned by the caller (free), also after a failure. */
pulmo_status h5_holes_of(const pulmo_h5 *file, h5_hole **out, size_t *count);
pulmo_status h5_seal_append(const pulmo_h5 *file, const h5_hole *holes, size_t count);
/* Before the library sees the file: PULMO_DATA where it has a seal and its bytes do not match. */
pulmo_status h5_seal_check(const char *path, bool *is_sealed);

/* The room a UTF-8 string may take: at most this many bytes in a file that we read. */
#define H5_STRING_MAX ((size_t)1 << 20)
/* Elements a dataset that we read may have, before we believe the file. */
#define H5_ELEMENTS_MAX ((uint64_t)1 << 40)

#endif
