/* Inside the weights room: what the readers of weight files share and give.
 *
 *   find.c           which file, and opening it with its proof
 *   weights.c        which format; reading one file
 *   layers.c         layers checked, copied to float32, batch normalisation folded; the digest
 *   preprocessing.c  what a network was trained to see
 *   vgg.c            the shapes of the published VGGs
 *   answer.c         the known answer
 *   random.c         random convolutions
 *   safetensors.c    safetensors
 *   torch.c          PyTorch's .pth: the legacy stream and the zip archive, with pickle.c
 *   keras.c          Keras' HDF5
 *   onnx.c           ONNX: Conv, Relu and MaxPool nodes at the graph's beginning, with protobuf.c
 *   names.c          numbered layers, as PyTorch names them, under any prefix
 *   source.c         refusals, memory and elements, below every reader */
#ifndef PULMO_WEIGHTS_ROOM_H
#define PULMO_WEIGHTS_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/weights.h"

#define NAME_BYTES   192
#define CHANNELS_MAX 65536
/* A convolution takes two blocks, its normalisation four. */
#define BLOCKS_MAX (6 * PULMO_CONVS_MAX + 8)

/* How a file holds a number, little-endian. Each is read to float32 without loss. */
typedef enum element_type {
    ELEMENT_OTHER, /* is refused */
    ELEMENT_FLOAT32,
    ELEMENT_FLOAT16,  /* IEEE 754 binary16 */
    ELEMENT_BFLOAT16, /* the upper half of a float32 */
} element_type;

/* A tensor anywhere in memory; `at` need not be aligned. */
typedef struct source_tensor {
    char name[NAME_BYTES];
    element_type type;
    int rank;                    /* 0: the file has none */
    int64_t shape[4], stride[4]; /* stride in elements */
    const uint8_t *at;
} source_tensor;

/* Batch normalisation between a convolution and its ReLU, with the running statistics:
 * y = scale (x - mean) / sqrt(variance + epsilon) + shift, per channel. */
typedef struct source_norm {
    bool there;
    source_tensor scale, shift, mean, variance;
    double epsilon;
} source_norm;

/* One layer as a file holds it, weight seen as (O, I, 3, 3) whatever its order in the file. A bias
 * may be missing (rank 0) before a normalisation. */
typedef struct source_conv {
    source_tensor weight, bias;
    source_norm norm;
    bool pool_after;
} source_conv;

typedef struct weight_file {
    const char *path;
    const uint8_t *bytes; /* the whole file, mapped */
    uint64_t size;
    pulmo_digest digest;         /* of the file */
    char md5[33];                /* of a Keras file, else "" */
    const char *format, *naming; /* in words, set by the reader */
    bool caffe;                  /* its usual preprocessing is Caffe's */
    int convs;
    source_conv conv[PULMO_CONVS_MAX];
    int blocks;
    uint64_t block_bytes;
    void *block[BLOCKS_MAX]; /* what readers allocated; freed with the file (pulmo_free) */
} weight_file;

/* ---- source.c ---- */

/* PULMO_WEIGHTS: "FILE: message; what would do". */
pulmo_status weights_bad(const weight_file *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* PULMO_WEIGHTS for more bytes in memory than a file of this size can have a use for. */
pulmo_status weights_check_room(const weight_file *file, uint64_t bytes);
/* Zeroed memory that goes with the file. PULMO_WEIGHTS beyond weights_check_room, all together. */
pulmo_status weights_block(weight_file *file, uint64_t bytes, void **out);
/* A name out of a file, cut to NAME_BYTES, for messages: control characters become "?". */
void source_name(const char *text, size_t bytes, char out[NAME_BYTES]);
/* Row-major strides for the shape. */
void source_dense(source_tensor *tensor);
/* How many elements the shape has. PULMO_WEIGHTS for a size out of range, or more than the file has
 * bytes. */
pulmo_status source_elements(const weight_file *file, const source_tensor *tensor, int64_t *count);
/* An unsigned number of 1 to 8 bytes, little-endian. */
uint64_t source_number(const uint8_t *from, int bytes);
/* Bytes of one element; 0 for ELEMENT_OTHER. */
size_t element_bytes(element_type type);
float element_value(element_type type, const uint8_t *at);

/* ---- vgg.c ---- */

#define VGG_BLOCKS  5
#define VGG16_CONVS 13
enum { VGG_16, VGG_19, VGG_KINDS };

extern const int vgg_blocks[VGG_KINDS][VGG_BLOCKS]; /* convolutions of each block */
extern const int vgg_widths[VGG_BLOCKS];            /* channels that each of them gives */
/* What VGG16's convolution `layer` is, as torchvision numbers it; weight and bias are left alone.
 */
void vgg16_shape(int layer, pulmo_conv *out);

/* ---- names.c ---- */

/* The names of a file that end in NUMBER.weight, .bias, .running_mean or .running_var. */
typedef struct numbered_names {
    struct numbered_name *name;
    int count, room;
} numbered_names;

/* Remembers `name` if it is such a name. `name` and `tensor` are kept and must outlive `names`;
 * `tensor` is the reader's own. */
pulmo_status numbered_names_add(const weight_file *file, numbered_names *names, const char *name,
                                size_t bytes, const void *tensor);
void numbered_names_free(numbered_names *names);

/* How a reader gives one of its tensors. */
typedef struct tensor_reader {
    void *context;
    /* Shape without looking at the values; the rank, or 0 where it is not a tensor. */
    int (*shape)(void *context, const void *tensor, int64_t shape[4]);
    /* Fills all but the name, which is set. */
    pulmo_status (*read)(void *context, const void *tensor, source_tensor *out);
} tensor_reader;

/* Collects the convolutions of the one network among `names` into file->conv: numbered as in
 * torchvision's `features`, whatever stands before the number. */
pulmo_status weights_by_numbers(weight_file *file, const numbered_names *names,
                                const tensor_reader *reader);

/* ---- readers ---- */

pulmo_status weights_read_safetensors(weight_file *file);
pulmo_status weights_read_torch_stream(weight_file *file);
pulmo_status weights_read_torch_zip(weight_file *file);
pulmo_status weights_read_keras(weight_file *file);
pulmo_status weights_read_onnx(weight_file *file);

/* ---- weights.c's helpers ---- */

/* Checks the layers of `file` and copies them as float32; fills convs, conv, storage, norms and
 * rounding. `turn_first`: the first convolution takes BGR and is turned to RGB. */
pulmo_status weights_take_layers(const weight_file *file, bool turn_first, pulmo_weights *out);
/* Fills out->digest from what is there. */
pulmo_status weights_digest_layers(pulmo_weights *out);
/* Fills preprocessing, mean and std; not AUTO. */
void weights_set_preprocessing(pulmo_weights *out, pulmo_preprocessing preprocessing);

/* OpenBLAS counts its threads for the whole process: ranks and their pools have the CPUs. */
void weights_one_blas_thread(void);

#endif
