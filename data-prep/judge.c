/* Whether a listed source is what its options take it for: patterns, patients. */
#include "judge.h"

#include <stdlib.h>
#include <string.h>

#include "patients.h"
#include "ways.h"

#include "pulmo/dataset.h"
#include "pulmo/text.h"

/* From so many files on, a pattern is judged by the patients that it makes. */
#define FILES_TELLING 10
/* A pattern that gives one patient more than this part of its files does not tell patients apart.
 */
#define PART_MOST   0.8
#define FOLDS_LEAST 3

/* ---- patterns ---- */

size_t judge_given_count(const source_list *list, int split)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += list->file[i].split == split && !list->file[i].refusal;
    return count;
}

/* The file's name without its folders. */
static const char *name_of(const source_file *file)
{
    const char *slash = strrchr(file->path, '/');
    return slash ? slash + 1 : file->path;
}

static pulmo_status judge_exclusion(const source_list *list, const pulmo_config *config)
{
    const char *given = config->pack.exclude_pattern;
    if (*given && list->excluded == 0)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.exclude_pattern: \"%s\": matches none of the %zu file%s in %s",
                          given, list->count, pulmo_plural(list->count), list->root);
    if (list->count == 0 && list->excluded > 0)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.exclude_pattern: \"%s\": matches all of the %zu file%s in %s",
                          given, list->excluded, pulmo_plural(list->excluded), list->root);
    if (list->count == 0)
        return pulmo_fail(PULMO_DATA, "%s: its class folders hold no files", list->root);
    return PULMO_OK;
}

static pulmo_status judge_hold(const source_list *list, int split, const char *given)
{
    if (!*given)
        return PULMO_OK;
    if (list->held[split] == 0)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.%s_pattern: \"%s\": matches none of the %zu file%s in %s; it is "
                          "matched on paths below the class folders, such as %s of %s",
                          pulmo_split_name(split), given, list->count, pulmo_plural(list->count),
                          list->root, name_of(&list->file[0]), list->file[0].path);
    if (judge_given_count(list, PULMO_SPLIT_TRAIN) == 0)
        return pulmo_fail(
            PULMO_CONFIG,
            "pack.%s_pattern: \"%s\": leaves none of the %zu file%s in %s to train on",
            pulmo_split_name(split), given, list->count, pulmo_plural(list->count), list->root);
    return PULMO_OK;
}

static pulmo_status judge_labels(const source_list *list, const char *given)
{
    if (!*given || list->labelled > 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "pack.label_pattern: \"%s\": matches none of the %zu file%s in %s; it is "
                      "matched on file names, such as %s",
                      given, list->count, pulmo_plural(list->count), list->root,
                      name_of(&list->file[0]));
}

/* ---- patients ---- */

typedef struct listed_file {
    const source_file *file;
} listed_file;

static int by_group(const void *a, const void *b)
{
    const source_file *x = ((const listed_file *)a)->file, *y = ((const listed_file *)b)->file;
    int order = strcmp(x->group, y->group);
    return order ? order : strcmp(x->label, y->label);
}

/* What the pattern made of the files that it matches. */
typedef struct made_patients {
    size_t files, patients, classes; /* classes: of each patient, added up */
    size_t most;                     /* files of the patient who has most */
    const char *largest;
} made_patients;

static void count_patients(const listed_file *list, size_t count, made_patients *out)
{
    size_t in_group = 0;
    for (size_t i = 0; i < count; i++) {
        const source_file *file = list[i].file, *before = i > 0 ? list[i - 1].file : NULL;
        bool same = before && strcmp(before->group, file->group) == 0;
        bool same_class = same && strcmp(before->label, file->label) == 0;
        in_group = same ? in_group + 1 : 1;
        out->patients += !same;
        out->classes += !same_class;
        if (in_group > out->most) {
            out->most = in_group;
            out->largest = file->group;
        }
    }
    out->files = count;
}

static size_t count_labels(const source_list *list)
{
    size_t labels = 0;
    for (size_t i = 0; i < list->count; i++) {
        bool seen = false;
        for (size_t k = i; k > 0 && !seen && labels < PULMO_CLASSES_MAX; k--)
            seen = strcmp(list->file[k - 1].label, list->file[i].label) == 0;
        labels += !seen;
    }
    return labels;
}

/* Whether there are files enough to judge by, and nearly all are one patient's. */
static bool is_nearly_one(const made_patients *made)
{
    bool most = (double)made->most > PART_MOST * (double)made->files;
    return most && made->files >= FILES_TELLING;
}

