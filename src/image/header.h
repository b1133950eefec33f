/* Inside the image room: what is read of a DICOM file's header beside its pixels. */
#ifndef PULMO_IMAGE_HEADER_H
#define PULMO_IMAGE_HEADER_H

#include <stdint.h>

/* The tag of an element that pulmo_header_find has found. */
uint32_t header_tag(int element);
/* Text as a manifest can hold it, in place: spaces around it go, a control character becomes "?",
 * and so does a byte that is not of UTF-8, as at the end of a text that was cut. */
void header_clean(char *text);

#endif
