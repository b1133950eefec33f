/* The AVX-512 tier: 16 lanes, register blocks of 6 tiles x 64 channels (24 of 32 registers). */
#include "vector.h"

#define PANEL_VECTORS 4
#define TILE_ROWS     6
#define GEMM_CHANNELS 128
#define prefetch(p)   _mm_prefetch((const char *)(p), _MM_HINT_T1)

#include "../body.h"
