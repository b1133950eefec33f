/* Groups of images: which columns there are, and the figures of each group. */
#include "report_room.h"

#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"

static pulmo_status compute(report *r, const report_split *s, const char *const *const *cells)
{
    const pulmo_scored scored = report_scored(r, s);
    const pulmo_decision decision = {r->positive.index, r->threshold};
    const pulmo_group_source source = {.count = s->count,
                                       .paths = (const char *const *)s->paths.text,
                                       .patients = (const char *const *)s->groups.text,
                                       .columns = s->kept,
                                       .names = (const char *const *)s->kept_names,
                                       .cells = cells};
    return pulmo_groups_compute(&scored, &decision, &source, r->by, &r->groups);
}

pulmo_status report_group(report *r, const char *by)
{
    if (by) {
        free(r->by);
        r->by = pulmo_strdup(by);
        if (!r->by)
            return PULMO_MEMORY;
    }
    if (!*r->by || r->splits == 0)
        return PULMO_OK;
    const report_split *s = &r->split[0];
    const char *const **cells = calloc((size_t)s->kept + 1, sizeof *cells);
    if (!cells)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %d columns", s->kept);
    for (int k = 0; k < s->kept; k++)
        cells[k] = (const char *const *)s->kept_columns[k].text;
    pulmo_status status = compute(r, s, cells);
    free(cells);
    return status;
}
