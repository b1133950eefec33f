/* The convolutions of a VGG network, read from a file. Not collective.
 *
 * Formats: safetensors; PyTorch's .pth (legacy stream and zip archive, read without running
 * anything in it), both with numbered layers as torchvision and timm name them, under any prefix;
 * Keras' HDF5 (`...tf_kernels[_notop].h5` and Keras 3's `.weights.h5`); ONNX. The format is told
 * from the content. Only the convolutions are read: float32, float16 or bfloat16, 3 x 3, stride 1,
 * padding 1, each with a bias and a ReLU. Batch normalisation between the two is folded into the
 * convolution. Where blocks end is told from the numbering or the graph, so VGG11, 13, 16 and 19
 * all load, with and without batch normalisation.
 *
 * A file with VGG16's shapes can prove what it is, by a known answer: a pass of a small computed
 * image, whose result PyTorch gives in float64, or by the digest its publisher names. */
#ifndef PULMO_WEIGHTS_H
#define PULMO_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/digest.h"
#include "pulmo/status.h"

#define PULMO_CONVS_MAX 32

/* Some blocks (convolutions up to a max-pool) of a network: bit b is block b, counted from 1. */
typedef uint32_t pulmo_block_set;
#define PULMO_BLOCKS_MAX 16

static inline pulmo_block_set pulmo_block_set_of(int block)
{
    return (pulmo_block_set)1 << block;
}

static inline bool pulmo_block_set_has(pulmo_block_set set, int block)
{
    bool is_block = block >= 1 && block <= PULMO_BLOCKS_MAX;
    return is_block && (set & pulmo_block_set_of(block)) != 0;
}

/* Whether `block` is the highest of the set; true of the empty set. */
static inline bool pulmo_block_set_ends(pulmo_block_set set, int block)
{
    if (set == 0)
        return true;
    return pulmo_block_set_has(set, block) && set >> block == 1;
}

/* One 3x3 convolution, stride 1, padding 1, followed by ReLU. */
typedef struct pulmo_conv {
    int in_channels;
    int out_channels;
    bool pool_after;     /* followed by a 2x2 max-pool of stride 2 */
    int feature_index;   /* N of torchvision's features.N */
    const float *weight; /* (O, I, 3, 3) */
    const float *bias;   /* (O) */
} pulmo_conv;

/* What a network was trained to see. Values are indices of model.preprocessing's choices. */
typedef enum pulmo_preprocessing {
    /* The format's usual: torchvision's, for Keras Caffe's; but torchvision's for Keras too where
     * the known answer shows that its convolutions come from there. */
    PULMO_PREPROCESSING_AUTO,
    PULMO_PREPROCESSING_TORCHVISION, /* RGB in [0, 1], minus ImageNet's mean, over its deviation */
    PULMO_PREPROCESSING_CAFFE,       /* BGR in 0 .. 255, minus 103.939, 116.779, 123.68 */
    PULMO_PREPROCESSING_CAFFE_RGB    /* the same with the first convolution already turned to RGB */
} pulmo_preprocessing;

/* Of ImageNet's images, RGB in [0, 1]; what torchvision's weights take. */
extern const float pulmo_torchvision_mean[3], pulmo_torchvision_std[3];
const char *pulmo_preprocessing_name(pulmo_preprocessing preprocessing);
/* PULMO_PREPROCESSING_AUTO for a name that is none. */
pulmo_preprocessing pulmo_preprocessing_of(const char *name);

typedef enum pulmo_proof {
    PULMO_PROOF_NONE,      /* not asked for, or VGG16's shapes but other numbers */
    PULMO_PROOF_NOT_VGG16, /* other shapes: nothing is known of them */
    PULMO_PROOF_ANSWER,    /* the known answer, within its tolerance */
    PULMO_PROOF_PUBLISHED  /* the file's own digest is its publisher's */
} pulmo_proof;

/* What all values have in common, whatever type the file stores them as. */
typedef enum pulmo_rounding {
    PULMO_ROUNDING_NONE,
    PULMO_ROUNDING_HALF,    /* all are float16's: rounded to half precision once */
    PULMO_ROUNDING_BFLOAT16 /* all are bfloat16's */
} pulmo_rounding;

