/* The three splits of a data set, their order and their names. Not collective. */
#ifndef PULMO_SPLIT_H
#define PULMO_SPLIT_H

/* X(name, name in files and on the command line), in the order of all tables. */
#define PULMO_SPLIT_LIST(X)                                                                        \
    X(TRAIN, "train")                                                                              \
    X(VAL, "val")                                                                                  \
    X(TEST, "test")

enum {
#define X(name, text) PULMO_SPLIT_##name,
    PULMO_SPLIT_LIST(X)
#undef X
        PULMO_SPLITS
};

/* The split's name; static storage. */
const char *pulmo_split_name(int split);
/* The split of this name, or -1. */
int pulmo_split_find(const char *name);

#endif
