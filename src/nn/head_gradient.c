/* A microbatch's gradients, for the caller: bounds, factors, elements, and the gradient by the
 * features. */
#include <string.h>

#include "head_outer.h"
#include "head_room.h"
#include "sufficient.h"
#include "pulmo/memory.h"

double pulmo_head_microbatch_bound(const pulmo_head *head, int microbatch_index, int tensor)
{
    const workspace *space = &head->spaces[microbatch_index];
    return space->bound[tensor];
}

void pulmo_head_microbatch_factors(const pulmo_head *head, int microbatch_index, int layer,
                                   pulmo_sufficient_factors *out)
{
    const workspace *space = &head->spaces[microbatch_index];
    const void *input = layer_input(space, layer);
    const void *delta = space->delta[layer];
    out->count = space->count;
    out->input = input;
    out->delta = delta;
    out->input_stride = (size_t)head->width[layer];
    out->delta_stride = (size_t)head->width[layer + 1];
}

void sufficient_row_tier(pulmo_isa isa, const pulmo_sufficient_factors *factors, int row, int col,
                         int cols, float *out)
{
    const outer of = {
        .count = factors->count, .deltas = factors->delta_stride, .inputs = factors->input_stride};
    const real *delta = (const real *)(const void *)factors->delta;
    const real *input = (const real *)(const void *)factors->input;
    real *sums = (real *)(void *)out;
    outer_row(isa, of, (size_t)cols, delta + row, input + col, sums);
}

void sufficient_row(const pulmo_sufficient_factors *factors, int row, int col, int cols, float *out)
{
    pulmo_isa isa = pulmo_isa_widest();
    sufficient_row_tier(isa, factors, row, col, cols, out);
}

void pulmo_head_microbatch_gradient(const pulmo_head *head, int microbatch_index,
                                    const pulmo_block *block, float *out)
{
    static const real one = 1;
    const pulmo_tensor *tensor = &head->layout.tensor[block->tensor];
    pulmo_sufficient_factors factors;
    real *sums = (real *)(void *)out;
    pulmo_head_microbatch_factors(head, microbatch_index, tensor->layer, &factors);
    if (pulmo_tensor_is_bias(tensor)) { /* every sample's input is 1 */
        factors.input = (const float *)(const void *)&one;
        factors.input_stride = 0;
    }
    int end = block->row + block->rows;
    for (int row = block->row; row < end; row++) {
        float *to = (float *)(void *)sums;
        sufficient_row(&factors, row, block->col, block->cols, to);
        sums += block->cols;
    }
}

/* ---- what is below the head ---- */

pulmo_status pulmo_head_train_below(pulmo_head *head)
{
    size_t each = head_matrix(head, head->width[0]);
    size_t places = (size_t)head->microbatches + 1;
    head->below = pulmo_alloc(places, each * sizeof(real));
    if (!head->below)
        return pulmo_fail_in(PULMO_MEMORY, "the head's feature gradients");
    real *at = head->below;
    for (int s = 0; s < head->microbatches; s++) {
        head->spaces[s].below = at;
        at += each;
    }
    return PULMO_OK;
}

static void multiply(real *values, const real *factors, int count)
{
    for (int i = 0; i < count; i++)
        values[i] *= factors[i];
}

/* The gradient (channels or 2 channels or C * h * w) of one image by its pooled features, taken
 * back to its features. */
static void unpool_features(const pulmo_head_spec *spec, const float *features,
                            const real *gradient, real *out)
{
    int cells = spec->height * spec->width;
    if (spec->pool == PULMO_POOL_FLATTEN) {
        size_t floats = pulmo_head_floats(spec);
        memcpy(out, gradient, floats * sizeof *out);
        return;
    }
    const real *of_most = gradient;
    if (spec->pool == PULMO_POOL_AVGMAX)
        of_most = gradient + spec->channels;
    for (int c = 0; c < spec->channels; c++) {
        real even = 0;
        if (spec->pool != PULMO_POOL_MAX)
            even = gradient[c] / (real)cells;
        int most = 0;
        for (int i = 0; i < cells; i++) {
            if (features[i] > features[most])
                most = i;
            out[i] = even;
        }
        if (spec->pool != PULMO_POOL_AVG)
            out[most] += of_most[c];
        features += cells;
        out += cells;
    }
}

void pulmo_head_microbatch_features(pulmo_head *head, int microbatch_index, float *out)
{
    workspace *space = &head->spaces[microbatch_index];
    int in = head->width[0];
    size_t floats = pulmo_head_floats(&head->spec);
    const real *scale = head_drops(head, 0) ? space->scale[0] : NULL;
    const float *features = space->features;
    real *gradient = space->below;
    real *to = (real *)(void *)out;
    head_input_gradient(head, space, 0, gradient);
    for (int n = 0; n < space->count; n++) {
        if (scale) {
            const real *factors = head_const_row(scale, n, in);
            multiply(gradient, factors, in);
        }
        unpool_features(&head->spec, features, gradient, to);
        gradient += in;
        features += floats;
        to += floats;
    }
}