/* All convolutions in order; the arrays belong to this object. */
typedef struct pulmo_weights {
    int convs;
    pulmo_conv conv[PULMO_CONVS_MAX];
    pulmo_preprocessing preprocessing; /* never AUTO */
    float mean[3]; /* of the preprocessing: RGB in [0, 1]. A first convolution that takes BGR has */
    float std[3];  /* been turned to RGB, so that this is all there is to do */
    const char *format, *naming; /* in words; static storage */
    int norms;                   /* batch normalisations that were folded into convolutions */
    pulmo_rounding rounding;     /* of the values in the file, before folding */
    /* Of shapes and values as they are here: equal for equal weights in any format. */
    pulmo_digest digest;
    pulmo_digest file_digest; /* of the file */
    char published[33];       /* MD5 of an HDF5 file (what Keras publishes), else "" */
    pulmo_proof proof;
    const char *proof_of; /* what was proved, in words; "" where nothing was */
    /* Largest difference from the nearest known answer, relative; -1: not compared. */
    double answer_away;
    void *storage;
} pulmo_weights;

/* Reads a file. Refuses (PULMO_WEIGHTS) what is truncated, overlaps, has a wrong type, shape, a
 * missing layer, a non-finite value, or widths that do not chain. No proof is asked for, but a
 * Keras file whose preprocessing is not given may be proved on the way to it. Owned by the caller.
 */
pulmo_status pulmo_weights_read(const char *path, pulmo_weights *out);
pulmo_status pulmo_weights_read_as(const char *path, pulmo_preprocessing preprocessing,
                                   pulmo_weights *out);
void pulmo_weights_free(pulmo_weights *weights);

/* True for VGG16's 13 convolutions, widths and pools. */
bool pulmo_weights_is_vgg16(const pulmo_weights *weights);
/* Fills `proof`, `proof_of` and `answer_away`; about 50 ms for VGG16. */
pulmo_status pulmo_weights_prove(pulmo_weights *weights);
/* PULMO_WEIGHTS where proof was asked for of VGG16's shapes and not given; names the way out. */
pulmo_status pulmo_weights_require_proof(const pulmo_weights *weights, const char *path);

/* The known answer's image, (3, PULMO_ANSWER_SIDE, PULMO_ANSWER_SIDE), with the weights'
 * preprocessing; and the sums over features (512, 2, 2) that are compared, PULMO_ANSWER_SUMS of
 * them. bench/known_answer.py computes them with PyTorch. */
#define PULMO_ANSWER_SIDE 64
#define PULMO_ANSWER_SUMS 16
/* The difference that a known answer may have, relative to its largest sum: some 30 times what
 * float32 costs here, and 10 times what rounding the weights to half precision does (1e-4); three
 * times what rounding them to bfloat16 does (2e-3). A layer that is turned is 0.1 away, one whose
 * biases are lost 0.01. */
double pulmo_weights_answer_tolerance(const pulmo_weights *weights);
/* "rounded to half precision", "rounded to bfloat16" or "". */
const char *pulmo_rounding_words(pulmo_rounding rounding);
void pulmo_weights_answer_image(const pulmo_weights *weights, float *image);
void pulmo_weights_answer_sums(size_t count, const float *features, double sums[PULMO_ANSWER_SUMS]);
/* The largest difference from the nearest known answer, relative to its largest sum; `which` may be
 * NULL. */
double pulmo_weights_answer_distance(const double sums[PULMO_ANSWER_SUMS],
                                     pulmo_preprocessing preprocessing, const char **which);

/* Random convolutions of the same shape as VGG16 (He et al. 2015, eq. 10), for tests,
 * benchmarks and the comparison with random features. Owned by the caller. */
pulmo_status pulmo_weights_random(unsigned seed, pulmo_weights *out);

/* Which file to read, and as what. */
typedef struct pulmo_weights_choice {
    const char *path; /* "" or NULL for the usual places */
    pulmo_preprocessing preprocessing;
    bool any;   /* no proof is asked for */
    bool drawn; /* random ones of VGG16's shape, in place of any file: for benchmarks */
} pulmo_weights_choice;

/* The BLAS that runs, in its own words; static storage. */
const char *pulmo_blas_library(void);

/* Finds, reads and, unless `any`, proves. Owned by the caller. */
pulmo_status pulmo_weights_open(const pulmo_weights_choice *choice, pulmo_weights *out);

/* The path to read: `given` if not NULL or empty, $PULMO_WEIGHTS, or
 * ${XDG_CACHE_HOME:-~/.cache}/pulmo/vgg16_features.safetensors, ~ being $HOME or, where that is
 * unset, the directory that the password database names. Fails with PULMO_WEIGHTS, naming every way
 * to supply the file, when none is there. `out` is owned by the caller (free). */
pulmo_status pulmo_weights_find(const char *given, char **out);

#endif
