/* Images that look alike: a small sketch of each, and all pairs of near sketches by a k-d tree.
 * Integers throughout after the sketch is made, and the sketch in one order of additions: the same
 * pairs everywhere. */
#include "pulmo/near.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/elementary.h"

#define CELLS         16
#define WAVES         8
#define SKETCH_LENGTH 200
/* standard deviation of cells, levels: below, an image shows nothing to compare */
#define CONTRAST_MIN 2.0
#define LEAF         16

/* ---- sketches ---- */

typedef struct pixel_grid {
    const uint8_t *pixels;
    int height, width, channels;
} pixel_grid;

/* Mean of one cell of a CELLS x CELLS grid. Channels are averaged. */
static double cell_mean(const pixel_grid *grid, int cx, int cy)
{
    int top = cy * grid->height / CELLS;
    int bottom = (cy + 1) * grid->height / CELLS;
    int left = cx * grid->width / CELLS;
    int right = (cx + 1) * grid->width / CELLS;
    int across = (right - left) * grid->channels;
    size_t stride = (size_t)grid->width * (size_t)grid->channels;
    size_t start = (size_t)left * (size_t)grid->channels;
    uint32_t sum = 0;
    for (int y = top; y < bottom; y++) {
        const uint8_t *row = grid->pixels + (size_t)y * stride + start;
        for (int i = 0; i < across; i++)
            sum += row[i];
    }
    double rows = bottom - top;
    return sum / (rows * (right - left) * grid->channels);
}

