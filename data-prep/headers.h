/* Inside the preparation room: what headers of DICOM files tell of a listed source. They are read
 * when files are decoded; source_file_is_open says whose patients are open until then. */
#ifndef PULMO_PREP_HEADERS_H
#define PULMO_PREP_HEADERS_H

#include "parts.h"
#include "source.h"

struct old_pack;

/* Which kept columns of the list are elements of headers. */
void headers_choose(source_list *list);

/* Patients and kept cells of the files that were decoded, by what was noted then; no file is open
 * any more. The store must outlive the list's cells. PULMO_MEMORY. */
pulmo_status headers_apply(const part_store *store, source_list *list);

/* The same, before that, for files that are packed already, by what the older pack says, which must
 * outlive the cells. */
pulmo_status headers_adopt(const struct old_pack *old, source_list *list);

#endif
