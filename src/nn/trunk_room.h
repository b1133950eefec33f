/* Inside the nn room: the frozen convolutions.
 *
 *   trunk.c         create and forward
 *   trunk_run.c     one layer of some images on all threads
 *   trunk_layout.c  shapes of layers, the arena
 *   trunk_time.c    what each layer and stage took
 *   trunk_pack.c    transformed weights */
#ifndef PULMO_TRUNK_ROOM_H
#define PULMO_TRUNK_ROOM_H

#include "geometry.h"
#include "trunk_pack.h"

#define EARLY_IMAGES 1 /* images at once in blocks 1 to 3 */
#define EARLY_BLOCKS 3

/* What a thread's time goes to: a layer's input, GEMM and output, and the first layer's rows where
 * the second calls for them. */
enum { INPUT, GEMM, OUTPUT, FIRST_ROWS, STAGES };

typedef struct layer {
    trunk_layer pack;          /* where its weights are */
    int height, width;         /* of its input */
    int out_height, out_width; /* after the pool */
    int block;                 /* from 1 */
    int average_at;            /* where its output's averages stand among an image's; -1: nowhere */
    double seconds;            /* wall */
    double stage_s[FIRST_ROWS]; /* thread-seconds per stage, of all threads */
} layer;

struct pulmo_trunk {
    const pulmo_kernels *kernels;
    pulmo_pool *pool;
    int layers, batch, height_px, width_px;
    layer layer[PULMO_CONVS_MAX];
    const float *packed;
    void *own_packed;
    float *arena;
    /* Sizes of what the arena holds; see trunk_arena_of. */
    size_t early_floats, late_floats, scratch_floats, image_floats;
    /* Rows of the first layer's output that are made at a time, for the second; 0: all at once. */
    int band_rows;
    int stride;      /* of a framed input image */
    int averages;    /* of an image's blocks (pulmo_trunk_spec.averaged) */
    float *averaged; /* while it runs: the features of the images at hand */
    bool measuring;
    char *stage_s; /* (threads) of PULMO_ALIGN bytes: STAGES doubles of the layer at hand */
};

/* Where things stand in the arena, in floats. Deep layers swap late[0] and late[1]; early ones
 * leave their output in late[0], and use the memory of late[1], not needed yet, for their own. */
typedef struct arena_places {
    size_t late[2], early[2], framed, scratch, end;
} arena_places;

/* One layer at work on some images. */
typedef struct layer_pass {
    pulmo_trunk *trunk;
    const layer *layer;
    pulmo_plane in, out; /* out: before a max-pool apart, */
    pulmo_plane pooled;  /* and this after it */
    pulmo_tiles tiles;   /* count: of all images */
    int run;             /* tiles of a run */
    int bands;           /* of an image */
    int images;
    const float *source; /* of the first layer: (images, 3, H, W) */
    float *framed;       /* of the first layer: framed images */
} layer_pass;

/* A layer whose max-pool is a step of its own: pools straddle its tiles, or it has none. */
bool trunk_pools_apart(const layer *l);
pulmo_plane trunk_input_plane(const layer *l);
/* What the next layer reads. */
pulmo_plane trunk_output_plane(const layer *l);
/* The output before a max-pool apart. */
pulmo_plane trunk_unpooled_plane(const layer *l);
/* The first layer's output that one band of the second needs. */
pulmo_plane trunk_band_plane(const pulmo_trunk *trunk);
/* Whether the last layer's output is among the features as averages only. */
bool trunk_ends_averaged(const pulmo_trunk *trunk);
/* Values of one image's features. */
size_t trunk_feature_values(const pulmo_trunk *trunk);
/* Shapes of all layers and sizes of the arena's parts. */
void trunk_lay_out(pulmo_trunk *trunk, const pulmo_trunk_spec *spec, const pulmo_weights *weights,
                   int threads);
arena_places trunk_arena_of(const pulmo_trunk *trunk);

/* Takes a layer's images from p->in to p->out, and on to p->pooled where it pools apart, which may
 * be where the input was. */
void trunk_run_layer(layer_pass *p);

/* One thread's seconds in each stage of the layer at hand, (STAGES). */
double *trunk_stages_of(const pulmo_trunk *trunk, int thread);
/* Adds up what all threads spent in `seconds` on a layer, and on the first layer's rows in it. */
void trunk_add_times(pulmo_trunk *trunk, layer *l, double seconds);

#endif