/* Whether each class became a patient. */
static bool is_by_class(const source_list *list, const made_patients *made)
{
    if (made->files < FILES_TELLING || made->patients < 2)
        return false;
    return made->classes == made->patients && made->patients == count_labels(list);
}

/* Whether that does not tell patients apart. */
static bool tells_none_apart(const source_list *list, const made_patients *made)
{
    return is_nearly_one(made) || is_by_class(list, made);
}

/* Of files whose patient a table tells, nobody asks the pattern. */
static pulmo_status fail_unmatched(const source_list *list, const char *given)
{
    size_t open = 0;
    const char *example = "";
    if (ways_table_part(list) == TABLE_OF_ALL)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.group_pattern: \"%s\": plays no part: pack.table_patient comes "
                          "before it and tells the patients of all files; leave one of the two out",
                          given);
    for (size_t i = 0; i < list->count; i++) {
        const source_file *file = &list->file[i];
        if (file->rule == PATIENT_TABLE)
            continue;
        if (open++ == 0)
            example = file->path;
    }
    const bool all = ways_table_part(list) == TABLE_OF_NONE;
    return pulmo_fail(PULMO_CONFIG,
                      "pack.group_pattern: \"%s\": matches none of the %zu file%s in %s%s; it is "
                      "matched on paths below the source, such as %s",
                      given, open, pulmo_plural(open), list->root,
                      all ? "" : " whose patients pack.table_patient does not tell", example);
}

static pulmo_status judge_made(const source_list *list, const char *given,
                               const made_patients *made)
{
    const char *example = list->file[0].path;
    if (made->files == 0)
        return fail_unmatched(list, given);
    if (!tells_none_apart(list, made))
        return PULMO_OK;
    return pulmo_fail(
        PULMO_CONFIG,
        "pack.group_pattern: \"%s\": makes %zu patient%s of %zu files, and %zu of them "
        "\"%s\"; its first group must be what differs between patients, in paths "
        "such as %s",
        given, made->patients, pulmo_plural(made->patients), made->files, made->most, made->largest,
        example);
}

/* What the rules from `first` to `last` made of the files that they told. */
static pulmo_status count_made(const source_list *list, int first, int last, made_patients *out)
{
    size_t count = 0;
    listed_file *told = malloc((list->count + 1) * sizeof *told);
    if (!told)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %zu files", list->count);
    for (size_t i = 0; i < list->count; i++) {
        const source_file *file = &list->file[i];
        if (file->rule >= first && file->rule <= last && !source_file_is_open(list, file))
            told[count++].file = file;
    }
    qsort(told, count, sizeof *told, by_group);
    count_patients(told, count, out);
    free(told);
    return PULMO_OK;
}

static pulmo_status judge_groups(const source_list *list, const char *given)
{
    made_patients made = {0};
    if (!*given)
        return PULMO_OK;
    PULMO_TRY(count_made(list, PATIENT_PATTERN, PATIENT_PATTERN, &made));
    return judge_made(list, given, &made);
}

/* IM-0001-0001.jpeg is what many viewers call an image: names may look like those of a set. */
static pulmo_status judge_schemes(const source_list *list)
{
    made_patients made = {0};
    PULMO_TRY(count_made(list, PATIENT_SCHEMES, PATIENT_RULES_MAX, &made));
    if (!is_nearly_one(&made))
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "%s: %zu of %zu files have names of one patient, \"%s\", as a public set "
                      "would have them; give the rule of your names as pack.group_pattern, whose "
                      "first group is the patient, as in \"([^/]*)/[^/]*$\" for a folder each",
                      list->root, made.most, made.files, made.largest);
}

/* A column of the same word in all rows, or of numbers that a spreadsheet has rounded. */
static pulmo_status judge_column(const source_list *list, const char *column)
{
    made_patients made = {0};
    PULMO_TRY(count_made(list, PATIENT_TABLE, PATIENT_TABLE, &made));
    if (!tells_none_apart(list, &made))
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "pack.table_patient: \"%s\": makes %zu patient%s of %zu files, and %zu of "
                      "them \"%s\"; name the column whose cells differ between patients, and "
                      "leave a cell blank where the patient is not known",
                      column, made.patients, pulmo_plural(made.patients), made.files, made.most,
                      made.largest);
}

