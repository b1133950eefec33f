/* The options that every command has. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "pulmo/text.h"
#include "cli.h"

const char *argp_program_version = "pulmo " PULMO_VERSION;

static const struct argp_option options[] = {
    {"config", 'c', "FILE", 0, "configuration, YAML", 1},
    {"set", 's', "KEY=VALUE", 0,
     "one configuration key, as in optim.lr=0.001; wins over the file; repeatable", 1},
    {"quiet", 'q', NULL, 0, "say nothing but warnings and errors", 1},
    {"verbose", 'v', NULL, 0, "say more", 1},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    common_options *common = state->input;
    switch (key) {
    case 'c':
        common->settings.path = argument;
        return 0;
    case 's':
        if (common->settings.count == PULMO_SETTINGS_MAX)
            argp_error(state, "more than %d times --set", PULMO_SETTINGS_MAX);
        common->settings.sets[common->settings.count++] = argument;
        return 0;
    case 'q':
        common->level = PULMO_LOG_QUIET;
        return 0;
    case 'v':
        common->level = PULMO_LOG_VERBOSE;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

const struct argp common_argp = {.options = options, .parser = parse};

char *help_with_keys(int key, const char *text, const char *sections, const char *ending)
{
    pulmo_text help;
    char *out = NULL;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)(uintptr_t)text;
    if (pulmo_text_open(&help) != PULMO_OK)
        return NULL;
    fprintf(help.stream, "Configuration keys (-c FILE has sections and \"key: value\" lines; "
                         "--set SECTION.KEY=VALUE):\n\n");
    pulmo_config_help(help.stream, sections);
    fputs(ending, help.stream);
    if (pulmo_text_take(&help, &out) != PULMO_OK)
        return NULL;
    return out;
}

pulmo_status load_config(const common_options *common, pulmo_config *out)
{
    pulmo_config_init(out);
    return pulmo_config_apply(out, &common->settings);
}

pulmo_status load_some(const common_options *common, const char *who, const char *keys,
                       pulmo_config *out)
{
    PULMO_TRY(load_config(common, out));
    return pulmo_settings_check(&common->settings, who, keys);
}

pulmo_status load_use(const common_options *common, const char *who, const char *keys,
                      pulmo_config *config, const char **weights, int *threads)
{
    PULMO_TRY(load_some(common, who, keys, config));
    if (weights && !**weights)
        *weights = config->model.weights;
    if (threads && *threads == 0)
        *threads = (int)config->train.threads;
    return PULMO_OK;
}

long parse_long(struct argp_state *state, const char *name, const char *text, long low, long high)
{
    char *end = NULL;
    long value = strtol(text, &end, 10);
    if (end == text || *end || value < low || value > high)
        argp_error(state, "%s: \"%s\" must be a whole number from %ld to %ld", name, text, low,
                   high);
    return value;
}
