/* One reader of weights: bytes that are not its format's are passed over. */
#ifndef PULMO_FUZZ_WEIGHTS_H
#define PULMO_FUZZ_WEIGHTS_H

#include <math.h>

#include "pulmo/weights.h"
#include "target.h"

/* All that was accepted can be computed with. */
static inline void check_weights(const pulmo_weights *weights)
{
    FUZZ_CHECK(weights->convs > 0, "no convolutions");
    for (int i = 0; i < weights->convs; i++) {
        const pulmo_conv *conv = &weights->conv[i];
        const size_t count = 9 * (size_t)conv->in_channels * (size_t)conv->out_channels;
        for (size_t k = 0; k < count; k++)
            FUZZ_CHECK(isfinite(conv->weight[k]), "a weight that is not finite");
        for (int k = 0; k < conv->out_channels; k++)
            FUZZ_CHECK(isfinite(conv->bias[k]), "a bias that is not finite");
    }
}

static inline void fuzz_weights(const uint8_t *data, size_t size)
{
    pulmo_weights weights;
    fuzz_file file = fuzz_file_open(data, size);
    pulmo_status status = pulmo_weights_read(file.path, &weights);
    if (status == PULMO_OK)
        check_weights(&weights);
    fuzz_refused(status, PULMO_WEIGHTS);
    pulmo_weights_free(&weights);
    fuzz_file_close(&file);
}

#endif
