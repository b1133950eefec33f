/* The blocks whose averaged outputs are a model's features, in its file: /pool_blocks (blocks)
 * int64, absent where the features are the last block's output. */
#include "model_room.h"

#include "pulmo/h5.h"

pulmo_status model_blocks_write(pulmo_h5 *file, pulmo_block_set averaged)
{
    int64_t blocks[PULMO_BLOCKS_MAX];
    uint64_t count = 0;
    for (int block = 1; block <= PULMO_BLOCKS_MAX; block++) {
        if (pulmo_block_set_has(averaged, block))
            blocks[count++] = block;
    }
    if (count == 0)
        return PULMO_OK;
    return pulmo_h5_write(file, "pool_blocks", PULMO_H5_I64, 1, &count, blocks);
}

static pulmo_status fail_pool_blocks(pulmo_h5 *file)
{
    return pulmo_fail(PULMO_DATA,
                      "%s: /pool_blocks must hold 2 to %d numbers of blocks, 1 to %d: the file is "
                      "damaged",
                      pulmo_h5_path(file), PULMO_BLOCKS_MAX, PULMO_BLOCKS_MAX);
}

pulmo_status model_blocks_read(pulmo_h5 *file, pulmo_block_set *out)
{
    pulmo_h5_shape shape;
    int64_t blocks[PULMO_BLOCKS_MAX];
    if (!pulmo_h5_exists(file, "pool_blocks"))
        return PULMO_OK;
    PULMO_TRY(pulmo_h5_shape_of(file, "pool_blocks", &shape));
    uint64_t count = shape.dims[0];
    bool fits = count >= 2 && count <= PULMO_BLOCKS_MAX;
    if (shape.rank != 1 || !fits)
        return fail_pool_blocks(file);
    PULMO_TRY(pulmo_h5_read(file, "pool_blocks", PULMO_H5_I64, 1, shape.dims, blocks));
    for (uint64_t i = 0; i < count; i++) {
        if (blocks[i] < 1 || blocks[i] > PULMO_BLOCKS_MAX)
            return fail_pool_blocks(file);
        *out |= pulmo_block_set_of((int)blocks[i]);
    }
    return PULMO_OK;
}
