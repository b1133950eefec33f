/* Names in tables and lists: the files that they are of. */
#include <stdlib.h>

#include "match.h"

pulmo_status match_fail_ambiguous(const matcher *m, cell_place place, const char *path,
                                  const tail_match *match)
{
    return pulmo_fail(PULMO_DATA,
                      "%s:%zu: \"%s\": may be %s or %s; name more of the path in the table, or "
                      "leave the others out by pack.exclude_pattern",
                      place.path, place.line, path, m->paths[match->first], m->paths[match->other]);
}

pulmo_status match_names(const matcher *m, const char *const *names, size_t count, name_visit visit,
                         void *context)
{
    tail_index *index = NULL;
    PULMO_TRY(tail_index_make(names, count, &index));
    tail_match *found = malloc((count + 1) * sizeof *found);
    pulmo_status status = PULMO_OK;
    if (found)
        status = tail_match_all(index, m->files, found);
    else
        status = pulmo_fail(PULMO_MEMORY, "out of memory for %zu names", count);
    for (size_t i = 0; i < count && status == PULMO_OK; i++)
        status = visit(context, i, &found[i]);
    free(found);
    tail_index_free(index);
    return status;
}
