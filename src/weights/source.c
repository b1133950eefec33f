/* What the readers of weight files share: refusals, memory that goes with the file, and the names
 * that torchvision and timm give to layers. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pulmo/memory.h"
#include "weights_room.h"

#define FEATURES_MAX 64 /* features.0 ... : torchvision's VGG19 ends at 34 */
#define BLOCK_BYTES_MAX                                                                            \
    ((uint64_t)512 << 20) /* a VGG's largest convolution has 9.4 MB; some files keep all in one */

pulmo_status weights_bad(const weight_file *file, const char *format, ...)
{
    char why[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return pulmo_fail(PULMO_WEIGHTS,
                      "%s: %s; what can be read are VGG convolutions as safetensors, PyTorch's "
                      ".pth, Keras' .h5 or ONNX "
                      "(data-prep/fetch-weights gets a file)",
                      file->path, why);
}

pulmo_status weights_block(weight_file *file, uint64_t bytes, void **out)
{
    if (file->blocks == BLOCKS_MAX || bytes > BLOCK_BYTES_MAX)
        return weights_bad(file, "holds more than any VGG does");
    void *block = pulmo_alloc((size_t)bytes + 1, 1);
    if (!block)
        return PULMO_MEMORY;
    *out = file->block[file->blocks++] = block;
    return PULMO_OK;
}

void source_dense(source_tensor *tensor)
{
    int64_t step = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        tensor->stride[i] = step;
        step *= tensor->shape[i];
    }
}

bool weights_torch_prefix(const char *name, char prefix[NAME_BYTES])
{
    static const char first[] = "features.0.weight";
    size_t length = strlen(name), tail = sizeof first - 1;
    if (length < tail || length - tail >= NAME_BYTES - 32 ||
        strcmp(name + length - tail, first) != 0)
        return false;
    if (length > tail && name[length - tail - 1] != '.')
        return false;
    snprintf(prefix, NAME_BYTES, "%.*s", (int)(length - tail), name);
    return true;
}

/* Two convolutions are 2 apart inside a block and 3 apart across a max-pool. */
static pulmo_status follow(weight_file *file, const source_conv *conv, int n, int before)
{
    if (file->convs == PULMO_CONVS_MAX)
        return weights_bad(file, "%s: is one layer too many", conv->weight.name);
    if (file->convs == 0)
        return PULMO_OK;
    if (n - before != 2 && n - before != 3)
        return weights_bad(file,
                           "%s: does not follow the layer before it by 2 (ReLU) or 3 (ReLU, pool): "
                           "no VGG without batch normalisation",
                           conv->weight.name);
    file->conv[file->convs - 1].pool_after = n - before == 3;
    return PULMO_OK;
}

pulmo_status weights_by_torch_names(weight_file *file, const char *prefix, source_finder find,
                                    void *context)
{
    int before = 0;
    file->naming = "torchvision and timm (features.N)";
    for (int n = 0; n < FEATURES_MAX; n++) {
        source_conv conv = {0};
        bool found = false;
        snprintf(conv.weight.name, NAME_BYTES, "%.150sfeatures.%d.weight", prefix, n);
        snprintf(conv.bias.name, NAME_BYTES, "%.150sfeatures.%d.bias", prefix, n);
        PULMO_TRY(find(context, conv.weight.name, &conv.weight, &found));
        if (!found && n == 0)
            break;
        if (!found)
            continue;
        PULMO_TRY(follow(file, &conv, n, before));
        PULMO_TRY(find(context, conv.bias.name, &conv.bias, &found));
        if (!found)
            return weights_bad(file, "%s: is missing", conv.bias.name);
        file->conv[file->convs++] = conv;
        before = n;
    }
    if (file->convs == 0)
        return weights_bad(file, "%.150sfeatures.0.weight: is missing", prefix);
    file->conv[file->convs - 1].pool_after = true;
    return PULMO_OK;
}
