/* What a run was made of: as its results.h5 keeps it, or, of runs before they did, as the packed
 * data that it names has it, if that still is what it was. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "overlap.h"
#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/split.h"

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

static pulmo_status read_names(pulmo_h5 *file, overlap_seen *out)
{
    int64_t fold = -1;
    if (!pulmo_h5_has_attribute(file, "/", "data_sha256"))
        return pulmo_fail(PULMO_DATA, "%s: does not say what was trained on", pulmo_h5_path(file));
    PULMO_TRY(pulmo_h5_get_text(file, "/", "data_sha256", &out->digest));
    PULMO_TRY(pulmo_h5_get_text(file, "provenance", "data_path", &out->packed));
    if (pulmo_h5_has_attribute(file, "provenance", "data_fold"))
        PULMO_TRY(pulmo_h5_get_int(file, "provenance", "data_fold", &fold));
    out->fold = (int)fold;
    return PULMO_OK;
}

static pulmo_status read_kept(pulmo_h5 *file, overlap_seen *out)
{
    out->is_kept = pulmo_h5_exists(file, "seen/train") && pulmo_h5_exists(file, "seen/val");
    if (!out->is_kept)
        return PULMO_OK;
    PULMO_TRY(pulmo_identities_read(file, "seen/train", &out->split[PULMO_SPLIT_TRAIN]));
    return pulmo_identities_read(file, "seen/val", &out->split[PULMO_SPLIT_VAL]);
}

static pulmo_status read_results(const char *run, const char *head_digest, overlap_seen *out)
{
    pulmo_h5 *file = NULL;
    char *path = results_beside(run);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_h5_open(path, &file);
    if (status == PULMO_OK)
        status = check_model(file, head_digest);
    if (status == PULMO_OK)
        status = read_names(file, out);
    if (status == PULMO_OK)
        status = read_kept(file, out);
    pulmo_h5_close(file);
    free(path);
    return status;
}

/* ---- packed data ---- */

static void close_splits(pulmo_dataset *split[PULMO_SPLITS])
{
    for (int i = 0; i < PULMO_SPLITS; i++)
        pulmo_dataset_close(split[i]);
}

/* The splits of a packed set, if they are those that were trained on. */
static pulmo_status open_splits(const overlap_seen *seen, const char *data,
                                pulmo_dataset *split[PULMO_SPLITS])
{
    const char *of_splits[PULMO_SPLITS];
    char hex[PULMO_DIGEST_HEX];
    for (int i = 0; i < PULMO_SPLITS; i++) {
        PULMO_TRY(pulmo_dataset_open_fold(data, seen->fold, pulmo_split_name(i), i > 0, &split[i]));
        of_splits[i] = pulmo_dataset_info_of(split[i])->digest_hex;
    }
    pulmo_dataset_digest(of_splits, hex);
    if (strcmp(hex, seen->digest) == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_DATA, "%s was packed anew since", data);
}

bool overlap_is_own(const overlap_seen *seen, const char *data)
{
    pulmo_dataset *split[PULMO_SPLITS] = {0};
    const bool own = open_splits(seen, data, split) == PULMO_OK;
    close_splits(split);
    pulmo_error_clear();
    return own;
}

static pulmo_status read_packed(overlap_seen *out)
{
    pulmo_dataset *split[PULMO_SPLITS] = {0};
    pulmo_status status = open_splits(out, out->packed, split);
    for (int i = PULMO_SPLIT_TRAIN; i <= PULMO_SPLIT_VAL && status == PULMO_OK; i++)
        status = pulmo_identities_of(split[i], &out->split[i]);
    close_splits(split);
    return status;
}

/* ---- either ---- */

pulmo_status overlap_seen_of(const char *run, const char *head_digest, overlap_seen *out)
{
    memset(out, 0, sizeof *out);
    PULMO_TRY(read_results(run, head_digest, out));
    if (out->is_kept)
        return PULMO_OK;
    PULMO_TRY(read_packed(out));
    pulmo_info("%s does not keep which images it was made of, as runs do by now: its packed data, "
               "%s, was looked at",
               run, out->packed);
    return PULMO_OK;
}

void overlap_seen_free(overlap_seen *seen)
{
    free(seen->packed);
    free(seen->digest);
    for (int i = 0; i < PULMO_SPLITS; i++)
        pulmo_identities_free(&seen->split[i]);
    memset(seen, 0, sizeof *seen);
}
