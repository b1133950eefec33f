/* The feature bank: features of K augmented views of each training image, and of val and test,
 * computed once. src/features/bank_room.h says how it is kept. */
#ifndef PULMO_BANK_H
#define PULMO_BANK_H

#include <stdint.h>

#include "pulmo/backbone.h"
#include "pulmo/config.h"
#include "pulmo/dataset.h"
#include "pulmo/dist.h"
#include "pulmo/head.h"

typedef struct pulmo_bank pulmo_bank;
typedef enum pulmo_bank_split {
    PULMO_BANK_TRAIN,
    PULMO_BANK_VAL,
    PULMO_BANK_TEST,
    PULMO_BANK_SPLITS
} pulmo_bank_split;

typedef struct pulmo_bank_parts {
    pulmo_comm *comm;
    const pulmo_config *config;
    const pulmo_backbone *backbone;
    const pulmo_head_spec
        *head; /* of the model, whose pooling is stored where the head alone is trained */
    pulmo_dataset *dataset[PULMO_BANK_SPLITS]; /* may be empty */
} pulmo_bank_parts;

/* What the head is fed from a bank: its own spec, or one that takes features which are pooled
 * already. The same parameters either way. */
pulmo_head_spec pulmo_bank_fed(const pulmo_config *config, const pulmo_backbone *backbone,
                               const pulmo_head_spec *head);

/* Finds what is there and computes the rest, on all ranks. What `parts` points at is kept.
 * PULMO_INTERRUPTED after a signal: the shards that are whole stay. Collective. */
pulmo_status pulmo_bank_open(const pulmo_bank_parts *parts, pulmo_bank **out);
void pulmo_bank_close(pulmo_bank *b); /* NULL is a no-op. Not collective. */
size_t pulmo_bank_floats(const pulmo_bank *b);
/* Views that it holds of a split: augmented ones of train, those that eval.tta averages of val and
 * test. */
uint32_t pulmo_bank_views(const pulmo_bank *b, pulmo_bank_split split);
/* The key of a split, in hexadecimal; borrowed. */
const char *pulmo_bank_key(const pulmo_bank *b, pulmo_bank_split split);
/* For a loader: the training image's features in that epoch. Thread safe. */
pulmo_status pulmo_bank_fill(void *bank, uint32_t epoch, uint32_t sample, float *out);

#endif
