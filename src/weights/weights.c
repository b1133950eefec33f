/* Weight files: which format one is, and reading it. */
#include "pulmo/weights.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pulmo/memory.h"
#include "weights_room.h"

#define SHORTEST_BYTES 8 /* a safetensors header's length */

/* ---- the file ---- */

static pulmo_status map_descriptor(weight_file *file, int descriptor)
{
    struct stat about;
    if (fstat(descriptor, &about) != 0)
        return pulmo_fail(PULMO_IO, "%s: cannot be read: %s", file->path, strerror(errno));
    if (!S_ISREG(about.st_mode))
        return weights_bad(file, "is not a regular file");
    if (about.st_size < SHORTEST_BYTES)
        return weights_bad(file, "is shorter than a safetensors header");
    void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (bytes == MAP_FAILED)
        return pulmo_fail(PULMO_IO, "%s: cannot be read: %s", file->path, strerror(errno));
    file->bytes = bytes;
    file->size = (uint64_t)about.st_size;
    return PULMO_OK;
}

static pulmo_status map_file(weight_file *file)
{
    int descriptor = open(file->path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        bool absent = errno == ENOENT || errno == ENOTDIR;
        return pulmo_fail(absent ? PULMO_WEIGHTS : PULMO_IO, "%s: cannot open the weights: %s",
                          file->path, strerror(errno));
    }
    pulmo_status status = map_descriptor(file, descriptor);
    close(descriptor);
    return status;
}

static void close_file(weight_file *file)
{
    for (int i = 0; i < file->blocks; i++)
        pulmo_free(file->block[i]);
    if (file->bytes)
        munmap((void *)(uintptr_t)file->bytes, (size_t)file->size);
    free(file);
}

/* ONNX begins with its version as field 1; a safetensors header with 8 such bytes as its length has
 * "{" behind them. */
static bool is_onnx(const weight_file *file)
{
    const uint8_t *b = file->bytes;
    bool version_first = b[0] == 0x08 && b[1] > 0 && b[1] < 64 && b[2] != 0;
    bool header_follows = file->size > 8 && b[8] == '{';
    return version_first && !header_follows;
}

/* By the first bytes. */
static pulmo_status read_by_format(weight_file *file)
{
    const uint8_t *b = file->bytes;
    bool pickle = b[0] == 0x80 && b[1] >= 2 && b[1] <= 5;
    if (memcmp(b, "PK\3\4", 4) == 0)
        return weights_read_torch_zip(file);
    if (memcmp(b, "\x89HDF\r\n\x1a\n", 8) == 0)
        return weights_read_keras(file);
    if (pickle)
        return weights_read_torch_stream(file);
    if (is_onnx(file))
        return weights_read_onnx(file);
    return weights_read_safetensors(file);
}

/* ---- reading ---- */

/* Once per file, however often its layers are taken. */
static void digest_file(weight_file *file)
{
    const size_t bytes = (size_t)file->size;
    file->digest = pulmo_digest_of(file->bytes, bytes);
    if (file->caffe)
        pulmo_md5_hex(file->bytes, bytes, file->md5);
}

static pulmo_status take_file(const weight_file *file, pulmo_preprocessing preprocessing,
                              pulmo_weights *out)
{
    bool turn_first = preprocessing == PULMO_PREPROCESSING_CAFFE;
    memset(out, 0, sizeof *out);
    PULMO_TRY(weights_take_layers(file, turn_first, out));
    weights_set_preprocessing(out, preprocessing);
    out->format = file->format;
    out->naming = file->naming;
    out->proof_of = "";
    out->answer_away = -1;
    out->file_digest = file->digest;
    memcpy(out->published, file->md5, sizeof out->published);
    return PULMO_OK;
}

/* The format's usual preprocessing, which is Caffe's for Keras; but PyTorch's convolutions are
 * moved to Keras too, and then the known answer shows it. */
static pulmo_status take_as_usual(const weight_file *file, pulmo_weights *out)
{
    PULMO_TRY(take_file(file, PULMO_PREPROCESSING_TORCHVISION, out));
    if (!file->caffe)
        return PULMO_OK;
    PULMO_TRY(pulmo_weights_prove(out));
    if (out->proof == PULMO_PROOF_ANSWER)
        return PULMO_OK;
    pulmo_weights_free(out);
    return take_file(file, PULMO_PREPROCESSING_CAFFE, out);
}

static pulmo_status read_file(weight_file *file, pulmo_preprocessing preprocessing,
                              pulmo_weights *out)
{
    pulmo_status status = map_file(file);
    if (!file->bytes)
        return status;
    PULMO_TRY(read_by_format(file));
    digest_file(file);
    if (preprocessing == PULMO_PREPROCESSING_AUTO)
        PULMO_TRY(take_as_usual(file, out));
    else
        PULMO_TRY(take_file(file, preprocessing, out));
    return weights_digest_layers(out);
}

pulmo_status pulmo_weights_read_as(const char *path, pulmo_preprocessing preprocessing,
                                   pulmo_weights *out)
{
    weight_file *file = calloc(1, sizeof *file);
    memset(out, 0, sizeof *out);
    if (!file)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", path);
    file->path = path;
    pulmo_status status = read_file(file, preprocessing, out);
    close_file(file);
    if (status != PULMO_OK)
        pulmo_weights_free(out);
    return status;
}

pulmo_status pulmo_weights_read(const char *path, pulmo_weights *out)
{
    return pulmo_weights_read_as(path, PULMO_PREPROCESSING_AUTO, out);
}

void pulmo_weights_free(pulmo_weights *weights)
{
    pulmo_free(weights->storage);
    memset(weights, 0, sizeof *weights);
}
