/* Whether images that a model is judged by are images that it was made of. */
#include "overlap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/split.h"

/* What a run's results.h5 says of the data it was trained on. */
typedef struct origin {
    char *packed, *digest;
    int64_t fold;
} origin;

/* Beside the model, which `run` is or holds. NULL for want of memory. */
static char *results_path(const char *run)
{
    struct stat about;
    const char *slash = strrchr(run, '/');
    if (stat(run, &about) == 0 && S_ISDIR(about.st_mode))
        return pulmo_format("%s/results.h5", run);
    if (!slash)
        return pulmo_strdup("results.h5");
    return pulmo_format("%.*s/results.h5", (int)(slash - run), run);
}

static pulmo_status read_origin(pulmo_h5 *file, origin *out)
{
    if (!pulmo_h5_has_attribute(file, "/", "data_sha256"))
        return pulmo_fail(PULMO_DATA, "%s: does not say what was trained on", pulmo_h5_path(file));
    PULMO_TRY(pulmo_h5_get_text(file, "/", "data_sha256", &out->digest));
    PULMO_TRY(pulmo_h5_get_text(file, "provenance", "data_path", &out->packed));
    out->fold = -1;
    if (pulmo_h5_has_attribute(file, "provenance", "data_fold"))
        PULMO_TRY(pulmo_h5_get_int(file, "provenance", "data_fold", &out->fold));
    return PULMO_OK;
}

static pulmo_status find_origin(const char *run, origin *out)
{
    pulmo_h5 *file = NULL;
    char *path = results_path(run);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = read_origin(file, out);
    pulmo_h5_close(file);
    free(path);
    return status;
}

/* The run's own splits, if they still are what they were. */
static pulmo_status open_splits(const origin *from, pulmo_dataset *split[PULMO_SPLITS])
{
    const char *of_splits[PULMO_SPLITS];
    char hex[PULMO_DIGEST_HEX];
    for (int i = 0; i < PULMO_SPLITS; i++) {
        PULMO_TRY(pulmo_dataset_open_fold(from->packed, (int)from->fold, pulmo_split_name(i), i > 0,
                                          &split[i]));
        of_splits[i] = pulmo_dataset_info_of(split[i])->digest_hex;
    }
    pulmo_dataset_digest(of_splits, hex);
    if (strcmp(hex, from->digest) == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s was packed anew since", from->packed);
}

static int by_text(const void *left, const void *right)
{
    const char *const *a = left;
    const char *const *b = right;
    return strcmp(*a, *b);
}

/* How many of the judged files are among those of a split. */
static pulmo_status count_common(char **judged, uint32_t count, const pulmo_dataset *split,
                                 uint32_t *out)
{
    const size_t known = pulmo_dataset_info_of(split)->count;
    char **sources = NULL;
    PULMO_TRY(pulmo_dataset_sources(split, &sources));
    *out = 0;
    if (known > 0)
        qsort(sources, known, sizeof *sources, by_text);
    for (uint32_t i = 0; known > 0 && i < count; i++)
        *out += bsearch(&judged[i], sources, known, sizeof *sources, by_text) != NULL;
    free(sources);
    return PULMO_OK;
}

static pulmo_status compare(const origin *from, const pulmo_dataset *judged,
                            uint32_t common[PULMO_SPLITS])
{
    pulmo_dataset *split[PULMO_SPLITS] = {0};
    const uint32_t count = pulmo_dataset_info_of(judged)->count;
    char **sources = NULL;
    pulmo_status status;
    PULMO_GOTO(open_splits(from, split));
    PULMO_GOTO(pulmo_dataset_sources(judged, &sources));
    for (int i = 0; i < PULMO_SPLITS; i++)
        PULMO_GOTO(count_common(sources, count, split[i], &common[i]));
out:
    free(sources);
    for (int i = 0; i < PULMO_SPLITS; i++)
        pulmo_dataset_close(split[i]);
    return status;
}

void overlap_say(const char *run, const pulmo_dataset *judged, const char *name)
{
    const uint32_t count = pulmo_dataset_info_of(judged)->count;
    uint32_t common[PULMO_SPLITS] = {0};
    origin from = {0};
    pulmo_status status = find_origin(run, &from);
    if (status == PULMO_OK)
        status = compare(&from, judged, common);
    free(from.packed);
    free(from.digest);
    if (status != PULMO_OK) {
        pulmo_info("%s: whether it was trained on images of %s was not checked: %s", run, name,
                   pulmo_error());
        pulmo_error_clear();
        return;
    }
    const uint32_t trained = common[PULMO_SPLIT_TRAIN];
    const uint32_t chosen = common[PULMO_SPLIT_VAL];
    if (trained > 0)
        pulmo_warn("%s was trained on %u of the %u images of %s: the figures flatter it", run,
                   trained, count, name);
    if (chosen > 0)
        pulmo_warn("%s had its epoch and threshold chosen on %u of the %u images of %s: the "
                   "figures flatter it",
                   run, chosen, count, name);
    if (trained + chosen == 0)
        pulmo_info("%s was trained on none of the %u files of %s", run, count, name);
}
