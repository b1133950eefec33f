#include "trail.h"

#include <stdlib.h>
#include <string.h>

#include "pulmo/isa.h"

pulmo_status trail_create(const pulmo_layout *layout, uint32_t epochs, trail *out)
{
    *out = (trail){.layout = layout, .room = epochs, .arithmetic = PULMO_ARITHMETIC};
    pulmo_spent_begin(&out->spent);
    if (epochs == 0)
        return PULMO_OK;
    size_t count = (size_t)epochs * (size_t)layout->tensors;
    out->digest = calloc(count, sizeof *out->digest);
    if (!out->digest)
        return pulmo_fail(PULMO_MEMORY, "out of memory for the digests of %u epochs", epochs);
    return PULMO_OK;
}

void trail_free(trail *it)
{
    free(it->digest);
    memset(it, 0, sizeof *it);
}

pulmo_digest *trail_row(const trail *it, uint32_t epoch)
{
    return it->digest + (size_t)epoch * (size_t)it->layout->tensors;
}

void trail_take(trail *it, uint32_t epoch, const float *parameters)
{
    pulmo_digest *row = trail_row(it, epoch);
    for (int t = 0; t < it->layout->tensors; t++) {
        const pulmo_tensor *tensor = &it->layout->tensor[t];
        size_t bytes = pulmo_tensor_count(tensor) * sizeof(float);
        row[t] = pulmo_digest_of_pieces(parameters + tensor->offset, bytes);
    }
}
