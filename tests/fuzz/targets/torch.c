/* PyTorch's .pth: the zip archive and the stream of pickles. */
#include "weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && (data[0] == 'P' || data[0] == 0x80))
        fuzz_weights(data, size);
    return 0;
}
