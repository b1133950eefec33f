/* What the tables of a sweep share: a number of a file, and the width of a column. */
#include <math.h>
#include <string.h>

#include "sweep_room.h"

void sweep_csv_number(FILE *out, double value)
{
    if (isnan(value))
        fputs(",", out);
    else
        fprintf(out, ",%.9g", value);
}

int sweep_axis_width(const pulmo_grid_axis *axis)
{
    size_t width = strlen(axis->key);
    for (int v = 0; v < axis->count; v++) {
        size_t length = strlen(axis->value[v]);
        if (length > width)
            width = length;
    }
    return (int)width;
}
