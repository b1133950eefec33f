/* `pulmo pack`. */
#include <stdint.h>
#include <stdio.h>

#include "cli.h"
#include "pulmo/interrupt.h"
#include "pulmo/pack.h"

enum {
    KEY_VAL = 1000,
    KEY_TEST,
    KEY_SIZE,
    KEY_DECODE,
    KEY_ON_BAD,
    KEY_THREADS,
    KEY_OVERWRITE,
    KEY_SEED,
    KEY_ALLOW_LEAKS,
    KEY_DROP_LEAKS,
    KEY_VERIFY,
    KEY_SOURCE
};

typedef struct pack_arguments {
    common_options common;
    pulmo_pack_options options;
    char sets[8][160]; /* options that stand for a key */
    int set_count;
    int verify;
    const char *original; /* --source */
} pack_arguments;

/* An option that is a configuration key: checked by the key's own rule. */
static void set_key(pack_arguments *a, struct argp_state *state, const char *key, const char *value)
{
    if (a->set_count == 8)
        argp_error(state, "too many options");
    snprintf(a->sets[a->set_count++], sizeof a->sets[0], "pack.%s=%s", key, value);
}

/* Options that are keys of the configuration under another name. */
static const struct {
    int option;
    const char *key;
    const char *value; /* NULL: the option's argument */
} settings[] = {
    {KEY_VAL, "val_fraction", NULL},
    {KEY_TEST, "test_fraction", NULL},
    {KEY_SIZE, "size", NULL},
    {KEY_SEED, "seed", NULL},
    {KEY_DECODE, "decode", NULL},
    {KEY_ON_BAD, "on_bad", NULL},
    {KEY_ALLOW_LEAKS, "leaks", "allow"},
    {KEY_DROP_LEAKS, "leaks", "drop"},
};

static error_t parse(int key, char *argument, struct argp_state *state)
{
    pack_arguments *a = state->input;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (settings[i].option != key)
            continue;
        set_key(a, state, settings[i].key, settings[i].value ? settings[i].value : argument);
        return 0;
    }
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &a->common;
        return 0;
    case KEY_VERIFY:
        a->verify = 1;
        return 0;
    case KEY_SOURCE:
        a->original = argument;
        return 0;
    case KEY_THREADS:
        a->options.threads = (int)parse_long(state, "--threads", argument, 0, 4096);
        return 0;
    case KEY_OVERWRITE:
        a->options.overwrite = 1;
        return 0;
    case ARGP_KEY_ARG:
        if (!a->options.source)
            a->options.source = argument;
        else if (!a->options.destination)
            a->options.destination = argument;
        else
            argp_error(state, "unexpected argument \"%s\"", argument);
        return 0;
    case ARGP_KEY_END:
        if (a->verify && (!a->options.source || a->options.destination))
            argp_error(state, "--verify takes DEST alone");
        if (!a->verify && !a->options.destination)
            argp_error(state, "SOURCE and DEST are needed");
        if (!a->verify && a->original)
            argp_error(state, "--source goes with --verify");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static char *pack_help(int key, const char *text, void *input)
{
    (void)input;
    return help_with_keys(key, text, "pack", "");
}

pulmo_status command_pack(int argc, char **argv, pulmo_comm **comm)
{
    static const struct argp_option options[] = {
        {"val-fraction", KEY_VAL, "X", 0,
         "split this part of train off as val, by patient and class", 0},
        {"test-fraction", KEY_TEST, "X", 0, "the same for test", 0},
        {"seed", KEY_SEED, "N", 0, "of the splits (default 0)", 0},
        {"size", KEY_SIZE, "PX", 0, "height and width of packed images (default 224)", 0},
        {"decode", KEY_DECODE, "exact|fast", 0, "fast: scaled DCT for images much larger than that",
         0},
        {"on-bad", KEY_ON_BAD, "skip|fail", 0,
         "what a file that cannot be used does (default skip)", 0},
        {"allow-leaks", KEY_ALLOW_LEAKS, NULL, 0,
         "pack though a picture or patient stands in more than one given split", 0},
        {"drop-leaks", KEY_DROP_LEAKS, NULL, 0,
         "leave such images out of train (and of val where test has them)", 0},
        {"verify", KEY_VERIFY, NULL, 0,
         "recheck every digest of DEST instead of packing; status 65 names what differs", 1},
        {"source", KEY_SOURCE, "SOURCE", 0, "with --verify: recheck the source files as well", 1},
        {"threads", KEY_THREADS, "N", 0, "threads a rank (default: the CPUs given)", 0},
        {"overwrite", KEY_OVERWRITE, NULL, 0, "replace a pack of other files or options in DEST",
         0},
        {0},
    };
    static const struct argp_child children[] = {{&common_argp, 0, NULL, 1}, {0}};
    static const struct argp argp = {
        options,
        parse,
        "SOURCE DEST\n--verify DEST",
        "Class folders of JPEGs into sharded HDF5. SOURCE is train/ val/ test/ with class folders, "
        "or class "
        "folders alone. Also under mpirun. Interrupted, the same command resumes.\v ",
        children,
        pack_help,
        NULL};
    pack_arguments a = {.common.level = PULMO_LOG_NORMAL};
    pulmo_config config;
    parse_arguments(&argp, argc, argv, &a);
    PULMO_TRY(load_some(&a.common, "pack", "pack.*", &config));
    for (int i = 0; i < a.set_count; i++)
        PULMO_TRY(pulmo_config_set(&config, a.sets[i]));
    a.options.config = &config;
    if (!a.verify)
        pulmo_interrupt_listen(); /* a signal may come while the ranks still find each other */
    PULMO_TRY(start_ranks(&a.common, comm));
    if (a.verify)
        return pulmo_pack_verify(*comm, a.options.source, a.original, a.options.threads);
    return pulmo_pack(*comm, &a.options);
}
