/* `pulmo verify`: files by the digests in them; a pack also as `pack --verify` does; of a run also
 * whether its files are of one another. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "pulmo/digest.h"
#include "pulmo/file.h"
#include "pulmo/h5.h"
#include "pulmo/inspect.h"
#include "pulmo/memory.h"
#include "pulmo/model.h"
#include "pulmo/pack.h"

/* Whether DIRECTORY/NAME is there. */
static pulmo_status look_at(const char *directory, const char *name, bool *there)
{
    char *path = pulmo_format("%s/%s", directory, name);
    if (!path)
        return PULMO_MEMORY;
    pulmo_status status = pulmo_file_look(path, there);
    free(path);
    return status;
}

/* ---- a run ---- */

/* The digest of the model that results are of; "" where they do not say, as those of a run under
 * way, or are of a release before digests. */
static pulmo_status digest_in_results(const char *run, char hex[PULMO_DIGEST_HEX])
{
    pulmo_h5 *file = NULL;
    char *text = NULL;
    char *path = pulmo_format("%s/results.h5", run);
    if (!path)
        return PULMO_MEMORY;
    *hex = '\0';
    pulmo_status status = pulmo_h5_open(path, &file);
    free(path);
    PULMO_TRY(status);
    if (pulmo_h5_is_verified(file) && pulmo_h5_has_attribute(file, "/", "head_sha256"))
        status = pulmo_h5_get_text(file, "/", "head_sha256", &text);
    if (text)
        snprintf(hex, PULMO_DIGEST_HEX, "%s", text);
    pulmo_h5_close(file);
    free(text);
    return status;
}

/* Each may be what was written, and one of them by another run. */
static pulmo_status verify_together(const char *run)
{
    bool has_model = false;
    bool has_results = false;
    char wanted[PULMO_DIGEST_HEX];
    char found[PULMO_DIGEST_HEX];
    pulmo_model model;
    PULMO_TRY(look_at(run, "model.h5", &has_model));
    PULMO_TRY(look_at(run, "results.h5", &has_results));
    if (!has_model || !has_results)
        return PULMO_OK;
    PULMO_TRY(digest_in_results(run, wanted));
    if (*wanted == '\0')
        return PULMO_OK;
    PULMO_TRY(pulmo_model_read(run, &model));
    pulmo_model_head_digest(&model, found);
    pulmo_model_free(&model);
    if (strcmp(found, wanted) == 0)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_DATA,
        "%s: results.h5 is of another model than model.h5 (head SHA-256 %.12s..., not "
        "%.12s...): they are not of one run; restore them from a copy, or train again",
        run, wanted, found);
}

static pulmo_status verify_files(const char *path)
{
    PULMO_TRY(pulmo_verify(path, stdout));
    return verify_together(path);
}

/* ---- all of it ---- */

/* Files by one rank, pixels of a pack by all; MPI starts only for these. */
pulmo_status run_verify(arguments *a)
{
    const char *path = a->operands[0];
    bool packed = false;
    bool root = launched_rank() == 0;
    PULMO_TRY(look_at(path, "manifest.h5", &packed));
    if (packed)
        PULMO_TRY(launch_ranks(a));
    pulmo_status status = root ? verify_files(path) : PULMO_OK;
    if (!packed)
        return status;
    PULMO_TRY(pulmo_agree(a->comm, status));
    pulmo_config_init(&a->config);
    const pulmo_pack_options options = {
        .destination = path, .config = &a->config, .threads = a->threads};
    return pulmo_pack_verify(a->comm, &options);
}
