/* Cues of an image: numbers that know no anatomy.
 *
 *   detail_1 .. detail_6   standard deviations, in the middle half of height and width, of six
 *                          band-pass images: differences of neighbouring levels of the
 *                          undecimated wavelet transform with the cubic B-spline ("a trous":
 *                          Starck, Murtagh, Bijaoui, "Image Processing and Data Analysis", 1998,
 *                          section 1.4.4 and appendix A); of level j, what is about 2^j px wide
 *   tone_1 .. tone_99      percentiles of the grey levels
 *   border_*, corner_*     mean grey levels of the outer sixteenth of each side, and of the outer
 *                          eighth of height and width at each corner
 *   row_1 .. row_8         mean grey levels of eighths of the height, from above
 *   column_1 .. column_8   of the width, from the left
 *
 * Sums of whole numbers are exact; those of floats have one order: the bits are the same
 * everywhere. */
#include "audit_room.h"

#include <math.h>
#include <string.h>

#define LEVELS   6
#define TONES    9
#define PARTS    8
#define REACH    2   /* of the spline, in steps of a level */
#define GREYS    256 /* levels */
#define FARTHEST (REACH << (LEVELS - 1))

/* X(name in files, in words) */
#define CUE_LIST(X)                                                                                \
    X("detail_1", "how sharp it is: detail of 2 px in the middle")                                 \
    X("detail_2", "how sharp it is: detail of 4 px in the middle")                                 \
    X("detail_3", "detail of 8 px in the middle")                                                  \
    X("detail_4", "detail of 16 px in the middle")                                                 \
    X("detail_5", "detail of 32 px in the middle")                                                 \
    X("detail_6", "detail of 64 px in the middle")                                                 \
    X("tone_1", "the tone that 1 % of its pixels are darker than")                                 \
    X("tone_5", "the tone that 5 % of its pixels are darker than")                                 \
    X("tone_10", "the tone that 10 % of its pixels are darker than")                               \
    X("tone_25", "the tone that 25 % of its pixels are darker than")                               \
    X("tone_50", "its median tone")                                                                \
    X("tone_75", "the tone that 25 % of its pixels are lighter than")                              \
    X("tone_90", "the tone that 10 % of its pixels are lighter than")                              \
    X("tone_95", "the tone that 5 % of its pixels are lighter than")                               \
    X("tone_99", "the tone that 1 % of its pixels are lighter than")                               \
    X("border_top", "how light its upper border is")                                               \
    X("border_bottom", "how light its lower border is")                                            \
    X("border_left", "how light its left border is")                                               \
    X("border_right", "how light its right border is")                                             \
    X("corner_top_left", "how light its upper left corner is")                                     \
    X("corner_top_right", "how light its upper right corner is")                                   \
    X("corner_bottom_left", "how light its lower left corner is")                                  \
    X("corner_bottom_right", "how light its lower right corner is")                                \
    X("row_1", "how light the 1st eighth of its height is")                                        \
    X("row_2", "how light the 2nd eighth of its height is")                                        \
    X("row_3", "how light the 3rd eighth of its height is")                                        \
    X("row_4", "how light the 4th eighth of its height is")                                        \
    X("row_5", "how light the 5th eighth of its height is")                                        \
    X("row_6", "how light the 6th eighth of its height is")                                        \
    X("row_7", "how light the 7th eighth of its height is")                                        \
    X("row_8", "how light the 8th eighth of its height is")                                        \
    X("column_1", "how light the 1st eighth of its width is")                                      \
    X("column_2", "how light the 2nd eighth of its width is")                                      \
    X("column_3", "how light the 3rd eighth of its width is")                                      \
    X("column_4", "how light the 4th eighth of its width is")                                      \
    X("column_5", "how light the 5th eighth of its width is")                                      \
    X("column_6", "how light the 6th eighth of its width is")                                      \
    X("column_7", "how light the 7th eighth of its width is")                                      \
    X("column_8", "how light the 8th eighth of its width is")

