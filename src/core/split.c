/* Names of the splits. */
#include "pulmo/split.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

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

int pulmo_split_of_word(const char *word)
{
    static const struct {
        const char *word;
        int split;
    } known[] = {
        {"train", PULMO_SPLIT_TRAIN},  {"training", PULMO_SPLIT_TRAIN},
        {"val", PULMO_SPLIT_VAL},      {"valid", PULMO_SPLIT_VAL},
        {"validate", PULMO_SPLIT_VAL}, {"validation", PULMO_SPLIT_VAL},
        {"dev", PULMO_SPLIT_VAL},      {"test", PULMO_SPLIT_TEST},
        {"testing", PULMO_SPLIT_TEST},
    };
    const size_t count = sizeof known / sizeof *known;
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(known[i].word, word) == 0)
            return known[i].split;
    }
    return -1;
}
