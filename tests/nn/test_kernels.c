/* The Winograd kernels of every tier and tile against a direct convolution in double, element by
 * element, within a derived bound.
 *
 * With B, G, A the transforms of one dimension and |.| elementwise, an output tile is
 *     y = A^T [ sum_c (G g_c G^T) o (B^T d_c B) ] A + bias.
 * Rounding enters (Higham 2002, lemma 3.1 and section 3.1; one rounding an operation):
 *   - B^T d B: on a term's way at most 4 operations and 2 stored constants a dimension: 12;
 *   - G g G^T: computed in double and rounded once: 2, generously;
 *   - the sum of C products, in chains that are added: C + 2 at most;
 *   - A^T m A: at most 6 operations and 1 stored constant a dimension: 14;
 *   - bias: 1.
 * Every term therefore carries at most n = C + 31 factors (1 + e), |e| <= 2^-24, so
 *     |computed - y| <= gamma(C + 40)
 *         * ( |A^T| [ sum_c (|G||g_c||G^T|) o (|B^T||d_c||B|) ] |A| + |bias| ),
 * gamma(n) = n u / (1 - n u). ReLU and max-pool do not enlarge it: both are 1-Lipschitz in the
 * largest magnitude. */
#include "support.h"

#include "kernels.h"
#include "points.h"

/* A tile's transforms of one dimension, from its points alone: those of points.h, in its order. */
typedef struct size {
    int out, in;
    double Bt[TILE_IN_MOST][TILE_IN_MOST], G[TILE_IN_MOST][3], At[TILE_OUT_MOST][TILE_IN_MOST];
} size;

/* Row `skip` of B^T: the product of (x - point) over all finite points but that one. */
static void product_of_others(const double *point, int points, int skip, double *coefficient)
{
    int degree = 0;
    coefficient[0] = 1;
    for (int i = 0; i < points; i++) {
        if (i == skip)
            continue;
        coefficient[++degree] = 0;
        for (int k = degree; k > 0; k--)
            coefficient[k] = coefficient[k - 1] - point[i] * coefficient[k];
        coefficient[0] *= -point[i];
    }
}

static size size_of(const wino *w)
{
    size s = {.out = w->out, .in = w->out + 2};
    double point[TILE_IN_MOST];
    int points = 0;
    if (w->zero)
        point[points++] = 0;
    for (int i = 0; i < w->pairs; i++) {
        point[points++] = w->power[i][1];
        point[points++] = -w->power[i][1];
    }
    assert_int_equal(points, s.in - 1);
    for (int i = 0; i <= points; i++)
        product_of_others(point, points, i, s.Bt[i]);
    for (int i = 0; i < points; i++) {
        double at = 0;
        for (int k = points; k >= 0; k--)
            at = at * point[i] + s.Bt[i][k];
        for (int k = 0; k < 3; k++)
            s.G[i][k] = pow(point[i], k) / at;
        for (int k = 0; k < s.out; k++)
            s.At[k][i] = pow(point[i], k);
    }
    s.G[points][2] = 1;
    s.At[s.out - 1][points] = 1;
    return s;
}

typedef struct problem {
    int c, k, height, width, pool, images;
    float *weight, *bias, *image; /* (K, C, 3, 3), (K), (images, C, H, W) */
    size size;
} problem;

static double gamma_of(double n)
{
    return n * 0x1p-24 / (1 - n * 0x1p-24);
}

static double pixel(const problem *p, int n, int c, int y, int x)
{
    if (y < 0 || x < 0 || y >= p->height || x >= p->width)
        return 0;
    return (double)p->image[((n * p->c + c) * p->height + y) * p->width + x];
}

/* U = G g G^T (or its bound, with magnitudes). */
static void weights_transformed(const size *s, const float *g, int magnitude, double *u)
{
    for (int i = 0; i < s->in; i++)
        for (int j = 0; j < s->in; j++) {
            double sum = 0;
            for (int a = 0; a < 3; a++)
                for (int b = 0; b < 3; b++) {
                    double term = s->G[i][a] * (double)g[3 * a + b] * s->G[j][b];
                    sum += magnitude ? fabs(term) : term;
                }
            *u++ = sum;
        }
}

