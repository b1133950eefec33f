/* pulmo pack --who: the way back from pseudonyms, for who has the key and the source. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/text.h"

typedef struct asking {
    const pulmo_pack_options *options;
    source_list list;
    pulmo_h5 *manifest;
    size_t unknown_paths, unknown_patients;
} asking;

/* `group`: the patient's pseudonym; "" for a refused file. */
static void print_line(asking *a, const char *pseudonym, const char *group)
{
    const char *path = pulmo_pseudonyms_find(a->list.names, pseudonym);
    const char *patient = pulmo_pseudonyms_find(a->list.names, group);
    char *of_header = NULL;
    if (path && !patient && *group)
        patient = of_header = names_patient_of_header(&a->list, path, group);
    a->unknown_paths += !path;
    a->unknown_patients += *group && !patient;
    const char *const fields[] = {pseudonym, path ? path : "", group, patient ? patient : ""};
    for (size_t i = 0; i < PULMO_COUNT_OF(fields); i++) {
        if (i > 0)
            putchar(',');
        pulmo_csv_name(stdout, fields[i]);
    }
    putchar('\n');
    free(of_header);
}

static pulmo_status print_split(asking *a, const char *split)
{
    char name[64];
    char **paths = NULL;
    char **groups = NULL;
    uint64_t count = 0;
    uint64_t patients = 0;
    snprintf(name, sizeof name, "splits/%s/paths", split);
    if (!pulmo_h5_exists(a->manifest, name))
        return PULMO_OK;
    pulmo_status status = pulmo_h5_read_strings(a->manifest, name, &count, &paths);
    snprintf(name, sizeof name, "splits/%s/groups", split);
    if (status == PULMO_OK)
        status = pulmo_h5_read_strings(a->manifest, name, &patients, &groups);
    if (status == PULMO_OK && patients != count)
        status = pulmo_fail(PULMO_DATA, "%s: lists of a split differ in length",
                            pulmo_h5_path(a->manifest));
    for (uint64_t i = 0; status == PULMO_OK && i < count; i++)
        print_line(a, paths[i], groups[i]);
    free(groups);
    free(paths);
    return status;
}

static pulmo_status print_refused(asking *a)
{
    char **paths = NULL;
    uint64_t count = 0;
    PULMO_TRY(pulmo_h5_read_strings(a->manifest, "refused/paths", &count, &paths));
    for (uint64_t i = 0; i < count; i++)
        print_line(a, paths[i], "");
    free(paths);
    return PULMO_OK;
}

static pulmo_status print_all(asking *a)
{
    puts("pseudonym,path,patient_pseudonym,patient");
    for (int s = 0; s < PULMO_SPLITS; s++)
        PULMO_TRY(print_split(a, pulmo_split_name(s)));
    PULMO_TRY(print_refused(a));
    if (a->unknown_paths > 0)
        pulmo_warn("%zu file%s of the pack %s not found in %s", a->unknown_paths,
                   pulmo_plural(a->unknown_paths), pulmo_are(a->unknown_paths), a->options->source);
    if (a->unknown_patients > 0)
        pulmo_warn("the patients of %zu file%s are not found; give the options of the pack, which "
                   "say how patients are told",
                   a->unknown_patients, pulmo_plural(a->unknown_patients));
    return PULMO_OK;
}

/* The source's names as the pack has them. */
static pulmo_status find_names(asking *a)
{
    const pulmo_config *config = a->options->config;
    const source_use use = {.tests = a->options->like};
    pulmo_pseudonym_key key;
    bool hidden = false;
    PULMO_TRY(names_key_of(a->manifest, config->pack.key_file, &hidden, &key));
    if (!hidden)
        return pulmo_fail(PULMO_USAGE,
                          "%s: has no pseudonyms: its paths and patients are as they "
                          "are in the source",
                          a->options->destination);
    pulmo_status status = source_list_make(a->options->source, config, use, &a->list);
    if (status == PULMO_OK)
        status = pulmo_pseudonyms_create(&key, &a->list.names);
    explicit_bzero(&key, sizeof key);
    PULMO_TRY(status);
    PULMO_TRY(names_hide(&a->list));
    return names_reveal(&a->list, PULMO_OK);
}

static pulmo_status who_local(const pulmo_pack_options *options)
{
    asking a = {.options = options};
    char *path = pulmo_format("%s/manifest.h5", options->destination);
    pulmo_status status = path ? pulmo_h5_open(path, &a.manifest) : PULMO_MEMORY;
    if (status == PULMO_OK)
        status = find_names(&a);
    if (status == PULMO_OK)
        status = print_all(&a);
    source_list_free(&a.list);
    pulmo_h5_close(a.manifest);
    free(path);
    return status;
}

pulmo_status pulmo_pack_who(pulmo_comm *comm, const pulmo_pack_options *options)
{
    pulmo_status status = PULMO_OK;
    if (pulmo_comm_rank(comm) == 0)
        status = who_local(options);
    return pulmo_agree(comm, status);
}
