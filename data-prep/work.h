/* Inside the preparation room: DEST and the work in progress below it.
 *
 * DEST/.pack/lock      held while a pack is at work
 * DEST/.pack/key       digest of what decoded pixels depend on; parts of another key are removed
 * DEST/.pack/part-*    decoded images (parts.c)
 * DEST/.pack/plan      digest of all that shards depend on; shards of another plan are removed
 * DEST/.pack/out/      finished shards, moved to DEST when all are there
 * DEST/.pack/stop      a rank was told to end
 * DEST/.files          the source's files with their times (seen.h). The manifest has no times: it
 *                      is the same for any copy of them. */
#ifndef PULMO_PREP_WORK_H
#define PULMO_PREP_WORK_H

#include <stdbool.h>

#include "source.h"

#include "pulmo/digest.h"
#include "pulmo/status.h"

typedef struct work_place {
    const char *destination; /* kept */
    char *work, *out;        /* DEST/.pack, DEST/.pack/out */
    int lock;
} work_place;

/* Names only; touches nothing. Owned by the caller. */
pulmo_status work_name(const char *destination, work_place *out);
void work_free(work_place *w);

/* Whether DEST holds a manifest. PULMO_IO where that cannot be told. */
pulmo_status work_has_pack(const work_place *w, bool *packed);
/* *found: 1 if DEST holds a finished pack whose options read so, of files of this digest, 0 if
 * none, -1 if one of something else. PULMO_IO where its manifest cannot be read. */
pulmo_status work_look(const work_place *w, const char *options_text, const pulmo_digest *files,
                       int *found);
/* Makes DEST and its work place, for parts of this key: what others left is thrown away. Takes the
 * lock; PULMO_USAGE where another process has it. Rank 0. */
pulmo_status work_begin(work_place *w, const char *source, const pulmo_digest *key);
/* Throws shards of another plan away. Rank 0. */
pulmo_status work_plan(const work_place *w, const pulmo_digest *plan);
/* Moves the shards of files of this digest to DEST, in place of an older pack: rank 0, when all are
 * written; the manifest is to follow. */
pulmo_status work_publish(const work_place *w, const pulmo_digest *files, const source_list *list);
/* Moves the shards to DEST, beside what is there. Rank 0. */
pulmo_status work_move(const work_place *w);

/* A split's shards, whose names say how many there are: before new ones were added and after. */
typedef struct shard_names {
    const char *split;
    uint32_t old_shards, shards;
} shard_names;

/* Gives the old shards their new names, beside the old ones. Rank 0. */
pulmo_status work_rename(const work_place *w, shard_names n);
/* Takes the old names away. Rank 0, when the manifest is there. */
void work_remove_renamed(const work_place *w, shard_names n);
/* Removes the work place. Rank 0, when the manifest is there. */
void work_end(const work_place *w);

/* What a pack left there whose last steps failed, after its manifest stood; not what is kept of
 * another pack, nor of one at work. */
void work_clear(work_place *w, const pulmo_digest *key);

#endif
