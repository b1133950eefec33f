/* Inside the results room: the parts of results.h5. By rank 0. Not collective.
 *
 *   results.c          the file, history, provenance
 *   results_field.c    one dataset with its attributes
 *   results_digests.c  what each trained tensor was after each epoch
 *   results_split.c    a split: images, metrics, curves
 *   results_use.c      of a split: calibration, operating points, net benefit
 *   results_data.c     what the packed data is made of: counts, the leak audit
 *   results_groups.c   figures of groups of images; columns that were kept
 *   results_seen.c     by what the images that made the model are found again
 *   results_json.c     metrics.json
 *   results_text.c     history.csv, predictions.csv, the lines that end a run */
#ifndef PULMO_RESULTS_ROOM_H
#define PULMO_RESULTS_ROOM_H

#include "pulmo/h5.h"
#include "pulmo/history.h"
#include "pulmo/results.h"

/* A dataset GROUP/NAME with its long name and unit (`units` NULL for text). */
typedef struct results_field {
    const char *name, *long_name, *units;
    pulmo_h5_type type;
    int rank;
    uint64_t dims[2];
    const void *data;
} results_field;
pulmo_status results_put(pulmo_h5 *file, const char *group, const results_field *field);
/* A value and its 95 % interval as attributes: NAME, NAME_low95, NAME_high95. */
pulmo_status results_interval(pulmo_h5 *file, const char *object, const char *name,
                              pulmo_interval it);

/* NeXus: viewers that know it draw `signal` over `axes` when they open `group`. */
pulmo_status results_mark_plot(pulmo_h5 *file, const char *group, const char *signal,
                               const char *axis, const char *title);

/* /digests, over the scale of /history; nothing where no digest is known. */
pulmo_status results_digests(pulmo_h5 *file, const pulmo_run_history *history);

/* metrics.json beside the file being created, from its attributes. */
pulmo_status results_json(pulmo_h5 *file, const pulmo_results *r);

/* /SPLIT with all in it. */
pulmo_status results_split(pulmo_h5 *file, const pulmo_model *model,
                           const pulmo_split_scores *scores);
/* /SPLIT/kept and its names; nothing where no column was kept. */
pulmo_status results_kept(pulmo_h5 *file, const pulmo_split_scores *scores);
/* /groups: there are some. */
pulmo_status results_groups(pulmo_h5 *file, const pulmo_results *r);
/* What is in /SPLIT of use: calibration, operating points, net benefit; of two classes. */
pulmo_status results_use(pulmo_h5 *file, const char *split, const pulmo_scored *scored,
                         const pulmo_decision *by);
/* /data, copied from the manifest of the packed directory; nothing where that was packed anew since
 * it was opened, which a warning says. */
pulmo_status results_data(pulmo_h5 *file, const pulmo_results *r);

/* /seen/train and /seen/val: of each image that training saw, and of each that the epoch was chosen
 * by, what finds it again in another data set (pulmo/identity.h). A pack that is no longer the one
 * that was trained on costs these, with a warning. */
pulmo_status results_seen(pulmo_h5 *file, const pulmo_results *r);

pulmo_status results_history_csv(const char *directory, const pulmo_run_history *history);
pulmo_status results_predictions_csv(const pulmo_results *results);

#endif
