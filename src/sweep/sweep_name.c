/* Directories of trials, named after the values that they are trained with. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "pulmo/memory.h"
#include "sweep_room.h"

#define NAME_BYTES 160

/* "optim.lr=0.001,train.seed=2", without the axis `except`; owned by the caller (free), NULL when
 * out of memory. */
static char *values_in_words(const pulmo_grid *grid, uint64_t trial, int except)
{
    pulmo_text whole;
    char *text = NULL;
    if (pulmo_text_open(&whole) != PULMO_OK)
        return NULL;
    const char *comma = "";
    for (int a = 0; a < grid->axes; a++) {
        if (a == except)
            continue;
        const char *value = pulmo_grid_value(grid, trial, a);
        fprintf(whole.stream, "%s%s=%s", comma, grid->axis[a].key, value);
        comma = ",";
    }
    if (!*comma)
        fputs("only", whole.stream);
    if (pulmo_text_take(&whole, &text) != PULMO_OK)
        return NULL;
    return text;
}

/* Puts "_" in place of what no file's name should hold. True where other values could have the
 * same name now: where more than blanks went. */
static bool make_portable(char *text)
{
    bool ambiguous = false;
    for (char *c = text; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr(".,=+-_[]", *c))
            continue;
        if (*c != ' ')
            ambiguous = true;
        *c = '_';
    }
    return ambiguous;
}

char *sweep_name(const pulmo_grid *grid, uint64_t trial, int except)
{
    char *text = values_in_words(grid, trial, except);
    if (!text)
        return NULL;
    size_t length = strlen(text);
    pulmo_digest digest = pulmo_digest_of(text, length);
    bool ambiguous = make_portable(text);
    if (!ambiguous && length <= NAME_BYTES)
        return text;
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest_hex(&digest, hex);
    char *unique = pulmo_format("%.*s-%.12s", NAME_BYTES, text, hex);
    free(text);
    return unique;
}

static pulmo_status set_run_dir(pulmo_config *config, const char *parent, const char *name)
{
    char *field = config->train.run_dir;
    size_t bytes = sizeof config->train.run_dir;
    int wrote = snprintf(field, bytes, "%s/%s", parent, name);
    if (wrote > 0 && (size_t)wrote < bytes)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG, "train.run_dir: \"%.60s...\" is too long for a sweep's trials",
                      parent);
}

pulmo_status sweep_configure(const sweep *s, uint64_t number, pulmo_config **out)
{
    const pulmo_config *all = s->options->config;
    pulmo_config *config = malloc(sizeof *config);
    if (!config)
        return pulmo_fail(PULMO_MEMORY, "out of memory for a trial");
    *config = *all;
    pulmo_status status = pulmo_grid_apply(s->grid, number, config);
    if (status == PULMO_OK)
        status = set_run_dir(config, all->train.run_dir, s->trials[number].name);
    if (status == PULMO_OK)
        *out = config;
    else
        free(config);
    return status;
}
