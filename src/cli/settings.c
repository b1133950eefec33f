/* The configuration that a command line asks for. */
#include <stdlib.h>

#include "cli.h"
#include "pulmo/memory.h"

pulmo_status load_key(arguments *a, const char *key, const char *value)
{
    char *assignment = pulmo_format("%s=%s", key, value);
    if (!assignment)
        return pulmo_fail(PULMO_MEMORY, "out of memory");
    pulmo_status status = pulmo_config_set(&a->config, assignment);
    free(assignment);
    return status;
}

pulmo_status load_options(arguments *a)
{
    for (int i = 0; i < a->given_count; i++) {
        const command_option *o = a->given[i].option;
        const char *argument = a->given[i].argument;
        if (o->type == OPTION_KEY)
            PULMO_TRY(load_key(a, o->key, argument ? argument : o->key_value));
    }
    return PULMO_OK;
}

pulmo_status load_settings_over(arguments *a, const char *who)
{
    PULMO_TRY(pulmo_config_apply(&a->config, &a->settings));
    PULMO_TRY(pulmo_settings_check(&a->settings, who, a->command->keys));
    return load_options(a);
}

pulmo_status load_settings_as(arguments *a, const char *who)
{
    pulmo_config_init(&a->config);
    return load_settings_over(a, who);
}

pulmo_status load_settings(arguments *a)
{
    return load_settings_as(a, a->command->name);
}

int threads_of(const arguments *a)
{
    if (a->threads > 0)
        return a->threads;
    return (int)a->config.train.threads;
}
