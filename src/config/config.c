/* Reading a configuration from a file. */
#include "pulmo/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "pulmo/memory.h"
#include "grid.h"
#include "read.h"
#include "schema.h"

/* ---- the file ---- */

typedef struct reader {
    yaml_document_t *document;
    const char *name;
    pulmo_config *config;
    pulmo_grid *grid; /* NULL where a section `sweep` has no place */
    bool stored;      /* written by the program, perhaps an earlier version: takes former names */
    bool seen[256];
} reader;

static pulmo_status fail_at(const reader *in, const yaml_node_t *node, const char *what)
{
    return pulmo_fail(PULMO_CONFIG, "%s:%zu: %s", in->name, node->start_mark.line + 1, what);
}

static const char *text_of(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

/* A list as one text, as words_read of the table room takes it. */
typedef struct list_text {
    char *out; /* VALUE_BYTES */
    size_t at; /* where the next byte goes; 1 before the first element */
} list_text;

static list_text begin_list(char *out, char bracket)
{
    *out = bracket;
    return (list_text){out, 1};
}

static void end_list(list_text *list, char bracket)
{
    list->out[list->at] = bracket;
    list->out[list->at + 1] = '\0';
}

/* An element that holds a comma is put in quotes, so that it stays one. */
static pulmo_status add_element(const reader *in, const yaml_node_t *node, const char *element,
                                list_text *list)
{
    const char *quote = "";
    if (strchr(element, ','))
        quote = strchr(element, '"') ? "'" : "\"";
    if (*quote && strchr(element, *quote))
        return fail_at(in, node, "a list's element holds a comma and both kinds of quotes");
    const char *between = list->at > 1 ? ", " : "";
    size_t room = VALUE_BYTES - list->at;
    char *end = list->out + list->at;
    list->at += (size_t)snprintf(end, room, "%s%s%s%s", between, quote, element, quote);
    if (list->at + 2 >= VALUE_BYTES)
        return fail_at(in, node, "the list is too long");
    return PULMO_OK;
}

static pulmo_status add_pair(const reader *in, const yaml_node_t *node,
                             const yaml_node_pair_t *pair, list_text *list)
{
    const yaml_node_t *name = yaml_document_get_node(in->document, pair->key);
    const yaml_node_t *value = yaml_document_get_node(in->document, pair->value);
    if (name->type != YAML_SCALAR_NODE || value->type != YAML_SCALAR_NODE)
        return fail_at(in, node, "a mapping's names and values must be scalars");
    char *text = pulmo_format("%s: %s", text_of(name), text_of(value));
    pulmo_status status = text ? add_element(in, node, text, list) : PULMO_MEMORY;
    free(text);
    return status;
}

/* "{a: b, c: d}" */
static pulmo_status mapping_text(const reader *in, const yaml_node_t *node, char *out)
{
    list_text list = begin_list(out, '{');
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++)
        PULMO_TRY(add_pair(in, node, pair, &list));
    end_list(&list, '}');
    return PULMO_OK;
}

/* "[a, b]" */
static pulmo_status sequence_text(const reader *in, const yaml_node_t *node, char *out)
{
    list_text list = begin_list(out, '[');
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        const yaml_node_t *element = yaml_document_get_node(in->document, *item);
        if (element->type != YAML_SCALAR_NODE)
            return fail_at(in, node, "a list's elements must be scalars");
        PULMO_TRY(add_element(in, node, text_of(element), &list));
    }
    end_list(&list, ']');
    return PULMO_OK;
}

/* A scalar as it stands, a sequence of scalars as "[a, b]", a mapping where the key is one. */
static pulmo_status value_text(const reader *in, const config_key *key, const yaml_node_t *node,
                               char *out)
{
    if (node->type == YAML_MAPPING_NODE && key && key->type == KEY_MAP)
        return mapping_text(in, node, out);
    if (node->type == YAML_SEQUENCE_NODE)
        return sequence_text(in, node, out);
    if (node->type != YAML_SCALAR_NODE)
        return fail_at(in, node, "a value must be a scalar or a list, not a mapping");
    size_t bytes = node->data.scalar.length;
    if (bytes >= VALUE_BYTES || strlen(text_of(node)) != bytes)
        return fail_at(in, node, "the value is too long or holds a NUL");
    memcpy(out, text_of(node), bytes + 1);
    return PULMO_OK;
}

