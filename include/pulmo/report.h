/* The page about a run. */
#ifndef PULMO_REPORT_H
#define PULMO_REPORT_H

#include "pulmo/config.h"
#include "pulmo/status.h"

typedef struct pulmo_report_options {
    const char *run;     /* a directory that holds results.h5 */
    const char *data;    /* packed directory for thumbnails; NULL: the one that the results name */
    const char *weights; /* VGG16 convolutions for Grad-CAM; "" for the usual places */
    const char *by;      /* columns that groups are by (pulmo/groups.h); NULL: as evaluated */
    const char *out;     /* the page goes here; NULL: into the run directory */
    int overlays;        /* 0: no Grad-CAM */
    int share;           /* a page to give away: share.html, without pictures, paths and places */
    int threads;         /* 0: the CPUs given */
} pulmo_report_options;

void pulmo_report_options_init(pulmo_report_options *options);

/* Writes report.html, one page that needs nothing beside it, and MODEL_CARD.md next to it, from
 * results.h5. Where the packed data or the weights are not at hand the page has no thumbnails or no
 * overlays, and says so. With `share` one page alone is written, in which no file, folder or
 * machine is named and no picture stands. Not collective: one process. */
pulmo_status pulmo_report(const pulmo_report_options *options);

/* The report of the run in config->train.run_dir, into that directory: a pulmo_report_writer. */
pulmo_status pulmo_report_of_run(const pulmo_config *config);

#endif
