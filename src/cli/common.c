/* The options that every command takes. */
#include <stddef.h>

#include "cli.h"

static void take_set(struct argp_state *state, arguments *a, const char *argument)
{
    if (a->settings.count == PULMO_SETTINGS_MAX)
        argp_error(state, "more than %d times --set", PULMO_SETTINGS_MAX);
    a->settings.sets[a->settings.count++] = argument;
}

static void take_quiet(struct argp_state *state, arguments *a, const char *argument)
{
    (void)state;
    (void)argument;
    a->level = PULMO_LOG_QUIET;
}

static void take_verbose(struct argp_state *state, arguments *a, const char *argument)
{
    (void)state;
    (void)argument;
    a->level = PULMO_LOG_VERBOSE;
}

const command_option common_options[] = {
    {.name = "config",
     .argument = "FILE",
     .letter = 'c',
     .type = OPTION_TEXT,
     .field = offsetof(arguments, settings.path),
     .help = "configuration, YAML; or the name of one that came with the program, as in -c "
             "recommended (pulmo configs lists them)"},
    {.name = "set",
     .argument = "KEY=VALUE",
     .letter = 's',
     .type = OPTION_OTHER,
     .take = take_set,
     .help = "one configuration key, as in optim.lr=0.001; wins over the file; repeatable"},
    {.name = "quiet",
     .letter = 'q',
     .type = OPTION_OTHER,
     .take = take_quiet,
     .help = "print nothing but results, warnings and errors"},
    {.name = "verbose",
     .letter = 'v',
     .type = OPTION_OTHER,
     .take = take_verbose,
     .help = "print more"},
    {0},
};
