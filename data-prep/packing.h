/* Inside the preparation room: a pack at work. Collective where pack.c says so.
 *
 *   pack.c         what was asked for, and the steps in their order
 *   findings.c     the same as far as a plan, and what it found: pulmo audit
 *   framed.c       which part of an image is packed, as asked and as recorded
 *   shards.c       splits as columns, shards written
 *   pack_report.c  what is printed, leaks.txt, the manifest */
#ifndef PULMO_PREP_PACKING_H
#define PULMO_PREP_PACKING_H

#include "parts.h"
#include "plan.h"
#include "source.h"
#include "update.h"
#include "work.h"

#include "pulmo/dist.h"
#include "pulmo/framing.h"
#include "pulmo/pack.h"
#include "pulmo/packed.h"

typedef struct packing {
    pulmo_comm *comm;
    pulmo_pack_options options;
    source_list list;
    work_place place;
    part_store store;
    old_pack *old;    /* that new files are added to; NULL: all is packed anew */
    part_store added; /* records of the new files alone */
    uint8_t *fresh;   /* parts decoded by this rank in this run */
    pack_plan plan;
    pulmo_packed_form form;
    pulmo_packed_split split[PULMO_SPLITS];
    char resize[96 + PULMO_FRAMING_WORDS];
    pulmo_config *visible; /* what of the configuration stands in the manifest */
    char decode[PULMO_DECODE_WORDS];
    char *options_text;
    pulmo_digest key;       /* of all files, for DEST/.files */
    pulmo_digest parts_key; /* of the files that are decoded */
} packing;

/* What the configuration asks for. */
pulmo_framing framing_from(const pulmo_config *config);
/* Decides p->form.framing when all is decoded: images that are all square have no aspect left, and
 * count as squashed. PULMO_USAGE with the ways out where that does not go with the other options or
 * an older pack. */
pulmo_status packing_choose_framing(packing *p);
/* Fills p->form and p->split from the plan. Owned by the packing (packing_free_splits). */
pulmo_status packing_make_splits(packing *p);
void packing_free_splits(packing *p);
/* Writes this rank's shards that are not there yet. PULMO_INTERRUPTED after a signal. */
pulmo_status packing_write_shards(packing *p);

/* ---- steps of a pack that an audit of the source takes, too ---- */

/* NULL and *status where there is no memory. Owned by the caller (packing_free). Collective. */
packing *packing_create(pulmo_comm *comm, const pulmo_pack_options *options, pulmo_status *status);
void packing_free(packing *p); /* NULL is a no-op */
/* Names DEST's places, and lists the source. */
pulmo_status packing_list(packing *p);
/* Of what decoded pixels depend on. */
pulmo_status packing_make_key(packing *p);
/* Decodes into DEST/.pack. Collective. */
pulmo_status packing_decode(packing *p);
/* Records of all that is decoded. */
pulmo_status packing_open_store(packing *p);

/* Threads of a rank where no number is asked for: its node's CPUs shared out among its ranks. */
int packing_threads(pulmo_comm *comm);

/* Prints splits, patients, refusals and findings. Rank 0. */
void packing_report(const packing *p);
/* Writes every leak to DEST/leaks.txt, since there is no manifest, unless a pack is updated;
 * PULMO_DATA with the ways out. Rank 0. */
pulmo_status packing_refuse_leaks(packing *p);
pulmo_status packing_write_manifest(const packing *p);

#endif
