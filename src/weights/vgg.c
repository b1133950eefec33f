/* The shapes of the published VGG16 and VGG19. */
#include "weights_room.h"

const int vgg_blocks[VGG_KINDS][VGG_BLOCKS] = {{2, 2, 3, 3, 3}, {2, 2, 4, 4, 4}};
const int vgg_widths[VGG_BLOCKS] = {64, 128, 256, 512, 512};

void vgg16_shape(int layer, pulmo_conv *out)
{
    const int *blocks = vgg_blocks[VGG_16];
    int block = 0;
    int first = 0; /* layer of the block */
    while (layer >= first + blocks[block]) {
        first += blocks[block];
        block++;
    }
    out->in_channels = 3;
    if (layer > first)
        out->in_channels = vgg_widths[block];
    else if (block > 0)
        out->in_channels = vgg_widths[block - 1];
    out->out_channels = vgg_widths[block];
    out->feature_index = 2 * layer + block; /* each has its ReLU, each block before a pool */
    out->pool_after = layer + 1 == first + blocks[block];
}
