/* Whether images that a model is judged by are images that it was made of. */
#include "overlap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/split.h"
#include "pulmo/text.h"

/* What a run's results.h5 says of the data it was trained on. */
typedef struct origin {
    char *packed, *digest;
    int64_t fold;
} origin;

char *results_beside(const char *run)
{
    struct stat about;
    const char *slash = strrchr(run, '/');
    if (stat(run, &about) == 0 && S_ISDIR(about.st_mode))
        return pulmo_format("%s/results.h5", run);
    if (!slash)
        return pulmo_strdup("results.h5");
    return pulmo_format("%.*s/results.h5", (int)(slash - run), run);
}

/* Judged images that a split has too. */
typedef struct common {
    uint32_t files;       /* the same file */
    uint32_t other_files; /* the same packed pixels, out of another file */
} common;

typedef struct overlap {
    common with[PULMO_SPLITS];
    bool by_files_alone; /* pixels were packed to another form, and could not tell */
} overlap;

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

/* Another run's results may have come beside the model. Those of a run under way name none. */
static pulmo_status check_model(pulmo_h5 *file, const char *head_digest)
{
    char *theirs = NULL;
    if (!pulmo_h5_has_attribute(file, "/", "head_sha256"))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_get_text(file, "/", "head_sha256", &theirs));
    bool same = strcmp(theirs, head_digest) == 0;
    free(theirs);
    if (same)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s: is of another model than the one beside it",
                      pulmo_h5_path(file));
}

static pulmo_status find_origin(const char *run, const char *head_digest, origin *out)
{
    pulmo_h5 *file = NULL;
    char *path = results_beside(run);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = check_model(file, head_digest);
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

/* The digests of a data set's images, of either kind; each one's own, or NULL. */
typedef struct digests {
    char **of[PULMO_DIGESTS_OF_IMAGE];
} digests;

static void free_digests(digests *d)
{
    for (int kind = 0; kind < PULMO_DIGESTS_OF_IMAGE; kind++)
        free(d->of[kind]);
}

static pulmo_status read_digests(const pulmo_dataset *dataset, digests *out)
{
    for (int kind = 0; kind < PULMO_DIGESTS_OF_IMAGE; kind++)
        PULMO_TRY(pulmo_dataset_digests(dataset, (pulmo_digest_of_image)kind, &out->of[kind]));
    return PULMO_OK;
}

static bool is_among(char *const *sorted, uint32_t count, char *const *digest)
{
    return bsearch(digest, sorted, count, sizeof *sorted, by_text) != NULL;
}

/* How many of the judged images are among those of a split. */
static pulmo_status count_common(const digests *judged, uint32_t count, const pulmo_dataset *split,
                                 common *out)
{
    const uint32_t known = pulmo_dataset_info_of(split)->count;
    digests theirs = {0};
    pulmo_status status;
    if (known == 0)
        return PULMO_OK;
    PULMO_GOTO(read_digests(split, &theirs));
    for (int kind = 0; kind < PULMO_DIGESTS_OF_IMAGE; kind++)
        qsort(theirs.of[kind], known, sizeof *theirs.of[kind], by_text);
    for (uint32_t i = 0; i < count; i++) {
        char *const *file = &judged->of[PULMO_DIGEST_OF_SOURCE][i];
        char *const *pixels = &judged->of[PULMO_DIGEST_OF_PIXELS][i];
        if (is_among(theirs.of[PULMO_DIGEST_OF_SOURCE], known, file))
            out->files++;
        else if (is_among(theirs.of[PULMO_DIGEST_OF_PIXELS], known, pixels))
            out->other_files++;
    }
out:
    free_digests(&theirs);
    return status;
}

/* Pixels can tell only where both were packed to the same form. */
static bool are_alike(const pulmo_dataset *a, const pulmo_dataset *b)
{
    const pulmo_dataset_info *left = pulmo_dataset_info_of(a);
    const pulmo_dataset_info *right = pulmo_dataset_info_of(b);
    if (left->height_px != right->height_px || left->width_px != right->width_px)
        return false;
    for (int part = 0; part < PULMO_FRAMING_PARTS; part++)
        if (pulmo_framing_get(&left->framing, part) != pulmo_framing_get(&right->framing, part))
            return false;
    return true;
}

static pulmo_status compare(const origin *from, const pulmo_dataset *judged, overlap *out)
{
    pulmo_dataset *split[PULMO_SPLITS] = {0};
    const uint32_t count = pulmo_dataset_info_of(judged)->count;
    digests mine = {0};
    pulmo_status status;
    PULMO_GOTO(open_splits(from, split));
    PULMO_GOTO(read_digests(judged, &mine));
    for (int i = 0; i < PULMO_SPLITS; i++)
        PULMO_GOTO(count_common(&mine, count, split[i], &out->with[i]));
    out->by_files_alone = !are_alike(split[PULMO_SPLIT_TRAIN], judged);
out:
    free_digests(&mine);
    for (int i = 0; i < PULMO_SPLITS; i++)
        pulmo_dataset_close(split[i]);
    return status;
}

/* `did` is what `run` did with them: "was trained on". Nothing where there are none. */
static void warn_of(const common *with, const char *run, const char *did, uint32_t count,
                    const char *name)
{
    char others[96] = "";
    if (with->files + with->other_files == 0)
        return;
    if (with->other_files > 0)
        snprintf(others, sizeof others, " (%u by the same pixels in another file)",
                 with->other_files);
    pulmo_warn("%s %s %u of the %u image%s of %s%s: the figures flatter it", run, did,
               with->files + with->other_files, count, pulmo_plural(count), name, others);
}

void overlap_say(const char *run, const char *head_digest, const pulmo_dataset *judged,
                 const char *name)
{
    const uint32_t count = pulmo_dataset_info_of(judged)->count;
    overlap found = {0};
    origin from = {0};
    pulmo_status status = find_origin(run, head_digest, &from);
    if (status == PULMO_OK)
        status = compare(&from, judged, &found);
    free(from.packed);
    free(from.digest);
    if (status != PULMO_OK) {
        pulmo_info("%s: whether it was trained on images of %s was not checked: %s", run, name,
                   pulmo_error());
        pulmo_error_clear();
        return;
    }
    const common *trained = &found.with[PULMO_SPLIT_TRAIN];
    const common *chosen = &found.with[PULMO_SPLIT_VAL];
    warn_of(trained, run, "was trained on", count, name);
    warn_of(chosen, run, "had its epoch and threshold chosen on", count, name);
    if (trained->files + trained->other_files + chosen->files + chosen->other_files == 0)
        pulmo_info("%s was trained on none of the %u image%s of %s%s", run, count,
                   pulmo_plural(count), name,
                   found.by_files_alone ? ", as far as files tell: pixels were packed otherwise"
                                        : "");
}
