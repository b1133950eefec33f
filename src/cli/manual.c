/* The manual page, pulmo(1), from the table of commands and the schema of the configuration. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "pulmo/text.h"

typedef struct term {
    const char *name, *meaning;
} term;

static const term environment[] = {
    {"PULMO_WEIGHTS",
     "the VGG16 convolutions (safetensors, PyTorch's .pth, Keras' .h5 or ONNX), where no option or "
     "key names them; else ${XDG_CACHE_HOME:-~/.cache}/pulmo/vgg16_features.safetensors"},
    {"PULMO_ISA", "ref or avx2: a lower kernel tier than the processor has, for the same bits"},
    {"SLURM_JOB_END_TIME",
     "when the job ends, in seconds since 1970: train stops with a checkpoint before"},
    {NULL, NULL},
};

/* ---- roff ---- */

/* Text in which nothing is a request: no line begins with a dot or an apostrophe, and what was a
 * hyphen can be copied as one. */
static void put_text(FILE *out, const char *text)
{
    bool at_start = true;
    for (const char *c = text; *c; c++) {
        if (at_start && (*c == '.' || *c == '\''))
            fputs("\\&", out);
        if (*c == '\\')
            fputs("\\e", out);
        else if (*c == '-')
            fputs("\\-", out);
        else
            fputc(*c, out);
        at_start = *c == '\n';
    }
}

static void put_section(FILE *out, const char *title)
{
    fprintf(out, ".SH %s\n", title);
}

static void put_paragraph(FILE *out, const char *text)
{
    put_text(out, text);
    fputc('\n', out);
}

static void put_term(FILE *out, const char *name, const char *meaning)
{
    fputs(".TP\n\\fB", out);
    put_text(out, name);
    fputs("\\fR\n", out);
    put_paragraph(out, meaning);
}

/* ---- the table ---- */

/* A line for each use: "pulmo pack SOURCE DEST". */
static void put_uses(FILE *out, const command *c)
{
    const char *use = c->usage;
    while (*use) {
        char line[128];
        size_t length = strcspn(use, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, use);
        fputs("\\fBpulmo ", out);
        put_text(out, c->name);
        fputs("\\fR [\\fIOPTION\\fR...] ", out);
        put_text(out, line);
        fputs("\n.br\n", out);
        use += length;
        use += strspn(use, "\n");
    }
}

static void put_option(FILE *out, const command_option *o)
{
    fputs(".TP\n", out);
    if (o->letter) {
        const char letter[] = {'-', o->letter, '\0'};
        fputs("\\fB", out);
        put_text(out, letter);
        fputs("\\fR, ", out);
    }
    fputs("\\fB\\-\\-", out);
    put_text(out, o->name);
    fputs("\\fR", out);
    if (o->argument) {
        fputs("=\\fI", out);
        put_text(out, o->argument);
        fputs("\\fR", out);
    }
    fputc('\n', out);
    put_paragraph(out, o->help);
}

static void put_keys_taken(FILE *out, const char *keys)
{
    choice one;
    const char *between = "Configuration keys: ";
    fputs(".PP\n", out);
    while (choice_next(&keys, &one)) {
        fprintf(out, "%s\\fI%.*s\\fR", between, (int)one.length, one.text);
        between = ", ";
    }
    fputs(".\n", out);
}

static void put_command(FILE *out, const command *c)
{
    fputs(".SS pulmo ", out);
    put_paragraph(out, c->name);
    put_uses(out, c);
    fputs(".PP\n", out);
    put_paragraph(out, c->description);
    for (const command_option *o = c->options; o && o->name; o++)
        put_option(out, o);
    if (*c->keys)
        put_keys_taken(out, c->keys);
}

static void put_common_options(FILE *out)
{
    const command none = {.name = ""};
    const command_option *o = NULL;
    put_section(out, "OPTIONS OF EVERY COMMAND");
    while ((o = option_next(&none, o)) != NULL)
        put_option(out, o);
}

/* ---- the schema ---- */

static void put_keys(FILE *out)
{
    pulmo_text text;
    char *keys = NULL;
    put_section(out, "CONFIGURATION KEYS");
    put_paragraph(out, "For --set SECTION.KEY=VALUE and the file of -c, which has sections and "
                       "\"key: value\" lines.");
    if (pulmo_text_open(&text) != PULMO_OK)
        return;
    pulmo_config_help(text.stream, NULL);
    if (pulmo_text_take(&text, &keys) != PULMO_OK)
        return;
    fputs(".PP\n.nf\n.in 0\n", out); /* lines as they are, which need the whole width */
    put_text(out, keys);
    fputs(".in\n.fi\n", out);
    free(keys);
}

/* ---- the page ---- */

static void put_endings(FILE *out)
{
    put_section(out, "EXIT STATUS");
    put_paragraph(out, "The same on every rank.");
    for (const exit_meaning *e = exit_meanings; e->meaning; e++) {
        char status[16];
        snprintf(status, sizeof status, "%d", e->status);
        put_term(out, status, e->meaning);
    }
    put_section(out, "ENVIRONMENT");
    for (const term *t = environment; t->name; t++)
        put_term(out, t->name, t->meaning);
    put_section(out, "SIGNALS");
    put_paragraph(out, "On SIGTERM, SIGINT and SIGUSR1 train writes a checkpoint, pack keeps what "
                       "is decoded, and both end with status 75.");
    put_section(out, "SEE ALSO");
    fputs(".BR mpirun (1),\n.BR h5dump (1)\n", out);
}

void print_manual(FILE *out)
{
    fputs(".TH PULMO 1 \"\" \"pulmo " PULMO_VERSION "\" \"User commands\"\n", out);
    put_section(out, "NAME");
    put_paragraph(out, "pulmo - train a VGG16, its convolutions frozen up to a block of choice, on "
                       "chest X-rays, on CPUs");
    put_section(out, "SYNOPSIS");
    for (const command *c = commands; c->name; c++)
        put_uses(out, c);
    fputs("\\fBpulmo help\\fR [\\fICOMMAND\\fR]\n", out);
    put_section(out, "DESCRIPTION");
    put_paragraph(out, "Packs chest X-rays, trains a classifier on them and uses it, on one "
                       "machine or, under mpirun or srun, on many. Data goes to stdout, everything "
                       "else to stderr. Research software, not a medical device.");
    put_section(out, "COMMANDS");
    for (const command *c = commands; c->name; c++)
        put_command(out, c);
    put_common_options(out);
    put_keys(out);
    put_endings(out);
}
