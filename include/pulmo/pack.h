/* Packing: class folders of images into sharded HDF5 tensors and a manifest. */
#ifndef PULMO_PACK_H
#define PULMO_PACK_H

#include <stdbool.h>

#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/status.h"

/* The trained model that a pack is to be judged with. All are kept for the call. */
typedef struct pulmo_pack_like {
    const char *run; /* its name in messages */
    int classes;
    const char *const *class_names; /* (classes) */
} pulmo_pack_like;

typedef struct pulmo_pack_options {
    const char *source, *destination;
    const pulmo_config *config; /* its pack section; kept for the call */
    int threads;                /* a rank; 0: the CPUs given */
    int overwrite;
    int update;                  /* add new files to a finished pack */
    const pulmo_pack_like *like; /* all images become the test split, with these classes, of which
                                    one is enough; NULL: not */
} pulmo_pack_options;

/* SOURCE is train/ val/ test/ x class folders, or class folders alone (all of it train). Splits
 * are split as configured; patients and duplicates stay together. The same input gives the same
 * bytes for any number of ranks and threads. A finished pack of the same input is left alone; a
 * different one is refused (PULMO_USAGE) unless `overwrite`, or `update` adds the new files to it:
 * then all that is packed stays in its split, and files that changed or were removed are
 * PULMO_DATA. One picture, or one patient for certain, in several given splits is PULMO_DATA unless
 * config->pack.leaks says otherwise. With `like` a class that is not the model's is PULMO_DATA.
 *
 * Work in progress lies in DEST/.pack until all is done; DEST itself changes at the end. After
 * SIGTERM or SIGINT (PULMO_INTERRUPTED), kill or power failure, the same call resumes, on any
 * number of ranks, and gives the same bytes. Collective. */
pulmo_status pulmo_pack(pulmo_comm *comm, const pulmo_pack_options *options);

/* How findings are printed, and what they do. */
typedef struct pulmo_pack_findings {
    bool json;   /* one JSON object in place of text for people */
    bool strict; /* findings are PULMO_DATA */
} pulmo_pack_findings;

/* Prints on stdout what a pack of the source would find, without one: images of each class, split
 * and patient, files that cannot be used, equal and nearly equal pictures, patients in several
 * splits or classes, leaks, and what pack would refuse. Of the options source, config and threads
 * count. Decoded pixels lie in TMPDIR meanwhile (or /tmp), 50 KB an image of 224 px. Names are
 * printed as they are in the source. PULMO_USAGE on several ranks. */
pulmo_status pulmo_pack_audit(pulmo_comm *comm, const pulmo_pack_options *options,
                              pulmo_pack_findings how);

/* Prints who is who in a pack of pseudonyms, as CSV on stdout: pseudonym, path, patient_pseudonym,
 * patient; in the order of the manifest, refused files last. Paths and patients are found in SOURCE
 * by the options of the pack; those that are not found stay blank, and a warning counts them. Rank
 * 0. PULMO_USAGE for a pack without pseudonyms, PULMO_CONFIG without its key. Collective. */
pulmo_status pulmo_pack_who(pulmo_comm *comm, const pulmo_pack_options *options);

/* Reads all of a packed data set again: digests of pixels and of each split, shards against the
 * manifest, and, with `source` (NULL: not), the SHA-256 of every source file. A line on stdout for
 * each thing that differs; the status is then PULMO_DATA. Source files of a pack of
 * pseudonyms are found by its key (PULMO_CONFIG without). Of the options source, destination,
 * config and threads count. Collective. */
pulmo_status pulmo_pack_verify(pulmo_comm *comm, const pulmo_pack_options *options);

#endif
