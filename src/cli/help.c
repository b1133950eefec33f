/* Help from the table: the list of commands, and what follows the options of one. */
#include "cli.h"
#include "pulmo/text.h"

const exit_meaning exit_meanings[] = {
    {0, "done (also when training stopped early)"},
    {1, "runtime or MPI failure"},
    {2, "usage or configuration"},
    {65, "bad data or weights; what verify or reproduce found to differ"},
    {74, "input or output"},
    {75, "interrupted after a checkpoint; run the same command again to resume"},
    {-1, NULL},
};

void print_usage(const command *table, FILE *out)
{
    fprintf(out, "Usage: pulmo COMMAND [OPTION...]\n"
                 "Trains a VGG16, its convolutions frozen up to a block of your choice, on chest "
                 "X-rays: on one machine or a cluster.\n\n");
    for (const command *c = table; c->name; c++)
        fprintf(out, "  %-10s  %s\n", c->name, c->summary);
    fprintf(out, "\n\"pulmo COMMAND --help\" lists its options and the configuration keys that it "
                 "takes; \"pulmo --version\"\nnames the libraries. Research software, not a "
                 "medical device.\n");
}

static void print_keys(FILE *out, const command *c)
{
    fprintf(out, "Configuration keys (-c FILE has sections and \"key: value\" lines; --set "
                 "SECTION.KEY=VALUE):\n\n");
    pulmo_config_help(out, c->keys);
    fputc('\n', out);
}

static void print_exit_meanings(FILE *out)
{
    fputs("Exit status:\n", out);
    for (const exit_meaning *e = exit_meanings; e->meaning; e++)
        fprintf(out, "%5d  %s\n", e->status, e->meaning);
}

char *help_ending(const command *c)
{
    pulmo_text text;
    char *out = NULL;
    if (pulmo_text_open(&text) != PULMO_OK)
        return NULL;
    if (*c->keys)
        print_keys(text.stream, c);
    if (c->ending)
        fprintf(text.stream, "%s\n", c->ending);
    print_exit_meanings(text.stream);
    if (pulmo_text_take(&text, &out) != PULMO_OK)
        return NULL;
    return out;
}