/* Mean of each cell, less the mean of all. Returns their standard deviation. */
static double cell_means(const pixel_grid *grid, double cell[CELLS][CELLS])
{
    double mean = 0;
    double square = 0;
    for (int cy = 0; cy < CELLS; cy++)
        for (int cx = 0; cx < CELLS; cx++) {
            cell[cy][cx] = cell_mean(grid, cx, cy);
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
    double phase = pi * (2 * i + 1) * k / (2 * CELLS);
    double power = k ? 2.0 : 1.0;
    return pulmo_cos(phase) * sqrt(power / CELLS);
}

void pulmo_sketch_make(const uint8_t *pixels, int height_px, int width_px, int channels,
                       int8_t out[PULMO_SKETCH_BYTES])
{
    double cell[CELLS][CELLS];
    double across[CELLS][WAVES];
    double table[WAVES][CELLS];
    pixel_grid grid = {pixels, height_px, width_px, channels};
    double deviation = cell_means(&grid, cell);
    memset(out, 0, PULMO_SKETCH_BYTES);
    if (deviation < CONTRAST_MIN)
        return;
    for (int k = 0; k < WAVES; k++)
        for (int i = 0; i < CELLS; i++)
            table[k][i] = wave(k, i);
    for (int y = 0; y < CELLS; y++)
        for (int k = 0; k < WAVES; k++) {
            double sum = 0;
            for (int x = 0; x < CELLS; x++)
                sum += cell[y][x] * table[k][x];
            across[y][k] = sum;
        }
    double length = deviation * CELLS; /* of all cells */
    double scale = SKETCH_LENGTH / length;
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
    const int8_t (*point)[PULMO_SKETCH_BYTES];
    uint32_t *order;
    uint8_t *along;
} tree;

/* The coordinate that varies most in a range. */
static int widest(const tree *t, uint32_t first, uint32_t end)
{
    int32_t sum[PULMO_SKETCH_BYTES] = {0};
    int32_t square[PULMO_SKETCH_BYTES] = {0};
    uint32_t step = (end - first) / 256 + 1;
    uint32_t count = 0;
    for (uint32_t i = first; i < end; i += step) {
        const int8_t *point = t->point[t->order[i]];
        for (int k = 0; k < PULMO_SKETCH_BYTES; k++) {
            int32_t v = point[k];
            sum[k] += v;
            square[k] += v * v;
        }
        count++;
    }
    int best = 0;
    double most = -1;
    for (int k = 0; k < PULMO_SKETCH_BYTES; k++) {
        double spread = square[k] - (double)sum[k] * sum[k] / count;
        if (spread > most) {
            most = spread;
            best = k;
        }
    }
    return best;
}

/* Coordinate `k` of the element at `i`. */
static int coordinate(const tree *t, int64_t i, int k)
{
    uint32_t element = t->order[i];
    return t->point[element][k];
}

static void swap_elements(tree *t, int64_t i, int64_t j)
{
    uint32_t element = t->order[i];
    t->order[i] = t->order[j];
    t->order[j] = element;
}

/* Hoare's selection: afterwards the element at `middle` has none greater before it and none smaller
 * behind it. */
static void select_middle(tree *t, uint32_t first, uint32_t end, uint32_t middle, int k)
{
    int64_t low = first;
    int64_t high = (int64_t)end - 1;
    while (low < high) {
        int pivot = coordinate(t, (low + high) / 2, k);
        int64_t i = low;
        int64_t j = high;
        while (i <= j) {
            while (coordinate(t, i, k) < pivot)
                i++;
            while (coordinate(t, j, k) > pivot)
                j--;
            if (i > j)
                break;
            swap_elements(t, i, j);
            i++;
            j--;
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
    int32_t beyond[PULMO_SKETCH_BYTES]; /* how far the current range lies beyond a's place, a
                                           coordinate */
    pulmo_near_visit visit;
    void *context;
    bool enough;
} query;

static void look_at(query *q, uint32_t b)
{
    if (b <= q->a || q->enough)
        return;
    const int8_t *x = q->tree->point[q->a];
    const int8_t *y = q->tree->point[b];
    int32_t sum = 0;
    for (int k = 0; k < PULMO_SKETCH_BYTES; k++) {
        int32_t difference = x[k] - y[k];
        sum += difference * difference;
    }
    if (sum <= q->distance2)
        q->enough = !q->visit(q->context, q->a, b);
}

/* `away2` is the squared distance from a to the range's box, as far as the divisions tell. */
static void search(query *q, uint32_t first, uint32_t end, int32_t away2)
{
    if (q->enough)
        return;
    const tree *t = q->tree;
    if (end - first <= LEAF) {
        for (uint32_t i = first; i < end; i++)
            look_at(q, t->order[i]);
        return;
    }
    uint32_t middle = first + (end - first) / 2;
    int k = t->along[middle];
    int32_t offset = t->point[q->a][k] - coordinate(t, middle, k);
    int32_t before = q->beyond[k];
    look_at(q, t->order[middle]);
    if (offset <= 0)
        search(q, first, middle, away2);
    else
        search(q, middle + 1, end, away2);
    int32_t beyond = abs(offset);
    int32_t far2 = away2 - before * before + beyond * beyond;
    if (far2 > q->distance2)
        return;
    q->beyond[k] = beyond;
    if (offset <= 0)
        search(q, middle + 1, end, far2);
    else
        search(q, first, middle, far2);
    q->beyond[k] = before;
}

pulmo_status pulmo_near_pairs(const int8_t (*sketches)[PULMO_SKETCH_BYTES], uint32_t count,
                              uint32_t queries, int distance2, pulmo_near_visit visit,
                              void *context)
{
    tree t = {.point = sketches};
    pulmo_status status = PULMO_OK;
    t.order = malloc(((size_t)count + 1) * sizeof *t.order);
    t.along = malloc((size_t)count + 1);
    if (!t.order || !t.along)
        PULMO_GOTO(pulmo_fail(PULMO_MEMORY, "out of memory comparing %u images", count));
    for (uint32_t i = 0; i < count; i++)
        t.order[i] = i;
    build(&t, 0, count);
    for (uint32_t a = 0; a < queries; a++) {
        query q = {.tree = &t, .a = a, .distance2 = distance2, .visit = visit, .context = context};
        search(&q, 0, count, 0);
    }
out:
    free(t.order);
    free(t.along);
    return status;
}
