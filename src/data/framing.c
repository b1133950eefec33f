/* How images were framed, as attributes. */
#include "pulmo/packed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "packed_room.h"
#include "pulmo/h5.h"

#define WINDOW     "dicom_window"
#define MODALITIES "dicom_modalities"

/* ---- decoders in words ---- */

static const char *const format_names[] = {"JPEG", "PNG", "DICOM"};

#define FAST "libjpeg, scaled integer DCT"

static const char *words_of(int format, bool fast)
{
    switch (format) {
    case PULMO_IMAGE_PNG:
        return "libpng, all depths to 8 bits";
    case PULMO_IMAGE_DICOM:
        return "DCMTK, mapped to 8 bits by PS3.3 C.11";
    default:
        return fast ? FAST : "libjpeg, accurate integer DCT";
    }
}

void pulmo_decode_words(unsigned formats, bool fast, char out[PULMO_DECODE_WORDS])
{
    const bool mixed = (formats & (formats - 1)) != 0;
    size_t at = 0;
    out[0] = '\0';
    for (int format = 0; format < PULMO_IMAGE_FORMATS; format++) {
        if (!(formats & (1u << format)))
            continue;
        at += (size_t)snprintf(out + at, PULMO_DECODE_WORDS - at, "%s%s%s%s", at > 0 ? "; " : "",
                               mixed ? format_names[format] : "", mixed ? ": " : "",
                               words_of(format, fast));
    }
}

pulmo_status packed_write_formats(pulmo_h5 *file, unsigned formats)
{
    const char *named[PULMO_IMAGE_FORMATS];
    int count = 0;
    for (int format = 0; format < PULMO_IMAGE_FORMATS; format++)
        if (formats & (1u << format))
            named[count++] = format_names[format];
    return pulmo_h5_set_texts(file, "/", "formats", count, named);
}

pulmo_status pulmo_formats_read(pulmo_h5 *file, unsigned *out)
{
    char **named = NULL;
    int count = 0;
    PULMO_TRY(pulmo_h5_get_texts(file, "/", "formats", &count, &named));
    *out = 0;
    for (int i = 0; i < count; i++)
        for (int format = 0; format < PULMO_IMAGE_FORMATS; format++)
            if (strcmp(named[i], format_names[format]) == 0)
                *out |= 1u << format;
    free(named);
    return PULMO_OK;
}

/* ---- attributes ---- */

static pulmo_status write_text(pulmo_h5 *file, const char *name, const char *text)
{
    return *text ? pulmo_h5_set_text(file, "/", name, text) : PULMO_OK;
}

/* "" where the file does not state it. */
static pulmo_status read_text(pulmo_h5 *file, const char *object, const char *name,
                              char out[PULMO_FRAMING_TEXT])
{
    char *text = NULL;
    if (!pulmo_h5_has_attribute(file, object, name))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(file, object, name, &text));
    snprintf(out, PULMO_FRAMING_TEXT, "%s", text);
    free(text);
    return PULMO_OK;
}

pulmo_status pulmo_framing_write(pulmo_h5 *file, const pulmo_framing *framing)
{
    for (int part = 0; part < PULMO_FRAMING_PARTS; part++) {
        const char *name = pulmo_framing_part_of(part)->name;
        PULMO_TRY(pulmo_h5_set_text(file, "/", name, pulmo_framing_name(framing, part)));
    }
    PULMO_TRY(write_text(file, WINDOW, framing->window));
    return write_text(file, MODALITIES, framing->modalities);
}

static int find_value(const pulmo_framing_part *part, const char *text)
{
    for (int i = 0; part->names[i]; i++)
        if (strcmp(part->names[i], text) == 0)
            return i;
    return -1;
}

static pulmo_status read_part(pulmo_h5 *file, const char *object, int part, pulmo_framing *out)
{
    const pulmo_framing_part *about = pulmo_framing_part_of(part);
    char *text = NULL;
    if (!pulmo_h5_has_attribute(file, object, about->name))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(file, object, about->name, &text));
    const int value = find_value(about, text);
    pulmo_status status = PULMO_OK;
    if (value >= 0)
        pulmo_framing_set(out, part, value);
    else
        status = pulmo_fail(PULMO_DATA,
                            "%s: attribute %s is \"%.40s\", which this pulmo does not know: the "
                            "file is damaged, or of a later version",
                            pulmo_h5_path(file), about->name, text);
    free(text);
    return status;
}

/* Packs of earlier versions say only in words how they were decoded. */
static pulmo_status read_words(pulmo_h5 *file, const char *object, pulmo_framing *out)
{
    char *words = NULL;
    if (!pulmo_h5_has_attribute(file, object, "decode"))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(file, object, "decode", &words));
    out->fast = strcmp(words, FAST) == 0;
    free(words);
    return PULMO_OK;
}

pulmo_status pulmo_framing_read(pulmo_h5 *file, const char *object, pulmo_framing *out)
{
    *out = (pulmo_framing){0};
    PULMO_TRY(read_words(file, object, out));
    for (int part = 0; part < PULMO_FRAMING_PARTS; part++)
        PULMO_TRY(read_part(file, object, part, out));
    PULMO_TRY(read_text(file, object, WINDOW, out->window));
    return read_text(file, object, MODALITIES, out->modalities);
}
