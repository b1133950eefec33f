/* Which weight file this is. */
#ifndef PULMO_WEIGHTS_CHECK_H
#define PULMO_WEIGHTS_CHECK_H

#include <stdio.h>
#include "pulmo/config.h"
#include "pulmo/status.h"

/* What the file of config->model.weights is, in words, with a known-answer pass through plain code
 * and through the engine. PULMO_WEIGHTS, after all has been said, where training would refuse it.
 */
pulmo_status pulmo_weights_check(FILE *out, const pulmo_config *config);

#endif
