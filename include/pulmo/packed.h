/* Writing a packed data set: shards and the manifest; dataset.h reads them. Not collective.
 *
 * shard SPLIT-00000-of-00008.h5
 *   /images (N, H, W, C) uint8   one chunk per image
 *   /labels (N) int32
 *   /paths, /groups (N)          strings
 *   /digests (N)                 strings: SHA-256 of the source file
 *   /pixel_digests (N)           strings: SHA-256 of the packed pixels
 *   /index (N) int64             place in the split
 *   attributes: pulmo_kind "shard", format_version, split, shard, shards, classes, resize, decode,
 *       fit, border, decoding
 * manifest.h5
 *   /splits/SPLIT/{labels,paths,groups,digests,pixel_digests} in shard order;
 *       attributes count, shards, patients, sha256, pixels_sha256; with folds also the column folds
 *       (N) int32 and the attribute folds, how many
 *   /splits/SPLIT/given (N) int32: the split that a table, a list or the folder named; with tables
 *   /splits/SPLIT/first (shards + 1) int64: first image of each shard, where they are not even
 *   /splits/SPLIT/sure_patients (N): equal only for images of one patient for certain, "" where
 * that is not known /splits/SPLIT/sketches (N, 64) uint8: how each image looks, for pack --update
 *   /splits/SPLIT/kept/0, 1, ...: columns of a table of labels, named by the split's attribute kept
 *   /table/{notes,rows_without_file,files_without_row}, where labels come from a table
 *   /refused/{paths,reasons}
 *   /audit/{identical,similar,shared_patients,mixed_patients,leaks}: one text line per finding;
 *       shared: in several splits, mixed: in several classes
 *   attributes: pulmo_kind "manifest", format_version, classes, height, width, channels, resize,
 *       decode (both in words), fit, border, decoding (pulmo/framing.h), demo, options, carve (how
 *       splits were made), patients ("known", "some", "unknown"), patients_by (which rules told the
 *       patients of how many images) */
#ifndef PULMO_PACKED_H
#define PULMO_PACKED_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/framing.h"
#include "pulmo/status.h"

struct pulmo_h5;

/* "DIR/SPLIT-00003-of-00008.h5"; owned by the caller (free), NULL when out of memory. */
char *pulmo_shard_path(const char *directory, const char *split, uint32_t shard, uint32_t shards);
/* First sample of a shard when `count` samples are cut evenly into `shards`. */
uint32_t pulmo_shard_first(uint32_t count, uint32_t shard, uint32_t shards);

/* A split's images, and how they are cut into shards. */
typedef struct pulmo_cut {
    uint32_t count, shards;
    uint32_t *first; /* (shards + 1): first image of each, and the end; NULL where they are even */
} pulmo_cut;
/* Of the split whose group in the manifest is `base` ("splits/train"). `first` is owned by the
 * caller (free), also after a failure. PULMO_DATA where that cannot be a cut. */
pulmo_status pulmo_cut_read(struct pulmo_h5 *manifest, const char *base, pulmo_cut *out);
uint32_t pulmo_cut_first(const pulmo_cut *cut, uint32_t shard);

/* What all files of a packed data set share. */
typedef struct pulmo_packed_form {
    int height_px, width_px, channels;
    int classes;
    const char *const *class_names;
    const char *resize, *decode; /* in words */
    unsigned formats;            /* of the images, as pulmo_decode_words takes them */
    pulmo_framing framing;
    bool is_demo;
} pulmo_packed_form;

#define PULMO_DECODE_WORDS 160 /* room for `decode` */

/* Words for `decode`: by what images of these formats (bits, 1 << pulmo_image_format) were decoded.
 * Digests of packs cover them: those of JPEG alone stay as they are. */
void pulmo_decode_words(unsigned formats, bool fast, char out[PULMO_DECODE_WORDS]);
/* The formats themselves, of a manifest. */
pulmo_status pulmo_formats_read(struct pulmo_h5 *file, unsigned *out);

/* A framing as attributes of an object: of the root of a pack or a model, of results' data. A file
 * of an earlier version lacks them: it is squashed, with borders. PULMO_DATA for a value that is
 * none. */
pulmo_status pulmo_framing_write(struct pulmo_h5 *file, const pulmo_framing *framing);
pulmo_status pulmo_framing_read(struct pulmo_h5 *file, const char *object, pulmo_framing *out);

/* The samples of a split, in order. */
typedef struct pulmo_packed_split {
    const char *name;
    uint32_t count, shards;
    uint32_t *first;         /* (shards + 1): first sample of each; NULL where they are even */
    const uint8_t *sketches; /* (count, PULMO_SKETCH_BYTES): how images look; NULL: not stored */
    uint32_t patients;       /* known ones */
    int folds;               /* 0 for none */
    const int32_t *fold;     /* (count): each image's; NULL without */
    const int32_t *given;    /* (count): the split that the source named; NULL: not stored */
    const int32_t *labels;
    const char *const *paths, *const *groups, *const *digests; /* (count); digests in hexadecimal */
    const char *const *sure; /* (count): equal only for images of one patient for certain; "":
                                not known; NULL: not stored */
    const char *const *pixel_digests;       /* (count): SHA-256 of the packed pixels */
    int kept;                               /* columns of a table of labels; may be 0 */
    const char *const *kept_names;          /* (kept) */
    const char *const *const *kept_columns; /* (kept, count) */
} pulmo_packed_split;

#define PULMO_SKETCH_BYTES 64

/* First sample of a shard of the split; the count for the shard behind the last. */
uint32_t pulmo_packed_first(const pulmo_packed_split *split, uint32_t shard);

typedef struct pulmo_shard_writer pulmo_shard_writer;

/* Starts shard `shard` of a split: labels, paths, groups, digests of its samples are written at
 * once, pixels follow. All is borrowed for the call. */
pulmo_status pulmo_shard_create(const char *directory, const pulmo_packed_form *form,
                                const pulmo_packed_split *split, uint32_t shard,
                                pulmo_shard_writer **out);
/* Pixels of the shard's next images, (count, H, W, C). */
pulmo_status pulmo_shard_append(pulmo_shard_writer *writer, uint32_t count, const uint8_t *pixels);
/* Ends it; frees the writer in every case. */
pulmo_status pulmo_shard_commit(pulmo_shard_writer *writer);
void pulmo_shard_abandon(pulmo_shard_writer *writer); /* NULL is a no-op */

typedef struct pulmo_lines {
    uint64_t count;
    const char *const *text;
} pulmo_lines;

typedef struct pulmo_manifest {
    pulmo_packed_form form;
    bool has_table; /* of labels */
    pulmo_lines table_notes, rows_without_file, files_without_row;
    int splits;
    const pulmo_packed_split *split;
    pulmo_lines refused_paths, refused_reasons, identical, similar, shared_patients, mixed_patients,
        leaks;
    const char *split_notes;            /* how splits were made, in words */
    const char *patients, *patients_by; /* whether patients are known, and how */
    const char *pseudonyms; /* what the key of the names is called; "" or NULL: names are as in the
                               source */
    const char *options;    /* what was asked for: the same text, the same data set */
    const char *config;     /* the same without the files, as a YAML document */
} pulmo_manifest;

pulmo_status pulmo_manifest_write(const char *directory, const pulmo_manifest *manifest);

#endif