/* |B^T| |d| |B| of one tile of one channel. */
static void input_bound(const problem *p, int n, int c, int row, int column, double *v)
{
    const size *s = &p->size;
    double half[TILE_IN_MOST][TILE_IN_MOST] = {{0}};
    for (int i = 0; i < s->in; i++)
        for (int b = 0; b < s->in; b++)
            for (int a = 0; a < s->in; a++)
                half[i][b] += fabs(s->Bt[i][a] * pixel(p, n, c, row + a - 1, column + b - 1));
    for (int i = 0; i < s->in; i++)
        for (int j = 0; j < s->in; j++) {
            double sum = 0;
            for (int b = 0; b < s->in; b++)
                sum += half[i][b] * fabs(s->Bt[j][b]);
            *v++ = sum;
        }
}

/* The bound of the header for one tile of one output channel: its values without gamma. */
static void tile_bound(const problem *p, int n, int k, int row, int column, double *out)
{
    const size *s = &p->size;
    double m[TILE_IN_MOST * TILE_IN_MOST] = {0}, u[TILE_IN_MOST * TILE_IN_MOST],
                            v[TILE_IN_MOST * TILE_IN_MOST];
    for (int c = 0; c < p->c; c++) {
        weights_transformed(s, p->weight + (k * p->c + c) * 9, 1, u);
        input_bound(p, n, c, row, column, v);
        for (int i = 0; i < s->in * s->in; i++)
            m[i] += u[i] * v[i];
    }
    for (int y = 0; y < s->out; y++)
        for (int x = 0; x < s->out; x++) {
            double sum = fabs((double)p->bias[k]);
            for (int i = 0; i < s->in; i++)
                for (int j = 0; j < s->in; j++)
                    sum += fabs(s->At[y][i] * s->At[x][j]) * m[s->in * i + j];
            *out++ = sum;
        }
}

static double direct(const problem *p, int n, int k, int y, int x)
{
    double sum = (double)p->bias[k];
    for (int c = 0; c < p->c; c++)
        for (int t = 0; t < 9; t++)
            sum += (double)p->weight[(k * p->c + c) * 9 + t] *
                   pixel(p, n, c, y + t / 3 - 1, x + t % 3 - 1);
    return sum > 0 ? sum : 0;
}

/* ---- running the kernels ---- */

static pulmo_plane make_plane(int out, int channels, int height, int width, int images)
{
    pulmo_plane p = {.channels = channels,
                     .height = height,
                     .width = width,
                     .rows = divide_up(height, out) * out + 2,
                     .columns = divide_up(width, out) * out + 2};
    p.image_reals = (size_t)(channels * p.rows * p.columns);
    p.data = pulmo_alloc(p.image_reals * (size_t)images, sizeof(float));
    return p;
}

static float *value_at(const pulmo_plane *p, int n, int c, int y, int x)
{
    return p->data + (size_t)n * p->image_reals +
           (size_t)(((c / 16) * p->rows + y + 1) * p->columns + x + 1) * 16 + (size_t)(c % 16);
}

/* Panels as plane.h says. */
static float *pack(const problem *p, const pulmo_kernels *kernels)
{
    size_t each = (size_t)(p->c * p->k + 16);
    int points = tile_points(p->size.out);
    float *u = pulmo_alloc((size_t)points * each, sizeof *u);
    int whole = p->k / kernels->panel * kernels->panel;
    for (int k = 0; k < p->k; k++) {
        int width = k < whole ? kernels->panel : 16;
        int base = k / width * width;
        for (int c = 0; c < p->c; c++) {
            double values[TILE_IN_MOST * TILE_IN_MOST];
            weights_transformed(&p->size, p->weight + (k * p->c + c) * 9, 0, values);
            for (int i = 0; i < points; i++)
                u[(size_t)i * each + (size_t)(base * p->c + c * width + k - base)] =
                    (float)values[i];
        }
    }
    return u;
}

static void run_kernels(const problem *p, const pulmo_kernels *kernels, int run,
                        const pulmo_plane *in, const pulmo_plane *out)
{
    float *u = pack(p, kernels);
    int out_side = p->size.out;
    size_t points = (size_t)tile_points(out_side);
    pulmo_tiles tiles = {.out = out_side,
                         .down = divide_up(p->height, out_side),
                         .across = divide_up(p->width, out_side)};
    int total = p->images * tiles.down * tiles.across;
    float *v = pulmo_alloc(points * (size_t)(run * p->c + 16), sizeof *v);
    float *m = pulmo_alloc(points * (size_t)(run * p->k + 16), sizeof *m);
    for (tiles.first = 0; tiles.first < total; tiles.first += run) {
        tiles.count = total - tiles.first < run ? total - tiles.first : run;
        size_t v_point = (size_t)(tiles.count * p->c + 16);
        size_t m_point = (size_t)(tiles.count * p->k + 16);
        /* A half of the blocks at a time, the second first: they are independent. */
        int half = p->c / 16 / 2;
        kernels->input(in, &tiles, half, p->c / 16 - half, v);
        kernels->input(in, &tiles, 0, half, v);
        for (size_t i = 0; i < points; i++)
            kernels->gemm(v + i * v_point, u + i * (size_t)(p->c * p->k + 16), m + i * m_point,
                          tiles.count, p->c, p->k);
        kernels->output(m, &tiles, p->bias, p->pool, out);
    }
    pulmo_free(u);
    pulmo_free(v);
    pulmo_free(m);
}

