/* What may be kept of a DICOM file's header, by its keyword (PS3.6). */
#include "header.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "pulmo/image.h"
#include "pulmo/text.h"

static const struct {
    const char *keyword;
    uint32_t tag;
} elements[] = {
    {"PatientAge", 0x00101010},
    {"PatientSex", 0x00100040},
    {"ViewPosition", 0x00185101},
    {"PatientSize", 0x00101020},
    {"PatientWeight", 0x00101030},
    {"PatientOrientation", 0x00200020},
    {"Laterality", 0x00200060},
    {"ImageLaterality", 0x00200062},
    {"BodyPartExamined", 0x00180015},
    {"Modality", 0x00080060},
    {"Manufacturer", 0x00080070},
    {"ManufacturerModelName", 0x00081090},
    {"InstitutionName", 0x00080080},
    {"StationName", 0x00081010},
    {"StudyDate", 0x00080020},
    {"SeriesDate", 0x00080021},
    {"AcquisitionDate", 0x00080022},
    {"StudyDescription", 0x00081030},
    {"SeriesDescription", 0x0008103E},
    {"ProtocolName", 0x00181030},
    {"StudyID", 0x00200010},
    {"AccessionNumber", 0x00080050},
    {"StudyInstanceUID", 0x0020000D},
    {"SeriesInstanceUID", 0x0020000E},
    {"SOPInstanceUID", 0x00080018},
    {"KVP", 0x00180060},
    {"ExposureTime", 0x00181150},
    {"Exposure", 0x00181152},
    {"XRayTubeCurrent", 0x00181151},
    {"DistanceSourceToDetector", 0x00181110},
    {"DetectorType", 0x00187004},
    {"DetectorID", 0x0018700A},
    {"PixelSpacing", 0x00280030},
    {"ImagerPixelSpacing", 0x00181164},
    {"Rows", 0x00280010},
    {"Columns", 0x00280011},
    {"BitsStored", 0x00280101},
    {"PhotometricInterpretation", 0x00280004},
};
#define ELEMENTS ((int)(sizeof elements / sizeof *elements))

int pulmo_header_find(const char *keyword)
{
    for (int i = 0; i < ELEMENTS; i++)
        if (strcmp(elements[i].keyword, keyword) == 0)
            return i;
    return -1;
}

const char *pulmo_header_keyword(int element)
{
    return element >= 0 && element < ELEMENTS ? elements[element].keyword : NULL;
}

uint32_t header_tag(int element)
{
    return elements[element].tag;
}

/* ---- text ---- */

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7F;
}

/* Takes the begun character off the end of a text that was cut. */
static void end_whole(char *text)
{
    size_t length = strlen(text);
    const size_t least = length > 3 ? length - 3 : 0;
    while (length > least && !pulmo_text_is_utf8(text)) {
        const unsigned char last = (unsigned char)text[length - 1];
        if (last < 0x80)
            return;
        length--;
        text[length] = '\0';
    }
}

/* Bytes that are not UTF-8, each taken for a character of Latin-1, as far as there is room. */
static void take_for_latin(char *text, size_t room)
{
    char raw[PULMO_PATIENT_BYTES];
    char *to = text;
    snprintf(raw, sizeof raw, "%s", text);
    for (const char *c = raw; *c && (size_t)(to - text) + 2 < room; c++) {
        const unsigned char byte = (unsigned char)*c;
        if (byte >= 0x80)
            *to++ = (char)(0xC0 | byte >> 6);
        *to++ = (char)(byte >= 0x80 ? 0x80 | (byte & 0x3F) : byte);
    }
    *to = '\0';
}

void header_clean(char *text, size_t room)
{
    const size_t before = strspn(text, " ");
    size_t length = strlen(text + before);
    memmove(text, text + before, length + 1);
    while (length > 0 && text[length - 1] == ' ')
        length--;
    text[length] = '\0';
    if (length + 2 >= room)
        end_whole(text);
    if (!pulmo_text_is_utf8(text))
        take_for_latin(text, room);
    for (char *c = text; *c; c++)
        if (is_control(*c))
            *c = '?';
}
