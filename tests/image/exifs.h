/* EXIF for tests: segments that say an orientation, and where upright pixels come from. */
#ifndef PULMO_TEST_EXIFS_H
#define PULMO_TEST_EXIFS_H

#include <stdint.h>
#include <string.h>

/* An APP1 segment that says an orientation; `little` is the byte order. Returns its length. */
static inline unsigned make_exif(uint8_t out[64], int orientation, int little)
{
    static const uint8_t ii[] = {'E',  'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0,
                                 0x12, 1,   3,   0,   1, 0, 0,   0,   0,  0, 0, 0, 0, 0, 0, 0};
    static const uint8_t mm[] = {'E', 'x',  'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
                                 1,   0x12, 0,   3,   0, 0, 0,   1,   0, 0,  0, 0, 0, 0, 0, 0};
    memcpy(out, little ? ii : mm, sizeof ii);
    out[little ? 24 : 25] = (uint8_t)orientation;
    return sizeof ii;
}

/* Where pixel (x, y) of the turned W x H picture comes from; written out from the EXIF table
 * ("the 0th row is the visual top ..."), one line a case. */
static inline void source_of(int orientation, int width, int height, int x, int y, int *sx, int *sy)
{
    switch (orientation) {
    case 1:
        *sx = x, *sy = y;
        break; /* row 0 top, column 0 left */
    case 2:
        *sx = width - 1 - x, *sy = y;
        break; /* top, right */
    case 3:
        *sx = width - 1 - x, *sy = height - 1 - y;
        break; /* bottom, right */
    case 4:
        *sx = x, *sy = height - 1 - y;
        break; /* bottom, left */
    case 5:
        *sx = y, *sy = x;
        break; /* left, top */
    case 6:
        *sx = y, *sy = height - 1 - x;
        break; /* right, top */
    case 7:
        *sx = width - 1 - y, *sy = height - 1 - x;
        break; /* right, bottom */
    default:
        *sx = width - 1 - y, *sy = x;
        break; /* 8: left, bottom */
    }
}

#endif
