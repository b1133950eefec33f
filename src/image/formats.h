/* Inside the image room: one decoder per format. Each is given a whole file that begins as its
 * format does, cleared notes, and a cleared image, and leaves the image empty after a failure. What
 * is damaged is a failure (PULMO_DATA). */
#ifndef PULMO_IMAGE_FORMATS_H
#define PULMO_IMAGE_FORMATS_H

#include "pulmo/image.h"

pulmo_status jpeg_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                         pulmo_image *out, pulmo_decode_notes *notes);
pulmo_status png_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                        pulmo_image *out, pulmo_decode_notes *notes);
/* By dicom.c, or, without DCMTK, dicom_absent.c. */
pulmo_status dicom_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                          pulmo_image *out, pulmo_decode_notes *notes);

#endif
