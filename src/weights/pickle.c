/* The stack machine of pickle.h: protocols 2 to 5, as far as torch.save uses them. */
#include "pickle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MAX      2000000 /* a VGG's state dict takes some hundreds */
#define STACK_MAX      100000
#define NAME_MAX_BYTES 100

typedef struct machine {
    pickle *p;
    const uint8_t *bytes;
    uint64_t size, at;
    int *stack, depth, stack_room;
    int *memo, memo_room, memo_next;
} machine;

static pulmo_status bad(const machine *m, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static pulmo_status bad(const machine *m, const char *format, ...)
{
    char why[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return pulmo_fail(PULMO_WEIGHTS,
                      "%s: its pickle %s (byte %llu); save a plain state dict: "
                      "torch.save(model.state_dict(), FILE)",
                      m->p->path, why, (unsigned long long)m->at);
}

#ifdef __clang_analyzer__ /* which does not follow variadic functions */
#define bad(...) ((void)(bad)(__VA_ARGS__), PULMO_WEIGHTS)
#endif

/* ---- growing arrays ---- */

static pulmo_status grow(const machine *m, void **array, int *room, int needed, int most,
                         size_t each)
{
    if (needed <= *room)
        return PULMO_OK;
    if (needed > most)
        return bad(m, "is larger than any state dict");
    int next = *room ? 2 * *room : 256;
    while (next < needed)
        next *= 2;
    void *larger = realloc(*array, (size_t)next * each);
    if (!larger)
        return pulmo_fail(PULMO_MEMORY, "%s: out of memory", m->p->path);
    *array = larger;
    *room = next;
    return PULMO_OK;
}

static pulmo_status new_node(machine *m, pickle_kind kind, int *out)
{
    pickle *p = m->p;
    PULMO_TRY(grow(m, (void **)&p->node, &p->node_room, p->nodes + 1, NODES_MAX, sizeof *p->node));
    memset(&p->node[p->nodes], 0, sizeof *p->node);
    p->node[p->nodes].kind = kind;
    *out = p->nodes++;
    return PULMO_OK;
}

static pulmo_status append(machine *m, int list, int item)
{
    pickle *p = m->p;
    PULMO_TRY(grow(m, (void **)&p->cell, &p->cell_room, p->cells + 1, NODES_MAX, sizeof *p->cell));
    int cell = p->cells++;
    p->cell[cell] = (pickle_cell){.node = item};
    pickle_node *n = &p->node[list];
    if (n->last)
        p->cell[n->last].next = cell;
    else
        n->first = cell;
    n->last = cell;
    return PULMO_OK;
}

/* ---- the stack ---- */

static pulmo_status push(machine *m, int node)
{
    PULMO_TRY(
        grow(m, (void **)&m->stack, &m->stack_room, m->depth + 1, STACK_MAX, sizeof *m->stack));
    m->stack[m->depth++] = node; /* NOLINT(clang-analyzer-core.NullDereference): grown above */
    return PULMO_OK;
}

static pulmo_status push_new(machine *m, pickle_kind kind, int64_t number)
{
    int node = 0;
    PULMO_TRY(new_node(m, kind, &node));
    m->p->node[node].number = number;
    return push(m, node);
}

static pickle_kind kind_of(const machine *m, int node)
{
    return m->p->node[node].kind;
}

/* The top value, which is no mark. */
static pulmo_status pop(machine *m, int *out)
{
    if (m->depth == 0 || kind_of(m, m->stack[m->depth - 1]) == PICKLE_MARK)
        return bad(m, "takes a value from an empty stack");
    *out = m->stack[--m->depth];
    return PULMO_OK;
}

static pulmo_status find_mark(const machine *m, int *out)
{
    for (int i = m->depth - 1; i >= 0; i--) {
        if (kind_of(m, m->stack[i]) != PICKLE_MARK)
            continue;
        *out = i;
        return PULMO_OK;
    }
    return bad(m, "misses a mark");
}

/* ---- the bytes ---- */

static pulmo_status take(machine *m, uint64_t count, const uint8_t **out)
{
    if (count > m->size - m->at)
        return bad(m, "ends in the middle: it is truncated");
    *out = m->bytes + m->at;
    m->at += count;
    return PULMO_OK;
}

static pulmo_status take_number(machine *m, int bytes, uint64_t *out)
{
    const uint8_t *from = NULL;
    PULMO_TRY(take(m, (uint64_t)bytes, &from));
    *out = source_number(from, bytes);
    return PULMO_OK;
}

static pulmo_status push_text(machine *m, int length_bytes)
{
    uint64_t length = 0;
    const uint8_t *from = NULL;
    int node = 0;
    PULMO_TRY(take_number(m, length_bytes, &length));
    if (length > INT32_MAX)
        return bad(m, "holds a text of %llu bytes", (unsigned long long)length);
    PULMO_TRY(take(m, length, &from));
    PULMO_TRY(new_node(m, PICKLE_TEXT, &node));
    m->p->node[node].text = (const char *)from;
    m->p->node[node].length = (uint32_t)length;
    return push(m, node);
}

/* LONG1: two's complement; numbers beyond 64 bits (the format's magic) are kept modulo 2^64. */
static pulmo_status push_long(machine *m)
{
    uint64_t length = 0, value = 0;
    const uint8_t *from = NULL;
    PULMO_TRY(take_number(m, 1, &length));
    PULMO_TRY(take(m, length, &from));
    for (uint64_t i = 0; i < 8; i++) {
        uint8_t fill = length > 0 && from[length - 1] & 0x80 ? 0xff : 0;
        value |= (uint64_t)(i < length ? from[i] : fill) << (8 * i);
    }
    return push_new(m, PICKLE_INT, (int64_t)value);
}

/* ---- names ---- */

static const struct storage_type {
    const char *name;
    int bytes;
    element_type element;
} storage_types[] = {{"FloatStorage", 4, ELEMENT_FLOAT32},     {"HalfStorage", 2, ELEMENT_FLOAT16},
                     {"BFloat16Storage", 2, ELEMENT_BFLOAT16}, {"DoubleStorage", 8, ELEMENT_OTHER},
                     {"LongStorage", 8, ELEMENT_OTHER},        {"IntStorage", 4, ELEMENT_OTHER},
                     {"ShortStorage", 2, ELEMENT_OTHER},       {"CharStorage", 1, ELEMENT_OTHER},
                     {"ByteStorage", 1, ELEMENT_OTHER},        {"BoolStorage", 1, ELEMENT_OTHER}};

static pulmo_status push_name(machine *m, const char *module, const char *name)
{
    int node = 0;
    pickle_node n = {.kind = PICKLE_NAME};
    bool known = true;
    if (strcmp(module, "collections") == 0 && strcmp(name, "OrderedDict") == 0)
        n.number = NAME_DICT;
    else if (strcmp(module, "torch._utils") == 0 &&
             (strcmp(name, "_rebuild_tensor_v2") == 0 || strcmp(name, "_rebuild_tensor") == 0))
        n.number = NAME_TENSOR;
    else if (strcmp(module, "torch._utils") == 0 && strcmp(name, "_rebuild_parameter") == 0)
        n.number = NAME_PARAMETER;
    else
        known = false;
    for (size_t i = 0;
         i < sizeof storage_types / sizeof storage_types[0] && strcmp(module, "torch") == 0; i++)
        if (strcmp(name, storage_types[i].name) == 0) {
            n.number = NAME_STORAGE;
            n.element_bytes = storage_types[i].bytes;
            n.element = storage_types[i].element;
            known = true;
        }
    if (!known)
        return bad(m, "names %s.%s, which no state dict needs and which is not run here", module,
                   name);
    PULMO_TRY(new_node(m, PICKLE_NAME, &node));
    m->p->node[node] = n;
    return push(m, node);
}

/* One line of GLOBAL, printable. */
static pulmo_status take_line(machine *m, char out[NAME_MAX_BYTES])
{
    for (size_t i = 0; i < NAME_MAX_BYTES; i++) {
        const uint8_t *c = NULL;
        PULMO_TRY(take(m, 1, &c));
        out[i] = (char)*c;
        if (*c == '\n') {
            out[i] = '\0';
            return PULMO_OK;
        }
        if (*c < ' ' || *c > '~')
            break;
    }
    return bad(m, "holds a name that is too long or not printable");
}

static pulmo_status push_global(machine *m)
{
    char module[NAME_MAX_BYTES], name[NAME_MAX_BYTES];
    PULMO_TRY(take_line(m, module));
    PULMO_TRY(take_line(m, name));
    return push_name(m, module, name);
}

static pulmo_status push_stack_global(machine *m)
{
    int node[2] = {0};
    char text[2][NAME_MAX_BYTES];
    PULMO_TRY(pop(m, &node[1]));
    PULMO_TRY(pop(m, &node[0]));
    for (int i = 0; i < 2; i++) {
        const pickle_node *n = &m->p->node[node[i]];
        if (n->kind != PICKLE_TEXT || n->length >= NAME_MAX_BYTES)
            return bad(m, "holds a name that is too long or no text");
        for (uint32_t k = 0; k < n->length; k++)
            text[i][k] = n->text[k] < ' ' || n->text[k] > '~' ? '?' : n->text[k];
        text[i][n->length] = '\0';
    }
    return push_name(m, text[0], text[1]);
}

/* ---- what names stand for ---- */

/* Item i of a list, or 0 (None). */
static int item(const machine *m, int list, int i)
{
    int cell = kind_of(m, list) == PICKLE_LIST ? m->p->node[list].first : 0;
    for (; cell && i > 0; i--)
        cell = m->p->cell[cell].next;
    return cell ? m->p->cell[cell].node : 0;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, ...) */
static pulmo_status make_tensor(machine *m, int arguments)
{
    int storage = item(m, arguments, 0), offset = item(m, arguments, 1),
        size = item(m, arguments, 2), stride = item(m, arguments, 3), node;
    if (kind_of(m, storage) != PICKLE_STORAGE || kind_of(m, offset) != PICKLE_INT ||
        kind_of(m, size) != PICKLE_LIST || kind_of(m, stride) != PICKLE_LIST)
        return bad(m, "makes a tensor of something else than storage, offset, size and stride");
    PULMO_TRY(new_node(m, PICKLE_TENSOR, &node));
    pickle_node *n = &m->p->node[node];
    n->first = storage;
    n->number = m->p->node[offset].number;
    n->last = size;
    n->stride = stride;
    return push(m, node);
}

static pulmo_status reduce(machine *m)
{
    int arguments = 0, name = 0;
    PULMO_TRY(pop(m, &arguments));
    PULMO_TRY(pop(m, &name));
    if (kind_of(m, name) != PICKLE_NAME || kind_of(m, arguments) != PICKLE_LIST)
        return bad(m, "calls something that is no name");
    switch ((pickle_name)m->p->node[name].number) {
    case NAME_DICT:
        if (m->p->node[arguments].first)
            return bad(m, "makes an OrderedDict in a way that torch.save does not");
        return push_new(m, PICKLE_DICT, 0);
    case NAME_TENSOR:
        return make_tensor(m, arguments);
    case NAME_PARAMETER:
        if (kind_of(m, item(m, arguments, 0)) != PICKLE_TENSOR)
            return bad(m, "makes a parameter of something else than a tensor");
        return push(m, item(m, arguments, 0));
    case NAME_STORAGE:
        break;
    }
    return bad(m, "calls a storage type");
}

/* ('storage', type, key, location, elements[, view]) */
static pulmo_status persistent(machine *m)
{
    int id = 0, node = 0;
    PULMO_TRY(pop(m, &id));
    int word = item(m, id, 0), type = item(m, id, 1), key = item(m, id, 2), count = item(m, id, 4),
        view = item(m, id, 5);
    const pickle_node *n = m->p->node;
    bool right = n[word].kind == PICKLE_TEXT && n[word].length == 7 &&
                 memcmp(n[word].text, "storage", 7) == 0;
    right = right && n[type].kind == PICKLE_NAME && n[type].number == NAME_STORAGE &&
            n[key].kind == PICKLE_TEXT;
    if (!right || n[count].kind != PICKLE_INT || n[count].number < 0 || n[view].kind != PICKLE_NONE)
        return bad(m, "refers to something else than a whole storage");
    PULMO_TRY(new_node(m, PICKLE_STORAGE, &node));
    pickle_node *s = &m->p->node[node];
    n = m->p->node;
    s->text = n[key].text;
    s->length = n[key].length;
    s->number = n[count].number;
    s->element_bytes = n[type].element_bytes;
    s->element = n[type].element;
    return push(m, node);
}

/* ---- containers ---- */

static pulmo_status make_tuple(machine *m, int from)
{
    int list = 0;
    PULMO_TRY(new_node(m, PICKLE_LIST, &list));
    for (int i = from; i < m->depth; i++)
        PULMO_TRY(append(m, list, m->stack[i]));
    m->depth = from;
    return push(m, list);
}

static pulmo_status tuple_of(machine *m, int count)
{
    if (m->depth < count)
        return bad(m, "takes a value from an empty stack");
    for (int i = 1; i <= count; i++)
        if (kind_of(m, m->stack[m->depth - i]) == PICKLE_MARK)
            return bad(m, "takes a value from an empty stack");
    return make_tuple(m, m->depth - count);
}

/* Moves what stands above `from` into the container below it. */
static pulmo_status fill(machine *m, int from, int below, pickle_kind kind)
{
    if (below < 0 || kind_of(m, m->stack[below]) != kind)
        return bad(m, "fills something that is no %s", kind == PICKLE_DICT ? "dict" : "list");
    if (kind == PICKLE_DICT && (m->depth - from) % 2 != 0)
        return bad(m, "gives a dict a key without a value");
    for (int i = from; i < m->depth; i++)
        PULMO_TRY(append(m, m->stack[below], m->stack[i]));
    m->depth = below + 1;
    return PULMO_OK;
}

static pulmo_status fill_from_mark(machine *m, pickle_kind kind)
{
    int mark = 0;
    PULMO_TRY(find_mark(m, &mark));
    return fill(m, mark + 1, mark - 1, kind);
}

/* ---- the memo ---- */

static pulmo_status remember(machine *m, uint64_t index)
{
    if (m->depth == 0)
        return bad(m, "takes a value from an empty stack");
    /* Places are counted from 0, and each is taken by an opcode: more are not in the file. */
    if (index >= NODES_MAX || index >= m->size)
        return bad(m, "is larger than any state dict");
    int before = m->memo_room;
    PULMO_TRY(
        grow(m, (void **)&m->memo, &m->memo_room, (int)index + 1, 2 * NODES_MAX, sizeof *m->memo));
    for (int i = before; i < m->memo_room; i++)
        m->memo[i] = -1;
    m->memo[index] = m->stack[m->depth - 1];
    return PULMO_OK;
}

static pulmo_status recall(machine *m, uint64_t index)
{
    if (index >= (uint64_t)m->memo_room || m->memo[index] < 0)
        return bad(m, "recalls a value that it never kept");
    return push(m, m->memo[index]);
}

/* ---- opcodes ---- */

static pulmo_status run_numbers(machine *m, uint8_t opcode, bool *known)
{
    uint64_t value = 0;
    switch (opcode) {
    case 'K':
        PULMO_TRY(take_number(m, 1, &value));
        return push_new(m, PICKLE_INT, (int64_t)value);
    case 'M':
        PULMO_TRY(take_number(m, 2, &value));
        return push_new(m, PICKLE_INT, (int64_t)value);
    case 'J':
        PULMO_TRY(take_number(m, 4, &value));
        return push_new(m, PICKLE_INT, (int32_t)(uint32_t)value);
    case 'G':
        PULMO_TRY(take_number(m, 8, &value));
        return push_new(m, PICKLE_REAL, 0); /* nothing here needs its value */
    case 0x8a:
        return push_long(m);
    case 0x88:
        return push_new(m, PICKLE_INT, 1);
    case 0x89:
        return push_new(m, PICKLE_INT, 0);
    case 'N':
        return push(m, 0);
    case 'X':
        return push_text(m, 4);
    case 'T':
        return push_text(m, 4);
    case 'U':
    case 0x8c:
        return push_text(m, 1);
    case 0x8d:
        return push_text(m, 8);
    default:
        *known = false;
        return PULMO_OK;
    }
}

static pulmo_status run_memo(machine *m, uint8_t opcode, bool *known)
{
    uint64_t index = 0;
    switch (opcode) {
    case 'q':
        PULMO_TRY(take_number(m, 1, &index));
        return remember(m, index);
    case 'r':
        PULMO_TRY(take_number(m, 4, &index));
        return remember(m, index);
    case 0x94:
        return remember(m, (uint64_t)m->memo_next++);
    case 'h':
        PULMO_TRY(take_number(m, 1, &index));
        return recall(m, index);
    case 'j':
        PULMO_TRY(take_number(m, 4, &index));
        return recall(m, index);
    default:
        *known = false;
        return PULMO_OK;
    }
}

static pulmo_status run_others(machine *m, uint8_t opcode)
{
    int node = 0;
    const uint8_t *skipped = NULL;
    switch (opcode) {
    case 0x95:
        return take(m, 8, &skipped); /* FRAME: only a length */
    case 'c':
        return push_global(m);
    case 0x93:
        return push_stack_global(m);
    case 'R':
        return reduce(m);
    case 'Q':
        return persistent(m);
    case '(':
        return push_new(m, PICKLE_MARK, 0);
    case ')':
    case ']':
        return push_new(m, PICKLE_LIST, 0);
    case '}':
        return push_new(m, PICKLE_DICT, 0);
    case 't':
        PULMO_TRY(find_mark(m, &node));
        PULMO_TRY(make_tuple(m, node + 1));
        m->stack[m->depth - 2] = m->stack[m->depth - 1];
        m->depth--;
        return PULMO_OK;
    case 0x85:
    case 0x86:
    case 0x87:
        return tuple_of(m, opcode - 0x84);
    case 'a':
        return fill(m, m->depth - 1, m->depth - 2, PICKLE_LIST);
    case 'e':
        return fill_from_mark(m, PICKLE_LIST);
    case 's':
        return fill(m, m->depth - 2, m->depth - 3, PICKLE_DICT);
    case 'u':
        return fill_from_mark(m, PICKLE_DICT);
    case 'b':
        PULMO_TRY(pop(m, &node)); /* an OrderedDict's attributes: torch keeps versions there */
        if (m->depth == 0 || kind_of(m, m->stack[m->depth - 1]) != PICKLE_DICT)
            return bad(m, "sets attributes of something that is no dict");
        return PULMO_OK;
    default:
        return bad(m, "has the opcode 0x%02x, which no state dict needs", opcode);
    }
}

static pulmo_status run(machine *m)
{
    const uint8_t *at = NULL;
    PULMO_TRY(take(m, 2, &at));
    if (at[0] != 0x80 || at[1] < 2 || at[1] > 5)
        return bad(m, "does not begin as protocol 2 to 5 does");
    for (;;) {
        bool known = true;
        PULMO_TRY(take(m, 1, &at));
        uint8_t opcode = *at;
        if (opcode == '.')
            break;
        PULMO_TRY(run_numbers(m, opcode, &known));
        if (known)
            continue;
        known = true;
        PULMO_TRY(run_memo(m, opcode, &known));
        if (!known)
            PULMO_TRY(run_others(m, opcode));
    }
    PULMO_TRY(pop(m, &m->p->root));
    return m->depth == 0 ? PULMO_OK : bad(m, "leaves more than one value");
}

pulmo_status pickle_read(pickle *p, const uint8_t *bytes, uint64_t size, uint64_t *at)
{
    machine m = {.p = p, .bytes = bytes, .size = size, .at = *at};
    int none;
    pulmo_status status = PULMO_OK;
    if (p->nodes == 0) {
        status = new_node(&m, PICKLE_NONE, &none);
        p->cells = 1; /* cell 0 is "no cell" */
        if (status == PULMO_OK)
            status = grow(&m, (void **)&p->cell, &p->cell_room, 1, NODES_MAX, sizeof *p->cell);
    }
    if (status == PULMO_OK)
        status = run(&m);
    *at = m.at;
    free(m.stack);
    free(m.memo);
    return status;
}

void pickle_free(pickle *p)
{
    free(p->node);
    free(p->cell);
    memset(p, 0, sizeof *p);
}

int pickle_get(const pickle *p, int dict, const char *key)
{
    size_t length = strlen(key);
    if (p->node[dict].kind != PICKLE_DICT)
        return 0;
    for (int cell = p->node[dict].first; cell; cell = p->cell[p->cell[cell].next].next) {
        const pickle_node *n = &p->node[p->cell[cell].node];
        if (n->kind == PICKLE_TEXT && n->length == length && memcmp(n->text, key, length) == 0)
            return p->cell[p->cell[cell].next].node;
    }
    return 0;
}

int pickle_ints(const pickle *p, int list, int most, int64_t *out)
{
    int count = 0;
    if (p->node[list].kind != PICKLE_LIST)
        return -1;
    for (int cell = p->node[list].first; cell; cell = p->cell[cell].next) {
        const pickle_node *n = &p->node[p->cell[cell].node];
        if (n->kind != PICKLE_INT || count == most)
            return -1;
        out[count++] = n->number;
    }
    return count;
}
