/* The settings that make a model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/config.h"

/* The lines of the echo whose keys make another model: places and numbers of threads are left out.
 */
char *pulmo_config_binding_lines(const pulmo_config *config)
{
    int count = 0;
    const pulmo_key *keys = pulmo_config_keys(&count);
    char *echo = pulmo_config_echo(config), *out = NULL, *rest = echo, *line, section[64] = "",
         begun[64] = "";
    size_t length = 0;
    FILE *stream = echo ? open_memstream(&out, &length) : NULL;
    while (stream && (line = strsep(&rest, "\n")) != NULL) {
        char name[64];
        if (sscanf(line, "%63[a-z_]:", section) == 1 || sscanf(line, " %63[a-z0-9_]:", name) != 1)
            continue;
        for (int k = 0; k < count; k++) {
            if (!keys[k].binds || strcmp(keys[k].section, section) != 0 ||
                strcmp(keys[k].name, name) != 0)
                continue;
            if (strcmp(begun, section) != 0)
                fprintf(stream, "%s:\n", section);
            memcpy(begun, section, sizeof begun);
            fprintf(stream, "%s\n", line);
        }
    }
    if (stream)
        fclose(stream);
    free(echo);
    return out;
}
