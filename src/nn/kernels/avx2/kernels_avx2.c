/* The AVX2+FMA tier: 8 lanes, register blocks of 6 tiles x 16 channels (12 of 16 registers). */
#include "vector.h"

#define PANEL_VECTORS 2
#define TILE_ROWS     6
#define GEMM_CHANNELS 256
#define prefetch(p)   _mm_prefetch((const char *)(p), _MM_HINT_T1)

#include "../body.h"
