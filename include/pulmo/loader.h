/* Who processes what, and the images on time. Knows (rank, size) as integers, no MPI.
 *
 * An epoch is the samples in an order computed from (seed, epoch), cut into global batches of
 * `batch`, a batch into microbatches of `microbatch` samples. A microbatch is the unit of
 * exactness: it is computed the same way wherever it runs. Microbatches of a batch go to ranks in
 * contiguous, nearly equal ranges; a rank's part may be empty. The last batch, and its last
 * microbatch, may be short. */
#ifndef PULMO_LOADER_H
#define PULMO_LOADER_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/augment.h"
#include "pulmo/dataset.h"
#include "pulmo/status.h"

/* ---- arithmetic of microbatches (pure) ---- */

typedef struct pulmo_microbatches {
    uint32_t first, count; /* microbatches of this rank in the batch */
} pulmo_microbatches;

uint32_t pulmo_batches(uint32_t samples, uint32_t batch);
/* Microbatches [rank * n / size, (rank + 1) * n / size) of the n that `batch_size` samples fill. */
pulmo_microbatches pulmo_microbatches_of(uint32_t batch_size, uint32_t microbatch, int rank,
                                         int size);

/* ---- the loader ---- */

/* What fills a sample's place where that is not its augmented image: `floats` values, from (epoch,
 * sample) alone. Called by several threads at once. */
typedef struct pulmo_loader_source {
    pulmo_status (*fill)(void *context, uint32_t epoch, uint32_t sample, float *out);
    void *context; /* kept */
    size_t floats;
} pulmo_loader_source;

typedef struct pulmo_loader_spec {
    uint64_t seed;
    uint32_t batch, microbatch;
    int rank, size;
    int threads;                       /* helper threads that read and augment; at least 1 */
    int depth;                         /* batches kept ready; at least 1 */
    bool shuffle;                      /* else samples come in stored order */
    const pulmo_augment_spec *augment; /* NULL: none (validation, test); copied */
    const pulmo_loader_source *source; /* NULL: images; copied */
    float mean[3], std[3];
} pulmo_loader_spec;

void pulmo_loader_spec_init(pulmo_loader_spec *spec);

/* This rank's part of one global batch. */
typedef struct pulmo_batch {
    uint32_t epoch, number;    /* epoch counts from 0, number within the epoch from 0 */
    uint32_t global_count;     /* samples in the batch over all ranks */
    uint32_t first_microbatch; /* this rank's first microbatch in the batch */
    uint32_t count;            /* samples here; microbatches are full but perhaps the last */
    const uint32_t *samples;   /* (count) index in the data set */
    const int32_t *labels;     /* (count) */
    const float
        *images; /* (count, 3, H, W) float32, normalised; or (count, floats) of the source */
} pulmo_batch;

typedef struct pulmo_loader pulmo_loader;

/* `dataset` is kept. Owned by the caller. */
pulmo_status pulmo_loader_create(pulmo_dataset *dataset, const pulmo_loader_spec *spec,
                                 pulmo_loader **out);
void pulmo_loader_destroy(pulmo_loader *loader); /* NULL is a no-op; stops the threads */

/* Goes to batch `number` of `epoch`; what was prefetched for elsewhere is dropped. */
pulmo_status pulmo_loader_seek(pulmo_loader *loader, uint32_t epoch, uint32_t number);

/* The next batch, in order, into the following epoch after the last; waits if it is not ready.
 * Borrowed until the next call of next, seek or destroy. An unreadable image fails here, with
 * the file in the report. */
pulmo_status pulmo_loader_next(pulmo_loader *loader, pulmo_batch *out);

/* Seconds that next has waited since create. */
double pulmo_loader_waited_s(const pulmo_loader *loader);

#endif