static const struct {
    const char *name, *words;
} named[] = {
#define X(name, words) {name, words},
    CUE_LIST(X)
#undef X
};

_Static_assert(sizeof named / sizeof named[0] == PULMO_CUES, "a name for each cue");

const char *audit_cue_name(int cue)
{
    return named[cue].name;
}

const char *pulmo_cue_words(int cue)
{
    return named[cue].words;
}

/* An image of one channel, and room to work in. */
typedef struct picture {
    int height, width;
    const float *grey; /* (height, width) */
    float *rows;       /* (height, width): a level, smoothed along rows alone */
    float *line;       /* (width + 2 * FARTHEST) */
} picture;

size_t audit_cues_floats(int height_px, int width_px)
{
    const size_t pixels = (size_t)height_px * (size_t)width_px;
    return 4 * pixels + (size_t)width_px + 2 * FARTHEST;
}

/* ---- detail ---- */

/* Beyond an edge the image is its own mirror: ... 1 0 0 1 ... n-1 n-1 ... */
static int mirrored(int at, int count)
{
    const int period = 2 * count;
    const int in = ((at % period) + period) % period;
    return in < count ? in : period - 1 - in;
}

/* [1 4 6 4 1] / 16 of the values `step` apart. */
static void smooth_line(const float *a, const float *b, const float *c, const float *d,
                        const float *e, int count, float *out)
{
    for (int x = 0; x < count; x++) {
        const float outer = a[x] + e[x];
        const float inner = b[x] + d[x];
        out[x] = 0.0625F * outer + 0.25F * inner + 0.375F * c[x];
    }
}

static void smooth_along_rows(const picture *p, const float *in, int step)
{
    const int width = p->width;
    const int reach = REACH * step;
    for (int y = 0; y < p->height; y++) {
        const float *row = in + (size_t)y * (size_t)width;
        float *out = p->rows + (size_t)y * (size_t)width;
        float *line = p->line;
        for (int x = 0; x < reach; x++) {
            line[x] = row[mirrored(x - reach, width)];
            line[reach + width + x] = row[mirrored(width + x, width)];
        }
        memcpy(line + reach, row, (size_t)width * sizeof *line);
        smooth_line(line, line + step, line + reach, line + reach + step, line + 2 * reach, width,
                    out);
    }
}

static const float *row_of(const picture *p, int y)
{
    return p->rows + (size_t)mirrored(y, p->height) * (size_t)p->width;
}

static void smooth_along_columns(const picture *p, int step, float *out)
{
    for (int y = 0; y < p->height; y++) {
        const float *above = row_of(p, y - REACH * step);
        const float *below = row_of(p, y + REACH * step);
        smooth_line(above, row_of(p, y - step), row_of(p, y), row_of(p, y + step), below, p->width,
                    out);
        out += p->width;
    }
}

/* Of the difference of two levels, in the middle half of height and width. */
static double deviation_in_middle(const picture *p, const float *fine, const float *coarse)
{
    const int top = p->height / 4, bottom = p->height - top;
    const int left = p->width / 4, right = p->width - left;
    const double pixels = (double)(bottom - top) * (right - left);
    double sum = 0, squares = 0;
    for (int y = top; y < bottom; y++) {
        const size_t row = (size_t)y * (size_t)p->width;
        for (int x = left; x < right; x++) {
            const size_t at = row + (size_t)x;
            const double band = (double)(fine[at] - coarse[at]);
            sum += band;
            squares += band * band;
        }
    }
    const double mean = sum / pixels;
    return sqrt(fmax(0, squares / pixels - mean * mean));
}

static void measure_detail(const picture *p, float *levels[2], double *cues)
{
    const float *fine = p->grey;
    for (int level = 0; level < LEVELS; level++) {
        float *coarse = levels[level % 2];
        const int step = 1 << level;
        smooth_along_rows(p, fine, step);
        smooth_along_columns(p, step, coarse);
        cues[level] = deviation_in_middle(p, fine, coarse);
        fine = coarse;
    }
}

