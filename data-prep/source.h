/* Inside the preparation room: the files of a source, in an order that depends on names alone. */
#ifndef PULMO_PREP_SOURCE_H
#define PULMO_PREP_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lines.h"

#include "pulmo/config.h"
#include "pulmo/image.h"
#include "pulmo/pseudonym.h"
#include "pulmo/split.h"
#include "pulmo/status.h"
#include "pulmo/table.h"

typedef struct source_file {
    char *path;  /* relative to the source; its pseudonym, once names are hidden (names.h) */
    char *given; /* relative to the source, where path is a pseudonym; else NULL */
    char *group; /* patient, as far as the name shows: images of one group stay in one split */
    char *older; /* of an unknown patient: its group in packs of 0.1.0; else NULL */
    char *label; /* class name */
    const char *folded; /* of a patient that a header told, where names are hidden: what
                           names_fold_patient gives, borrowed from what was decoded; else NULL */
    const char *sure; /* equal only for images of one patient for certain; inside path or group, not
                         ended by NUL */
    int sure_bytes;   /* 0: the name tells nothing for certain */
    int rule;         /* which one told the patient (patients.h) */
    int split;        /* as given by folder or pattern */
    const char *const *kept; /* cells of pack.keep, borrowed from the list's labels; or NULL */
    char *refusal;           /* why it cannot be used, known from its name alone; NULL for most */
    int64_t size_bytes, modified_ns;
} source_file;

/* The patient of a file, copied and taken for certain. */
pulmo_status source_file_set_patient(source_file *file, const char *patient, int rule);

/* Whether a pack that has the file has it in this group: as it is, or as 0.1.0 named an unknown
 * patient. */
bool source_file_is_of_group(const source_file *file, const char *group);

/* ROOT/PATH of a file, by its own name. Owned by the caller; NULL for want of memory. */
char *source_file_place(const char *root, const source_file *file);

/* Frees a file's texts; it is all zeros then. */
void source_file_free(source_file *file);

/* Images that are left out for where they stand, or for their names. */
typedef struct left_images {
    size_t count;
    char *first; /* path of the first; owned */
} left_images;

typedef struct source_list {
    const char *root;
    pulmo_pseudonyms *names;       /* of all files and patients; NULL: they are as they are */
    char key_name[PULMO_KEY_NAME]; /* of their key; "" without */
    source_file *file;
    size_t count, room;
    bool has_splits; /* train/ val/ test/ were given */
    bool is_demo;
    bool updates;              /* new files are added to a pack of it, whose options stay */
    bool tests;                /* all of it becomes the test split */
    size_t held[PULMO_SPLITS]; /* files that the split's pattern matches: they alone are that split;
                            0 without a pattern */
    size_t moved[PULMO_SPLITS]; /* files of the split's folder that its pattern does not match: they
                             join train */
    size_t excluded;            /* files left out of the list by a pattern */
    size_t masked;              /* files left out since their folder of masks is beside images */
    left_images hidden, loose;  /* loose: beside class folders or splits */
    size_t labelled;            /* files whose name tells the class */
    text_lines notes;           /* on folders that give nothing */
    pulmo_labels *labels;       /* of tables; NULL without */
    text_lines table_notes;     /* what they left out */
    bool by_header;             /* PatientID of DICOM files may tell the patient */
    size_t nameless;            /* DICOM files without a PatientID */
    bool headers_known;         /* headers_apply has been here */
    int headers;                /* elements of headers that are kept */
    int header[PULMO_HEADERS_MAX];           /* which ones */
    size_t header_column[PULMO_HEADERS_MAX]; /* their kept columns */
    const char **header_cells; /* kept cells of the files that have a header; NULL without */
} source_list;

/* Whether the header of a file, which is read when it is decoded, may still tell its patient: no
 * table or pattern has, and its name is not that of a JPEG or PNG. */
bool source_file_is_open(const source_list *list, const source_file *file);

/* What a source is listed for. */
typedef struct source_use {
    bool updates; /* new files are added to a pack: errors offer what that allows */
    bool tests;   /* all files become the test split (like.h); one class folder is enough */
} source_use;

/* Lists a source in an order that depends on names alone. Owned by the caller. */
pulmo_status source_list_make(const char *root, const pulmo_config *config, source_use use,
                              source_list *out);
void source_list_free(source_list *list);

#endif
