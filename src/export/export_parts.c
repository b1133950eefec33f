/* What both formats are put together from: bytes that grow, and facts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "export_room.h"

void buffer_add(byte_buffer *buffer, const void *data, size_t size_bytes)
{
    if (buffer->failed)
        return;
    if (buffer->size + size_bytes > buffer->room) {
        size_t room = buffer->room ? 2 * buffer->room : 1 << 16;
        while (room < buffer->size + size_bytes)
            room *= 2;
        uint8_t *larger = realloc(buffer->bytes, room);
        if (!larger) {
            buffer->failed = true;
            return;
        }
        buffer->bytes = larger;
        buffer->room = room;
    }
    if (size_bytes > 0)
        memcpy(buffer->bytes + buffer->size, data, size_bytes);
    buffer->size += size_bytes;
}

void facts_add(export_facts *facts, const char *key, const char *format, ...)
{
    char *value = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&value, format, arguments);
    va_end(arguments);
    if (length < 0 || facts->count == FACTS_MAX) {
        if (length >= 0)
            free(value);
        facts->failed = true;
        return;
    }
    facts->key[facts->count] = key;
    facts->value[facts->count] = value;
    facts->count++;
}

void facts_free(export_facts *facts)
{
    for (int i = 0; i < facts->count; i++)
        free(facts->value[i]);
    *facts = (export_facts){0};
}
