/* What a trial would be made with now: the weights, the tier, the libraries. */
#include <string.h>

#include "pulmo/head.h"
#include "pulmo/log.h"
#include "pulmo/specs.h"
#include "pulmo/weights.h"
#include "sweep_room.h"

/* Where the weights are not at hand, a table of what is finished is still wanted. */
static void read_weights(const pulmo_config *config, sweep_made *out)
{
    pulmo_weights weights;
    pulmo_weights_choice choice = pulmo_weights_choice_from(config);
    choice.any = true; /* proof is for those who train */
    if (pulmo_weights_open(&choice, &weights) == PULMO_OK) {
        pulmo_digest_hex(&weights.digest, out->weights);
        pulmo_weights_free(&weights);
        return;
    }
    pulmo_warn("whether finished trials were made with these weights is not known: %s",
               pulmo_error());
    pulmo_error_clear();
}

pulmo_status sweep_made_now(const pulmo_config *config, sweep_made *out)
{
    bool same_path = strcmp(out->path, config->model.weights) == 0;
    if (out->known && same_path && out->preprocessing == config->model.preprocessing)
        return PULMO_OK;
    memset(out, 0, sizeof *out);
    out->preprocessing = config->model.preprocessing;
    snprintf(out->path, sizeof out->path, "%s", config->model.weights);
    out->known = true;
    read_weights(config, out);
    return PULMO_OK;
}
