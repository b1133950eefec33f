/* Inside the infer room: whether images that a model is judged by are images that it was made of.
 *
 *   overlap.c        what is said of it, and when that is refused
 *   overlap_seen.c   what a run was made of
 *   overlap_match.c  images that are found again */
#ifndef PULMO_INFER_OVERLAP_H
#define PULMO_INFER_OVERLAP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "pulmo/dataset.h"
#include "pulmo/identity.h"
#include "pulmo/model.h"

/* ---- what a run was made of (overlap_seen.c) ---- */

typedef struct overlap_seen {
    char *packed, *digest; /* the data set that it was trained on, and its data_sha256 */
    int fold;              /* of that; -1: none */
    bool is_kept;          /* by the run itself; else the packed data was looked at */
    pulmo_identities split[PULMO_SPLITS]; /* train and val */
} overlap_seen;

/* Of the run of this model. PULMO_DATA or PULMO_IO where it cannot be told, and why. Owned by the
 * caller (overlap_seen_free), also after a failure. */
pulmo_status overlap_seen_of(const char *run, const char *head_digest, overlap_seen *out);
void overlap_seen_free(overlap_seen *seen);
/* Whether the packed set in `data` is the very one that was trained on. */
bool overlap_is_own(const overlap_seen *seen, const char *data);

/* The results.h5 beside the model, which `run` is or holds. Owned by the caller (free); NULL for
 * want of memory. */
char *results_beside(const char *run);

/* ---- images that are found again (overlap_match.c) ---- */

/* How an image is known, the surest last. */
typedef enum overlap_how {
    OVERLAP_NONE,
    OVERLAP_PATIENT, /* another image of the same patient */
    OVERLAP_LOOKS,   /* nearly the same picture */
    OVERLAP_PIXELS,  /* the same packed pixels, out of another file */
    OVERLAP_FILE,    /* the same file */
    OVERLAP_HOWS
} overlap_how;

/* What can be compared; files always can. */
typedef struct overlap_means {
    bool pixels, looks, patients;
} overlap_means;

/* How each judged image stands in `seen`: how (judged count). PULMO_MEMORY. Pure. */
pulmo_status overlap_match(const pulmo_identities *judged, const pulmo_identities *seen,
                           overlap_means means, overlap_how *how);

/* ---- what is said of it (overlap.c) ---- */

#define OVERLAP_COLUMNS "path,patient,in,how,run"

typedef struct overlap_case {
    const char *run, *head_digest;
    const pulmo_model *model;
    const pulmo_dataset *judged;
    const char *data, *name; /* its packed directory; what it is called, "the test split of DATA" */
    FILE *table; /* gets a line of OVERLAP_COLUMNS for each finding in a set of others; or NULL */
    bool allow;  /* to be judged all the same */
    uint32_t *shared; /* how many were found; unchanged where that is less */
} overlap_case;

/* Says on stderr how many of the judged images the run was trained on or chosen by: as the same
 * file, the same packed pixels, nearly the same picture, or other images of the same patients.
 * PULMO_DATA where these are more than 1 % of them, unless that is allowed or they are of the very
 * data set that the run was trained on, whose splits are known to whoever asks for one. Where it
 * cannot be told, that is said, and why. By rank 0. */
pulmo_status overlap_judge(const overlap_case *c);

#endif
