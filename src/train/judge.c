/* Whether data take a configuration, before any run of it is begun. */
#include <stdlib.h>
#include <string.h>

#include "run.h"

#include "pulmo/memory.h"

bool pulmo_train_check_reads(const char *key)
{
    static const char *const read[] = {
        "data.path",          "data.fold",        "model.positive_class",  "train.monitor",
        "train.patience",     "eval.calibration", "train.unfreeze_epochs", "eval.threshold",
        "optim.class_weights"};
    for (size_t i = 0; i < PULMO_COUNT_OF(read); i++)
        if (strcmp(key, read[i]) == 0)
            return true;
    return false;
}

static pulmo_status check_data(run *r)
{
    PULMO_TRY(run_open_data_local(r));
    const pulmo_dataset_info *train = train_info(r);
    PULMO_TRY(pulmo_positive_from(r->config, train, &r->model.positive));
    PULMO_TRY(run_check_config(r));
    return pulmo_class_weights_from(r->config, train, r->recipe.class_weights);
}

pulmo_status pulmo_train_check(pulmo_comm *comm, const pulmo_config *config)
{
    run *r = calloc(1, sizeof *r);
    if (!r)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a run");
    r->comm = comm;
    r->config = config;
    r->directory = config->train.run_dir;
    pulmo_status status = check_data(r);
    run_close_data(r);
    free(r);
    return status;
}
