/* HDF5 files: whole or not at all, and checked when read. The only room that includes <hdf5.h>. Not
 * collective.
 *
 * Errors: PULMO_IO when the file system refuses, PULMO_DATA when the file is damaged or does
 * not hold what is asked for; both name the file and the object. Thread safe (one lock around
 * the library); a file that is being written is one thread's at a time. Names are paths inside the
 * file ("history/train_loss"); missing groups on the way are made. Strings are stored fixed-length,
 * UTF-8, null padded. Files hold no timestamps, so that equal contents give equal bytes. */
#ifndef PULMO_H5_H
#define PULMO_H5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/digest.h"
#include "pulmo/status.h"

#define PULMO_H5_RANK_MAX 6

typedef struct pulmo_h5 pulmo_h5;

typedef enum pulmo_h5_type {
    PULMO_H5_U8,
    PULMO_H5_I32,
    PULMO_H5_I64,
    PULMO_H5_U64,
    PULMO_H5_F32,
    PULMO_H5_F64,
    PULMO_H5_STRING,
    PULMO_H5_F16,  /* for writing by rows, given as its bits in uint16_t; in a shape it shows as F32
                    */
    PULMO_H5_OTHER /* what only other programs write; shown by pulmo_h5_visit, read by nobody */
} pulmo_h5_type;

typedef struct pulmo_h5_shape {
    pulmo_h5_type type;
    int rank; /* 0 is a scalar */
    uint64_t dims[PULMO_H5_RANK_MAX];
    size_t string_bytes; /* of STRING: length of one, with padding */
} pulmo_h5_shape;

/* ---- files ---- */

/* Of a file being created: from now on texts of attributes are strings of any length, which h5py
 * and silx show as text; else they have a fixed length, which more programs read, and which those
 * show as bytes. */
void pulmo_h5_free_texts(pulmo_h5 *file);
/* Starts a new file under a temporary name beside `path`; nothing appears at `path` before
 * commit. Owned by the caller, who ends it with commit or abandon. */
pulmo_status pulmo_h5_create(const char *path, pulmo_h5 **out);
/* Flush, close, a digest of all bytes behind them, fsync, rename to the final name, fsync of the
 * directory. Frees the handle in every case; on failure the temporary file is removed and what
 * stood at `path` is untouched. */
pulmo_status pulmo_h5_commit(pulmo_h5 *file);
/* Opens for reading. Refuses (PULMO_DATA) what is not an HDF5 file, is truncated, or carries
 * digests that its bytes do not match. A file without a seal is walked through in a child process
 * first (fork), and refused where that ends libhdf5. */
pulmo_status pulmo_h5_open(const char *path, pulmo_h5 **out);
/* Closes a file opened for reading, or gives up one being created. NULL is a no-op. */
void pulmo_h5_close(pulmo_h5 *file);
const char *pulmo_h5_path(const pulmo_h5 *file);

/* ---- what is read is what was written (docs/decisions/0013-digests.md) ---- */

/* Of a file being created, after all else: writes the digest of every dataset and attribute, and
 * beside each dataset of pulmo_h5_create_rows or pulmo_h5_create_plain the sums of its rows
 * (NAME_xxh3), which pulmo_h5_read_rows and pulmo_h5_read compare. PULMO_RUNTIME where a row was
 * never written. */
pulmo_status pulmo_h5_seal(pulmo_h5 *file);
/* True of an opened file that carries digests; pulmo_h5_open has checked them. False of files of
 * releases before there were any, and of other programs' files. */
bool pulmo_h5_is_verified(const pulmo_h5 *file);
/* Says so of a file that is read without digests to check. */
void pulmo_h5_say_unverified(const pulmo_h5 *file);
/* The digest of all that an opened file holds, in hexadecimal: equal for equal contents. "" of a
 * file without digests. */
pulmo_status pulmo_h5_content_digest(pulmo_h5 *file, char hex[PULMO_DIGEST_HEX]);
/* Reads all values and all rows again. Calls `each` for what differs from its digest, by its name
 * in the file and what is wrong with it; counts them. PULMO_DATA, PULMO_MEMORY where it could not
 * go on. */
