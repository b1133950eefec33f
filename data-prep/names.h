/* Inside the preparation room: names that stay at home. Once a list's names are hidden, all that is
 * made of it has pseudonyms; log lines are shown with the names, since people know no others. */
#ifndef PULMO_PREP_NAMES_H
#define PULMO_PREP_NAMES_H

#include "source.h"

#include "pulmo/dist.h"
#include "pulmo/h5.h"
#include "pulmo/pack.h"

/* Whether names are to be hidden, by pack.pseudonyms and the list; if so, reads their key, or makes
 * it where nothing is packed yet. PULMO_CONFIG where the key is open to others, or lies in SOURCE
 * or DEST. Collective. */
pulmo_status names_choose(pulmo_comm *comm, const pulmo_pack_options *options, source_list *list);

/* Where that was chosen: paths, patients and times of a list become pseudonyms, and the list comes
 * in their order, which tells nothing. From here on the log shows names in their place; of a
 * patient that a header tells, a file is read again for it. The list must stay where it is. */
pulmo_status names_hide(source_list *list);
/* The same of a PatientID that was read from a header, in place: `bytes` is the room there. ""
 * stays as it is. */
pulmo_status names_hide_patient(const source_list *list, char *patient, size_t bytes);
/* The pseudonym of what a patient's name has in common with those that are probably the same
 * (pulmo_text_fold): equal for names that are alike. "" where names are not hidden, or of "". */
pulmo_status names_fold_patient(const source_list *list, const char *patient,
                                char out[PULMO_PSEUDONYM]);

/* What of a configuration stands in files that travel: places are left out; with pseudonyms, what a
 * person may have written names into is a pseudonym too. Owned by the caller (free). */
pulmo_status names_visible(const source_list *list, const pulmo_config *config, pulmo_config **out);

/* The PatientID in the header of a file, `path` below the source, if this is its pseudonym: reads
 * the file. Owned by the caller; NULL if it is not. */
char *names_patient_of_header(const source_list *list, const char *path, const char *pseudonym);

/* Ends that: the report of a failure gets names in place of pseudonyms. Returns `status`. */
pulmo_status names_reveal(const source_list *list, pulmo_status status);

/* The key by which a pack was made, which its manifest names. *is_hidden: false for a pack without
 * pseudonyms. PULMO_CONFIG where the key there is another. */
pulmo_status names_key_of(pulmo_h5 *manifest, const char *key_file, bool *is_hidden,
                          pulmo_pseudonym_key *out);
/* Names of all files below a source by their pseudonyms. Owned by the caller. */
pulmo_status names_of_files(const char *root, const pulmo_pseudonym_key *key,
                            pulmo_pseudonyms **out);

#endif
