/* Inside the table room: rows and lists on one side, files on the other. */
#ifndef PULMO_TABLE_MATCH_H
#define PULMO_TABLE_MATCH_H

#include "labels.h"

typedef struct matcher {
    pulmo_labels *labels;
    const char *const *paths;
    size_t count;
    tail_index *files;
    uint32_t *owner; /* (count): the row that a file has its label from, or ROW_NONE */
    pulmo_file_label *out;
} matcher;

/* What is done with a name: `match` says which file it is of. */
typedef pulmo_status (*name_visit)(void *context, size_t index, const tail_match *match);

/* Finds the files of `names` (count) and hands each to `visit`, in order. */
pulmo_status match_names(const matcher *m, const char *const *names, size_t count, name_visit visit,
                         void *context);
/* PULMO_DATA: the path at that place may be two files. */
pulmo_status match_fail_ambiguous(const matcher *m, cell_place place, const char *path,
                                  const tail_match *match);

/* Splits by the lists, if any, into m->out. */
pulmo_status match_lists(matcher *m);

#endif
