/* Inside the image room: a DICOM data set, as DCMTK reads it. The only way to DCMTK: this is C, and
 * dicom_dcmtk.cc behind it is C++, whose exceptions and messages end there. Any
 * number of threads may have sets of their own. */
#ifndef PULMO_IMAGE_DICOM_SET_H
#define PULMO_IMAGE_DICOM_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DICOM_WHY_BYTES 160

typedef struct dicom_set dicom_set;
/* The data set itself, or the first item of a sequence in it; borrowed from the set. */
typedef struct dicom_item dicom_item;

/* "DCMTK 3.6.7"; static storage. */
const char *dicom_set_library(void);

/* Reads a data set, `data` of a layout that dicom_layout_read has passed, in the encoding of a
 * transfer syntax. False with the reason in `why`. Owned by the caller (dicom_set_close). */
bool dicom_set_open(const uint8_t *data, size_t bytes, const char *transfer, dicom_set **out,
                    char why[DICOM_WHY_BYTES]);
void dicom_set_close(dicom_set *set); /* NULL is a no-op */

const dicom_item *dicom_set_root(const dicom_set *set);
/* NULL where the sequence is not there or empty. */
const dicom_item *dicom_set_first(const dicom_item *in, uint32_t sequence);

/* An element's text in UTF-8, all its values with a backslash between, cut to `bytes`. False, and
 * "", where it is not there or empty. */
bool dicom_set_text(const dicom_set *set, const dicom_item *in, uint32_t tag, char *out,
                    size_t bytes);
/* The first value of an element of decimal text or binary numbers. */
bool dicom_set_number(const dicom_item *in, uint32_t tag, double *out);
/* The 16-bit numbers of an element (US, SS, OW), borrowed; *is_signed: it is SS. Returns how many;
 * 0 where it is not there. */
size_t dicom_set_words(const dicom_item *in, uint32_t tag, const uint16_t **out, bool *is_signed);

/* Decodes Pixel Data, if it is compressed, as the caller has made sure that it can be. */
bool dicom_set_decode(dicom_set *set, char why[DICOM_WHY_BYTES]);
/* The stored values, as this machine has numbers, in units of 1 or 2 bytes; borrowed. Returns how
 * many bytes; 0 where there are none. */
size_t dicom_set_pixels(dicom_set *set, int unit_bytes, const void **out);

#ifdef __cplusplus
}
#endif

#endif
