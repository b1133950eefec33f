/* The Winograd kernels of every tier against a direct convolution in double, element by element,
 * within a derived bound.
 *
 * With B, G, A the transforms of one dimension and |.| elementwise, an output tile is
 *     y = A^T [ sum_c (G g_c G^T) o (B^T d_c B) ] A + bias.
 * Rounding enters (Higham 2002, lemma 3.1 and section 3.1; one rounding an operation, fused or not
 * at most two where a multiply and an add are apart):
 *   - B^T d B: at most 3 operations an element and dimension, each at most 2 roundings: 12;
 *   - G g G^T: computed in double and rounded once: 1;
 *   - the sum of C products, in order: C multiply-adds of at most 2 roundings on the longest chain,
 *     2 + C of which a single term passes: C + 2;
 *   - A^T m A: at most 4 operations an element and dimension, at most 2 roundings each: 16;
 *   - bias: 1.
 * Every term therefore carries at most n = C + 32 factors (1 + e), |e| <= 2^-24, and the stored
 * constants (1/sqrt 2 and its like) one more each, at most 8 on a term's way, so
 *     |computed - y| <= gamma(C + 40)
 *         * ( |A^T| [ sum_c (|G||g_c||G^T|) o (|B^T||d_c||B|) ] |A| + |bias| ),
 * gamma(n) = n u / (1 - n u). ReLU and max-pool do not enlarge it: both are 1-Lipschitz in the
 * largest magnitude. */
#include "support.h"

#include "kernels.h"

#define A1 0.70710678118654752440
#define B1 1.41421356237309504880

static const double Bt[6][6] = {{1, 0, -2.5, 0, 1, 0},    {0, -B1, -2, A1, 1, 0},
                                {0, B1, -2, -A1, 1, 0},   {0, -A1, -0.5, B1, 1, 0},
                                {0, A1, -0.5, -B1, 1, 0}, {0, 1, 0, -2.5, 0, 1}};
static const double G[6][3] = {{1, 0, 0},
                               {-1 / 1.5, -A1 / 1.5, -0.5 / 1.5},
                               {-1 / 1.5, A1 / 1.5, -0.5 / 1.5},
                               {1 / 6.0, B1 / 6.0, 2 / 6.0},
                               {1 / 6.0, -B1 / 6.0, 2 / 6.0},
                               {0, 0, 1}};
static const double At[4][6] = {{1, 1, 1, 1, 1, 0},
                                {0, A1, -A1, B1, -B1, 0},
                                {0, 0.5, 0.5, 2, 2, 0},
                                {0, 0.5 * A1, -0.5 * A1, 2 * B1, -2 * B1, 1}};

