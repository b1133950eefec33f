/* Pickles, opcode by opcode, as torch.save writes them. */
#ifndef PULMO_TEST_PICKLES_H
#define PULMO_TEST_PICKLES_H

#include "formats.h"

static inline void add_text(bytes *b, const char *text)
{
    add_byte(b, 'X');
    add_number(b, strlen(text), 4);
    add_words(b, text);
}
static inline void add_name(bytes *b, const char *module, const char *name)
{
    add_byte(b, 'c');
    add_words(b, module);
    add_byte(b, '\n');
    add_words(b, name);
    add_byte(b, '\n');
}
static inline void add_int(bytes *b, int64_t value)
{
    add_byte(b, 0x8a);
    add_byte(b, 8);
    add_number(b, (uint64_t)value, 8);
}
static inline void add_empty_dict(bytes *b)
{
    add_name(b, "collections", "OrderedDict");
    add_words(b, ")R");
}

/* What stands before the state dict in a stream: its magic number, its protocol, facts of the
 * system. */
static inline void add_stream_head(bytes *b)
{
    add_words(b, "\x80\x02\x8a\x0a");
    add(b, "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);
    add_words(b, ".\x80\x02M");
    add_number(b, 1001, 2);
    add_words(b, ".\x80\x02}(");
    add_text(b, "little_endian");
    add_words(b, "\x88u.");
}

#endif