typedef void (*pulmo_h5_differs)(void *context, const char *what);
pulmo_status pulmo_h5_verify(pulmo_h5 *file, pulmo_h5_differs each, void *context,
                             uint64_t *differences);

/* ---- datasets ---- */

/* One whole dataset: contiguous when small; otherwise in chunks with checksums, so that damage is
 * found on reading. Of a large one, other threads may use the library between two chunks. */
pulmo_status pulmo_h5_write(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                            const uint64_t *dims, const void *data);
pulmo_status pulmo_h5_write_strings(pulmo_h5 *file, const char *name, uint64_t count,
                                    const char *const *strings);
pulmo_status pulmo_h5_write_text(pulmo_h5 *file, const char *name,
                                 const char *text); /* scalar string */

/* A dataset written by rows (index of the first dimension), one chunk a row, with a checksum. */
pulmo_status pulmo_h5_create_rows(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                                  const uint64_t *dims);
/* The same in one piece, without checksums, its room taken at once: for readers that go straight to
 * its bytes. */
pulmo_status pulmo_h5_create_plain(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                                   const uint64_t *dims);
pulmo_status pulmo_h5_write_rows(pulmo_h5 *file, const char *name, uint64_t first, uint64_t count,
                                 const void *rows);
/* Rows of bytes, of `row_bytes` each, to a dataset of pulmo_h5_create_rows: all but the writing
 * itself is done while other threads may use the library, which is one thread's at a time. */
pulmo_status pulmo_h5_write_byte_rows(pulmo_h5 *file, const char *name, uint64_t first,
                                      uint64_t count, size_t row_bytes, const uint8_t *rows);
/* Where the bytes of such a dataset stand in the file. PULMO_DATA where it is not in one piece
 * within the file. */
pulmo_status pulmo_h5_place_of(pulmo_h5 *file, const char *name, uint64_t *offset_bytes,
                               uint64_t *size_bytes);

bool pulmo_h5_exists(pulmo_h5 *file, const char *name);
/* PULMO_DATA also for more values than a file of this size can hold, so that memory for a shape
 * that was given may be asked for. */
pulmo_status pulmo_h5_shape_of(pulmo_h5 *file, const char *name, pulmo_h5_shape *out);
/* PULMO_DATA unless there are such numbers in the file: before memory is asked for them. */
pulmo_status pulmo_h5_check_shape(pulmo_h5 *file, const char *name, int rank, const uint64_t *dims);
/* Reads all, converted to `type`; refuses when rank or dims differ from what is given. */
pulmo_status pulmo_h5_read(pulmo_h5 *file, const char *name, pulmo_h5_type type, int rank,
                           const uint64_t *dims, void *out);
/* Numbers that are computed with: a NaN or an infinity is PULMO_DATA. */
pulmo_status pulmo_h5_read_finite(pulmo_h5 *file, const char *name, int rank, const uint64_t *dims,
                                  float *out);
/* Rows that have sums (pulmo_h5_seal) and do not match them are PULMO_DATA, which names the row. */
pulmo_status pulmo_h5_read_rows(pulmo_h5 *file, const char *name, pulmo_h5_type type,
                                uint64_t first, uint64_t count, void *out);
/* All strings of a rank-1 dataset as one block: strings[i] are NUL-ended. Owned by the caller:
 * one free(*strings) frees all. */
pulmo_status pulmo_h5_read_strings(pulmo_h5 *file, const char *name, uint64_t *count,
                                   char ***strings);
pulmo_status pulmo_h5_read_text(pulmo_h5 *file, const char *name, char **out); /* free(*out) */

/* ---- attributes (`object` "/" is the file's root; groups are made when missing) ---- */

pulmo_status pulmo_h5_set_text(pulmo_h5 *file, const char *object, const char *name,
                               const char *text);
pulmo_status pulmo_h5_set_texts(pulmo_h5 *file, const char *object, const char *name, int count,
                                const char *const *texts);
