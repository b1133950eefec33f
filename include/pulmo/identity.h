/* By what an image of one data set is found again in another: its file, its packed pixels, how it
 * looks, its patient. A run keeps those of the images that it was trained on, so that its packed
 * data is not needed to tell whether it is judged by them. Not collective. */
#ifndef PULMO_IDENTITY_H
#define PULMO_IDENTITY_H

#include <stdint.h>

#include "pulmo/dataset.h"
#include "pulmo/digest.h"
#include "pulmo/packed.h"
#include "pulmo/status.h"

struct pulmo_h5;

/* All is owned by the caller, who ends it with pulmo_identities_free. */
typedef struct pulmo_identities {
    uint32_t count;
    pulmo_digest *files, *pixels; /* (count): SHA-256 of the source file, of the packed pixels */
    char **patients; /* (count): equal only for images of one patient for certain, "" where
                        that is not known; NULL of packs that do not say */
    int8_t (*sketches)[PULMO_SKETCH_BYTES]; /* (count), pulmo/near.h; NULL of packs without */
    char *key_name; /* of the key that patients are pseudonyms by; "" where they are none */
} pulmo_identities;

/* Of a split's images, in its order, read from the manifest again. PULMO_DATA where that is no
 * longer the one that was opened. */
pulmo_status pulmo_identities_of(const pulmo_dataset *dataset, pulmo_identities *out);
/* Writes and reads them as a group of another file: files and pixels (N, 32) uint8, sketches
 * (N, 64) uint8, patients (N) strings; attributes count, pseudonyms. */
pulmo_status pulmo_identities_write(struct pulmo_h5 *file, const char *group,
                                    const pulmo_identities *identities);
pulmo_status pulmo_identities_read(struct pulmo_h5 *file, const char *group, pulmo_identities *out);
void pulmo_identities_free(pulmo_identities *identities);

#endif
