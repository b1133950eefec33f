/* safetensors. */
#include "weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 8 && data[8] == '{')
        fuzz_weights(data, size);
    return 0;
}
