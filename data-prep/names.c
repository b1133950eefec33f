/* Names that stay at home: pseudonyms in place of paths and patients, before anything is written.
 */
#include "names.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folders.h"

#include "pulmo/file.h"
#include "pulmo/image.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

#define FILE_BYTES_MAX ((size_t)256 << 20)

/* ---- whether ---- */

/* Files are known by their first bytes; those that are called JPEG or PNG are not looked into. */
static pulmo_status find_dicom(const source_list *list, bool *found)
{
    *found = false;
    for (size_t i = 0; i < list->count && !*found; i++) {
        const source_file *file = &list->file[i];
        if (!pulmo_image_may_be_dicom(file->path) || file->refusal)
            continue;
        char *path = source_file_place(list->root, file);
        if (!path)
            return PULMO_MEMORY;
        *found = pulmo_image_is_dicom(path);
        free(path);
    }
    return PULMO_OK;
}

static pulmo_status judge_place(const pulmo_pack_options *options, const char *path)
{
    const char *const travelling[] = {options->source, options->destination};
    for (size_t i = 0; i < PULMO_COUNT_OF(travelling); i++)
        if (pulmo_file_is_inside(path, travelling[i]))
            return pulmo_fail(PULMO_CONFIG,
                              "pack.key_file: %s: lies in %s, and would travel with it; choose "
                              "another place",
                              path, travelling[i]);
    return PULMO_OK;
}

static bool looks_like_a_name(const char *column)
{
    static const char *const parts[] = {"name",  "patientid", "patient_id", "patient id",
                                        "birth", "accession", "address",    "mrn"};
    for (size_t i = 0; i < PULMO_COUNT_OF(parts); i++)
        if (strcasestr(column, parts[i]))
            return true;
    return false;
}

/* What the user names is kept; a column that looks like a name is not kept without a word. */
static void warn_of_kept(const source_list *list, const pulmo_config *config)
{
    if (!list->labels)
        return;
    pulmo_label_lines kept = pulmo_labels_kept(list->labels);
    for (size_t k = 0; k < kept.count; k++) {
        const char *column = kept.text[k];
        const bool is_patient = strcmp(column, config->pack.table_patient) == 0;
        const bool is_path = strcmp(column, config->pack.table_path) == 0;
        if (is_patient || is_path || looks_like_a_name(column))
            pulmo_warn("pack.keep: %s looks like what tells whose image one is; it is stored as it "
                       "is, though names are pseudonyms",
                       column);
    }
}

/* Who gives a key wants pseudonyms: names in the clear would be a surprise. */
static pulmo_status judge_unused_key(const pulmo_config *config)
{
    const char *given = config->pack.key_file;
    if (*given == '\0' || config->pack.pseudonyms != PULMO_PSEUDONYMS_AUTO)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "pack.key_file: %s: names no key that is used: the source has no DICOM file, "
                      "so that pack.pseudonyms: auto is off; set pack.pseudonyms: on, or leave the "
                      "key out",
                      given);
}

typedef struct chosen_key {
    bool hides;
    pulmo_pseudonym_key key;
} chosen_key;

static pulmo_status choose_local(const pulmo_pack_options *options, const source_list *list,
                                 chosen_key *out)
{
    char *path = NULL;
    const pulmo_config *config = options->config;
    out->hides = config->pack.pseudonyms == PULMO_PSEUDONYMS_ON;
    if (config->pack.pseudonyms == PULMO_PSEUDONYMS_AUTO)
        PULMO_TRY(find_dicom(list, &out->hides));
    if (!out->hides)
        return judge_unused_key(config);
    PULMO_TRY(pulmo_pseudonym_key_place(config->pack.key_file, &path));
    pulmo_status status = judge_place(options, path);
    if (status == PULMO_OK)
        status = pulmo_pseudonym_key_read(path, !list->updates, &out->key);
    if (status == PULMO_OK)
        pulmo_info("patients and paths are written as pseudonyms, by the key %s", path);
    free(path);
    if (status == PULMO_OK)
        warn_of_kept(list, config);
    return status;
}

pulmo_status names_choose(pulmo_comm *comm, const pulmo_pack_options *options, source_list *list)
{
    chosen_key chosen = {0};
    pulmo_status status = PULMO_OK;
    if (pulmo_comm_rank(comm) == 0)
        status = choose_local(options, list, &chosen);
    PULMO_TRY(pulmo_agree(comm, status));
    PULMO_TRY(pulmo_bcast(comm, &chosen, sizeof chosen, 0));
    if (chosen.hides) {
        status = pulmo_pseudonym_key_name(&chosen.key, list->key_name);
        if (status == PULMO_OK)
            status = pulmo_pseudonyms_create(&chosen.key, &list->names);
    }
    explicit_bzero(&chosen, sizeof chosen);
    return pulmo_agree(comm, status);
}

