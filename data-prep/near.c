/* Images that look alike: a small sketch of each, and all pairs of near sketches by a k-d tree.
 * Integers throughout after the sketch is made, and the sketch in one order of additions: the same
 * pairs everywhere. */
#include "near.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CELLS 16
#define WAVES 8
#define CONTRAST_MIN                                                                               \
    2.0 /* standard deviation of cells, levels: below, an image shows nothing to compare */
#define LEAF 16

/* ---- sketches ---- */

/* Mean of each cell of a CELLS x CELLS grid, less the mean of all. Channels are averaged. Returns
 * their standard deviation. */
static double cell_means(const uint8_t *pixels, int height, int width, int channels,
                         double cell[CELLS][CELLS])
{
    double mean = 0, square = 0;
    for (int cy = 0; cy < CELLS; cy++)
        for (int cx = 0; cx < CELLS; cx++) {
            int y0 = cy * height / CELLS, y1 = (cy + 1) * height / CELLS, x0 = cx * width / CELLS,
                x1 = (cx + 1) * width / CELLS;
            uint32_t sum = 0;
            for (int y = y0; y < y1; y++) {
                const uint8_t *row =
                    pixels + ((size_t)y * (size_t)width + (size_t)x0) * (size_t)channels;
                for (int i = 0; i < (x1 - x0) * channels; i++)
                    sum += row[i];
            }
            cell[cy][cx] = sum / ((double)(y1 - y0) * (x1 - x0) * channels);
            mean += cell[cy][cx] / (CELLS * CELLS);
        }
    for (int i = 0; i < CELLS * CELLS; i++) {
        double *c = &cell[i / CELLS][i % CELLS];
        *c -= mean;
        square += *c * *c;
    }
    return sqrt(square / (CELLS * CELLS));
}

/* The orthonormal cosine transform's first rows. */
static double wave(int k, int i)
{
    const double pi = 3.14159265358979323846;
    return cos(pi * (2 * i + 1) * k / (2 * CELLS)) * sqrt((k ? 2.0 : 1.0) / CELLS);
}

void sketch_make(const uint8_t *pixels, int height_px, int width_px, int channels,
                 int8_t out[SKETCH])
{
    double cell[CELLS][CELLS], across[CELLS][WAVES], table[WAVES][CELLS];
    double deviation = cell_means(pixels, height_px, width_px, channels, cell);
    memset(out, 0, SKETCH);
    if (deviation < CONTRAST_MIN)
        return;
    for (int k = 0; k < WAVES; k++)
        for (int i = 0; i < CELLS; i++)
            table[k][i] = wave(k, i);
    for (int y = 0; y < CELLS; y++)
        for (int k = 0; k < WAVES; k++) {
            across[y][k] = 0;
            for (int x = 0; x < CELLS; x++)
                across[y][k] += cell[y][x] * table[k][x];
        }
    double scale =
        SKETCH_LENGTH / (deviation * CELLS); /* the cells' own length is deviation * CELLS */
    for (int l = 0; l < WAVES; l++)
        for (int k = 0; k < WAVES; k++) {
            double sum = 0;
            for (int y = 0; y < CELLS; y++)
                sum += across[y][k] * table[l][y];
            double value = rint(sum * scale);
            out[l * WAVES + k] = (int8_t)fmin(fmax(value, -127), 127);
        }
    out[0] = 1; /* of a flat wave the cells have none; equal for all, it changes no distance */
}

/* ---- the tree ---- */

/* A node is a range of `order`; its middle element divides it along `along[middle]`. */
typedef struct tree {
    const int8_t (*point)[SKETCH];
    uint32_t *order;
    uint8_t *along;
} tree;

/* The coordinate that varies most in a range. */
static int widest(const tree *t, uint32_t first, uint32_t end)
{
    int32_t sum[SKETCH] = {0}, square[SKETCH] = {0};
    uint32_t step = (end - first) / 256 + 1, count = 0;
    for (uint32_t i = first; i < end; i += step, count++)
        for (int k = 0; k < SKETCH; k++) {
            int32_t v = t->point[t->order[i]][k];
            sum[k] += v;
            square[k] += v * v;
        }
    int best = 0;
    double most = -1;
    for (int k = 0; k < SKETCH; k++) {
        double spread = square[k] - (double)sum[k] * sum[k] / count;
        if (spread > most)
            most = spread, best = k;
    }
    return best;
}

