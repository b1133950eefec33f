/* The one parser of options: fills `arguments` as the table says. argp does the work. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "pulmo/memory.h"

#define OPTIONS_MAX   32
#define FIRST_OWN_KEY 256 /* above every letter */

const char *argp_program_version = "pulmo " PULMO_VERSION;

/* ---- names, before argp sees them: its own refusals know no near ones ---- */

static void refuse_name(struct argp_state *state, const command *c, const char *typed)
{
    char key[PULMO_KEY_BYTES];
    const command_option *near = option_near(c, typed);
    if (near)
        argp_error(state, "there is no option --%s; did you mean --%s?", typed, near->name);
    if (key_of_option_name(c, typed, key))
        argp_error(state, "there is no option --%s; did you mean --set %s=VALUE?", typed, key);
    argp_error(state, "there is no option --%s", typed);
}

/* Refuses an unknown name in "--name" or "--name=value"; true where the next word is its value. */
static bool check_long(struct argp_state *state, const command *c, const char *word)
{
    const char *name = word + 2;
    size_t length = strcspn(name, "=");
    const command_option *o = option_find(c, name, length);
    char typed[64];
    snprintf(typed, sizeof typed, "%.*s", (int)length, name);
    if (!o)
        refuse_name(state, c, typed);
    return o && o->argument && name[length] == '\0';
}

/* The same for letters, "-qc". */
static bool check_letters(struct argp_state *state, const command *c, const char *word)
{
    for (const char *letter = word + 1; *letter; letter++) {
        const command_option *o = option_of_letter(c, *letter);
        if (!o)
            argp_error(state, "there is no option -%c", *letter);
        if (o && o->argument)
            return letter[1] == '\0';
    }
    return false;
}

static void check_names(struct argp_state *state, const command *c)
{
    for (int i = 1; i < state->argc; i++) {
        const char *word = state->argv[i];
        bool has_value = false;
        if (strcmp(word, "--") == 0)
            return;
        if (strncmp(word, "--", 2) == 0)
            has_value = check_long(state, c, word);
        else if (word[0] == '-')
            has_value = check_letters(state, c, word);
        if (has_value)
            i++;
    }
}

/* ---- options ---- */

static long number_in(struct argp_state *state, const command_option *o, const char *text)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < o->low || value > o->high)
        argp_error(state, "--%s: \"%s\" must be a whole number from %ld to %ld", o->name, text,
                   o->low, o->high);
    return value;
}

static void check_choice(struct argp_state *state, const command_option *o, const char *text)
{
    char choices[256];
    if (choice_among(o->argument, text))
        return;
    choices_print(o->argument, choices, sizeof choices);
    argp_error(state, "--%s: \"%s\" must be %s", o->name, text, choices);
}

static void take_option(struct argp_state *state, arguments *a, const command_option *o,
                        const char *argument)
{
    void *field = (char *)a + o->field;
    if (a->given_count == GIVEN_MAX)
        argp_error(state, "too many options: at most %d", GIVEN_MAX);
    a->given[a->given_count++] = (given_option){.option = o, .argument = argument};
    switch (o->type) {
    case OPTION_FLAG:
        *(bool *)field = true;
        break;
    case OPTION_CHOICE:
        check_choice(state, o, argument);
        *(const char **)field = argument;
        break;
    case OPTION_TEXT:
        *(const char **)field = argument;
        break;
    case OPTION_NUMBER:
        *(int *)field = (int)number_in(state, o, argument);
        break;
    case OPTION_LARGE:
        *(long *)field = number_in(state, o, argument);
        break;
    case OPTION_KEY: /* load_options reads a->given */
        break;
    case OPTION_OTHER:
        o->take(state, a, argument);
        break;
    }
}

bool option_given(const arguments *a, const command_option *o)
{
    for (int i = 0; i < a->given_count; i++) {
        if (a->given[i].option == o)
            return true;
    }
    return false;
}

/* ---- operands ---- */

static void check_action(struct argp_state *state, const command *c, const char *action)
{
    char actions[256];
    if (choice_among(c->actions, action))
        return;
    choices_print(c->actions, actions, sizeof actions);
    argp_error(state, "\"%s\" must be %s", action, actions);
}

