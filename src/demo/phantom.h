/* Inside the demo room: drawn chest films for the demo data. */
#ifndef PULMO_PHANTOM_H
#define PULMO_PHANTOM_H

#include "pulmo/image.h"

/* Draws one phantom, grey. `kind`: 0 normal, 1 bacterial, 2 viral pneumonia. `patient` fixes the
 * anatomy, `image` the exposure, pose and noise. Owned by the caller. */
pulmo_status phantom_draw(uint64_t seed, int kind, uint32_t patient, uint32_t image,
                          pulmo_image *out);

#endif
