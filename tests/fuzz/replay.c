/* replay FILE...: the inputs that fuzzing found, and small ones of every format, through the target
 * they are linked with, without libFuzzer. */
#include "pulmo/file.h"
#include "targets/target.h"

#define INPUT_BYTES_MAX ((size_t)1 << 26)

int main(int count, char **paths)
{
    for (int i = 1; i < count; i++) {
        uint8_t *data = NULL;
        size_t size = 0;
        pulmo_status status = pulmo_file_read(paths[i], INPUT_BYTES_MAX, &data, &size);
        FUZZ_CHECK(status == PULMO_OK, "cannot read %s", paths[i]);
        printf("%s\n", paths[i]);
        fflush(stdout);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    return count > 1 ? 0 : 77;
}
