/* Inside the preparation room: decoding, resumable. */
#ifndef PULMO_PREP_PARTS_H
#define PULMO_PREP_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "source.h"

#include "pulmo/digest.h"
#include "pulmo/near.h"
#include "pulmo/pack.h"

typedef struct image_record {
    pulmo_digest digest, pixel_digest; /* of the file, of the packed pixels (grey as one channel) */
    int8_t sketch[PULMO_SKETCH_BYTES];
    uint64_t offset; /* of the pixels in the part's file */
    uint8_t usable, channels;
    uint8_t profiled; /* a colour profile or gamma of its own was ignored */
    uint8_t square;   /* the source is as wide as high */
    uint8_t format;   /* pulmo_image_format; not known of what an older pack has */
} image_record;

/* What became of every file, in the list's order; the pixels lie in DEST/.pack. */
typedef struct part_store {
    const source_list *list;
    const char *work; /* DEST/.pack; kept */
    int size_px;
    image_record *records;
    char **reasons;       /* (list count): of refused files, else NULL */
    char **facts;         /* (list count): of DICOM files, PatientID and the values of
                             list->header, each ended by NUL; else NULL */
    const uint8_t *fresh; /* of parts_fill; kept, may be NULL */
    struct old_pack *old; /* files that are packed already (update.h); kept, NULL for none */
    struct part_files *files;
} part_store;

/* Decodes what is not decoded yet, shared out among ranks and `threads` threads. Returns
 * PULMO_INTERRUPTED after a signal, with every whole part kept. `key` says what the pixels depend
 * on. *fresh, owned by the caller (free), marks the parts that this rank has decoded just now.
 * Collective. */
pulmo_status parts_fill(pulmo_comm *comm, const source_list *list,
                        const pulmo_pack_options *options, const char *work,
                        const pulmo_digest *key, uint8_t **fresh);
/* Reads all records. Not collective: after parts_fill on all ranks. Owned by the caller. */
pulmo_status parts_open(const source_list *list, const pulmo_config *config, const char *work,
                        const pulmo_digest *key, part_store *out);
/* Pixels of one file, (H, W, channels): grey is repeated where `channels` is 3. Refuses what is not
 * as recorded; what was written a moment ago by this very process is taken as it is. */
pulmo_status parts_read(part_store *store, uint32_t file, int channels, uint8_t *pixels);
void parts_close(part_store *store);
/* The same records, for another thread to read pixels with. `store` must outlive it. Owned by the
 * caller, ended by parts_unshare. */
pulmo_status parts_share(const part_store *store, part_store *out);
void parts_unshare(part_store *store);

#endif