static pulmo_status read_key(reader *in, const char *section, const yaml_node_t *name,
                             const yaml_node_t *value)
{
    char text[VALUE_BYTES], place[160];
    int count = 0;
    const config_key *keys = schema_keys(&count);
    if (name->type != YAML_SCALAR_NODE)
        return fail_at(in, name, "a key must be a plain name");
    snprintf(place, sizeof place, "%.100s:%zu", in->name, name->start_mark.line + 1);
    const config_key *key;
    if (in->stored)
        key = key_find_stored(section, text_of(name));
    else
        key = key_find(section, text_of(name));
    if (!key)
        return pulmo_fail_in(PULMO_CONFIG, "%s", place);
    bool *seen = &in->seen[key - keys];
    if (*seen)
        return pulmo_fail(PULMO_CONFIG, "%s: %s.%s is given twice", place, section, key->name);
    *seen = true;
    PULMO_TRY(value_text(in, key, value, text));
    pulmo_status status = key_store(key, in->config, text);
    return status == PULMO_OK ? status
                              : pulmo_fail_in(status, "%s: %s.%s", place, section, key->name);
}

/* "optim.lr: [0.001, 0.0001]": an axis of the grid. */
static pulmo_status read_axis(const reader *in, const yaml_node_t *name, const yaml_node_t *list)
{
    char *values[PULMO_GRID_VALUES] = {NULL};
    int count = 0;
    pulmo_status status = PULMO_OK;
    if (name->type != YAML_SCALAR_NODE)
        return fail_at(in, name, "a key must be a plain name");
    if (list->type != YAML_SEQUENCE_NODE)
        return fail_at(in, list, "a key of a sweep needs a list of values, as in [0.001, 0.0001]");
    for (yaml_node_item_t *item = list->data.sequence.items.start;
         item < list->data.sequence.items.top && status == PULMO_OK; item++) {
        char text[VALUE_BYTES];
        const yaml_node_t *element = yaml_document_get_node(in->document, *item);
        status = count < PULMO_GRID_VALUES ? value_text(in, NULL, element, text)
                                           : fail_at(in, element, "too many values");
        if (status != PULMO_OK)
            break;
        values[count] = pulmo_strdup(text);
        if (!values[count++])
            status = PULMO_MEMORY;
    }
    if (status == PULMO_OK) {
        status = grid_add_axis(in->grid, text_of(name), count, values);
        if (status != PULMO_OK)
            pulmo_fail_in(status, "%s:%zu: sweep", in->name, name->start_mark.line + 1);
    }
    while (count > 0)
        free(values[--count]);
    return status;
}

static pulmo_status read_sweep(const reader *in, const yaml_node_t *name, const yaml_node_t *body)
{
    if (!in->grid)
        return fail_at(
            in, name,
            "the section sweep is for \"pulmo sweep\"; this command runs one configuration");
    for (yaml_node_pair_t *pair = body->data.mapping.pairs.start;
         pair < body->data.mapping.pairs.top; pair++)
        PULMO_TRY(read_axis(in, yaml_document_get_node(in->document, pair->key),
                            yaml_document_get_node(in->document, pair->value)));
    return PULMO_OK;
}

static pulmo_status read_section(reader *in, const yaml_node_t *name, const yaml_node_t *body)
{
    if (name->type != YAML_SCALAR_NODE)
        return fail_at(in, name, "a section must be a plain name");
    bool empty = body->type == YAML_SCALAR_NODE && body->data.scalar.length == 0;
    if (empty)
        return PULMO_OK;
    if (body->type != YAML_MAPPING_NODE)
        return pulmo_fail(PULMO_CONFIG, "%s:%zu: section \"%s\" must hold \"key: value\" lines",
                          in->name, name->start_mark.line + 1, text_of(name));
    if (strcmp(text_of(name), "sweep") == 0)
        return read_sweep(in, name, body);
    for (yaml_node_pair_t *pair = body->data.mapping.pairs.start;
         pair < body->data.mapping.pairs.top; pair++)
        PULMO_TRY(read_key(in, text_of(name), yaml_document_get_node(in->document, pair->key),
                           yaml_document_get_node(in->document, pair->value)));
    return PULMO_OK;
}

static pulmo_status read_document(reader *in)
{
    yaml_node_t *root = yaml_document_get_root_node(in->document);
    if (!root)
        return PULMO_OK; /* an empty file changes nothing */
    if (root->type != YAML_MAPPING_NODE)
        return fail_at(in, root, "must hold \"section:\" and, below it, \"key: value\" lines");
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top; pair++)
        PULMO_TRY(read_section(in, yaml_document_get_node(in->document, pair->key),
                               yaml_document_get_node(in->document, pair->value)));
    return PULMO_OK;
}

