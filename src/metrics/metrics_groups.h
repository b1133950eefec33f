/* Inside the metrics room, of groups:
 *
 *   group_names.c   which columns are meant, and which group an image is of
 *   groups.c        the figures of each */
#ifndef PULMO_METRICS_GROUPS_H
#define PULMO_METRICS_GROUPS_H

#include "pulmo/groups.h"

#define GROUPS_MAX    40 /* values of one column */
#define GROUP_NUMBERS 6  /* different numbers of a column that are each a group */
#define GROUP_FORMAT  "format"

#define GROUP_CUTS_MAX 16

/* A column that was asked for. */
typedef struct group_wish {
    int column; /* -1: the format, by the paths */
    const char *name;
    int cuts; /* 0: none were given */
    double cut[GROUP_CUTS_MAX];
} group_wish;

/* All that `by` asks for, `wishes` of them; owned by the caller (free). PULMO_USAGE. */
pulmo_status group_wishes(const char *by, int columns, const char *const *names, group_wish **out,
                          uint32_t *wishes);

/* Which group each image is of. */
typedef struct group_split {
    uint32_t groups;
    char *name[GROUPS_MAX + 1]; /* (groups); owned */
    bool has_blank;             /* the last one is of cells that say nothing */
    uint32_t *member;           /* (count); owned */
} group_split;
/* Ended by group_split_free, on failure too. */
pulmo_status group_split_of(const pulmo_group_source *source, const group_wish *wish,
                            group_split *out);
void group_split_free(group_split *split);

#endif
