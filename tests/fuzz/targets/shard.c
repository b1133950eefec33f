/* A shard of a packed data set. */
#include "packed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    packed_replace("test-00000-of-00001.h5", data, size);
    packed_read("test");
    return 0;
}
