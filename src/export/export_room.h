/* Inside the export room: a model and its frozen weights on their way to another program.
 *
 *   export.c              opens both, writes the file, gathers what is said of the model
 *   export_parts.c        bytes that grow, facts
 *   export_onnx.c         ONNX
 *   export_safetensors.c  safetensors */
#ifndef PULMO_EXPORT_ROOM_H
#define PULMO_EXPORT_ROOM_H

#include "pulmo/export.h"
#include "pulmo/model.h"
#include "pulmo/specs.h"

#define FACTS_MAX 32

/* What is said of the model in the file's metadata. */
typedef struct export_facts {
    int count;
    bool failed; /* one is missing: out of memory, or of room */
    const char *key[FACTS_MAX];
    char *value[FACTS_MAX]; /* owned */
} export_facts;

typedef struct exporting {
    const pulmo_export_options *options;
    const pulmo_model *model;
    const pulmo_weights *weights;
    export_facts facts;
} exporting;

/* Bytes that grow; on failure `failed` stays set and nothing more is added. */
typedef struct byte_buffer {
    uint8_t *bytes;
    size_t size, room;
    bool failed;
} byte_buffer;
void buffer_add(byte_buffer *buffer, const void *data, size_t size_bytes);

/* `key` is kept, and must outlive the facts. */
void facts_add(export_facts *facts, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void facts_free(export_facts *facts);

/* Each fills `out`, which the caller frees. */
pulmo_status export_onnx(exporting *e, byte_buffer *out);
pulmo_status export_safetensors(exporting *e, byte_buffer *out);

#endif
