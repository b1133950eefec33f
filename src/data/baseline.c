/* Grey baseline JPEGs: markers, Huffman codes, rows of blocks. What and why is in baseline.h; the
 * format is ITU-T T.81, whose tables and figures are named below. */
#include "baseline.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/isa.h"

#define LOOK     12 /* bits of the look-up tables */
#define SIDE_MAX 65500
#if defined(__x86_64__)
#define FAST __attribute__((target("avx2,bmi,bmi2"))) /* shifts that leave the flags alone */
#else
#define FAST
#endif
#define OVERRUN 1024 /* more than one block of a damaged file can read beyond the end */

/* Places along the zigzag that a pair of values may name: beyond the block is place 64, of no use.
 */
#define PLACES (64 + 16 + END_STEPS)
/* Figure A.6. */
static const uint8_t zigzag[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                   12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                   35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                   58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

/* What a look-up of the next LOOK bits says: bits to drop (5), kind (2), from bit 8 the run (8),
 * above that the value (16, signed). */
typedef enum entry_kind {
    LONG_CODE, /* the code is longer than that */
    WHOLE,     /* code and value, which is not 0 */
    CODE,      /* the code; value is the size, in bits, of the value that follows */
    NO_VALUE   /* the end of the block (run 64), sixteen zeros (run 16), or a difference of 0 */
} entry_kind;
typedef uint32_t entry;

static inline entry entry_of(entry_kind kind, int run, int bits, int value)
{
    return (uint32_t)bits | (uint32_t)kind << 5 | (uint32_t)run << 8 | (uint32_t)value << 16;
}
static inline entry_kind kind_of(entry e)
{
    return (entry_kind)(e >> 5 & 3);
}
static inline int run_of(entry e)
{
    return (int)(e >> 8 & 0xFF);
}
static inline int bits_of(entry e)
{
    return (int)(e & 31);
}
static inline int value_of(entry e)
{
    return (int32_t)e >> 16;
}

/* Two values at once: of a WHOLE entry, and of what follows it if that is WHOLE or the end of the
 * block and both fit into a look-up. Otherwise the second is a value of 0 at the place of the
 * first, which is to be stored after it. From bit 0 on: bits of both (6), kind (2), bits of the
 * first (8), its run (8), steps from the first place to the second (8), values (16, 16). */
typedef uint64_t double_entry;
#define END_STEPS 127 /* a second place beyond any block */

typedef struct code_table {
    bool defined;
    entry look[1 << LOOK];
    int32_t end[18]; /* by length: one more than the last code, filled up to 16 bits; -1 where there
                        is none */
    int32_t first[17], index[17]; /* by length: the first code, and where its symbol stands */
    uint8_t symbol[256];
} code_table;

/* As many as a baseline file may have. */
typedef struct code_tables {
    code_table dc[2], ac[2];
    double_entry twice[2][1 << LOOK]; /* of ac */
} code_tables;

/* Bits still to be read: `count` at the top of `bits`, then from `at` on. */
typedef struct bit_reader {
    uint64_t bits;
    int count;
    const uint8_t *at;
} bit_reader;

typedef struct baseline {
    const uint8_t *at, *end; /* what is not read yet */
    uint8_t natural[PLACES]; /* of a place along the zigzag; 64 beyond the block */
    uint8_t *plain; /* the scan's bytes up to the next marker, without what is stuffed in, and
                       OVERRUN zeros */
    const uint8_t *plain_end;
    bit_reader bits;
    int width, height, restart;
    int last_dc;
    uint16_t quant[4][PLACES]; /* in zigzag order; 0 beyond the block */
    bool has_quant[4];
    int quant_of, dc_of, ac_of;
    uint8_t component;
    code_tables *codes;
    resizer resize;
} baseline;

/* ---- tables ---- */

static int32_t extend(int32_t bits, int size)
{
    return size > 0 && bits < 1 << (size - 1) ? bits - (1 << size) + 1 : bits;
}

/* One code of `length` <= LOOK bits: fills all entries that begin with it. */
static void fill_entries(code_table *t, bool ac, int code, int length, int symbol)
{
    int run = ac ? symbol >> 4 : 0, size = symbol & 15, rest = LOOK - length;
    for (int i = 0; i < 1 << rest; i++) {
        entry *e = &t->look[code << rest | i];
        if (size == 0)
            *e = entry_of(NO_VALUE, !ac ? 0 : run == 15 ? 16 : 64, length, 0);
        else if (size <= rest)
            *e = entry_of(WHOLE, run, length + size, extend(i >> (rest - size), size));
        else
            *e = entry_of(CODE, run, length, size);
    }
}

/* Annex C. False for counts that are no code. */
static bool make_table(code_table *t, bool ac, const uint8_t counts[16], const uint8_t *symbols)
{
    int code = 0, index = 0;
    memset(t, 0, sizeof *t);
    for (int length = 1; length <= 16; length++, code <<= 1) {
        t->first[length] = code;
        t->index[length] = index;
        for (int k = 0; k < counts[length - 1]; k++, code++, index++) {
            t->symbol[index] = symbols[index];
            if (!ac && symbols[index] > 11)
                return false;
            if (ac && (symbols[index] & 15) == 0 && symbols[index] != 0 && symbols[index] != 0xF0)
                return false;
            if (code >= 1 << length)
                return false;
            if (length <= LOOK)
                fill_entries(t, ac, code, length, symbols[index]);
        }
        t->end[length] = counts[length - 1] ? code << (16 - length) : -1;
    }
    return t->defined = true;
}

static void pair_up(const code_table *t, double_entry twice[1 << LOOK])
{
    for (uint32_t i = 0; i < 1 << LOOK; i++) {
        entry a = t->look[i], b = t->look[i << bits_of(a) & ((1 << LOOK) - 1)];
        bool both = kind_of(a) == WHOLE && bits_of(a) + bits_of(b) <= LOOK;
        int steps = 0, bits = bits_of(a), value = 0;
        if (both && kind_of(b) == NO_VALUE && run_of(b) == 64)
            steps = END_STEPS, bits += bits_of(b);
        else if (both && kind_of(b) == WHOLE)
            steps = run_of(b) + 1, bits += bits_of(b), value = value_of(b);
        bool ends =
            kind_of(a) == NO_VALUE && run_of(a) == 64; /* as a value of 0 beyond the block */
        twice[i] = (uint64_t)bits | (uint64_t)(ends ? WHOLE : kind_of(a)) << 6 |
                   (uint64_t)bits_of(a) << 8 | (uint64_t)(ends ? END_STEPS : run_of(a)) << 16 |
                   (uint64_t)steps << 24 | (uint64_t)(uint16_t)value_of(a) << 32 |
                   (uint64_t)(uint16_t)value << 48;
    }
}

/* ---- bits ---- */

/* Copies the scan's bytes up to the next marker; 0xFF 0x00 stands for 0xFF. */
static void load_segment(baseline *b)
{
    uint8_t *to = b->plain;
    while (b->at < b->end) {
        const uint8_t *stop = memchr(b->at, 0xFF, (size_t)(b->end - b->at));
        size_t run = (size_t)((stop ? stop : b->end) - b->at);
        memcpy(to, b->at, run);
        to += run;
        b->at += run;
        if (!stop || b->end - b->at < 2 || b->at[1] != 0)
            break;
        *to++ = 0xFF;
        b->at += 2;
    }
    memset(to, 0, OVERRUN);
    b->plain_end = to;
    b->bits = (bit_reader){.at = b->plain};
    b->last_dc = 0;
}

/* How many bits of the segment are left; negative when more were read than there were. */
static inline int64_t bits_left(const baseline *b, const bit_reader *r)
{
    return (b->plain_end - r->at) * 8 + r->count;
}

/* At least 56 bits. */
static inline void refill(bit_reader *r)
{
    uint64_t next;
    memcpy(&next, r->at, sizeof next);
    r->bits |= be64toh(next) >> r->count;
    r->at += (63 - r->count) >> 3;
    r->count |= 56;
}

static inline void drop(bit_reader *r, int bits)
{
    r->bits <<= bits;
    r->count -= bits;
}

/* The next `size` bits, 1 to 15, as a value. */
static inline int take_value(bit_reader *r, int size)
{
    int32_t value = (int32_t)(r->bits >> (64 - size));
    drop(r, size);
    return extend(value, size);
}

/* A code of more than LOOK bits, as an entry; LONG_CODE if there is no such code. */
static entry long_entry(uint64_t bits, const code_table *t, bool ac)
{
    int32_t next = (int32_t)(bits >> 48);
    for (int length = LOOK + 1; length <= 16; length++) {
        if (next >= t->end[length])
            continue;
        int symbol = t->symbol[t->index[length] + (next >> (16 - length)) - t->first[length]];
        int run = ac ? symbol >> 4 : 0, size = symbol & 15;
        return size ? entry_of(CODE, run, length, size)
                    : entry_of(NO_VALUE,
                               !ac         ? 0
                               : run == 15 ? 16
                                           : 64,
                               length, 0);
    }
    return entry_of(LONG_CODE, 0, 0, 0);
}

/* ---- a block ---- */

/* An entry that is not WHOLE: the code is dropped, and *value what follows it. */
static inline entry other_entry(bit_reader *r, const code_table *t, bool ac, entry e, int *value)
{
    if (r->count < 32)
        refill(r);
    if (kind_of(e) == LONG_CODE)
        e = long_entry(r->bits, t, ac);
    drop(r, bits_of(e));
    *value = kind_of(e) == CODE ? take_value(r, value_of(e)) : 0;
    return e;
}

static bool read_dc(baseline *b, bit_reader *r)
{
    const code_table *t = &b->codes->dc[b->dc_of];
    refill(r);
    entry e = t->look[r->bits >> (64 - LOOK)];
    int value = value_of(e);
    if (kind_of(e) == WHOLE)
        drop(r, bits_of(e));
    else
        e = other_entry(r, t, false, e, &value);
    b->last_dc += value;
    return kind_of(e) != LONG_CODE && b->last_dc >= -4096 && b->last_dc <= 4096;
}

/* What is no WHOLE entry: moves *k on, and *value is what is to be stored there, 0 for nothing.
 * False for no code. */
static inline bool read_other(bit_reader *r, const code_table *t, int *k, int *value)
{
    entry e = t->look[r->bits >> (64 - LOOK)];
    e = other_entry(r, t, true, e, value);
    *k += run_of(e) == 64 ? 2 * 64 : run_of(e);
    if (run_of(e) == 16)
        (*k)--; /* of sixteen zeros the caller counts one */
    return kind_of(e) != LONG_CODE;
}

typedef int16_t coefficient_vector __attribute__((vector_size(32), may_alias));

static inline double_entry first_alone(double_entry e)
{
    return (e & 0xFFFF00FFFF00u) | (e >> 8 & 0x3F);
}

/* Dequantised coefficients in natural order. False for what an encoder does not write. */
FAST static inline bool read_block(baseline *b, int16_t *block)
{
    const uint16_t *quant = b->quant[b->quant_of];
    const double_entry *twice = b->codes->twice[b->ac_of];
    coefficient_vector *vectors = (coefficient_vector *)(void *)block;
    bit_reader r = b->bits; /* a copy of its own, to stay in registers */
    int k = 1, value;
    for (int i = 0; i < 4; i++)
        vectors[i] = (coefficient_vector){0};
    if (!read_dc(b, &r))
        return false;
    int32_t first = b->last_dc * quant[0], second, sum = abs(first);
    block[0] = (int16_t)first;
    while (k < 64) {
        refill(&r); /* enough for four look-ups: one branch less to guess wrong */
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            double_entry e = twice[r.bits >> (64 - LOOK)];
            if (__builtin_expect((e >> 6 & 3) != WHOLE, 0)) {
                if (!read_other(&r, &b->codes->ac[b->ac_of], &k, &value) || (k > 63 && value != 0))
                    return false;
                first = value * quant[k];
                sum += abs(first);
                block[b->natural[k++]] = (int16_t)first;
                break;
            }
            k += (int)(e >> 16 & 0xFF);
            if (__builtin_expect(k >= 63, 0))
                e = first_alone(e);
            drop(&r, (int)(e & 0x3F));
            int place = k + (int)(e >> 24 & 0xFF);
            first = (int16_t)(e >> 32) * quant[k];
            second = (int16_t)(e >> 48) * quant[place];
            block[b->natural[place]] = (int16_t)second;
            block[b->natural[k]] = (int16_t)first;
            sum += (first ^ first >> 31) -
                   (first >> 31); /* magnitudes, spelled so that they stay out of vectors */
            sum += (second ^ second >> 31) - (second >> 31);
            k = place + 1;
            if (k > 63)
                break;
        }
    }
    b->bits = r;
    /* 64 is a block that was full, above 128 one that was ended; between lies what left it. */
    return (k == 64 || (k > 128 && k <= 64 + 2 * 64 + 1)) && sum <= BASELINE_SUM_MAX &&
           bits_left(b, &r) >= 0;
}

