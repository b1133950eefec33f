/* Inside the image room: what is read of a DICOM file's header beside its pixels. */
#ifndef PULMO_IMAGE_HEADER_H
#define PULMO_IMAGE_HEADER_H

#include <stddef.h>
#include <stdint.h>

/* The tag of an element that pulmo_header_find has found. */
uint32_t header_tag(int element);
/* Text as a manifest can hold it, in place, in a buffer of `room` bytes (PULMO_PATIENT_BYTES at
 * most): spaces around it go, a control character becomes "?", and what is not UTF-8 is taken for
 * Latin-1, so that two patients stay two. */
void header_clean(char *text, size_t room);

#endif
