/* Inside the data room: arithmetic of batches. */
#ifndef PULMO_LOADER_ROOM_H
#define PULMO_LOADER_ROOM_H

#include "pulmo/loader.h"

/* Samples in global batch b, at least 1 for a valid b. */
uint32_t batch_size_of(uint32_t samples, uint32_t batch, uint32_t b);

#endif
