/* How the images of a pack were given their shape: what was asked for, and what it can mean. */
#include <stdio.h>
#include <string.h>

#include "packing.h"

#include "pulmo/log.h"

pulmo_framing framing_from(const pulmo_config *config)
{
    pulmo_config usual;
    pulmo_config_init(&usual);
    pulmo_framing framing = {.fit = (pulmo_fit)config->pack.fit,
                             .crop_border = config->pack.border != 0,
                             .fast = config->pack.decode == PULMO_DECODE_FAST};
    snprintf(framing.window, sizeof framing.window, "%s", config->pack.window);
    if (strcmp(config->pack.modalities, usual.pack.modalities) != 0)
        snprintf(framing.modalities, sizeof framing.modalities, "%s", config->pack.modalities);
    return framing;
}

/* Whether every image that was decoded is as wide as high; where there is none, too. */
static bool are_square(const part_store *store)
{
    for (size_t i = 0; i < store->list->count; i++)
        if (store->records[i].usable && !store->records[i].square)
            return false;
    return true;
}

static pulmo_status refuse_borders(const packing *p)
{
    return pulmo_fail(PULMO_USAGE,
                      "%s: all images are square, so they were squashed before; what is left "
                      "without their borders can be squashed only: give pack.fit squash with "
                      "pack.border crop, or pack.aspect kept if they are square by themselves",
                      p->options.source);
}

static pulmo_status refuse_update(const packing *p)
{
    return pulmo_fail(PULMO_USAGE,
                      "%s: was packed of square images only, which are taken as squashed; among "
                      "the new ones are others: pack anew with --overwrite",
                      p->options.destination);
}

pulmo_status packing_choose_framing(packing *p)
{
    const pulmo_config *config = p->options.config;
    pulmo_framing *framing = &p->form.framing;
    *framing = framing_from(config);
    bool asked = framing->fit != PULMO_FIT_SQUASH && config->pack.aspect == PULMO_ASPECT_AUTO;
    bool squashed = asked && are_square(p->old ? &p->added : &p->store);
    if (p->old) {
        bool as_asked = p->old->framing.fit == framing->fit;
        if (!as_asked && !squashed)
            return refuse_update(p);
        squashed = !as_asked;
    }
    if (!squashed)
        return PULMO_OK;
    if (framing->crop_border)
        return refuse_borders(p);
    if (pulmo_comm_rank(p->comm) == 0)
        pulmo_info("all images are square: recorded as squashed, not by pack.fit %s; predict will "
                   "squash its images, too (pack.aspect kept, if these are square by themselves)",
                   pulmo_framing_name(framing, PULMO_FRAMING_FIT));
    framing->fit = PULMO_FIT_SQUASH;
    return PULMO_OK;
}
