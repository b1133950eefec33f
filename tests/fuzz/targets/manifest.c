/* manifest.h5 of a packed data set. */
#include "packed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    packed_replace("manifest.h5", data, size);
    packed_read("train");
    packed_read("test");
    return 0;
}
