/* Any HDF5 file, as `pulmo inspect` is given it. */
#include "pulmo/inspect.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *nowhere = NULL;
    fuzz_file file = fuzz_file_open(data, size);
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    FUZZ_CHECK(nowhere, "no /dev/null");
    fuzz_refused(pulmo_inspect(file.path, false, nowhere), PULMO_DATA);
    fuzz_file_close(&file);
    return 0;
}
