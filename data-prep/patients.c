/* Whose image a file is: naming schemes of public sets, told by name, and the user's pattern. */
#include "patients.h"

#include <stdlib.h>
#include <string.h>

#define END "[^/]*$" /* what matches before it is in the file's name */

/* A scheme is matched on the path relative to the source. `patient` and `sure` are groups of the
 * expression. They differ where the publisher numbers kinds of cases apart: person1_bacteria_2 and
 * person1_virus_6 of the Kaggle set are two children, kept in one split to be on the safe side. */
static const struct {
    const char *name, *expression;
    int patient, sure;
} schemes[] = {
    {"names of the Kermany set (Kaggle)", "(^|/)((person[0-9]+)_[^_./]*)" END, 3, 2},
    {"names of the Kermany set (Kaggle)", "(^|/)(([^/]*-)?IM-[0-9]+)" END, 2, 2},
    {"names of the Kermany set (Mendeley V3)",
     "(^|/)(BACTERIA|VIRUS|NORMAL|CNV|DME|DRUSEN)-([0-9]+)-[0-9]+[.]" END, 3, 3},
    {"names of NIH ChestX-ray14", "(^|/)([0-9]{8})_[0-9]{3}[.]" END, 2, 2},
    {"names of CheXpert", "(^|/)(patient[0-9]+)[/_-]study[0-9]+[/_-]", 2, 2},
    {"names of MIMIC-CXR", "(^|/)(p[0-9]{8})[/_-]s[0-9]+[/_-]", 2, 2},
};
#define SCHEMES ((int)(sizeof schemes / sizeof *schemes))
_Static_assert(PATIENT_SCHEMES + SCHEMES <= PATIENT_RULES_MAX, "room for every rule");

struct patient_rules {
    const pattern *by_pattern;
    pattern scheme[SCHEMES];
};

pulmo_status patient_rules_create(const pattern *by_pattern, patient_rules **out)
{
    patient_rules *rules = calloc(1, sizeof *rules);
    if (!rules)
        return pulmo_fail(PULMO_MEMORY, "out of memory for rules of names");
    rules->by_pattern = by_pattern;
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < SCHEMES && status == PULMO_OK; i++)
        status = pattern_compile(schemes[i].name, schemes[i].expression, true, &rules->scheme[i]);
    if (status == PULMO_OK)
        *out = rules;
    else
        patient_rules_destroy(rules);
    return status;
}

void patient_rules_destroy(patient_rules *rules)
{
    if (!rules)
        return;
    for (int i = 0; i < SCHEMES; i++)
        pattern_free(&rules->scheme[i]);
    free(rules);
}

/* A path or the whole of a file's name, without its ending. */
static text_span without_ending(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash : path;
    const char *dot = strrchr(name, '.');
    if (!dot)
        return (text_span){path, strlen(path)};
    return (text_span){path, (size_t)(dot - path)};
}

static bool find_by_pattern(const pattern *p, const char *path, patient_name *out)
{
    text_span found[PATTERN_SPANS];
    const char *slash = strrchr(path, '/');
    bool matched = pattern_find(p, path, found) && found[1].bytes > 0;
    if (!matched && slash)
        matched = pattern_find(p, slash + 1, found) && found[1].bytes > 0;
    if (matched)
        *out = (patient_name){PATIENT_PATTERN, found[1], found[1]};
    return matched;
}

patient_name patient_find(const patient_rules *rules, const char *path, size_t below)
{
    text_span found[PATTERN_SPANS];
    patient_name name = {.group = without_ending(path + below), .sure = {path, 0}};
    if (find_by_pattern(rules->by_pattern, path, &name))
        return name;
    for (int i = 0; i < SCHEMES; i++) {
        if (!pattern_find(&rules->scheme[i], path, found))
            continue;
        int rule = PATIENT_SCHEMES + i;
        text_span patient = found[schemes[i].patient];
        text_span sure = found[schemes[i].sure];
        return (patient_name){rule, patient, sure};
    }
    return name;
}

const char *patient_rule_name(int rule)
{
    if (rule == PATIENT_UNKNOWN)
        return "unknown";
    if (rule == PATIENT_TABLE)
        return "pack.table_patient";
    if (rule == PATIENT_PATTERN)
        return "pack.group_pattern";
    if (rule == PATIENT_HEADER)
        return "PatientID of DICOM headers";
    return schemes[rule - PATIENT_SCHEMES].name;
}

int patient_rule_base(int rule)
{
    const char *name = patient_rule_name(rule);
    for (int i = PATIENT_SCHEMES; i < rule; i++)
        if (strcmp(patient_rule_name(i), name) == 0)
            return i;
    return rule;
}