/* Section E.2.4: after the last bits of an interval comes the marker that is due. */
static bool marker_is_next(const baseline *b, unsigned marker)
{
    int64_t left = bits_left(b, &b->bits);
    return left >= 0 && left < 8 && b->end - b->at >= 2 && b->at[0] == 0xFF && b->at[1] == marker;
}

/* ---- the scan ---- */

typedef struct scan {
    int side;                /* pixels a block leaves: 8, 4, 2, 1 */
    int blocks;              /* a row */
    unsigned done, restarts; /* blocks; markers met */
    uint8_t *rows;           /* (side, blocks * side): of reduced blocks */
} scan;

/* Blocks in natural order, each with a place for what is beyond it. A block is transformed when the
 * next are read: what was just stored in 16 bits cannot be loaded in 256 without waiting. */
#define BLOCK 80
typedef struct blocks {
    int16_t at[4][BLOCK];
} __attribute__((aligned(32))) blocks;

/* The pixels of block x, if there is one; of whole ones two at a time go to the resize's block. */
FAST static inline void turn_block(baseline *b, const scan *s, int x, const blocks *ring)
{
    if (x < 0)
        return;
    if (s->side < 8)
        baseline_idct_small(ring->at[x & 3], s->side, s->rows + x * s->side,
                            (size_t)s->blocks * (size_t)s->side);
    else if (x % 2 == 1 || x == s->blocks - 1)
        baseline_idct_pair(ring->at[x & 2], ring->at[(x & 2) + 1],
                           resizer_block(&b->resize) + 64 * (size_t)(x / 2 * 2));
}

