/* Inside the preparation room: whose image a file is, as far as its path tells. */
#ifndef PULMO_PREP_PATIENTS_H
#define PULMO_PREP_PATIENTS_H

#include <stdbool.h>
#include <stddef.h>

#include "patterns.h"

#include "pulmo/status.h"

/* Which rule told the patient. Naming schemes follow, one number each. */
enum { PATIENT_UNKNOWN, PATIENT_TABLE, PATIENT_PATTERN, PATIENT_HEADER, PATIENT_SCHEMES };

/* A patient found in a path, whose characters it borrows. */
typedef struct patient_name {
    int rule;
    text_span group; /* images of one group stay in one split */
    text_span sure;  /* equal only for images of one patient for certain; 0 bytes: unknown */
} patient_name;

typedef struct patient_rules patient_rules;

/* The rules in the order in which they are tried: the pattern (borrowed, must outlive), on the path
 * and then on the file name alone, and the naming schemes of public sets. Owned by the caller. */
pulmo_status patient_rules_create(const pattern *by_pattern, patient_rules **out);
void patient_rules_destroy(patient_rules *rules); /* NULL is a no-op */

/* `below` is where the path below the class folder begins: where no rule matches, the group is
 * that path without its ending, as packs of 0.1.0 have it; other packs take the file itself. */
patient_name patient_find(const patient_rules *rules, const char *path, size_t below);

/* "pack.group_pattern", "names of NIH ChestX-ray14"; static storage. */
const char *patient_rule_name(int rule);
/* The first rule of the same name: a set may take several schemes. */
int patient_rule_base(int rule);
#define PATIENT_RULES_MAX 16 /* above every rule's number */

#endif
