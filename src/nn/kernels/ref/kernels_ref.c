/* The reference tier: portable C with the compiler's generic vectors; no fused operations. */
#include "vector.h"

#define PANEL_VECTORS 2
#define TILE_ROWS     4
#define GEMM_CHANNELS 256
#define prefetch(p)   (void)(p)

#include "../body.h"