FAST static bool read_row(baseline *b, scan *s)
{
    blocks ring = {0};
    for (int x = 0; x < s->blocks; x++, s->done++) {
        if (b->restart > 0 && s->done > 0 && s->done % (unsigned)b->restart == 0) {
            if (!marker_is_next(b, 0xD0 + s->restarts++ % 8))
                return false;
            b->at += 2;
            load_segment(b);
        }
        if (!read_block(b, ring.at[x & 3]))
            return false;
        turn_block(b, s, x - 1, &ring);
    }
    turn_block(b, s, s->blocks - 1, &ring);
    return true;
}

static void give_row(baseline *b, const scan *s, int rows)
{
    size_t stride = (size_t)s->blocks * (size_t)s->side;
    if (s->side == 8)
        resizer_took_block(&b->resize, rows);
    for (int y = 0; y < rows && s->side < 8; y++) {
        memcpy(resizer_row(&b->resize), s->rows + (size_t)y * stride, (size_t)b->resize.width);
        resizer_took(&b->resize);
    }
}

static bool read_scan(baseline *b, scan *s)
{
    load_segment(b);
    for (int left = b->resize.height; left > 0; left -= s->side) {
        if (!read_row(b, s))
            return false;
        give_row(b, s, left < s->side ? left : s->side);
    }
    return marker_is_next(b, 0xD9); /* the image ends where the data ends */
}