static void take_operand(struct argp_state *state, arguments *a, const char *operand)
{
    const command *c = a->command;
    if (a->operand_count == c->operands_most && c->operands_hint)
        argp_error(state, "unexpected argument \"%s\"; %s", operand, c->operands_hint);
    if (a->operand_count == c->operands_most)
        argp_error(state, "unexpected argument \"%s\"", operand);
    if (a->operand_count == 0 && c->actions)
        check_action(state, c, operand);
    a->operands[a->operand_count++] = operand;
}

static void check_whole(struct argp_state *state, const arguments *a)
{
    const command *c = a->command;
    if (a->operand_count < c->operands_least)
        argp_error(state, "%s", c->operands_needed);
    for (const command_option *o = c->options; o && o->name; o++) {
        if (o->required && !option_given(a, o))
            argp_error(state, "--%s %s is needed", o->name, o->argument);
    }
    if (c->check)
        c->check(state, a);
}

/* ---- argp ---- */

static int key_of(const command *c, const command_option *o)
{
    if (o->letter)
        return o->letter;
    return FIRST_OWN_KEY + (int)(o - c->options);
}

static const command_option *option_of_key(const command *c, int key)
{
    if (key < FIRST_OWN_KEY)
        return option_of_letter(c, (char)key);
    return &c->options[key - FIRST_OWN_KEY];
}

static error_t parse(int key, char *argument, struct argp_state *state)
{
    arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->name = state->argv[0]; /* argp sets it later: argp_error needs it */
        check_names(state, a->command);
        return 0;
    case ARGP_KEY_ARG:
        take_operand(state, a, argument);
        return 0;
    case ARGP_KEY_END:
        check_whole(state, a);
        return 0;
    case ARGP_KEY_ARGS:
    case ARGP_KEY_NO_ARGS:
    case ARGP_KEY_SUCCESS:
    case ARGP_KEY_ERROR:
    case ARGP_KEY_FINI:
        return ARGP_ERR_UNKNOWN;
    default:
        take_option(state, a, option_of_key(a->command, key), argument);
        return 0;
    }
}

/* argp's help filter: what is printed after the options. */
static char *add_ending(int key, const char *text, void *input)
{
    const arguments *a = input;
    if (key == ARGP_KEY_HELP_POST_DOC)
        return help_ending(a->command);
    return (char *)(uintptr_t)text;
}

static int add_options(struct argp_option *out, const command *c, const command_option *list,
                       int group)
{
    int count = 0;
    for (const command_option *o = list; o && o->name; o++) {
        out[count++] = (struct argp_option){.name = o->name,
                                            .key = key_of(c, o),
                                            .arg = o->argument,
                                            .doc = o->help,
                                            .group = group};
    }
    return count;
}

static void set_initial(arguments *a)
{
    const command *c = a->command;
    for (const command_option *o = c->options; o && o->name; o++) {
        void *field = (char *)a + o->field;
        if (o->type == OPTION_NUMBER)
            *(int *)field = (int)o->initial;
        else if (o->type == OPTION_LARGE)
            *(long *)field = o->initial;
        else if (o->initial_text)
            *(const char **)field = o->initial_text;
    }
}

pulmo_status arguments_parse(const command *c, int argc, char **argv, arguments *a)
{
    struct argp_option options[OPTIONS_MAX] = {0};
    *a = (arguments){.command = c, .level = PULMO_LOG_NORMAL, .parts = 1};
    set_initial(a);
    int count = add_options(options, c, c->options, 0);
    add_options(options + count, c, common_options, 1);
    char *description = pulmo_format("%s\v ", c->description);
    a->operands = calloc((size_t)argc + 1, sizeof *a->operands);
    if (!description || !a->operands) {
        free(description);
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    }
    const struct argp argp = {.options = options,
                              .parser = parse,
                              .args_doc = c->usage,
                              .doc = description,
                              .help_filter = add_ending};
    argp_parse(&argp, argc, argv, 0, NULL, a);
    free(description);
    return PULMO_OK;
}

void arguments_free(arguments *a)
{
    free(a->operands);
    pulmo_grid_free(&a->grid);
}