/* The stream's next document, one without a root at its end. */
static pulmo_status load_document(const char *name, yaml_parser_t *parser, yaml_document_t *out)
{
    errno = 0;
    if (yaml_parser_load(parser, out))
        return PULMO_OK;
    if (parser->error == YAML_MEMORY_ERROR || errno == ENOMEM)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", name);
    return pulmo_fail(PULMO_CONFIG, "%s:%zu: not YAML: %s", name, parser->problem_mark.line + 1,
                      parser->problem ? parser->problem : "unreadable");
}

/* Nothing may stand behind the first document. */
static pulmo_status check_end(const char *name, yaml_parser_t *parser)
{
    yaml_document_t document;
    size_t line = parser->mark.line + 1;
    PULMO_TRY(load_document(name, parser, &document));
    bool more = yaml_document_get_root_node(&document) != NULL;
    yaml_document_delete(&document);
    if (!more)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_CONFIG,
        "%s:%zu: a second document (\"---\"), which would be ignored; a configuration is one", name,
        line);
}

/* Reads a stream's document into a copy, so that a file with an error changes nothing. */
static pulmo_status read_stream(reader *in, yaml_parser_t *parser)
{
    yaml_document_t document;
    pulmo_config *config = in->config;
    PULMO_TRY(load_document(in->name, parser, &document));
    pulmo_config *fresh = malloc(sizeof *fresh);
    pulmo_status status = PULMO_OK;
    if (fresh) {
        *fresh = *config;
        in->document = &document;
        in->config = fresh;
        status = read_document(in);
    } else {
        status = pulmo_fail(PULMO_MEMORY, "%s: out of memory", in->name);
    }
    yaml_document_delete(&document);
    in->document = NULL;
    if (status == PULMO_OK)
        status = check_end(in->name, parser);
    if (status == PULMO_OK)
        *config = *fresh;
    free(fresh);
    return status;
}

static pulmo_status read_text(reader *in, const char *text)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", in->name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    pulmo_status status = read_stream(in, &parser);
    yaml_parser_delete(&parser);
    return status;
}

static pulmo_status read_file(reader *in)
{
    yaml_parser_t parser;
    FILE *file = fopen(in->name, "rb");
    if (!file)
        return pulmo_fail(PULMO_CONFIG, "%s: cannot open the configuration: %s", in->name,
                          strerror(errno));
    if (!yaml_parser_initialize(&parser)) {
        fclose(file);
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", in->name);
    }
    yaml_parser_set_input_file(&parser, file);
    pulmo_status status = read_stream(in, &parser);
    yaml_parser_delete(&parser);
    fclose(file);
    return status;
}

pulmo_status pulmo_config_parse(pulmo_config *config, const char *name, const char *text)
{
    reader in = {.name = name, .config = config, .stored = true};
    return read_text(&in, text);
}

pulmo_status config_read(pulmo_config *config, const char *path)
{
    reader in = {.name = path, .config = config};
    return read_file(&in);
}

pulmo_status pulmo_config_read_stored(pulmo_config *config, const char *path)
{
    reader in = {.name = path, .config = config, .stored = true};
    return read_file(&in);
}

pulmo_status pulmo_config_read_grid(pulmo_config *config, pulmo_grid *grid, const char *path)
{
    reader in = {.name = path, .config = config, .grid = grid};
    return read_file(&in);
}

/* ---- command lines ---- */

pulmo_status pulmo_config_apply(pulmo_config *config, const pulmo_settings *settings)
{
    if (settings->path)
        PULMO_TRY(config_read(config, settings->path));
    for (int i = 0; i < settings->count; i++)
        PULMO_TRY(pulmo_config_set(config, settings->sets[i]));
    return PULMO_OK;
}

pulmo_status pulmo_settings_check(const pulmo_settings *settings, const char *command,
                                  const char *keys)
{
    for (int i = 0; i < settings->count; i++) {
        if (key_among(settings->sets[i], keys))
            continue;
        int length = (int)strcspn(settings->sets[i], "=");
        if (*keys == '\0')
            return pulmo_fail(PULMO_CONFIG,
                              "--set %.*s: \"pulmo %s\" has no settings; leave it out", length,
                              settings->sets[i], command);
        return pulmo_fail(
            PULMO_CONFIG,
            "--set %.*s: means nothing to \"pulmo %s\", whose settings are %s; leave it out",
            length, settings->sets[i], command, keys);
    }
    return PULMO_OK;
}