pulmo_status pulmo_h5_set_int(pulmo_h5 *file, const char *object, const char *name, int64_t value);
pulmo_status pulmo_h5_set_real(pulmo_h5 *file, const char *object, const char *name, double value);
/* Several attributes of one object, in their order. */
typedef struct pulmo_h5_text_attribute {
    const char *name, *text;
} pulmo_h5_text_attribute;
typedef struct pulmo_h5_int_attribute {
    const char *name;
    int64_t value;
} pulmo_h5_int_attribute;
pulmo_status pulmo_h5_set_text_list(pulmo_h5 *file, const char *object,
                                    const pulmo_h5_text_attribute *list, size_t count);
pulmo_status pulmo_h5_set_int_list(pulmo_h5 *file, const char *object,
                                   const pulmo_h5_int_attribute *list, size_t count);
pulmo_status pulmo_h5_get_text(pulmo_h5 *file, const char *object, const char *name, char **out);
pulmo_status pulmo_h5_get_texts(pulmo_h5 *file, const char *object, const char *name, int *count,
                                char ***out);
pulmo_status pulmo_h5_get_int(pulmo_h5 *file, const char *object, const char *name, int64_t *out);
pulmo_status pulmo_h5_get_real(pulmo_h5 *file, const char *object, const char *name, double *out);
bool pulmo_h5_has_attribute(pulmo_h5 *file, const char *object, const char *name);

/* What a file is, as attributes of its root: pulmo_kind ("model", "shard" ...) and format_version.
 */
pulmo_status pulmo_h5_set_kind(pulmo_h5 *file, const char *kind, int version);
/* PULMO_DATA for a file of another kind or version; `way_out` says what to do then. */
pulmo_status pulmo_h5_check_kind(pulmo_h5 *file, const char *kind, int version,
                                 const char *way_out);

/* ---- dimension scales ---- */

/* Makes `name` (rank 1) a dimension scale called `label`; attaches it to dimension `dim` of
 * `dataset`. */
pulmo_status pulmo_h5_make_scale(pulmo_h5 *file, const char *name, const char *label);
pulmo_status pulmo_h5_attach_scale(pulmo_h5 *file, const char *dataset, int dim, const char *scale);

/* ---- looking around ---- */

/* Calls `visit` for every group and dataset in name order (`shape` NULL for a group), and for
 * every attribute of each (`attribute` not NULL, `value` in words). */
typedef void (*pulmo_h5_visitor)(void *context, const char *name, const pulmo_h5_shape *shape,
                                 const char *attribute, const char *value);
pulmo_status pulmo_h5_visit(pulmo_h5 *file, pulmo_h5_visitor visit, void *context);
/* The same for datasets alone: no attribute is looked at. */
typedef void (*pulmo_h5_dataset_visitor)(void *context, const char *name,
                                         const pulmo_h5_shape *shape);
pulmo_status pulmo_h5_visit_datasets(pulmo_h5 *file, pulmo_h5_dataset_visitor visit, void *context);

/* What the library was refused since this was last asked and no status has told, as where an
 * attribute cannot be looked for: PULMO_MEMORY, PULMO_IO. What was made since may be wrong; the
 * report names it by `path`. */
pulmo_status pulmo_h5_unsaid(const char *path);

/* Of a command's failure that calls a file damaged: the library may have been refused what it
 * needed to look, and no status has told. Then pulmo_h5_unsaid's status and report instead, unless
 * a file was open that may itself ask for too much memory. Otherwise `status`. */
pulmo_status pulmo_h5_blame(pulmo_status status);

/* Begins the library's own state, so that a lack of memory for it is told. PULMO_MEMORY: no other
 * function of this room may be called. Without it the first use begins it. */
pulmo_status pulmo_h5_begin(void);

/* Whether this thread is inside the library. It ends the process without a word where it lacks
 * memory for its own state; then this is true at exit. */
bool pulmo_h5_is_at_work(void);
/* Whether the library was refused memory in this process, whatever came of it. */
bool pulmo_h5_lacked_memory(void);
/* Removes the temporary files of all that is being written, before an end without a close. Safe in
 * a handler of signals. */
void pulmo_h5_leave(void);

/* The HDF5 library that runs, as in "HDF5 1.10.8". */
void pulmo_h5_library(char *out, size_t bytes);

#endif