/* ---- markers ---- */

static unsigned two(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static bool read_quant(baseline *b, const uint8_t *p, size_t size)
{
    for (; size >= 65; p += 65, size -= 65) {
        if (p[0] > 3)
            return false; /* 16 bits, or a number that there is not */
        b->has_quant[p[0]] = true;
        for (int k = 0; k < 64; k++)
            b->quant[p[0]][k] = p[1 + k];
    }
    return size == 0;
}

static bool read_codes(baseline *b, const uint8_t *p, size_t size)
{
    while (size >= 17) {
        size_t symbols = 0;
        if ((p[0] & 15) > 1 || p[0] >> 4 > 1)
            return false;
        for (int i = 1; i <= 16; i++)
            symbols += p[i];
        if (symbols > 256 || symbols > size - 17)
            return false;
        code_table *table = p[0] >> 4 ? &b->codes->ac[p[0] & 1] : &b->codes->dc[p[0] & 1];
        if (!make_table(table, p[0] >> 4, p + 1, p + 17))
            return false;
        if (p[0] >> 4)
            pair_up(table, b->codes->twice[p[0] & 1]);
        p += 17 + symbols;
        size -= 17 + symbols;
    }
    return size == 0;
}

static bool read_frame(baseline *b, const uint8_t *p, size_t size)
{
    if (size != 9 || p[0] != 8 || p[5] != 1 || b->width > 0)
        return false; /* one component of 8 bits */
    b->height = (int)two(p + 1);
    b->width = (int)two(p + 3);
    b->component = p[6];
    b->quant_of = p[8];
    int h = p[7] >> 4, v = p[7] & 15;
    return b->height > 0 && b->width > 0 && b->height <= SIDE_MAX && b->width <= SIDE_MAX &&
           h >= 1 && h <= 4 && v >= 1 && v <= 4 && p[8] < 4;
}

static bool read_scan_head(baseline *b, const uint8_t *p, size_t size)
{
    if (size != 6 || p[0] != 1 || p[1] != b->component || b->width == 0)
        return false;
    b->dc_of = p[2] >> 4;
    b->ac_of = p[2] & 15;
    if (p[3] != 0 || p[4] != 63 || p[5] != 0 || b->dc_of > 1 || b->ac_of > 1)
        return false;
    return b->codes->dc[b->dc_of].defined && b->codes->ac[b->ac_of].defined &&
           b->has_quant[b->quant_of];
}

static bool read_segment(baseline *b, unsigned marker, const uint8_t *p, size_t size,
                         pulmo_decode_notes *notes)
{
    switch (marker) {
    case 0xDB:
        return read_quant(b, p, size);
    case 0xC4:
        return read_codes(b, p, size);
    case 0xC0: /* baseline; extended, with 8 bits, reads the same */
    case 0xC1:
        return read_frame(b, p, size);
    case 0xDA:
        return read_scan_head(b, p, size);
    case 0xDD:
        b->restart = size == 2 ? (int)two(p) : 0;
        return size == 2;
    case 0xE0:
        return size < 14 || memcmp(p, "JFIF", 5) != 0 ||
               p[5] == 1; /* libjpeg warns of other versions */
    case 0xE1:
        return exif_orientation(p, size) == 1;
    case 0xE2:
        if (size >= 12 && memcmp(p, "ICC_PROFILE", 12) == 0)
            notes->had_icc = 1;
        return true;
    default:
        return marker == 0xFE ||
               (marker >= 0xE0 && marker <= 0xEF); /* comments and applications' */
    }
}

/* Everything up to the scan's data. */
static bool read_head(baseline *b, pulmo_decode_notes *notes)
{
    b->at += 2;
    for (unsigned marker = 0; marker != 0xDA;) {
        if (b->end - b->at < 4 || b->at[0] != 0xFF)
            return false;
        marker = b->at[1];
        size_t size = two(b->at + 2);
        if (size < 2 || size > (size_t)(b->end - b->at) - 2)
            return false;
        if (!read_segment(b, marker, b->at + 4, size - 2, notes))
            return false;
        b->at += 2 + size;
    }
    return true;
}

/* ---- the whole ---- */

unsigned baseline_eighths(unsigned width_px, unsigned height_px, const pulmo_decode_spec *spec)
{
    unsigned shorter = width_px < height_px ? width_px : height_px;
    for (unsigned eighths = 1; spec->fast_target_px > 0 && eighths < 8; eighths *= 2)
        if ((uint64_t)shorter * eighths / 8 >= (unsigned)spec->fast_target_px)
            return eighths;
    return 8;
}

static bool decode_grey(baseline *b, const pulmo_decode_spec *spec, int out_height, int out_width,
                        pulmo_image *out, pulmo_decode_notes *notes)
{
    if (!read_head(b, notes) || (uint64_t)b->width * (uint64_t)b->height > spec->pixels_max)
        return false;
    scan s = {.side = (int)baseline_eighths((unsigned)b->width, (unsigned)b->height, spec),
              .blocks = (b->width + 7) / 8};
    int width = (b->width * s.side + 7) / 8, height = (b->height * s.side + 7) / 8;
    if (width == out_width ||
        resizer_begin(&b->resize, height, width, 1, out_height, out_width) != PULMO_OK)
        return false;
    s.rows = malloc((size_t)s.blocks * (size_t)(s.side * s.side));
    b->plain = malloc((size_t)(b->end - b->at) + OVERRUN);
    bool whole = s.rows && b->plain && read_scan(b, &s);
    if (whole)
        whole = resizer_end(&b->resize, out) == PULMO_OK;
    else
        resizer_free(&b->resize);
    free(s.rows);
    free(b->plain);
    notes->source_width_px = b->width;
    notes->source_height_px = b->height;
    notes->source_channels = 1;
    return whole;
}

bool baseline_decode(const uint8_t *data, size_t size, const pulmo_decode_spec *spec,
                     int out_height_px, int out_width_px, pulmo_image *out,
                     pulmo_decode_notes *notes)
{
    pulmo_decode_notes found = {.orientation = 1};
    baseline *b = size > 4 && pulmo_isa_available(PULMO_ISA_AVX2) ? calloc(1, sizeof *b) : NULL;
    code_tables *codes =
        malloc(sizeof *codes); /* not cleared: a table is whole once it is defined */
    if (!b || !codes) {
        free(b);
        free(codes);
        return false;
    }
    for (int i = 0; i < 2; i++)
        codes->dc[i].defined = codes->ac[i].defined = false;
    b->codes = codes;
    b->at = data;
    b->end = data + size;
    for (int k = 0; k < PLACES; k++)
        b->natural[k] = k < 64 ? zigzag[k] : 64;
    bool whole = decode_grey(b, spec, out_height_px, out_width_px, out, &found);
    if (whole)
        *notes = found;
    free(codes);
    free(b);
    pulmo_error_clear();
    return whole;
}
