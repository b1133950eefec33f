/* Inside the image room: how the bytes of a DICOM file lie, before a library is trusted with them.
 *
 * Every length is held against what is there, sequences within one another and elements are
 * counted. A deflated data set is inflated. */
#ifndef PULMO_IMAGE_DICOM_LAYOUT_H
#define PULMO_IMAGE_DICOM_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/status.h"

#define DICOM_UID_BYTES 65

typedef struct dicom_layout {
    char transfer[DICOM_UID_BYTES]; /* Transfer Syntax UID (0002,0010) */
    const uint8_t *data;            /* the data set, behind the file's meta header */
    size_t bytes;
    uint8_t *inflated;    /* owned; NULL unless the file is deflated */
    bool has_pixels;      /* Pixel Data (7FE0,0010) at the top */
    bool is_encapsulated; /* in fragments */
    size_t pixel_bytes;   /* of Pixel Data, or of its fragments */
    size_t fragments;
    const uint8_t *frame; /* the first fragment, behind the offset table */
    size_t frame_bytes;
} dicom_layout;

/* Walks a file that begins as DICOM files do; a deflated one may become `inflated_max` bytes. Kept:
 * `data` must outlive the layout. Ended by dicom_layout_free, also after a failure. PULMO_DATA with
 * the reason; PULMO_MEMORY. */
pulmo_status dicom_layout_read(const uint8_t *data, size_t bytes, uint64_t inflated_max,
                               dicom_layout *out);
void dicom_layout_free(dicom_layout *layout);

/* A frame of JPEG or JPEG-LS is of this size, grey, and not progressive: PULMO_DATA otherwise. */
pulmo_status dicom_layout_check_jpeg(const dicom_layout *layout, int rows, int columns);

#endif
