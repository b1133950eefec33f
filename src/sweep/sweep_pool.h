/* The test images of a sweep's folds, read back from the folds' results. */
#ifndef PULMO_SWEEP_POOL_H
#define PULMO_SWEEP_POOL_H

#include "pulmo/model.h"
#include "pulmo/results.h"
#include "sweep_room.h"

/* What of a fold's files stays in use. */
typedef struct pool_fold {
    char **paths, **groups; /* owned: each one block */
    pulmo_dataset *set;     /* owned; for the columns of pack.keep */
} pool_fold;

/* The folds' test images, one fold after the other. Starts as zeros. */
typedef struct pool {
    pulmo_model model; /* the first fold's, for what all have in common; its rule says that each
                          fold has its own, its threshold is their mean */
    uint32_t count;
    uint32_t patients; /* an image of unknown patient counts as one */
    uint32_t packed;   /* images that were dealt out to folds */
    pulmo_patients known;
    const char **paths, **groups; /* (count), borrowed from `fold` */
    int32_t *labels, *predicted;  /* (count) */
    uint32_t *patient;            /* (count): a number below `patients` */
    double *thresholds;           /* (count): the fold's */
    float *probabilities;         /* (count, classes) */
    float *logits;                /* (count, classes) */
    int folds;
    pool_fold *fold;       /* (folds), owned */
    int kept;              /* columns */
    const char ***columns; /* (kept), each (count): owned lists of borrowed text */
} pool;

/* Reads the folds along `axis` whose first is trial `first`; all are finished. PULMO_DATA where an
 * image stands in several. By rank 0. */
pulmo_status pool_read(const sweep *s, uint64_t first, int axis, pool *out);
void pool_free(pool *p);

#endif
