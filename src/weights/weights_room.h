/* Inside the weights room: what the readers of weight files share and give.
 *
 *   weights.c      which format; layers checked and copied; the digest
 *   safetensors.c  safetensors
 *   torch.c        PyTorch's .pth: the legacy stream and the zip archive, with pickle.c
 *   keras.c        Keras' HDF5
 *   onnx.c         ONNX: Conv, Relu and MaxPool nodes at the graph's beginning
 *   source.c       refusals, memory and torchvision's names, below every reader
 *   answer.c       the known answer
 *   find.c         which file, and opening it with its proof */
#ifndef PULMO_WEIGHTS_ROOM_H
#define PULMO_WEIGHTS_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/weights.h"

#define NAME_BYTES   192
#define CHANNELS_MAX 65536
#define BLOCKS_MAX   (2 * PULMO_CONVS_MAX + 8)

/* A tensor of float32 anywhere in memory; `at` need not be aligned. */
typedef struct source_tensor {
    char name[NAME_BYTES];
    int rank;
    int64_t shape[4], stride[4]; /* stride in elements */
    const uint8_t *at;
} source_tensor;

/* One layer as a file holds it, weight seen as (O, I, 3, 3) whatever its order in the file. */
typedef struct source_conv {
    source_tensor weight, bias;
    bool pool_after;
} source_conv;

typedef struct weight_file {
    const char *path;
    const uint8_t *bytes; /* the whole file, mapped */
    uint64_t size;
    const char *format, *naming; /* in words, set by the reader */
    bool caffe;                  /* its usual preprocessing is Caffe's */
    int convs;
    source_conv conv[PULMO_CONVS_MAX];
    int blocks;
    void *block[BLOCKS_MAX]; /* what readers allocated; freed with the file (pulmo_free) */
} weight_file;

/* PULMO_WEIGHTS: "FILE: message; what would do". */
pulmo_status weights_bad(const weight_file *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Zeroed memory that goes with the file. PULMO_WEIGHTS beyond what any VGG needs. */
pulmo_status weights_block(weight_file *file, uint64_t bytes, void **out);
/* Row-major strides for the shape. */
void source_dense(source_tensor *tensor);

/* torchvision's names. `find` fills a tensor called `name`; found is false where there is none. */
typedef pulmo_status (*source_finder)(void *context, const char *name, source_tensor *out,
                                      bool *found);
/* Collects features.N.weight and .bias under a prefix ("", "module.", ...) into file->conv. */
pulmo_status weights_by_torch_names(weight_file *file, const char *prefix, source_finder find,
                                    void *context);
/* The prefix if `name` is PREFIXfeatures.0.weight, else NULL; as long as *length. */
bool weights_torch_prefix(const char *name, char prefix[NAME_BYTES]);

pulmo_status weights_read_safetensors(weight_file *file);
pulmo_status weights_read_torch_stream(weight_file *file);
pulmo_status weights_read_torch_zip(weight_file *file);
pulmo_status weights_read_keras(weight_file *file);
pulmo_status weights_read_onnx(weight_file *file);

#endif
