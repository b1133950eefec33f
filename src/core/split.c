/* Names of the splits. */
#include "pulmo/split.h"

#include <string.h>

static const char *const split_names[PULMO_SPLITS] = {
#define X(name, text) text,
    PULMO_SPLIT_LIST(X)
#undef X
};

const char *pulmo_split_name(int split)
{
    return split_names[split];
}

int pulmo_split_find(const char *name)
{
    for (int s = 0; s < PULMO_SPLITS; s++) {
        if (strcmp(split_names[s], name) == 0)
            return s;
    }
    return -1;
}