/* ---- tones ---- */

/* The lowest grey level that at least this part of the pixels does not exceed. */
static double percentile(const uint32_t *histogram, double pixels, double percent)
{
    double seen = 0;
    for (int level = 0; level < GREYS; level++) {
        seen += histogram[level];
        if (seen * 100 >= percent * pixels)
            return level;
    }
    return GREYS - 1;
}

static void measure_tones(const picture *p, double *cues)
{
    static const double percents[TONES] = {1, 5, 10, 25, 50, 75, 90, 95, 99};
    uint32_t histogram[GREYS] = {0};
    const size_t pixels = (size_t)p->height * (size_t)p->width;
    for (size_t i = 0; i < pixels; i++)
        histogram[(int)p->grey[i]]++;
    for (int t = 0; t < TONES; t++)
        cues[t] = percentile(histogram, (double)pixels, percents[t]);
}

/* ---- places ---- */

/* 0 where an image is too small to have such a place. */
static double mean_of(const picture *p, int top, int bottom, int left, int right)
{
    const double pixels = (double)(bottom - top) * (right - left);
    double sum = 0;
    if (pixels == 0)
        return 0;
    for (int y = top; y < bottom; y++) {
        const float *row = p->grey + (size_t)y * (size_t)p->width;
        for (int x = left; x < right; x++)
            sum += (double)row[x];
    }
    return sum / pixels;
}

static void measure_edges(const picture *p, double *cues)
{
    const int H = p->height, W = p->width;
    const int thin = H / 16, narrow = W / 16;
    const int high = H / PARTS, wide = W / PARTS;
    const double edges[] = {
        mean_of(p, 0, thin, 0, W),        mean_of(p, H - thin, H, 0, W),
        mean_of(p, 0, H, 0, narrow),      mean_of(p, 0, H, W - narrow, W),
        mean_of(p, 0, high, 0, wide),     mean_of(p, 0, high, W - wide, W),
        mean_of(p, H - high, H, 0, wide), mean_of(p, H - high, H, W - wide, W),
    };
    memcpy(cues, edges, sizeof edges);
}

static void measure_profiles(const picture *p, double *cues)
{
    const int H = p->height, W = p->width;
    for (int i = 0; i < PARTS; i++) {
        cues[i] = mean_of(p, H * i / PARTS, H * (i + 1) / PARTS, 0, W);
        cues[PARTS + i] = mean_of(p, 0, H, W * i / PARTS, W * (i + 1) / PARTS);
    }
}

/* ---- all of them ---- */

/* Of three channels the mean, down to a whole grey level. */
static void take_grey(const uint8_t *pixels, size_t count, int channels, float *grey)
{
    for (size_t i = 0; i < count; i++) {
        int sum = 0;
        for (int c = 0; c < channels; c++)
            sum += *pixels++;
        const int level = sum / channels;
        grey[i] = (float)level;
    }
}

void audit_cues_of(const uint8_t *pixels, int height_px, int width_px, int channels, float *room,
                   float cues[PULMO_CUES])
{
    const size_t count = (size_t)height_px * (size_t)width_px;
    float *grey = room;
    float *levels[2] = {grey + count, grey + 2 * count};
    const picture p = {.height = height_px,
                       .width = width_px,
                       .grey = grey,
                       .rows = grey + 3 * count,
                       .line = grey + 4 * count};
    double all[PULMO_CUES];
    double *edges = all + LEVELS + TONES;
    take_grey(pixels, count, channels, grey);
    measure_detail(&p, levels, all);
    measure_tones(&p, all + LEVELS);
    measure_edges(&p, edges);
    measure_profiles(&p, edges + 8);
    for (int i = 0; i < PULMO_CUES; i++)
        cues[i] = (float)all[i];
}
