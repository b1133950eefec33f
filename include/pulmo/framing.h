/* How an image of any shape becomes one of the packed shape. Packing, training and prediction must
 * agree on it: a pack's manifest and a model carry it. Pure. */
#ifndef PULMO_FRAMING_H
#define PULMO_FRAMING_H

#include <stdbool.h>
#include <stddef.h>

/* Names in files and in the configuration, in the order of the values. */
#define PULMO_FIT_NAMES      "squash", "crop", "pad"
#define PULMO_BORDER_NAMES   "keep", "crop"
#define PULMO_DECODING_NAMES "exact", "fast"

/* Formats that are read, by a file's first bytes. */
typedef enum pulmo_image_format {
    PULMO_IMAGE_JPEG,
    PULMO_IMAGE_PNG,
    PULMO_IMAGE_DICOM,
    PULMO_IMAGE_FORMATS
} pulmo_image_format;

/* What becomes of the aspect ratio. */
typedef enum pulmo_fit {
    PULMO_FIT_SQUASH, /* it is lost: both sides are resized, each by its own scale */
    PULMO_FIT_CROP,   /* it is kept: the central part of the wanted aspect is resized */
    PULMO_FIT_PAD     /* it is kept: the whole image is resized and centred on black */
} pulmo_fit;

#define PULMO_FRAMING_TEXT 128

/* All zero: as every pack and model was made before this could be chosen. */
typedef struct pulmo_framing {
    pulmo_fit fit;
    bool crop_border; /* uniform black or white frames are cut first */
    bool fast;        /* JPEGs much larger than wanted are decoded at a part of their size */
    /* of DICOM files, as pulmo/image.h reads them; stated in files only where they are not "" */
    char window[PULMO_FRAMING_TEXT];     /* of all, in place of their own */
    char modalities[PULMO_FRAMING_TEXT]; /* that are taken; "": the usual ones */
} pulmo_framing;

#define PULMO_FRAMING_WORDS 128 /* of the text, with its end */

/* What comes before and after the resize, as in ", of the central part of that aspect"; "" for
 * squashed images with their borders. */
void pulmo_framing_words(const pulmo_framing *framing, char out[PULMO_FRAMING_WORDS]);

/* What a model takes, before its size, as in "the whole image, resized to". */
void pulmo_framing_input(const pulmo_framing *framing, char out[PULMO_FRAMING_WORDS]);

/* The part of a framing that a file states under a name, and the values that it may have. */
typedef struct pulmo_framing_part {
    const char *name;         /* "fit", "border", "decoding" */
    const char *const *names; /* ended by NULL */
} pulmo_framing_part;

enum { PULMO_FRAMING_FIT, PULMO_FRAMING_BORDER, PULMO_FRAMING_DECODING, PULMO_FRAMING_PARTS };

/* Static storage. */
const pulmo_framing_part *pulmo_framing_part_of(int part);
/* The value of a part, an index into its names; and the same set. */
int pulmo_framing_get(const pulmo_framing *framing, int part);
void pulmo_framing_set(pulmo_framing *framing, int part, int value);
/* The name of a part's value; static storage. */
const char *pulmo_framing_name(const pulmo_framing *framing, int part);
bool pulmo_framing_equal(const pulmo_framing *a, const pulmo_framing *b);

#endif
