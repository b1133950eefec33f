/* The head's products: by the tier's kernels, or in the gradient test's double by OpenBLAS. */
#include "head_room.h"

#ifdef PULMO_HEAD_DOUBLE
void head_products(const pulmo_head *head, int layer, const head_group *groups, int count,
                   int first, int outs)
{
    int in = head->width[layer];
    int out = head->width[layer + 1];
    const real *weight = head_const_row(head_weight(head, layer), first, in);
    for (int g = 0; g < count; g++)
        real_gemm(CblasRowMajor, CblasNoTrans, CblasTrans, head->rows, outs, in, 1, groups[g].x, in,
                  weight, in, 0, groups[g].y + first, out);
}

void head_input_gradient(const pulmo_head *head, const workspace *space, int layer, real *out)
{
    int in = head->width[layer];
    int outs = head->width[layer + 1];
    real_gemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, head->rows, in, outs, 1,
              space->delta[layer], outs, head_weight(head, layer), in, 0, out, in);
}
#else
void head_products(const pulmo_head *head, int layer, const head_group *groups, int count,
                   int first, int outs)
{
    size_t in = (size_t)head->width[layer];
    int out = head->width[layer + 1];
    head->kernels->dot(groups, count, head->rows, head_weight(head, layer), in, out, first, outs);
}

void head_input_gradient(const pulmo_head *head, const workspace *space, int layer, real *out)
{
    size_t in = (size_t)head->width[layer];
    int outs = head->width[layer + 1];
    const real *weight = head_weight(head, layer);
    head->kernels->back(space->delta[layer], head->rows, weight, in, outs, out);
}
#endif
