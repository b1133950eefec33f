/* What all rooms know of a data set: its three splits, their order and their names, and how many
 * classes it may have. Not collective. */
#ifndef PULMO_SPLIT_H
#define PULMO_SPLIT_H

#define PULMO_CLASSES_MAX 1000

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
/* The split that people mean by a word, in any case: train, training, val, valid, validate, dev and
 * so on; -1 for other words. */
int pulmo_split_of_word(const char *word);

#endif
