/* Keras' HDF5. */
#include "weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 8 && memcmp(data, "\x89HDF", 4) == 0)
        fuzz_weights(data, size);
    return 0;
}
