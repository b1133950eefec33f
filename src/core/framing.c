/* Names and words of a framing. */
#include "pulmo/framing.h"

#include <stdio.h>
#include <string.h>

static const char *const fits[] = {PULMO_FIT_NAMES, NULL};
static const char *const borders[] = {PULMO_BORDER_NAMES, NULL};
static const char *const decodings[] = {PULMO_DECODING_NAMES, NULL};

static const pulmo_framing_part parts[PULMO_FRAMING_PARTS] = {
    [PULMO_FRAMING_FIT] = {"fit", fits},
    [PULMO_FRAMING_BORDER] = {"border", borders},
    [PULMO_FRAMING_DECODING] = {"decoding", decodings},
};

const pulmo_framing_part *pulmo_framing_part_of(int part)
{
    return &parts[part];
}

int pulmo_framing_get(const pulmo_framing *framing, int part)
{
    if (part == PULMO_FRAMING_FIT)
        return (int)framing->fit;
    if (part == PULMO_FRAMING_BORDER)
        return framing->crop_border;
    return framing->fast;
}

void pulmo_framing_set(pulmo_framing *framing, int part, int value)
{
    if (part == PULMO_FRAMING_FIT)
        framing->fit = (pulmo_fit)value;
    else if (part == PULMO_FRAMING_BORDER)
        framing->crop_border = value != 0;
    else
        framing->fast = value != 0;
}

const char *pulmo_framing_name(const pulmo_framing *framing, int part)
{
    return parts[part].names[pulmo_framing_get(framing, part)];
}

bool pulmo_framing_equal(const pulmo_framing *a, const pulmo_framing *b)
{
    for (int part = 0; part < PULMO_FRAMING_PARTS; part++)
        if (pulmo_framing_get(a, part) != pulmo_framing_get(b, part))
            return false;
    return strcmp(a->window, b->window) == 0 && strcmp(a->modalities, b->modalities) == 0;
}

void pulmo_framing_words(const pulmo_framing *framing, char out[PULMO_FRAMING_WORDS])
{
    static const char *const of_fit[] = {
        [PULMO_FIT_SQUASH] = "",
        [PULMO_FIT_CROP] = ", of the central part of that aspect",
        [PULMO_FIT_PAD] = ", aspect kept, black beside it",
    };
    const char *border = framing->crop_border ? ", uniform borders cut before" : "";
    snprintf(out, PULMO_FRAMING_WORDS, "%s%s", of_fit[framing->fit], border);
}

void pulmo_framing_input(const pulmo_framing *framing, char out[PULMO_FRAMING_WORDS])
{
    const char *image = "the whole image";
    if (framing->crop_border)
        image = "the image without uniform borders";
    const char *before = framing->fit == PULMO_FIT_CROP ? "the central square of " : "";
    const char *behind = ", resized to";
    if (framing->fit == PULMO_FIT_PAD)
        behind = ", its aspect kept, on a black square of";
    snprintf(out, PULMO_FRAMING_WORDS, "%s%s%s", before, image, behind);
}
