/* The loss's gradient taken back through the layers, and bounds on gradients. */
#include <math.h>
#include <string.h>

#include "pulmo/elementary.h"
#include "head_room.h"

/* ---- backward ---- */

void head_backward(const pulmo_head *head, workspace *space)
{
    for (int l = head->layers - 1; l > 0; l--) {
        const real *scale = head_drops(head, l) ? space->scale[l] : NULL;
        const real *output = space->output[l - 1];
        real *below = space->delta[l - 1];
        int values = space->count * head->width[l];
        head_input_gradient(head, space, l, below);
        for (int i = 0; i < values; i++) {
            if (scale)
                below[i] *= scale[i];
            if (output[i] <= 0)
                below[i] = 0;
        }
    }
}

/* ---- bounds ---- */

/* Magnitudes compare as their bits do, and a NaN's are above infinity's. */
static double largest(const real *values, int count)
{
    real_bits most = 0;
    for (int i = 0; i < count; i++) {
        real_bits bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits &= ~REAL_SIGN;
        most = bits > most ? bits : most;
    }
    real value;
    memcpy(&value, &most, sizeof value);
    return isnan(value) ? INFINITY : (double)value;
}

/* |sum_n d_n x_n| <= sum_n max|d_n| max|x_n|. Each computed product is within a factor 1 + u of
 * its exact value and each of at most `count` additions too (Higham 2002, section 3.1), so the
 * computed sum's magnitude is below the right side times (1 + u)^(count + 1); twice that exponent
 * also covers this function's own rounding, in double. Where a product rounds to a subnormal the
 * error is at most half the smallest one, which `count` times 2^-149 covers. */
double head_bound_of(const pulmo_head *head, const workspace *space, int tensor)
{
    const pulmo_tensor *which = &head->layout.tensor[tensor];
    int layer = which->layer;
    bool bias = pulmo_tensor_is_bias(which);
    int in = head->width[layer];
    int out = head->width[layer + 1];
    const real *deltas = space->delta[layer];
    const real *inputs = layer_input(space, layer);
    double sum = 0;
    for (int n = 0; n < space->count; n++) {
        double delta = largest(deltas, out);
        double input = bias ? 1.0 : largest(inputs, in);
        if (delta > 0 && input > 0)
            sum += delta * input + 0x1p-149;
        deltas += out;
        inputs += in;
    }
    return sum * pulmo_pow(1.0 + REAL_EPSILON, 2.0 * space->count + 2.0);
}
