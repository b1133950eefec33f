/* Completion of a command line, for the shells' scripts in docs/completion: what could stand in
 * place of its last word. */
#include <stdint.h>
#include <string.h>

#include "cli.h"

typedef struct completion {
    FILE *out;
    const command *command;
    const char *typed; /* the last word */
} completion;

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* A candidate, where the word can still become it. */
static void offer(const completion *c, const char *candidate, const char *about)
{
    if (!begins_with(candidate, c->typed))
        return;
    fputs(candidate, c->out);
    if (about)
        fprintf(c->out, "\t%s", about);
    fputc('\n', c->out);
}

/* ---- values ---- */

/* The word as it is up to the value, `kept` letters, then the value. */
static void offer_value(const completion *c, int kept, const char *value, size_t length)
{
    char candidate[512];
    snprintf(candidate, sizeof candidate, "%.*s%.*s", kept, c->typed, (int)length, value);
    offer(c, candidate, NULL);
}

static void offer_choices(const completion *c, int kept, const char *choices)
{
    choice one;
    while (choice_next(&choices, &one))
        offer_value(c, kept, one.text, one.length);
}

static void offer_keys(const completion *c, int kept)
{
    char key[PULMO_KEY_BYTES], value[PULMO_KEY_BYTES + 1];
    for (int i = 0; pulmo_config_key_name(i, c->command->keys, key); i++) {
        snprintf(value, sizeof value, "%s=", key);
        offer_value(c, kept, value, strlen(value));
    }
}

/* Of "model.pool=", or of a grid's "model.pool=avg,". */
static void offer_values_of_key(const completion *c, int kept)
{
    const char *key = c->typed + kept;
    const char *equals = strchr(key, '=');
    const char *comma = strrchr(equals, ',');
    const char *before = comma ? comma : equals;
    int kept_with_key = (int)(before - c->typed) + 1;
    for (int i = 0; pulmo_config_choice(key, i); i++) {
        const char *value = pulmo_config_choice(key, i);
        offer_value(c, kept_with_key, value, strlen(value));
    }
}

/* --set and --grid. */
static bool takes_keys(const command_option *o)
{
    return begins_with(o->argument, "KEY=");
}

/* A configuration's name; `context` is the completion. */
static void offer_configuration(void *context, const char *name, const char *about)
{
    offer(context, name, about);
}

/* What an option takes; `kept` letters of the word are the option itself. */
static void offer_argument(const completion *c, const command_option *o, int kept)
{
    const char *argument = c->typed + kept;
    if (takes_keys(o) && strchr(argument, '='))
        offer_values_of_key(c, kept);
    else if (takes_keys(o))
        offer_keys(c, kept);
    else if (strchr(o->argument, '|'))
        offer_choices(c, kept, o->argument);
    else if (o->letter == 'c' && kept == 0)
        each_configuration(offer_configuration, (void *)(uintptr_t)c);
}

/* ---- words ---- */

static void offer_commands(const completion *c)
{
    for (const command *each = commands; each->name; each++)
        offer(c, each->name, each->summary);
    offer(c, "help", "a command's options and keys");
}

static void offer_options(const completion *c)
{
    const command_option *o = NULL;
    while ((o = option_next(c->command, o)) != NULL) {
        char name[64];
        snprintf(name, sizeof name, "--%s", o->name);
        offer(c, name, o->help);
    }
}

/* The option whose argument is the next word, or NULL. */
static const command_option *option_waiting(const command *c, const char *word)
{
    const command_option *o = NULL;
    if (begins_with(word, "--") && !strchr(word, '='))
        o = option_find(c, word + 2, strlen(word + 2));
    else if (word[0] == '-' && word[1] && !word[2])
        o = option_of_letter(c, word[1]);
    return o && o->argument ? o : NULL;
}

/* What the words before the last one leave open: an option's argument (returned), or an operand. */
static const command_option *read_words(const command *c, int count, char **words, int *operands)
{
    const command_option *waiting = NULL;
    for (int i = 0; i < count; i++) {
        if (waiting)
            waiting = NULL;
        else if (words[i][0] == '-')
            waiting = option_waiting(c, words[i]);
        else
            (*operands)++;
    }
    return waiting;
}

/* Of "--format=". */
static void offer_after_equals(const completion *c, const char *equals)
{
    const char *name = c->typed + strlen("--");
    size_t length = (size_t)(equals - name);
    const command_option *o = option_find(c->command, name, length);
    if (o && o->argument)
        offer_argument(c, o, (int)(equals + 1 - c->typed));
}

/* `words` and the last one, c->typed, follow the command. */
static void offer_after_command(const completion *c, int count, char **words)
{
    int operands = 0;
    const char *equals = strchr(c->typed, '=');
    const command_option *waiting = read_words(c->command, count, words, &operands);
    if (waiting) {
        offer_argument(c, waiting, 0);
    } else if (begins_with(c->typed, "--") && equals) {
        offer_after_equals(c, equals);
    } else if (c->typed[0] == '-') {
        offer_options(c);
    } else if (operands == 0 && c->command->actions) {
        offer_choices(c, 0, c->command->actions);
    } else if (operands == 0 && c->command->run == run_configs) {
        each_configuration(offer_configuration, (void *)(uintptr_t)c);
    }
}

void print_completions(FILE *out, int count, char **words)
{
    completion c = {.out = out, .typed = count > 0 ? words[count - 1] : ""};
    if (count <= 1) {
        offer_commands(&c);
        offer(&c, "--help", "the commands");
        offer(&c, "--version", "this version and its libraries");
        return;
    }
    c.command = command_find(commands, words[0]);
    if (c.command)
        offer_after_command(&c, count - 2, words + 1);
    else if (strcmp(words[0], "help") == 0 && count == 2)
        offer_commands(&c);
}