/* Nothing but the image's own pixels has been written. */
static void check_frame(const pulmo_plane *p, int images)
{
    for (int n = 0; n < images; n++)
        for (int c = 0; c < p->channels; c++)
            for (int y = -1; y < p->rows - 1; y++)
                for (int x = -1; x < p->columns - 1; x++)
                    if (y < 0 || x < 0 || y >= p->height || x >= p->width)
                        assert_true(*value_at(p, n, c, y, x) == 0);
}

/* Largest error as a part of the bound. */
static double compare(const problem *p, const pulmo_plane *out)
{
    double worst = 0, gamma = gamma_of(p->c + 40.0), bound[TILE_OUT_MOST * TILE_OUT_MOST];
    int side = p->size.out;
    for (int n = 0; n < p->images; n++)
        for (int k = 0; k < p->k; k++)
            for (int row = 0; row < p->height; row += side)
                for (int column = 0; column < p->width; column += side) {
                    tile_bound(p, n, k, row, column, bound);
                    for (int i = 0; i < side * side; i++) {
                        int y = row + i / side, x = column + i % side;
                        if (!p->pool && (y >= p->height || x >= p->width))
                            continue;
                        double truth, most = bound[i];
                        float got;
                        if (p->pool) {
                            if (y % 2 || x % 2 || y / 2 >= out->height || x / 2 >= out->width)
                                continue;
                            truth = fmax(
                                fmax(direct(p, n, k, y, x), direct(p, n, k, y, x + 1)),
                                fmax(direct(p, n, k, y + 1, x), direct(p, n, k, y + 1, x + 1)));
                            most = fmax(fmax(bound[i], bound[i + 1]),
                                        fmax(bound[i + side], bound[i + side + 1]));
                            got = *value_at(out, n, k, y / 2, x / 2);
                        } else {
                            truth = direct(p, n, k, y, x);
                            got = *value_at(out, n, k, y, x);
                        }
                        double part = fabs((double)got - truth) / (gamma * most);
                        if (!(part <= worst))
                            worst = part;
                    }
                }
    return worst;
}

static void check(const pulmo_kernels *kernels, problem p, int run, unsigned seed)
{
    size_t weights = (size_t)(p.k * p.c * 9),
           pixels = (size_t)(p.images * p.c * p.height * p.width);
    p.weight = malloc(weights * sizeof(float));
    p.bias = malloc((size_t)p.k * sizeof(float));
    p.image = malloc(pixels * sizeof(float));
    fill_normal(p.weight, weights, seed);
    fill_normal(p.bias, (size_t)p.k, seed + 1);
    fill_normal(p.image, pixels, seed + 2);
    for (size_t i = 0; i < pixels; i += 37)
        p.image[i] *= 1e4f; /* large beside small */
    pulmo_plane in = make_plane(p.size.out, p.c, p.height, p.width, p.images);
    pulmo_plane out = make_plane(p.size.out, p.k, p.pool ? p.height / 2 : p.height,
                                 p.pool ? p.width / 2 : p.width, p.images);
    for (int n = 0; n < p.images; n++)
        for (int c = 0; c < p.c; c++)
            for (int y = 0; y < p.height; y++)
                for (int x = 0; x < p.width; x++)
                    *value_at(&in, n, c, y, x) = (float)pixel(&p, n, c, y, x);
    run_kernels(&p, kernels, run, &in, &out);
    check_frame(&out, p.images);
    double part = compare(&p, &out);
    if (!(part <= 1))
        fail_msg("%s, F(%d): C %d K %d, %d x %d, pool %d: error is %.3g of its bound",
                 kernels->name, p.size.out, p.c, p.k, p.height, p.width, p.pool, part);
    assert_true(part > 1e-6); /* a comparison with itself would be no test */
    pulmo_free(in.data);
    pulmo_free(out.data);
    free(p.weight);
    free(p.bias);
    free(p.image);
}

