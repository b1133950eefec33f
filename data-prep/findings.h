/* Inside the preparation room: what a pack would find in a source, and how that is printed. */
#ifndef PULMO_PREP_FINDINGS_H
#define PULMO_PREP_FINDINGS_H

#include <stdio.h>

#include "packing.h"

typedef struct findings {
    packing *p;          /* as far as its plan */
    text_lines refusals; /* why pack would refuse the source, each with the way out */
} findings;

/* Images of a split and class. */
static inline uint32_t findings_images(const findings *f, int split, int class)
{
    const pack_plan *plan = &f->p->plan;
    uint32_t images = 0;
    for (uint32_t i = 0; i < plan->count[split]; i++)
        images += plan->label[plan->order[split][i]] == class;
    return images;
}
/* Whether there is anything but images, patients and notes. */
bool findings_are(const findings *f);

/* One JSON object on one line, UTF-8 (findings_json.c). */
void findings_json(FILE *out, const findings *f);

#endif
