/* The columns of a run's history. */
#include <string.h>

#include "pulmo/history.h"

const pulmo_history_column pulmo_history_columns[] = {
#define X(NAME, name, long_name) {#name, long_name, offsetof(pulmo_epoch_row, name)},
    PULMO_HISTORY(X)
#undef X
};

_Static_assert(sizeof(pulmo_epoch_row) == PULMO_HISTORY_COLUMNS * sizeof(double),
               "an epoch's row holds the columns and nothing else");

double pulmo_history_cell(const pulmo_epoch_row *row, size_t column)
{
    double value;
    memcpy(&value, (const char *)row + pulmo_history_columns[column].offset, sizeof value);
    return value;
}
