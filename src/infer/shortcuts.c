/* The shortcut audit of a split that a run is evaluated on: by the cue models of the images that
 * the run was trained on. */
#include "shortcuts.h"

#include <stdlib.h>
#include <string.h>

#include "overlap.h"
#include "pulmo/h5.h"
#include "pulmo/log.h"
#include "pulmo/file.h"
#include "pulmo/memory.h"

/* The cue models alone: what was judged there were other images. */
static pulmo_status read_models(const shortcuts_of *of, const char *path, pulmo_audit *out)
{
    pulmo_h5 *file = NULL;
    const int classes = pulmo_dataset_info_of(of->dataset)->classes;
    PULMO_TRY(pulmo_h5_open(path, &file));
    pulmo_status status = pulmo_audit_read(file, classes, out);
    pulmo_h5_close(file);
    out->splits = 0;
    return status;
}

/* Without a results.h5 beside the model, or of a run of eval.audit=false, there is no audit; one
 * that is damaged does not keep the model from being evaluated. */
static pulmo_status find_models(const shortcuts_of *of, pulmo_audit *out)
{
    bool found = false;
    char *path = results_beside(of->run);
    if (!path)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    pulmo_status status = pulmo_file_look(path, &found);
    if (status == PULMO_OK && found)
        status = read_models(of, path, out);
    if (status == PULMO_OK && out->audited == 0)
        pulmo_info("%s: no shortcut audit: %s", of->run,
                   found ? "results.h5 holds none" : "there is no results.h5");
    if (status == PULMO_DATA) {
        pulmo_warn("%s: no shortcut audit: %s", of->run, pulmo_error());
        pulmo_error_clear();
        out->audited = 0;
        status = PULMO_OK;
    }
    free(path);
    return status;
}

static pulmo_status measure(pulmo_comm *comm, const shortcuts_of *of, float **cues)
{
    pulmo_pool *pool = NULL;
    PULMO_TRY(pulmo_agree(comm, pulmo_pool_create(of->threads, &pool)));
    pulmo_status status = pulmo_cues_measure(comm, pool, of->dataset, cues);
    pulmo_pool_destroy(pool);
    return status;
}

pulmo_status shortcuts_audit(pulmo_comm *comm, const shortcuts_of *of, pulmo_audit *out)
{
    const pulmo_dataset_info *info = pulmo_dataset_info_of(of->dataset);
    const bool is_root = pulmo_comm_rank(comm) == 0;
    pulmo_status status = PULMO_OK;
    float *cues = NULL;
    memset(out, 0, sizeof *out);
    if (is_root)
        status = find_models(of, out);
    PULMO_TRY(pulmo_agree(comm, status));
    if (!pulmo_any(comm, out->audited > 0))
        return PULMO_OK;
    PULMO_TRY(measure(comm, of, &cues));
    if (is_root)
        status = pulmo_audit_judge(out, of->split, info, of->scored, cues);
    else
        pulmo_free(cues);
    return pulmo_agree(comm, status);
}
