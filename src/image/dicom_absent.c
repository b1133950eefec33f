/* In place of dicom.c and dicom_dcmtk.cc, where pulmo is built without DCMTK. */
#include "formats.h"

pulmo_status dicom_decode(const void *data, size_t size_bytes, const pulmo_decode_spec *spec,
                          pulmo_image *out, pulmo_decode_notes *notes)
{
    (void)data;
    (void)size_bytes;
    (void)spec;
    (void)out;
    (void)notes;
    return pulmo_fail(PULMO_DATA, "is a DICOM file, and this pulmo was built without DCMTK: build "
                                  "it where libdcmtk-dev is installed, or convert the file to PNG");
}

const char *pulmo_dicom_library(void)
{
    return "not built in";
}