typedef struct problem {
    int c, k, height, width, pool, images;
    float *weight, *bias, *image; /* (K, C, 3, 3), (K), (images, C, H, W) */
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
static void weights_transformed(const float *g, int magnitude, double u[36])
{
    for (int i = 0; i < 6; i++)
        for (int j = 0; j < 6; j++) {
            double sum = 0;
            for (int a = 0; a < 3; a++)
                for (int b = 0; b < 3; b++) {
                    double term = G[i][a] * (double)g[3 * a + b] * G[j][b];
                    sum += magnitude ? fabs(term) : term;
                }
            u[6 * i + j] = sum;
        }
}

/* The bound of the header for one tile of one output channel: 16 values without gamma. */
static void tile_bound(const problem *p, int n, int k, int row, int column, double out[16])
{
    double m[36] = {0};
    for (int c = 0; c < p->c; c++) {
        double u[36], v[36] = {0};
        weights_transformed(p->weight + (k * p->c + c) * 9, 1, u);
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 6; j++)
                for (int a = 0; a < 6; a++)
                    for (int b = 0; b < 6; b++)
                        v[6 * i + j] +=
                            fabs(Bt[i][a] * pixel(p, n, c, row + a - 1, column + b - 1) * Bt[j][b]);
        for (int i = 0; i < 36; i++)
            m[i] += u[i] * v[i];
    }
    for (int y = 0; y < 4; y++)
        for (int x = 0; x < 4; x++) {
            double sum = fabs((double)p->bias[k]);
            for (int i = 0; i < 6; i++)
                for (int j = 0; j < 6; j++)
                    sum += fabs(At[y][i] * At[x][j]) * m[6 * i + j];
            out[4 * y + x] = sum;
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

static pulmo_plane make_plane(int channels, int height, int width, int images)
{
    pulmo_plane p = {.channels = channels,
                     .height = height,
                     .width = width,
                     .rows = (height + 3) / 4 * 4 + 2,
                     .columns = (width + 3) / 4 * 4 + 2};
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
    float *u = pulmo_alloc(36 * each, sizeof *u);
    int whole = p->k / kernels->panel * kernels->panel;
    for (int k = 0; k < p->k; k++) {
        int width = k < whole ? kernels->panel : 16;
        int base = k / width * width;
        for (int c = 0; c < p->c; c++) {
            double values[36];
            weights_transformed(p->weight + (k * p->c + c) * 9, 0, values);
            for (int i = 0; i < 36; i++)
                u[i * each + (size_t)(base * p->c + c * width + k - base)] = (float)values[i];
        }
    }
    return u;
}

static void run_kernels(const problem *p, const pulmo_kernels *kernels, int run,
                        const pulmo_plane *in, const pulmo_plane *out)
{
    float *u = pack(p, kernels);
    pulmo_tiles tiles = {.down = (p->height + 3) / 4, .across = (p->width + 3) / 4};
    int total = p->images * tiles.down * tiles.across;
    float *v = pulmo_alloc(36 * (size_t)(run * p->c + 16), sizeof *v);
    float *m = pulmo_alloc(36 * (size_t)(run * p->k + 16), sizeof *m);
    for (tiles.first = 0; tiles.first < total; tiles.first += run) {
        tiles.count = total - tiles.first < run ? total - tiles.first : run;
        size_t v_point = (size_t)(tiles.count * p->c + 16);
        size_t m_point = (size_t)(tiles.count * p->k + 16);
        /* A half of the blocks at a time, the second first: they are independent. */
        int half = p->c / 16 / 2;
        kernels->input(in, &tiles, half, p->c / 16 - half, v);
        kernels->input(in, &tiles, 0, half, v);
        for (size_t i = 0; i < 36; i++)
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
    double worst = 0, gamma = gamma_of(p->c + 40.0), bound[16];
    for (int n = 0; n < p->images; n++)
        for (int k = 0; k < p->k; k++)
            for (int row = 0; row < p->height; row += 4)
                for (int column = 0; column < p->width; column += 4) {
                    tile_bound(p, n, k, row, column, bound);
                    for (int i = 0; i < 16; i++) {
                        int y = row + i / 4, x = column + i % 4;
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
                                        fmax(bound[i + 4], bound[i + 5]));
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
    pulmo_plane in = make_plane(p.c, p.height, p.width, p.images);
    pulmo_plane out =
        make_plane(p.k, p.pool ? p.height / 2 : p.height, p.pool ? p.width / 2 : p.width, p.images);
    for (int n = 0; n < p.images; n++)
        for (int c = 0; c < p.c; c++)
            for (int y = 0; y < p.height; y++)
                for (int x = 0; x < p.width; x++)
                    *value_at(&in, n, c, y, x) = (float)pixel(&p, n, c, y, x);
    run_kernels(&p, kernels, run, &in, &out);
    check_frame(&out, p.images);
    double part = compare(&p, &out);
    if (!(part <= 1))
        fail_msg("%s: C %d K %d, %d x %d, pool %d: error is %.3g of its bound", kernels->name, p.c,
                 p.k, p.height, p.width, p.pool, part);
    assert_true(part > 1e-6); /* a comparison with itself would be no test */
    pulmo_free(in.data);
    pulmo_free(out.data);
    free(p.weight);
    free(p.bias);
    free(p.image);
}

static void test_winograd(void **state)
{
    static const problem problems[] = {
        {.c = 16, .k = 16, .height = 4, .width = 4, .images = 1},
        {.c = 16, .k = 80, .height = 7, .width = 9, .images = 2},
        {.c = 48, .k = 32, .height = 12, .width = 5, .images = 1, .pool = 1},
        {.c = 32, .k = 144, .height = 9, .width = 7, .images = 1, .pool = 1},
        {.c = 80, .k = 16, .height = 5, .width = 13, .images = 2, .pool = 1},
        {.c = 64, .k = 64, .height = 10, .width = 11, .images = 1},
    };
    (void)state;
    for (int isa = 0; isa < PULMO_ISA_COUNT; isa++) {
        if (!pulmo_isa_available((pulmo_isa)isa)) {
            print_message("skipped: tier %s: this CPU lacks it\n", pulmo_isa_name((pulmo_isa)isa));
            continue;
        }
        const pulmo_kernels *kernels = pulmo_kernels_of((pulmo_isa)isa);
        assert_string_equal(kernels->name, pulmo_isa_name((pulmo_isa)isa));
        for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++)
            for (int run = 1; run <= 9; run += 4)
                check(kernels, problems[i], run, (unsigned)(100 * i + (size_t)run));
    }
}

/* Row and column sums that the points fix: the transforms in the kernels are those of the header.
 */
static void test_transforms_are_a_convolution(void **state)
{
    double g[3] = {0.3, -1.7, 2.2}, d[6] = {1, -2, 0.5, 3, -0.25, 4};
    (void)state;
    for (int y = 0; y < 4; y++) {
        double sum = 0;
        for (int i = 0; i < 6; i++) {
            double u = 0, v = 0;
            for (int a = 0; a < 3; a++)
                u += G[i][a] * g[a];
            for (int a = 0; a < 6; a++)
                v += Bt[i][a] * d[a];
            sum += At[y][i] * u * v;
        }
        assert_true(fabs(sum - (d[y] * g[0] + d[y + 1] * g[1] + d[y + 2] * g[2])) < 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transforms_are_a_convolution),
        cmocka_unit_test(test_winograd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
