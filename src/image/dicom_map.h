/* Inside the image room: from the stored values of a DICOM image to 8 bits, by PS3.3 C.11. */
#ifndef PULMO_IMAGE_DICOM_MAP_H
#define PULMO_IMAGE_DICOM_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/status.h"

/* A table of a Modality LUT or VOI LUT sequence. The values are borrowed. */
typedef struct dicom_lut {
    int count;             /* of values; 0: there is no table */
    int32_t first;         /* the input that the first value is of */
    int bits;              /* of a value: 8 to 16 */
    const uint16_t *value; /* (count) */
} dicom_lut;

/* VOI LUT Function (0028,1056). */
typedef enum dicom_shape { DICOM_LINEAR, DICOM_LINEAR_EXACT, DICOM_SIGMOID } dicom_shape;

typedef struct dicom_window {
    bool there;
    dicom_shape shape;
    double center, width;
} dicom_window;

/* What a header says of the way from stored values to grey. */
typedef struct dicom_mapping {
    int bits;       /* BitsStored, 8 to 16 */
    bool is_signed; /* stored values are two's complement */
    dicom_lut modality;
    double slope, intercept; /* where there is no modality table */
    dicom_lut voi;           /* before the window */
    dicom_window window;
    bool inverted; /* the lowest output is white */
} dicom_mapping;

/* Reads "CENTER,WIDTH" as a LINEAR window; blank text is none. PULMO_CONFIG with the rule. */
pulmo_status dicom_window_read(const char *text, dicom_window *out);

/* PULMO_DATA with the rule where the mapping cannot be one: a slope of 0, a window without width.
 */
pulmo_status dicom_map_check(const dicom_mapping *mapping);

/* The grey of every code of `bits` bits, a stored value as it lies in the file, into `grey`
 * (1 << bits).
 *
 * Modality table, or slope and intercept; then VOI table, or window, or else the full range of what
 * comes out of the first step for BitsStored bits; the result, 0 to 1, times 255 and rounded to the
 * nearest (halves up); inverted at the end. What a table is asked for is rounded to the nearest,
 * too, and beyond its ends it gives its first and last value. */
void dicom_map_table(const dicom_mapping *mapping, uint8_t *grey);

#endif
