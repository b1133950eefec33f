/* Reading, setting and echoing a configuration. */
#include "pulmo/config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "pulmo/memory.h"
#include "grid.h"
#include "schema.h"

#define VALUE_BYTES 4096

/* ---- names ---- */

/* Levenshtein's distance, for names below 32 letters. */
static int distance(const char *a, const char *b)
{
    int row[33];
    int n = (int)strnlen(b, 32);
    for (int j = 0; j <= n; j++)
        row[j] = j;
    for (int i = 1; *a; a++, i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= n; j++) {
            int change = diagonal + (*a != b[j - 1]);
            int other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diagonal = row[j];
            row[j] = change < other ? change : other;
        }
    }
    return row[n];
}

const pulmo_key *key_find(const char *section, const char *name)
{
    int count = 0, best = 1000;
    bool section_known = false;
    const pulmo_key *close = NULL, *keys = pulmo_config_keys(&count);
    for (int i = 0; i < count; i++) {
        bool same_section = strcmp(keys[i].section, section) == 0;
        section_known |= same_section;
        if (same_section && strcmp(keys[i].name, name) == 0)
            return &keys[i];
        int away = distance(section, keys[i].section) + distance(name, keys[i].name);
        if (same_section && strstr(keys[i].name, name))
            away = 2;
        if (!same_section && strcmp(keys[i].name, name) == 0)
            away = 1;
        if (away < best) {
            best = away;
            close = &keys[i];
        }
    }
    const char *what = section_known ? "unknown key" : "unknown section";
    if (close && best <= 3)
        pulmo_fail(PULMO_CONFIG, "%s %s.%s; did you mean %s.%s?", what, section, name,
                   close->section, close->name);
    else
        pulmo_fail(PULMO_CONFIG, "%s %s.%s; \"pulmo train --help\" lists all", what, section, name);
    return NULL;
}

void pulmo_config_init(pulmo_config *config)
{
    int count = 0;
    const pulmo_key *keys = pulmo_config_keys(&count);
    memset(config, 0, sizeof *config);
    for (int i = 0; i < count; i++)
        (void)key_store(&keys[i], config, keys[i].initial);
}

pulmo_status pulmo_config_set(pulmo_config *config, const char *assignment)
{
    char section[64] = "", name[64] = "";
    const char *equals = strchr(assignment, '=');
    if (!equals || sscanf(assignment, "%63[^.=].%63[^=]", section, name) != 2)
        return pulmo_fail(PULMO_CONFIG, "--set %s: must be section.key=value, as in optim.lr=0.001",
                          assignment);
    const pulmo_key *key = key_find(section, name);
    if (!key)
        return pulmo_fail_in(PULMO_CONFIG, "--set %s", assignment);
    pulmo_status status = key_store(key, config, equals + 1);
    return status == PULMO_OK ? status : pulmo_fail_in(status, "--set %s.%s", section, name);
}

/* ---- the file ---- */

typedef struct reader {
    yaml_document_t *document;
    const char *name;
    pulmo_config *config;
    pulmo_grid *grid; /* NULL where a section `sweep` has no place */
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

/* A scalar as it stands, a sequence of scalars as "[a, b]". */
static pulmo_status value_text(const reader *in, const yaml_node_t *node, char *out)
{
    size_t at = 0;
    if (node->type == YAML_SCALAR_NODE) {
        if (node->data.scalar.length >= VALUE_BYTES ||
            strlen(text_of(node)) != node->data.scalar.length)
            return fail_at(in, node, "the value is too long or holds a NUL");
        memcpy(out, text_of(node), node->data.scalar.length + 1);
        return PULMO_OK;
    }
    if (node->type != YAML_SEQUENCE_NODE)
        return fail_at(in, node, "a value must be a scalar or a list, not a mapping");
    out[at++] = '[';
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        const yaml_node_t *element = yaml_document_get_node(in->document, *item);
        if (element->type != YAML_SCALAR_NODE)
            return fail_at(in, node, "a list's elements must be scalars");
        int wrote =
            snprintf(out + at, VALUE_BYTES - at, "%s%s", at > 1 ? ", " : "", text_of(element));
        at += (size_t)wrote;
        if (at + 2 >= VALUE_BYTES)
            return fail_at(in, node, "the list is too long");
    }
    memcpy(out + at, "]", 2);
    return PULMO_OK;
}

static pulmo_status read_key(reader *in, const char *section, const yaml_node_t *name,
                             const yaml_node_t *value)
{
    char text[VALUE_BYTES], place[160];
    int count = 0;
    const pulmo_key *keys = pulmo_config_keys(&count);
    if (name->type != YAML_SCALAR_NODE)
        return fail_at(in, name, "a key must be a plain name");
    snprintf(place, sizeof place, "%.100s:%zu", in->name, name->start_mark.line + 1);
    const pulmo_key *key = key_find(section, text_of(name));
    if (!key)
        return pulmo_fail_in(PULMO_CONFIG, "%s", place);
    bool *seen = &in->seen[key - keys];
    if (*seen)
        return pulmo_fail(PULMO_CONFIG, "%s: %s.%s is given twice", place, section, key->name);
    *seen = true;
    PULMO_TRY(value_text(in, value, text));
    pulmo_status status = key_store(key, in->config, text);
    return status == PULMO_OK ? status
                              : pulmo_fail_in(status, "%s: %s.%s", place, section, key->name);
}

