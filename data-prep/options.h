/* Inside the preparation room: what a pack was asked for, as its manifest keeps it. */
#ifndef PULMO_PREP_OPTIONS_H
#define PULMO_PREP_OPTIONS_H

#include "source.h"

#include "pulmo/config.h"

/* The same text, the same data set: every key of the pack section, and every file's name and size.
 * `config` is as names_visible leaves it. Times play no part, so that a copy of the source packs
 * into the same bytes. Owned by the caller (free). */
pulmo_status options_describe(const source_list *list, const pulmo_config *config, char **out);

#endif
