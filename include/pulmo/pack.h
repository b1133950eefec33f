/* Packing: class folders of JPEGs into sharded HDF5 tensors and a manifest. */
#ifndef PULMO_PACK_H
#define PULMO_PACK_H

#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/status.h"

typedef struct pulmo_pack_options {
    const char *source, *destination;
    const pulmo_config *config; /* its pack section; kept for the call */
    int threads;                /* a rank; 0: the CPUs given */
    int overwrite;
} pulmo_pack_options;

/* SOURCE is train/ val/ test/ x class folders, or class folders alone (all of it train). Splits
 * are carved as configured; patients and duplicates stay together. The same input gives the same
 * bytes for any number of ranks and threads. A finished pack of the same input is left alone; a
 * different one is refused (PULMO_USAGE) unless `overwrite`. Collective. */
pulmo_status pulmo_pack(pulmo_comm *comm, const pulmo_pack_options *options);

#endif