/* ---- hiding ---- */

static pulmo_status hide_path(pulmo_pseudonyms *names, source_file *file)
{
    char hidden[PULMO_PSEUDONYM];
    const char *path = file->path;
    PULMO_TRY(pulmo_pseudonyms_add(names, PULMO_NAME_PATH, path, strlen(path), hidden));
    char *whole = pulmo_format("%s%s", hidden, pulmo_image_suffix(path));
    if (!whole)
        return PULMO_MEMORY;
    file->given = file->path;
    file->path = whole;
    return PULMO_OK;
}

static pulmo_status hide_older(pulmo_pseudonyms *names, source_file *file)
{
    char hidden[PULMO_PSEUDONYM];
    const char *older = file->older;
    if (!older)
        return PULMO_OK;
    PULMO_TRY(pulmo_pseudonyms_add(names, PULMO_NAME_PATIENT, older, strlen(older), hidden));
    char *copy = pulmo_strdup(hidden);
    if (!copy)
        return PULMO_MEMORY;
    free(file->older);
    file->older = copy;
    return PULMO_OK;
}

/* The patient as far as the name shows, and for certain; both in one piece of memory. */
static pulmo_status hide_patient(pulmo_pseudonyms *names, source_file *file)
{
    const size_t sure_bytes = (size_t)file->sure_bytes;
    char *hidden = calloc(2, PULMO_PSEUDONYM);
    char *sure = hidden + PULMO_PSEUDONYM;
    if (!hidden)
        return pulmo_fail(PULMO_MEMORY, "out of memory for pseudonyms");
    pulmo_status status =
        pulmo_pseudonyms_add(names, PULMO_NAME_PATIENT, file->group, strlen(file->group), hidden);
    if (status == PULMO_OK && sure_bytes > 0)
        status = pulmo_pseudonyms_add(names, PULMO_NAME_PATIENT, file->sure, sure_bytes, sure);
    free(file->group);
    file->group = hidden;
    file->sure = sure;
    file->sure_bytes = (int)strlen(sure);
    return status == PULMO_OK ? hide_older(names, file) : status;
}

/* Of when a file was changed, which may be when the patient came, only "the same" can be told. */
static pulmo_status hide_time(const pulmo_pseudonym_key *key, source_file *file)
{
    char hidden[PULMO_PSEUDONYM];
    char *text = pulmo_format("%lld %s", (long long)file->modified_ns, file->path);
    if (!text)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_pseudonym_of(key, PULMO_NAME_TIME, text, strlen(text), hidden);
    free(text);
    PULMO_TRY(status);
    hidden[15] = '\0'; /* 60 bits */
    file->modified_ns = (int64_t)strtoull(hidden, NULL, 16);
    return PULMO_OK;
}

/* ---- showing ---- */

char *names_patient_of_header(const source_list *list, const char *path, const char *pseudonym)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    pulmo_image image = {0};
    pulmo_decode_spec spec;
    pulmo_decode_notes notes = {0};
    char hidden[PULMO_PATIENT_BYTES];
    char *place = pulmo_format("%s/%s", list->root, path);
    pulmo_decode_spec_init(&spec);
    spec.modalities = "any";
    spec.pixels_max = UINT64_MAX; /* pack has taken it */
    if (place && pulmo_file_read(place, FILE_BYTES_MAX, &data, &bytes) == PULMO_OK)
        pulmo_image_decode(data, bytes, &spec, &image, &notes);
    pulmo_error_clear();
    pulmo_image_free(&image);
    free(data);
    free(place);
    memcpy(hidden, notes.patient, sizeof hidden);
    const bool same = names_hide_patient(list, hidden, sizeof hidden) == PULMO_OK &&
                      strcmp(hidden, pseudonym) == 0;
    return same ? pulmo_strdup(notes.patient) : NULL;
}

static const source_file *file_of_patient(const source_list *list, const char *pseudonym)
{
    for (size_t i = 0; i < list->count; i++) {
        const source_file *file = &list->file[i];
        if (file->given && strcmp(file->group, pseudonym) == 0)
            return file;
    }
    return NULL;
}

