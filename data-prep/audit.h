/* Inside the preparation room: what belongs together, and what leaks between splits. */
#ifndef PULMO_PREP_AUDIT_H
#define PULMO_PREP_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "parts.h"
#include "plan.h"

/* Sets of files: find's result is the smallest index of the set. */
uint32_t join_find(uint32_t *parent, uint32_t i);
void join_sets(uint32_t *parent, uint32_t i, uint32_t j);

typedef struct audit {
    const source_list *list;
    const image_record *records;
    pack_plan *plan;
    const struct old_pack *old; /* files that are packed already, or NULL */
    uint32_t *together; /* parents of sets that stay in one split: one group, or one picture */
    uint32_t *copies;   /* parents of sets of one picture */
} audit;

/* Finds pairs of nearly the same pixels: alike by sketch, confirmed by the correlation of their
 * pixels. `pairs` is owned by the caller (free). */
pulmo_status audit_near(part_store *store, near_pair **pairs, size_t *count);
/* Fills the sets and the plan's lists of identical and similar files. Owned by the caller. */
pulmo_status audit_make(const part_store *store, const near_pair *near, size_t near_count,
                        pack_plan *plan, audit *out);
void audit_free(audit *a);
/* Lists patients in several splits or classes, and leaks: one picture, or surely one patient, in
 * more than one split. With `drop`, a leaking file that is not in the last of its set's splits
 * (train before val before test) gets split -1 and a line among the refused; one that is packed
 * already stays. `split` (list count) is each file's split, -1 for refused files. */
pulmo_status audit_splits(audit *a, int *split, bool drop);

#endif
