/* Inside the infer room: PNGs that say what they show. */
#ifndef PULMO_INFER_OVERLAY_H
#define PULMO_INFER_OVERLAY_H

#include "pulmo/explain.h"

/* A text chunk of a PNG. */
typedef struct png_note {
    const char *key;  /* 1 to 79 characters: "Title", "Description", "Software", ... */
    const char *text; /* UTF-8 */
} png_note;

/* pulmo_png_encode with texts. */
pulmo_status overlay_png(const pulmo_image *image, const png_note *texts, int text_count,
                         uint8_t **data, size_t *size_bytes);

#endif