/* "optim.lr: [0.001, 0.0001]": an axis of the grid. */
static pulmo_status read_axis(const reader *in, const yaml_node_t *name, const yaml_node_t *list)
{
    char *values[PULMO_GRID_VALUES];
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
        status = count < PULMO_GRID_VALUES ? value_text(in, element, text)
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
    if (yaml_parser_load(parser, out))
        return PULMO_OK;
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

static pulmo_status read_stream(pulmo_config *config, pulmo_grid *grid, const char *name,
                                yaml_parser_t *parser)
{
    yaml_document_t document;
    PULMO_TRY(load_document(name, parser, &document));
    /* Into a copy, so that a file with an error changes nothing. */
    pulmo_config fresh = *config;
    reader in = {.document = &document, .name = name, .config = &fresh, .grid = grid};
    pulmo_status status = read_document(&in);
    yaml_document_delete(&document);
    if (status == PULMO_OK)
        status = check_end(name, parser);
    if (status == PULMO_OK)
        *config = fresh;
    return status;
}

pulmo_status pulmo_config_parse(pulmo_config *config, const char *name, const char *text)
{
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, strlen(text));
    pulmo_status status = read_stream(config, NULL, name, &parser);
    yaml_parser_delete(&parser);
    return status;
}

pulmo_status pulmo_config_read(pulmo_config *config, const char *path)
{
    return pulmo_config_read_grid(config, NULL, path);
}

pulmo_status pulmo_config_read_grid(pulmo_config *config, pulmo_grid *grid, const char *path)
{
    yaml_parser_t parser;
    FILE *file = fopen(path, "rb");
    if (!file)
        return pulmo_fail(PULMO_CONFIG, "%s: cannot open the configuration: %s", path,
                          strerror(errno));
    if (!yaml_parser_initialize(&parser)) {
        fclose(file);
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", path);
    }
    yaml_parser_set_input_file(&parser, file);
    pulmo_status status = read_stream(config, grid, path, &parser);
    yaml_parser_delete(&parser);
    fclose(file);
    return status;
}

/* ---- the echo ---- */

/* Text that YAML could take for something else is put in double quotes. */
static void print_yaml_value(FILE *out, const pulmo_key *key, const char *value)
{
    if (key->type != PULMO_KEY_TEXT ||
        (value[0] == '[' && strcmp(key->name, "class_weights") == 0)) {
        fputs(value, out);
        return;
    }
    fputc('"', out);
    for (const char *c = value; *c; c++) {
        if (*c == '"' || *c == '\\')
            fputc('\\', out);
        if (*c == '\n')
            fputs("\\n", out);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

static char *echo_keys(const pulmo_config *config, bool bound_only)
{
    char *text = NULL, value[VALUE_BYTES];
    size_t length = 0;
    int count = 0;
    const char *section = "";
    const pulmo_key *keys = pulmo_config_keys(&count);
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    for (int i = 0; i < count; i++) {
        if (bound_only && !keys[i].binds)
            continue;
        if (strcmp(section, keys[i].section) != 0)
            fprintf(out, "%s:\n", keys[i].section);
        section = keys[i].section;
        key_print(&keys[i], config, value, sizeof value);
        fprintf(out, "  %s: ", keys[i].name);
        print_yaml_value(out, &keys[i], value);
        fputc('\n', out);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

char *pulmo_config_echo(const pulmo_config *config)
{
    return echo_keys(config, false);
}

pulmo_digest pulmo_config_digest(const pulmo_config *config)
{
    char *text = echo_keys(config, true);
    pulmo_digest digest = pulmo_digest_of(text ? text : "", text ? strlen(text) : 0);
    free(text);
    return digest;
}

char *pulmo_config_differences(const pulmo_config *mine, const pulmo_config *other)
{
    char *text = NULL, a[VALUE_BYTES], b[VALUE_BYTES];
    size_t length = 0;
    int count = 0;
    const pulmo_key *keys = pulmo_config_keys(&count);
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return NULL;
    for (int i = 0; i < count; i++) {
        key_print(&keys[i], mine, a, sizeof a);
        key_print(&keys[i], other, b, sizeof b);
        if (keys[i].binds && strcmp(a, b) != 0)
            fprintf(out, "%s%s.%s: %s, not %s", ftell(out) > 0 ? "\n" : "", keys[i].section,
                    keys[i].name, a, b);
    }
    fclose(out);
    return text;
}

/* ---- command lines ---- */

pulmo_status pulmo_config_apply(pulmo_config *config, const pulmo_settings *settings)
{
    if (settings->path)
        PULMO_TRY(pulmo_config_read(config, settings->path));
    for (int i = 0; i < settings->count; i++)
        PULMO_TRY(pulmo_config_set(config, settings->sets[i]));
    return PULMO_OK;
}

/* Whether "section.key=..." is of one of the keys. */
static bool is_among(const char *assignment, const char *keys)
{
    size_t length = strcspn(assignment, "=");
    for (const char *at = keys; *at; at += strcspn(at, "|"), at += *at == '|') {
        size_t most = strcspn(at, "|");
        if (at[most - 1] == '*' ? strncmp(assignment, at, most - 1) == 0
                                : most == length && strncmp(assignment, at, most) == 0)
            return true;
    }
    return false;
}

pulmo_status pulmo_settings_check(const pulmo_settings *settings, const char *command,
                                  const char *keys)
{
    for (int i = 0; i < settings->count; i++) {
        if (is_among(settings->sets[i], keys))
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
