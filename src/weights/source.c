/* What the readers of weight files share: refusals, memory that goes with the file, and elements.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "pulmo/memory.h"
#include "weights_room.h"

/* In all. VGG16's convolutions take 59 MB, and with its classifier 528 MB; some files keep all in
 * one storage. */
#define UNPACKED_MAX ((uint64_t)640 << 20)
/* Of each byte of the file: trained weights are packed by less than 2, and half precision becomes
 * float32. A file that says more of itself is made to take memory. */
#define UNPACKED_PER_BYTE 16
#define UNPACKED_ALWAYS   ((uint64_t)1 << 20)

pulmo_status weights_bad(const weight_file *file, const char *format, ...)
{
    char why[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return pulmo_fail(PULMO_WEIGHTS,
                      "%s: %s; what can be read are VGG convolutions as safetensors, PyTorch's "
                      ".pth, Keras' .h5 or ONNX (\"pulmo weights fetch\" gets a file)",
                      file->path, why);
}

pulmo_status weights_check_room(const weight_file *file, uint64_t bytes)
{
    uint64_t most = UNPACKED_MAX;
    if (file->size < UNPACKED_MAX / UNPACKED_PER_BYTE)
        most = UNPACKED_ALWAYS + file->size * UNPACKED_PER_BYTE;
    if (bytes <= most)
        return PULMO_OK;
    return weights_bad(file,
                       "holds more than any VGG does: %" PRIu64 " bytes; at most %" PRIu64
                       " are taken from a file of %" PRIu64,
                       bytes, most, file->size);
}

pulmo_status weights_block(weight_file *file, uint64_t bytes, void **out)
{
    if (file->blocks == BLOCKS_MAX)
        return weights_bad(file, "holds more parts than any VGG does");
    if (bytes > UNPACKED_MAX)
        return weights_check_room(file, bytes);
    PULMO_TRY(weights_check_room(file, file->block_bytes + bytes));
    void *block = pulmo_alloc((size_t)bytes + 1, 1);
    if (!block)
        return PULMO_MEMORY;
    file->block[file->blocks++] = block;
    file->block_bytes += bytes;
    *out = block;
    return PULMO_OK;
}

void source_name(const char *text, size_t bytes, char out[NAME_BYTES])
{
    size_t length = bytes < NAME_BYTES - 1 ? bytes : NAME_BYTES - 1;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool control = c < ' ' || c == 0x7f;
        out[i] = control ? '?' : text[i];
    }
    out[length] = '\0';
}

/* ---- shapes ---- */

void source_dense(source_tensor *tensor)
{
    int64_t step = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        tensor->stride[i] = step;
        step *= tensor->shape[i];
    }
}

pulmo_status source_elements(const weight_file *file, const source_tensor *tensor, int64_t *count)
{
    *count = 1;
    for (int i = 0; i < tensor->rank; i++) {
        const int64_t size = tensor->shape[i];
        if (size < 1 || size > CHANNELS_MAX)
            return weights_bad(file, "%s: has a size out of range", tensor->name);
        *count *= size;
        if (*count > (int64_t)file->size)
            return weights_bad(file, "%s: has a shape larger than the file", tensor->name);
    }
    return PULMO_OK;
}

/* ---- numbers and elements ---- */

uint64_t source_number(const uint8_t *from, int bytes)
{
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; i--)
        value = value << 8 | from[i];
    return value;
}

size_t element_bytes(element_type type)
{
    switch (type) {
    case ELEMENT_FLOAT32:
        return 4;
    case ELEMENT_FLOAT16:
    case ELEMENT_BFLOAT16:
        return 2;
    case ELEMENT_OTHER:
        break;
    }
    return 0;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* binary16: 1 bit of sign, 5 of exponent (bias 15), 10 of fraction. */
static float float_of_half(uint32_t half)
{
    uint32_t sign = (half & 0x8000u) << 16;
    uint32_t exponent = half >> 10 & 0x1fu;
    uint32_t fraction = half & 0x3ffu;
    if (exponent == 0) { /* zero, or a subnormal: fraction times 2^-24 */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    uint32_t widened = exponent == 0x1fu ? 0xffu : exponent + 127 - 15;
    return float_of_bits(sign | widened << 23 | fraction << 13);
}

float element_value(element_type type, const uint8_t *at)
{
    uint32_t low = (uint32_t)at[0] | (uint32_t)at[1] << 8;
    if (type == ELEMENT_FLOAT16)
        return float_of_half(low);
    if (type == ELEMENT_BFLOAT16)
        return float_of_bits(low << 16);
    return float_of_bits(low | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
}
