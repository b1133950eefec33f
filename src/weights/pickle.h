/* Inside the weights room: reads the few pickles that hold a PyTorch state dict, and nothing else.
 *
 * A pickle is a program for a stack machine; a general reader runs what it names. This one knows
 * the opcodes that torch.save writes, builds plain values from them, and knows six kinds of names:
 * collections.OrderedDict, torch._utils._rebuild_tensor(_v2) and _rebuild_parameter, and torch's
 * storage types. Any other name ends it. Nothing is ever called or imported. Memory is bounded. */
#ifndef PULMO_WEIGHTS_PICKLE_H
#define PULMO_WEIGHTS_PICKLE_H

#include <stdbool.h>
#include <stdint.h>

#include "pulmo/status.h"
#include "weights_room.h"

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_INT, /* also True and False */
    PICKLE_REAL,
    PICKLE_TEXT,
    PICKLE_LIST, /* also tuples */
    PICKLE_DICT, /* items are key, value, key, value ... */
    PICKLE_NAME, /* a global that is known */
    PICKLE_STORAGE,
    PICKLE_TENSOR,
    PICKLE_MARK
} pickle_kind;

typedef enum pickle_name { NAME_DICT, NAME_TENSOR, NAME_PARAMETER, NAME_STORAGE } pickle_name;

/* Nodes are told by their index; 0 is None. */
typedef struct pickle_node {
    pickle_kind kind;
    int64_t number;    /* INT; NAME: a pickle_name; STORAGE: elements; TENSOR: offset in elements */
    const char *text;  /* TEXT, STORAGE's key: not NUL-ended, inside the file */
    uint32_t length;   /* of text */
    int element_bytes; /* NAME of a storage type, STORAGE */
    element_type element; /* the same */
    int first, last; /* LIST, DICT: cells; TENSOR: storage node, and in `last` the shape's node */
    int stride;      /* TENSOR: the strides' node */
} pickle_node;

typedef struct pickle_cell {
    int node, next; /* next cell, 0 at the end */
} pickle_cell;

typedef struct pickle {
    const char *path;
    pickle_node *node;
    pickle_cell *cell;
    int nodes, node_room, cells, cell_room;
    int root; /* what the last read left */
} pickle;

/* Reads one pickle at bytes[*at]; *at becomes the byte after it and p->root its value. Several may
 * be read one after another into the same `p`, which starts as zeros but for `path`. PULMO_WEIGHTS
 * with the reason for anything that is not of the kind above. */
pulmo_status pickle_read(pickle *p, const uint8_t *bytes, uint64_t size, uint64_t *at);
void pickle_free(pickle *p);

/* The value of a text key in a dict, or 0. */
int pickle_get(const pickle *p, int dict, const char *key);
/* Integers of a list into out; returns how many there are, or -1 if more than `most` or not
 * integers. */
int pickle_ints(const pickle *p, int list, int most, int64_t *out);

#endif
