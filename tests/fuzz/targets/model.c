/* model.h5, without a seal: with one, other bytes are refused before they are parsed. */
#include "pulmo/model.h"
#include "target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pulmo_model model;
    fuzz_file file = fuzz_file_open(data, size);
    pulmo_status status = pulmo_model_read(file.path, &model);
    if (status == PULMO_OK)
        pulmo_model_free(&model);
    fuzz_refused(status, PULMO_DATA);
    fuzz_file_close(&file);
    return 0;
}