/* An export without names often gives all films one PatientID. */
static pulmo_status judge_patient_ids(const source_list *list)
{
    made_patients made = {0};
    PULMO_TRY(count_made(list, PATIENT_HEADER, PATIENT_HEADER, &made));
    if (!tells_none_apart(list, &made))
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "%s: %zu of %zu DICOM files have one PatientID, \"%s\", as if they were of "
                      "one patient; if they are not, pack.header_patient: false leaves it unread, "
                      "and pack.group_pattern finds patients in paths",
                      list->root, made.most, made.files, made.largest);
}

size_t judge_unknown(const source_list *list, int split, const char **first)
{
    size_t unknown = 0;
    for (size_t i = 0; i < list->count; i++) {
        const source_file *file = &list->file[i];
        if (file->split != split || file->refusal || file->rule != PATIENT_UNKNOWN)
            continue;
        if (source_file_is_open(list, file))
            continue;
        if (unknown++ == 0)
            *first = file->path;
    }
    return unknown;
}

bool judge_is_split_off(const source_list *list, const pulmo_config *config, int split)
{
    double fraction =
        split == PULMO_SPLIT_VAL ? config->pack.val_fraction : config->pack.test_fraction;
    size_t count = judge_given_count(list, split);
    if (list->held[split] > 0 || fraction <= 0)
        return false;
    return count == 0 || (split == PULMO_SPLIT_VAL && count < PULMO_SPLIT_MEANINGFUL);
}

/* Whether the number of folds is one, and they are what val is to be. */
static pulmo_status judge_folds(const pulmo_config *config)
{
    int64_t folds = config->pack.folds;
    if (folds > 0 && folds < FOLDS_LEAST)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.folds: %lld: one is the test and one val, so %d or more",
                          (long long)folds, FOLDS_LEAST);
    if (folds > 0 && config->pack.val_fraction > 0)
        return pulmo_fail(
            PULMO_CONFIG,
            "pack.folds: %lld, and pack.val_fraction: %g: each says what val is; leave "
            "one out",
            (long long)folds, config->pack.val_fraction);
    return PULMO_OK;
}

/* What files whose patient is unknown have. */
static const char *what_tells_none(const source_list *list)
{
    if (list->nameless > 0)
        return "neither a PatientID nor a name that tells a patient";
    return "names that tell none";
}

static pulmo_status judge_splitting(const source_list *list, const pulmo_config *config)
{
    const char *first = "";
    bool folds = config->pack.folds > 0;
    bool val = judge_is_split_off(list, config, PULMO_SPLIT_VAL);
    bool test = judge_is_split_off(list, config, PULMO_SPLIT_TEST);
    if (!(val || test || folds) || config->pack.patients_unknown)
        return PULMO_OK;
    size_t unknown = judge_unknown(list, PULMO_SPLIT_TRAIN, &first);
    if (val)
        unknown += judge_unknown(list, PULMO_SPLIT_VAL, &first);
    if (unknown == 0)
        return PULMO_OK;
    if (list->updates)
        return pulmo_fail(
            PULMO_DATA,
            "%s: patients unknown: %zu of the files to split have %s, such as %s, and "
            "a patient in several splits makes scores too good. --update keeps the options: rename "
            "them as the packed files are "
            "named, take them out, or pack anew with --overwrite and "
            "pack.group_pattern or --patients-unknown",
            list->root, unknown, what_tells_none(list), first);
    return pulmo_fail(PULMO_DATA,
                      "%s: patients unknown: %zu of the files to split have %s, "
                      "such as %s, and a patient in several splits makes scores too good. %s; "
                      "--patients-unknown splits as if each file were a patient",
                      list->root, unknown, what_tells_none(list), first, ways_to_unknown(config));
}

pulmo_status judge_list(const source_list *list, const pulmo_config *config)
{
    PULMO_TRY(judge_exclusion(list, config));
    PULMO_TRY(judge_hold(list, PULMO_SPLIT_VAL, config->pack.val_pattern));
    PULMO_TRY(judge_hold(list, PULMO_SPLIT_TEST, config->pack.test_pattern));
    PULMO_TRY(judge_labels(list, config->pack.label_pattern));
    PULMO_TRY(judge_groups(list, config->pack.group_pattern));
    PULMO_TRY(judge_column(list, config->pack.table_patient));
    PULMO_TRY(judge_schemes(list));
    PULMO_TRY(judge_folds(config));
    return judge_splitting(list, config);
}

pulmo_status judge_headers(const source_list *list, const pulmo_config *config)
{
    PULMO_TRY(judge_patient_ids(list));
    PULMO_TRY(judge_schemes(list));
    return judge_splitting(list, config);
}