/* No file's name tells a patient of a header: one of the patient's files is read again. */
static void learn_patient(const source_list *list, const char *pseudonym)
{
    char hidden[PULMO_PSEUDONYM];
    const source_file *file = file_of_patient(list, pseudonym);
    char *patient = file ? names_patient_of_header(list, file->given, pseudonym) : NULL;
    if (!patient)
        return;
    const size_t bytes = strlen(patient);
    pulmo_pseudonyms_add(list->names, PULMO_NAME_PATIENT, patient, bytes, hidden);
    pulmo_pseudonyms_sort(list->names);
    free(patient);
}

static void learn_patients(const source_list *list, const char *line)
{
    char pseudonym[PULMO_PSEUDONYM];
    const char *at = line;
    while ((at = pulmo_pseudonyms_unknown(list->names, at)) != NULL) {
        snprintf(pseudonym, sizeof pseudonym, "%s", at);
        learn_patient(list, pseudonym);
        at += strlen(pseudonym);
    }
}

/* A pulmo_log_reveal, by a source_list. The line may be this thread's report, which stays. */
static char *shown_names(const void *context, const char *line)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    const source_list *list = context;
    pulmo_failure report;
    char *copy = pulmo_strdup(line);
    if (!copy)
        return NULL;
    pulmo_failure_keep(&report, PULMO_RUNTIME);
    pthread_mutex_lock(&lock);
    learn_patients(list, copy);
    char *shown = pulmo_pseudonyms_reveal(list->names, copy);
    pthread_mutex_unlock(&lock);
    pulmo_failure_raise(&report);
    free(copy);
    return shown;
}

/* ---- a list ---- */

static int by_path(const void *a, const void *b)
{
    return strcmp(((const source_file *)a)->path, ((const source_file *)b)->path);
}

pulmo_status names_hide(source_list *list)
{
    if (!list->names)
        return PULMO_OK;
    for (size_t i = 0; i < list->count; i++) {
        source_file *file = &list->file[i];
        PULMO_TRY(hide_time(pulmo_pseudonyms_key(list->names), file));
        PULMO_TRY(hide_patient(list->names, file));
        PULMO_TRY(hide_path(list->names, file));
    }
    qsort(list->file, list->count, sizeof *list->file, by_path);
    pulmo_pseudonyms_sort(list->names);
    pulmo_log_set_reveal(shown_names, list);
    return PULMO_OK;
}

pulmo_status names_fold_patient(const source_list *list, const char *patient,
                                char out[PULMO_PSEUDONYM])
{
    out[0] = '\0';
    if (!list->names || *patient == '\0')
        return PULMO_OK;
    char *folded = pulmo_text_fold(patient);
    if (!folded)
        return pulmo_fail(PULMO_MEMORY, "out of memory for names");
    const pulmo_pseudonym_key *key = pulmo_pseudonyms_key(list->names);
    pulmo_status status = pulmo_pseudonym_of(key, PULMO_NAME_PATIENT, folded, strlen(folded), out);
    free(folded);
    return status;
}

pulmo_status names_hide_patient(const source_list *list, char *patient, size_t bytes)
{
    char hidden[PULMO_PSEUDONYM];
    const size_t length = strlen(patient);
    if (!list->names || length == 0)
        return PULMO_OK;
    const pulmo_pseudonym_key *key = pulmo_pseudonyms_key(list->names);
    PULMO_TRY(pulmo_pseudonym_of(key, PULMO_NAME_PATIENT, patient, length, hidden));
    memset(patient, 0, bytes);
    snprintf(patient, bytes, "%s", hidden);
    return PULMO_OK;
}

/* ---- options ---- */

static pulmo_status hide_pattern(const pulmo_pseudonym_key *key, char pattern[PULMO_TEXT_BYTES])
{
    char hidden[PULMO_PSEUDONYM];
    if (!*pattern)
        return PULMO_OK;
    PULMO_TRY(pulmo_pseudonym_of(key, PULMO_NAME_PATTERN, pattern, strlen(pattern), hidden));
    snprintf(pattern, PULMO_TEXT_BYTES, "%s", hidden);
    return PULMO_OK;
}

static pulmo_status hide_patterns(const pulmo_pseudonym_key *key, pulmo_config *config)
{
    PULMO_TRY(hide_pattern(key, config->pack.group_pattern));
    PULMO_TRY(hide_pattern(key, config->pack.label_pattern));
    PULMO_TRY(hide_pattern(key, config->pack.val_pattern));
    PULMO_TRY(hide_pattern(key, config->pack.test_pattern));
    PULMO_TRY(hide_pattern(key, config->pack.where));
    return hide_pattern(key, config->pack.exclude_pattern);
}

