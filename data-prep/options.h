/* Inside the preparation room: what a pack was asked for, as its manifest keeps it. */
#ifndef PULMO_PREP_OPTIONS_H
#define PULMO_PREP_OPTIONS_H

#include "lines.h"
#include "source.h"

#include "pulmo/config.h"

/* The same text and files, the same data set: every key of the pack section, and every file's name
 * and size. Times play no part, so that a copy of the source packs into the same bytes. Owned by
 * the caller (free). */
pulmo_status options_describe(const source_list *list, const pulmo_config *config, char **out);

/* Adds a line for each option that differs between two such texts, "pack.size: 64, was 48"; files
 * play no part. PULMO_MEMORY. */
pulmo_status options_compare(const char *ours, const char *theirs, text_lines *out);

#endif
