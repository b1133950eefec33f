/* Messages of protobuf, field by field. */
#include "protobuf.h"

#include <string.h>

#include "weights_room.h"

bool piece_take_varint(piece *p, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && p->at < p->end; shift += 7) {
        uint8_t byte = *p->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool take_fixed(piece *p, int bytes, uint64_t *out)
{
    *out = 0;
    if (p->end - p->at < bytes)
        return false;
    *out = source_number(p->at, bytes);
    p->at += bytes;
    return true;
}

static bool take_bytes(piece *p, piece *out)
{
    uint64_t length = 0;
    if (!piece_take_varint(p, &length) || (uint64_t)(p->end - p->at) < length)
        return false;
    *out = (piece){p->at, p->at + length};
    p->at += length;
    return true;
}

static bool take_value(piece *p, field *f)
{
    switch (f->wire) {
    case WIRE_VARINT:
        return piece_take_varint(p, &f->value);
    case WIRE_FIXED64:
        return take_fixed(p, 8, &f->value);
    case WIRE_FIXED32:
        return take_fixed(p, 4, &f->value);
    case WIRE_BYTES:
        return take_bytes(p, &f->bytes);
    default:
        return false;
    }
}

bool piece_next_field(piece *p, field *f, bool *broken)
{
    uint64_t tag = 0;
    memset(f, 0, sizeof *f);
    if (p->at == p->end)
        return false;
    *broken = true;
    if (!piece_take_varint(p, &tag))
        return false;
    f->number = (uint32_t)(tag >> 3);
    f->wire = (uint32_t)(tag & 7);
    if (!take_value(p, f))
        return false;
    *broken = false;
    return true;
}

bool pieces_equal(piece a, piece b)
{
    size_t length = (size_t)(a.end - a.at);
    return length == (size_t)(b.end - b.at) && memcmp(a.at, b.at, length) == 0;
}

bool piece_is_word(piece p, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(p.end - p.at) == length && memcmp(p.at, word, length) == 0;
}

bool field_take_ints(const field *f, int most, int64_t *out, int *count)
{
    piece p = f->bytes;
    uint64_t value = f->value;
    if (f->wire == WIRE_VARINT) {
        if (*count == most)
            return false;
        out[(*count)++] = (int64_t)value;
        return true;
    }
    while (f->wire == WIRE_BYTES && p.at < p.end) {
        if (*count == most || !piece_take_varint(&p, &value))
            return false;
        out[(*count)++] = (int64_t)value;
    }
    return f->wire == WIRE_BYTES;
}