/* A copy of the source elsewhere packs into the same bytes. */
static void leave_places_out(pulmo_config *config)
{
    char *const place[] = {config->pack.table,    config->pack.join,      config->pack.train_list,
                           config->pack.val_list, config->pack.test_list, config->pack.key_file};
    for (size_t i = 0; i < PULMO_COUNT_OF(place); i++)
        place[i][0] = '\0';
}

pulmo_status names_visible(const source_list *list, const pulmo_config *config, pulmo_config **out)
{
    pulmo_status status = PULMO_OK;
    pulmo_config *shown = malloc(sizeof *shown);
    if (!shown)
        return pulmo_fail(PULMO_MEMORY, "out of memory for options");
    *shown = *config;
    leave_places_out(shown);
    shown->pack.pseudonyms = list->names ? PULMO_PSEUDONYMS_ON : PULMO_PSEUDONYMS_OFF;
    if (list->names)
        status = hide_patterns(pulmo_pseudonyms_key(list->names), shown);
    if (status == PULMO_OK)
        *out = shown;
    else
        free(shown);
    return status;
}

pulmo_status names_reveal(const source_list *list, pulmo_status status)
{
    pulmo_log_set_reveal(NULL, NULL);
    if (status == PULMO_OK || !list->names)
        return status;
    char *text = shown_names(list, pulmo_error());
    if (text)
        pulmo_fail(status, "%s", text);
    free(text);
    return status;
}

/* ---- of a finished pack ---- */

static pulmo_status judge_key(const char *path, const char *wanted, const pulmo_pseudonym_key *key,
                              const char *manifest)
{
    char name[PULMO_KEY_NAME];
    PULMO_TRY(pulmo_pseudonym_key_name(key, name));
    if (strcmp(name, wanted) == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "%s: is the key %s, and the names of %s are by the key %s; pack.key_file "
                      "says where that one is",
                      path, name, manifest, wanted);
}

pulmo_status names_key_of(pulmo_h5 *manifest, const char *key_file, bool *is_hidden,
                          pulmo_pseudonym_key *out)
{
    char *wanted = NULL;
    char *path = NULL;
    *is_hidden = pulmo_h5_has_attribute(manifest, "/", "pseudonyms");
    if (!*is_hidden)
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(manifest, "/", "pseudonyms", &wanted));
    pulmo_status status = pulmo_pseudonym_key_place(key_file, &path);
    if (status == PULMO_OK)
        status = pulmo_pseudonym_key_read(path, false, out);
    if (status == PULMO_OK)
        status = judge_key(path, wanted, out, pulmo_h5_path(manifest));
    free(path);
    free(wanted);
    return status;
}

/* Folders of a path, at most; no file that pack takes is deeper. */
#define FOLDERS_MOST 20

static bool is_deep(const char *path)
{
    int folders = 0;
    for (const char *at = path; (at = strchr(at, '/')); at++)
        folders++;
    return folders > FOLDERS_MOST;
}

static pulmo_status add_folder(const char *root, const char *folder, pulmo_pseudonyms *names);

static pulmo_status add_entry(const char *root, const char *path, pulmo_pseudonyms *names)
{
    char hidden[PULMO_PSEUDONYM];
    bool folder = false;
    PULMO_TRY(folder_find(root, path, &folder));
    if (folder && is_deep(path))
        return PULMO_OK; /* a loop of links */
    if (folder)
        return add_folder(root, path, names);
    return pulmo_pseudonyms_add(names, PULMO_NAME_PATH, path, strlen(path), hidden);
}

static pulmo_status add_folder(const char *root, const char *folder, pulmo_pseudonyms *names)
{
    struct dirent **entries = NULL;
    int count = 0;
    PULMO_TRY(folder_list(root, folder, &entries, &count));
    pulmo_status status = PULMO_OK;
    for (int i = 0; i < count && status == PULMO_OK; i++) {
        char *path = folder_path(folder, entries[i]->d_name);
        status = path ? add_entry(root, path, names) : PULMO_MEMORY;
        free(path);
    }
    folder_list_free(entries, count);
    return status;
}

pulmo_status names_of_files(const char *root, const pulmo_pseudonym_key *key,
                            pulmo_pseudonyms **out)
{
    pulmo_pseudonyms *names = NULL;
    PULMO_TRY(pulmo_pseudonyms_create(key, &names));
    pulmo_status status = add_folder(root, "", names);
    if (status != PULMO_OK) {
        pulmo_pseudonyms_destroy(names);
        return status;
    }
    pulmo_pseudonyms_sort(names);
    *out = names;
    return PULMO_OK;
}