/* Hoare's selection: afterwards the element at `middle` has none greater before it and none smaller
 * behind it. */
static void select_middle(tree *t, uint32_t first, uint32_t end, uint32_t middle, int k)
{
    int64_t low = first, high = (int64_t)end - 1;
    while (low < high) {
        int pivot = t->point[t->order[(low + high) / 2]][k];
        int64_t i = low, j = high;
        while (i <= j) {
            while (t->point[t->order[i]][k] < pivot)
                i++;
            while (t->point[t->order[j]][k] > pivot)
                j--;
            if (i > j)
                break;
            uint32_t swap = t->order[i];
            t->order[i++] = t->order[j];
            t->order[j--] = swap;
        }
        if ((int64_t)middle <= j)
            high = j;
        else if ((int64_t)middle >= i)
            low = i;
        else
            return;
    }
}

static void build(tree *t, uint32_t first, uint32_t end)
{
    while (end - first > LEAF) {
        uint32_t middle = first + (end - first) / 2;
        int k = widest(t, first, end);
        select_middle(t, first, end, middle, k);
        t->along[middle] = (uint8_t)k;
        build(t, first, middle);
        first = middle + 1;
    }
}

typedef struct query {
    const tree *tree;
    uint32_t a;
    int32_t distance2;
    int32_t beyond[SKETCH]; /* how far the current range lies beyond a's place, a coordinate */
    near_visit visit;
    void *context;
    bool enough;
} query;

static void look_at(query *q, uint32_t b)
{
    if (b <= q->a || q->enough)
        return;
    const int8_t *x = q->tree->point[q->a], *y = q->tree->point[b];
    int32_t sum = 0;
    for (int k = 0; k < SKETCH; k++)
        sum += (x[k] - y[k]) * (x[k] - y[k]);
    if (sum <= q->distance2)
        q->enough = !q->visit(q->context, q->a, b);
}

/* `away2` is the squared distance from a to the range's box, as far as the divisions tell. */
static void search(query *q, uint32_t first, uint32_t end, int32_t away2)
{
    if (q->enough)
        return;
    if (end - first <= LEAF) {
        for (uint32_t i = first; i < end; i++)
            look_at(q, q->tree->order[i]);
        return;
    }
    uint32_t middle = first + (end - first) / 2;
    int k = q->tree->along[middle];
    int32_t offset = q->tree->point[q->a][k] - q->tree->point[q->tree->order[middle]][k],
            before = q->beyond[k];
    look_at(q, q->tree->order[middle]);
    if (offset <= 0)
        search(q, first, middle, away2);
    else
        search(q, middle + 1, end, away2);
    int32_t beyond = offset < 0 ? -offset : offset,
            far2 = away2 - before * before + beyond * beyond;
    if (far2 > q->distance2)
        return;
    q->beyond[k] = beyond;
    if (offset <= 0)
        search(q, middle + 1, end, far2);
    else
        search(q, first, middle, far2);
    q->beyond[k] = before;
}

pulmo_status near_pairs(const int8_t (*sketches)[SKETCH], uint32_t count, uint32_t queries,
                        int distance2, near_visit visit, void *context)
{
    tree t = {.point = sketches,
              .order = malloc(((size_t)count + 1) * sizeof *t.order),
              .along = malloc((size_t)count + 1)};
    pulmo_status status =
        t.order && t.along ? PULMO_OK
                           : pulmo_fail(PULMO_MEMORY, "out of memory comparing %u images", count);
    if (status == PULMO_OK) {
        for (uint32_t i = 0; i < count; i++)
            t.order[i] = i;
        build(&t, 0, count);
        for (uint32_t a = 0; a < queries; a++) {
            query q = {
                .tree = &t, .a = a, .distance2 = distance2, .visit = visit, .context = context};
            search(&q, 0, count, 0);
        }
    }
    free(t.order);
    free(t.along);
    return status;
}
