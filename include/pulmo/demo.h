/* A procedural chest-X-ray-like data set, for trying pulmo without patients' images. The images
 * are drawings: whatever a model learns on them says nothing about medicine. Not collective. */
#ifndef PULMO_DEMO_H
#define PULMO_DEMO_H

#include <stdint.h>

#include "pulmo/status.h"

typedef struct pulmo_demo_options {
    const char *directory; /* DEST/train|val|test/NORMAL|PNEUMONIA/ */
    uint64_t seed;
    int images[3]; /* of train, val, test, both classes together */
    int threads;   /* 0: the CPUs given */
} pulmo_demo_options;

/* 320, 80, 120 images. */
void pulmo_demo_options_init(pulmo_demo_options *options);

/* Writes the JPEGs, a README.txt, and last the marker file DEMO, by which pack knows a demo.
 * The same options give the same bytes for any number of threads. Does nothing when the same
 * demo is there already, draws one again that was interrupted (a file UNFINISHED tells), and
 * refuses (PULMO_USAGE) any other directory that is not empty. */
pulmo_status pulmo_demo_write(const pulmo_demo_options *options);

#endif
