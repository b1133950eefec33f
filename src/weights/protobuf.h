/* Inside the weights room: protobuf's wire format (protobuf.dev, "Encoding"), as far as ONNX needs
 * it. Nothing is copied: pieces lie in the file. */
#ifndef PULMO_WEIGHTS_PROTOBUF_H
#define PULMO_WEIGHTS_PROTOBUF_H

#include <stdbool.h>
#include <stdint.h>

/* A part of the file: a message, a text, an array. */
typedef struct piece {
    const uint8_t *at, *end;
} piece;

/* The wire types that are read. */
enum { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

typedef struct field {
    uint32_t number, wire;
    uint64_t value; /* of a varint; the bits of a fixed number */
    piece bytes;    /* of a length-delimited field */
} field;

bool piece_take_varint(piece *p, uint64_t *out);
/* The next field; false at the end, and with *broken set where the bytes are not a message. */
bool piece_next_field(piece *p, field *f, bool *broken);
bool pieces_equal(piece a, piece b);
bool piece_is_word(piece p, const char *word);
/* Integers of a repeated field, packed or one by one, appended. False beyond `most`. */
bool field_take_ints(const field *f, int most, int64_t *out, int *count);

#endif
