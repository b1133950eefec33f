/* A configuration's defaults, and one key at a time: "section.key=value". */
#include <stdio.h>
#include <string.h>

#include "pulmo/config.h"
#include "read.h"
#include "schema.h"

void pulmo_config_init(pulmo_config *config)
{
    int count = 0;
    const config_key *keys = schema_keys(&count);
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
    const config_key *key = key_find(section, name);
    if (!key)
        return pulmo_fail_in(PULMO_CONFIG, "--set %s", assignment);
    pulmo_status status = key_store(key, config, equals + 1);
    return status == PULMO_OK ? status : pulmo_fail_in(status, "--set %s.%s", section, name);
}
