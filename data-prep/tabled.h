/* Inside the preparation room: what tables of labels and new names make of a listed source. */
#ifndef PULMO_PREP_TABLED_H
#define PULMO_PREP_TABLED_H

#include <stdint.h>

#include "source.h"

#include "pulmo/digest.h"
#include "pulmo/packed.h"

/* PULMO_CONFIG where keys of tables cannot be read or two of them say one thing. Touches no file.
 */
pulmo_status tabled_check(const pulmo_config *config);

/* Classes, patients, splits and kept columns by the tables and lists that the configuration names;
 * new names of labels (pack.label_map), of folders too. Files that have no class then leave the
 * list, and are counted in list->table_notes. The keys have been checked. PULMO_DATA
 * where no file is left, and as pulmo/table.h says. */
pulmo_status tabled_apply(source_list *list, const pulmo_config *config);

/* What tables say beside classes and patients: splits, and kept columns. */
void tabled_digest(const source_list *list, pulmo_digester *digester);

/* The kept columns of a split, whose files stand in this order (count). Owned by the caller
 * (tabled_columns_free). */
pulmo_status tabled_columns(const source_list *list, const uint32_t *order,
                            pulmo_packed_split *split);
void tabled_columns_free(pulmo_packed_split *split);

/* What was left out, for the manifest; borrowed from the list. */
void tabled_describe(const source_list *list, pulmo_manifest *manifest);

#endif
