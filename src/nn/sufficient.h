/* Inside the nn room: rows of a gradient from its sufficient factors. */
#ifndef PULMO_SUFFICIENT_H
#define PULMO_SUFFICIENT_H

#include "pulmo/head.h"

/* Columns [col, col+cols) of a row of the gradient, the bits of pulmo_head_microbatch_gradient
 * wherever the factors come from. Pure. */
void sufficient_row(const pulmo_sufficient_factors *factors, int row, int col, int cols,
                    float *out);
/* The same on one tier, which must be available: for the test that all give the same bits. */
void sufficient_row_tier(pulmo_isa isa, const pulmo_sufficient_factors *factors, int row, int col,
                         int cols, float *out);

#endif