static const wino *const sizes[] = {&wino5, &wino6, &wino7};

/* All problems of one tile. */
static void check_size(const pulmo_kernels *kernels, const wino *w)
{
    static const problem problems[] = {
        {.c = 16, .k = 16, .height = 4, .width = 4, .images = 1},
        {.c = 16, .k = 80, .height = 7, .width = 9, .images = 2},
        {.c = 48, .k = 32, .height = 12, .width = 5, .images = 1, .pool = 1},
        {.c = 32, .k = 144, .height = 15, .width = 7, .images = 1, .pool = 1},
        {.c = 80, .k = 16, .height = 5, .width = 13, .images = 2, .pool = 1},
        {.c = 64, .k = 64, .height = 10, .width = 16, .images = 1},
        {.c = 112, .k = 64, .height = 7, .width = 6, .images = 1},
    };
    for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++)
        for (int run = 1; run <= 9; run += 4) {
            problem p = problems[i];
            p.size = size_of(w);
            p.pool = p.pool && w->out % 2 == 0; /* pools must not straddle tiles */
            check(kernels, p, run, (unsigned)(100 * i + (size_t)run));
        }
}

static void test_winograd(void **state)
{
    (void)state;
    for (int isa = 0; isa < PULMO_ISA_COUNT; isa++) {
        if (!pulmo_isa_available((pulmo_isa)isa)) {
            print_message("skipped: tier %s: this CPU lacks it\n", pulmo_isa_name((pulmo_isa)isa));
            continue;
        }
        const pulmo_kernels *kernels = pulmo_kernels_of((pulmo_isa)isa);
        assert_string_equal(kernels->name, pulmo_isa_name((pulmo_isa)isa));
        for (int s = 0; s < 3; s++)
            check_size(kernels, sizes[s]);
    }
}

/* The kernels' filters are the header's, forward and turned. */
static void test_filters(void **state)
{
    enum { K = 80, C = 19, INPUTS = 32 };
    static float g[K * C * 9];
    (void)state;
    fill_normal(g, K * C * 9, 5);
    for (int isa = 0; isa < PULMO_ISA_COUNT; isa++)
        for (int number = 0; number < 3 && pulmo_isa_available((pulmo_isa)isa); number++) {
            const pulmo_kernels *kernels = pulmo_kernels_of((pulmo_isa)isa);
            const size s = size_of(sizes[number]);
            size_t apart = INPUTS * K + 16;
            float *u = pulmo_alloc((size_t)tile_points(s.out) * apart, sizeof *u);
            for (int block = 0; block < K / 16; block++)
                kernels->filter(s.out, g, K, C, block, false, u);
            for (int k = 0; k < K; k++)
                for (int c = 0; c < INPUTS; c++) {
                    double wanted[TILE_IN_MOST * TILE_IN_MOST] = {0};
                    size_t at = weight_offset(kernels->panel, INPUTS, K, c, k);
                    if (c < C)
                        weights_transformed(&s, g + (k * C + c) * 9, 0, wanted);
                    for (int i = 0; i < tile_points(s.out); i++) {
                        double got = (double)u[(size_t)i * apart + at];
                        assert_true(fabs(got - wanted[i]) <= 0x1.01p-24 * fabs(wanted[i]) + 1e-12);
                    }
                }
            pulmo_free(u);
        }
}

/* The transforms made of the points are those of a convolution. */
static void test_transforms_are_a_convolution(void **state)
{
    double g[3] = {0.3, -1.7, 2.2}, d[TILE_IN_MOST] = {1, -2, 0.5, 3, -0.25, 4, -1.5, 2.5, 0.75};
    (void)state;
    for (int number = 0; number < 3; number++) {
        const size s = size_of(sizes[number]);
        for (int y = 0; y < s.out; y++) {
            double sum = 0;
            for (int i = 0; i < s.in; i++) {
                double u = 0, v = 0;
                for (int a = 0; a < 3; a++)
                    u += s.G[i][a] * g[a];
                for (int a = 0; a < s.in; a++)
                    v += s.Bt[i][a] * d[a];
                sum += s.At[y][i] * u * v;
            }
            assert_true(fabs(sum - (d[y] * g[0] + d[y + 1] * g[1] + d[y + 2] * g[2])) < 1e-12);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transforms_are_a_convolution),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_winograd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
