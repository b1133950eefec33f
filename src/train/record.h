/* Inside the train room: a run as its results.h5 tells it: how it was made, and what each epoch
 * gave. `pulmo reproduce` compares with it. Not collective. */
#ifndef PULMO_RECORD_H
#define PULMO_RECORD_H

#include "pulmo/config.h"
#include "pulmo/digest.h"
#include "pulmo/h5.h"
#include "pulmo/results.h"

/* How it was made: plain memory, for all ranks. */
typedef struct record_made {
    pulmo_config config; /* bound settings, and the places of data and weights; else defaults */
    char data_digest[PULMO_DIGEST_HEX], weights_digest[PULMO_DIGEST_HEX];
    char start_digest[PULMO_DIGEST_HEX]; /* of what train.init named; "" where it named none */
    char preprocessing[16];
    uint32_t epochs;     /* done */
    uint32_t best_epoch; /* counted from 1 */
    bool finished;
} record_made;

typedef struct record {
    const char *run; /* the directory as it was given; borrowed */
    record_made made;
    /* On rank 0 alone. */
    pulmo_h5 *file;
    pulmo_epoch_row *row;               /* (epochs) */
    char head_digest[PULMO_DIGEST_HEX]; /* "" unless finished */
    const pulmo_layout *layout;         /* of the digests; borrowed */
    char **digest[PULMO_TENSORS_MAX]; /* (epochs) in hexadecimal, "" where not known; NULL: none */
} record;

/* Reads all but the digests. PULMO_USAGE for what nobody trained (an evaluation, the folds of a
 * cross-validation, a sweep) and for a run without a finished epoch; PULMO_CONFIG for one of
 * another arithmetic. *out starts as zeros and is ended by record_close, also after a failure. */
pulmo_status record_open(const char *run, record *out);
void record_close(record *it);
/* Reads the digests of these tensors, which is kept; of a run of an earlier release there are none.
 */
pulmo_status record_read_digests(record *it, const pulmo_layout *layout);
/* Of the first `epochs`, how many have no digests. */
uint32_t record_unknown(const record *it, uint32_t epochs);

/* PULMO_CONFIG unless data, or weights and how they are read, are those of the run. */
pulmo_status record_check_data(const record *it, const char *digest, const char *path);
pulmo_status record_check_weights(const record *it, const char *digest, const char *preprocessing);
/* The same of what train.init names; "" for none. */
pulmo_status record_check_start(const record *it, const char *digest);

/* PULMO_DATA names the first tensor, else the first column of the history, that differs in this
 * epoch (counted from 0). `digest`: (layout->tensors). */
pulmo_status record_check_epoch(const record *it, uint32_t epoch, const pulmo_digest *digest,
                                const pulmo_epoch_row *row);
/* The same of a finished run's model, and of a split's logits. */
pulmo_status record_check_head(const record *it, const char *digest);
pulmo_status record_check_scores(const record *it, const pulmo_split_scores *scores);

#endif
