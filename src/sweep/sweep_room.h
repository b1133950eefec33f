/* Inside the sweep room: a sweep's trials and its tables.
 *
 *   sweep.c         goes through the grid: what is finished is kept, the rest is trained
 *   sweep_checks.c  what the data refuse of a grid
 *   sweep_name.c    the directories of trials, their configurations
 *   sweep_axes.c    axes of the grid
 *   sweep_made.c    what a trial would be made with now
 *   sweep_trial.c   what a finished trial's files say
 *   sweep_table.c   a line per trial: sweep.csv and the terminal
 *   sweep_cells.c   numbers and widths of both tables
 *   sweep_groups.c  a line per group of trials that differ in seed or fold alone
 *   sweep_folds.c   cross-validation: the folds' test images as one set
 *   sweep_pool.c    that set, read from the folds' results */
#ifndef PULMO_SWEEP_ROOM_H
#define PULMO_SWEEP_ROOM_H

#include "pulmo/dataset.h"
#include "pulmo/digest.h"
#include "pulmo/results.h"
#include "pulmo/sweep.h"
#include "pulmo/text.h"

#define SWEEP_TRIALS_MAX 10000

typedef enum sweep_state { SWEEP_WAITING, SWEEP_FINISHED, SWEEP_FAILED } sweep_state;

/* X(NAME, column in files, heading on the terminal): the figures of a trial, in their order. Those
 * of val are of the best epoch. The only list. */
#define SWEEP_FIGURE_LIST(X)                                                                       \
    X(VAL_LOSS, "val_loss", "val loss")                                                            \
    X(VAL_ACCURACY, "val_accuracy", "val acc")                                                     \
    X(VAL_AUC, "val_auc", "val auc")                                                               \
    X(TEST_ACCURACY, "test_accuracy", "test acc")                                                  \
    X(TEST_AUC, "test_auc", "test auc")

typedef enum sweep_figure {
#define X(NAME, column, heading) SWEEP_##NAME,
    SWEEP_FIGURE_LIST(X)
#undef X
        SWEEP_FIGURES
} sweep_figure;

typedef struct sweep_figure_names {
    const char *column, *heading;
} sweep_figure_names;
/* (SWEEP_FIGURES) */
extern const sweep_figure_names sweep_figure_named[];

typedef struct sweep_trial {
    char *name; /* of its directory, from its values */
    sweep_state state;
    char reason[512]; /* of a failure */
    pulmo_status status;
    int64_t best_epoch;
    double figure[SWEEP_FIGURES]; /* of a finished trial; NaN where there is no such split */
    char head_digest[PULMO_DIGEST_HEX];
} sweep_trial;

/* What makes a trial beside settings and data. */
typedef struct sweep_made {
    char path[PULMO_TEXT_BYTES]; /* model.weights and model.preprocessing that it is of */
    int preprocessing;
    char weights[PULMO_DIGEST_HEX]; /* "" where they cannot be read */
    bool known;
} sweep_made;

typedef struct sweep {
    pulmo_comm *comm;
    const pulmo_sweep_options *options;
    const pulmo_grid *grid;
    uint64_t count;
    sweep_trial *trials; /* (count), in the grid's order; complete on rank 0 alone */
    sweep_made made;     /* on rank 0: as the last trial that was looked at would be */
    pulmo_spent spent;
    bool beside; /* this is one of several groups of ranks */
    bool quiet;  /* trials say a line each */
} sweep;

/* A trial's configuration (sweep_name.c); owned by the caller (free). */
pulmo_status sweep_configure(const sweep *s, uint64_t number, pulmo_config **out);

/* Refuses a grid of which the data refuse a value, in pulmo_train's own words (sweep_checks.c). By
 * rank 0, when all trials have their names. */
pulmo_status sweep_check_data(const sweep *s);

/* ---- a trial (sweep_trial.c, sweep_made.c) ---- */

/* What this configuration would be trained with here; *out is all zeros or of another trial.
 * Weights that cannot be read are a warning. */
pulmo_status sweep_made_now(const pulmo_config *config, sweep_made *out);

/* A finished trial's figures, from its results.h5. */
pulmo_status sweep_read_trial(const char *directory, sweep_trial *trial);
/* A figure; NaN unless the trial has finished. */
double sweep_figure_of(const sweep_trial *trial, sweep_figure figure);
/* Refuses a finished run unless it is the one that would be trained now: the same settings, data,
 * weights, tier and kernels of OpenBLAS. */
pulmo_status sweep_check_same(const pulmo_config *config, const sweep_made *now);

/* ---- tables (sweep_table.c, sweep_groups.c); all by rank 0 ---- */

/* Both tables into the sweep's directory, best by train.monitor first; with `out`, on it as well.
 */
pulmo_status sweep_write_tables(const sweep *s, FILE *out);

#define SWEEP_FOLD_KEY "data.fold"

/* The axis of a key, -1 where the grid has none with more than one value. */
int sweep_axis_of(const pulmo_grid *grid, const char *key);
/* How far two trials are apart that differ in this axis alone, by one value. */
uint64_t sweep_trials_apart(const pulmo_grid *grid, int axis);
/* Whether trials that differ in this axis alone repeat one another: seeds and folds do. */
bool sweep_is_repeat(const pulmo_grid *grid, int axis);
bool sweep_has_repeats(const pulmo_grid *grid);

typedef struct sweep_spread {
    int count;
    double mean, deviation; /* of the sample: n - 1; NaN where there are too few */
} sweep_spread;
/* NaN is left out. */
sweep_spread sweep_spread_of_values(const double *values, int count);

/* A line per group of repeats. */
void sweep_groups_csv(FILE *out, const sweep *s);
void sweep_groups_shown(FILE *out, const sweep *s);

/* ---- cross-validation (sweep_folds.c); by rank 0 ---- */

/* Where the grid has data.fold: for every other setting whose folds have all been trained, their
 * test images as one set, scored each by the model that has not seen it: results.h5,
 * predictions.csv and a report in DIRECTORY/folds[,KEY=VALUE...], a line in cross_validation.csv
 * and one on `out`. Nothing without such an axis. */
pulmo_status sweep_write_folds(const sweep *s, FILE *out);
/* Removes such sets of an earlier sweep where not all folds have finished in this one, and the
 * table: they are of trials that are not there any more. */
pulmo_status sweep_remove_folds(const sweep *s);

/* The name of a trial's directory, from its values but that of `except` (-1: of all); a long one is
 * cut and made unique by a digest. Owned by the caller (free), NULL when out of memory. */
char *sweep_name(const pulmo_grid *grid, uint64_t trial, int except);

/* Ends a table as a file of the sweep's directory, whole or not at all. */
pulmo_status sweep_write_table(const sweep *s, pulmo_text *table, const char *file);

/* ---- cells (sweep_cells.c) ---- */

/* ",0.123456789", or "," for NaN. */
void sweep_csv_number(FILE *out, double value);
/* The width of an axis' column on the terminal. */
int sweep_axis_width(const pulmo_grid_axis *axis);

#endif
