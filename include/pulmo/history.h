/* The figures of one epoch, and the columns in which they are stored and shown. */
#ifndef PULMO_HISTORY_H
#define PULMO_HISTORY_H

#include <stddef.h>

/* X(NAME, name, long name): all columns of a run's history, in the order of files. The only list.
 */
#define PULMO_HISTORY(X)                                                                           \
    X(LR, lr, "learning rate at the epoch's start")                                                \
    X(TRAIN_LOSS, train_loss, "mean loss over the epoch's augmented images")                       \
    X(TRAIN_ACCURACY, train_accuracy, "accuracy over the epoch's augmented images")                \
    X(VAL_LOSS, val_loss, "mean loss on val after the epoch")                                      \
    X(VAL_ACCURACY, val_accuracy, "accuracy on val after the epoch, at threshold 0.5")             \
    X(VAL_AUC, val_auc, "area under the ROC curve on val after the epoch")

/* One epoch of history. Values are NaN where there is no val split. */
typedef struct pulmo_epoch_row {
#define X(NAME, name, long_name) double name;
    PULMO_HISTORY(X)
#undef X
} pulmo_epoch_row;

typedef struct pulmo_history_column {
    const char *name;
    const char *long_name;
    size_t offset; /* in a pulmo_epoch_row */
} pulmo_history_column;

/* Indices into the columns, and their number. */
enum {
#define X(NAME, name, long_name) PULMO_HISTORY_##NAME,
    PULMO_HISTORY(X)
#undef X
        PULMO_HISTORY_COLUMNS
};

/* (PULMO_HISTORY_COLUMNS) */
extern const pulmo_history_column pulmo_history_columns[];

double pulmo_history_cell(const pulmo_epoch_row *row, size_t column);

#endif
