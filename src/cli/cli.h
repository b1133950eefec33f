/* The command line. One table of commands says what each takes; one parser reads it; --help, the
 * manual page and completion are printed from it. */
#ifndef PULMO_CLI_H
#define PULMO_CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stdio.h>

#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/log.h"
#include "pulmo/place.h"
#include "pulmo/status.h"

typedef struct arguments arguments;

/* ---- the table ---- */

typedef enum option_type {
    OPTION_FLAG,   /* bool: becomes true */
    OPTION_TEXT,   /* const char * */
    OPTION_NUMBER, /* int, from `low` to `high` */
    OPTION_LARGE,  /* the same, long */
    OPTION_CHOICE, /* const char *, one of `argument`: "a|b|c" */
    OPTION_KEY,    /* stands for a key of the configuration */
    OPTION_OTHER   /* taken by `take` */
} option_type;

typedef struct command_option {
    const char *name;
    const char *argument; /* its name in --help; "a|b|c" names all values; NULL: takes none */
    const char *help;
    option_type type;
    char letter; /* or 0 */
    bool required;
    size_t field;   /* into arguments */
    long low, high; /* of a number */
    /* The field where the option is not given. */
    long initial;
    const char *initial_text;
    const char *key;       /* "section.key" of OPTION_KEY */
    const char *key_value; /* what the key becomes where the option takes no argument */
    const char *only;      /* bench: the benchmarks that take it */
    void (*take)(struct argp_state *state, arguments *a, const char *argument);
} command_option;

typedef struct command {
    const char *name;
    const char *summary; /* one line */
    const char *usage;   /* operands and what is required; a second use on a second line */
    const char *description;
    const command_option *options; /* of its own, ended by one without a name; or NULL */
    const char *keys;    /* of the configuration, as in pulmo_settings_check; "" for none */
    const char *ending;  /* of --help; or NULL */
    const char *actions; /* "a|b|c" that the first operand must be one of; or NULL */
    int operands_least, operands_most;
    const char *operands_needed; /* said where there are fewer */
    const char *operands_hint;   /* said where there are more; or NULL */
    bool starts_mpi;
    /* What only this command refuses, by argp_error; or NULL. */
    void (*check)(struct argp_state *state, const arguments *a);
    /* Fills a->config, before MPI starts. NULL: load_settings. */
    pulmo_status (*load)(arguments *a);
    /* Collective where the command starts MPI. */
    pulmo_status (*run)(arguments *a);
} command;

#define OPERANDS_ANY 1000000

/* Ended by one without a name. The table names functions of all commands, so that what they use
 * cannot name the table: it is given to them. */
extern const command commands[];
extern const command_option common_options[];

/* The command of this name, or NULL. */
const command *command_find(const command *table, const char *name);
/* A command whose name is close to what was typed, in any case, or begins like it; or NULL. */
const command *command_near(const command *table, const char *typed);

/* The option after `o` of those that the command takes: its own, common ones, argp's (--help). The
 * first after NULL; NULL after the last. */
const command_option *option_next(const command *c, const command_option *o);
/* The option of this long name, `length` letters of `name`, else the first that begins so; NULL
 * where there is none. */
const command_option *option_find(const command *c, const char *name, size_t length);
const command_option *option_of_letter(const command *c, char letter);
/* An option whose name is close to what was typed, or NULL. */
const command_option *option_near(const command *c, const char *typed);
/* Whether the command takes a key named as an option that was typed: "batch" finds "train.batch".
 */
bool key_of_option_name(const command *c, const char *typed, char out[PULMO_KEY_BYTES]);

/* One of "a|b|c". */
typedef struct choice {
    const char *text; /* `length` letters of it */
    size_t length;
} choice;
/* Takes the next choice off the list; false where none is left. */
bool choice_next(const char **choices, choice *out);
bool choice_among(const char *choices, const char *text);
/* "a, b or c" */
void choices_print(const char *choices, char *out, size_t out_bytes);

/* ---- what was typed ---- */

#define GIVEN_MAX 64

typedef struct given_option {
    const command_option *option;
    const char *argument; /* NULL where it takes none */
} given_option;

struct arguments {
    const command *command;
    pulmo_log_level level;
    pulmo_settings settings; /* of -c and --set */
    const char **operands;   /* what is not an option, in order */
    int operand_count;
    given_option given[GIVEN_MAX]; /* the command's own options, in order */
    int given_count;
    pulmo_config config; /* in force, once loaded */
    pulmo_grid grid;
    pulmo_comm *comm;                      /* NULL until MPI runs */
    char configuration[PULMO_PLACE_BYTES]; /* what settings.path may point to */

    /* The fields of options. */
    const char *data, *split, *out, *format, *class_name, *source, *input, *dump, *decode, *against;
    const char *like, *by, *margin, *threshold, *overlap, *scores, *called_from;
    const char *grids[PULMO_GRID_AXES + 1];
    int grid_count;
    int part, parts;
    int threads, batch, size_px, seconds, rows, views, at_once, epochs;
    int images[3]; /* of train, val, test; -1: not given */
    long elements, seed;
    bool all, once, overwrite, update, verify, who, layers, with_normalization, no_overlays;
    bool share, strict, recalibrate;
};

/* Fills *a from argv, whose first word is "pulmo COMMAND". Wrong usage, --help, --usage and
 * --version end the process here. Ended by arguments_free, on failure as well. PULMO_MEMORY. */
pulmo_status arguments_parse(const command *c, int argc, char **argv, arguments *a);
void arguments_free(arguments *a);
bool option_given(const arguments *a, const command_option *o);

/* Where -c names no file, and a configuration that came with the program has that name: its path
 * takes the name's place. */
pulmo_status find_configuration(arguments *a);
/* Those names, "recommended" or "sets/chexpert", in order, each with its first sentence. */
typedef void see_configuration(void *context, const char *name, const char *about);
void each_configuration(see_configuration *see, void *context);
/* Defaults, then the file, then --set, then options that stand for keys. A key in the file that the
 * command does not take is checked and left alone; one in --set is refused. */
pulmo_status load_settings(arguments *a);
/* The same where the command calls itself `who`, as in "bench train". */
pulmo_status load_settings_as(arguments *a, const char *who);
/* The same over what a->config holds already, in place of the defaults. */
pulmo_status load_settings_over(arguments *a, const char *who);
/* The last part of it: options that stand for keys. */
pulmo_status load_options(arguments *a);
/* One key of the configuration. */
pulmo_status load_key(arguments *a, const char *key, const char *value);

/* --threads, else train.threads; 0: the CPUs given. */
int threads_of(const arguments *a);

/* ---- commands ---- */

void check_pack(struct argp_state *state, const arguments *a);
void check_report(struct argp_state *state, const arguments *a);
void check_export(struct argp_state *state, const arguments *a);
void take_grid(struct argp_state *state, arguments *a, const char *argument);
void take_part(struct argp_state *state, arguments *a, const char *argument);

pulmo_status load_pack(arguments *a);
pulmo_status load_train(arguments *a);
pulmo_status load_sweep(arguments *a);
pulmo_status load_bench(arguments *a);

pulmo_status run_pack(arguments *a);
pulmo_status run_source_audit(arguments *a);
pulmo_status run_preview(arguments *a);
pulmo_status run_train(arguments *a);
pulmo_status run_reproduce(arguments *a);
pulmo_status run_sweep(arguments *a);
pulmo_status run_evaluate(arguments *a);
pulmo_status run_compare(arguments *a);
pulmo_status run_predict(arguments *a);
pulmo_status run_explain(arguments *a);
pulmo_status run_export(arguments *a);
pulmo_status run_weights(arguments *a);
pulmo_status run_configs(arguments *a);
/* In place of this process, where that can be started. */
pulmo_status run_fetch(arguments *a);
pulmo_status run_quickstart(arguments *a);
pulmo_status run_report(arguments *a);
pulmo_status run_inspect(arguments *a);
pulmo_status run_watch(arguments *a);
pulmo_status run_verify(arguments *a);
pulmo_status run_bench(arguments *a);
pulmo_status run_demo(arguments *a);

/* ---- one of many ranks ---- */

/* The rank by the launcher's variables, which is all there is before MPI runs; 0 without one. */
int launched_rank(void);
bool launched_first_of_node(void);
/* arguments_parse, of whose words those of one rank are enough: the others are mute. */
pulmo_status launch_parse(const command *c, int argc, char **argv, arguments *a);
/* Starts MPI and sets up messages. Collective. */
pulmo_status launch_ranks(arguments *a);
/* Whether launch_ranks has been called. */
bool launch_begun(void);
/* Whether this rank may be the only one that failed: in launch_ranks, or for want of memory before
 * it. What is wrong with the launch itself (PULMO_USAGE) or the arguments all ranks find out. */
bool launch_failed_here(pulmo_status status);
/* Waits a moment, unless MPI runs: launchers end all ranks when the first one fails, and rank 0
 * must have said why by then. */
void launch_wait(void);

/* ---- printed from the table ---- */

/* What the program's exit statuses mean; ended by one without a meaning. */
typedef struct exit_meaning {
    int status;
    const char *meaning;
} exit_meaning;
extern const exit_meaning exit_meanings[];

/* The list of commands. */
void print_usage(const command *table, FILE *out);
/* What stands after the options in a command's --help. Owned by the caller (free); NULL when out of
 * memory. */
char *help_ending(const command *c);
/* The manual page. */
void print_manual(FILE *out);
/* What could stand in place of the last word, "CANDIDATE<tab>WHAT" per line; nothing where a file
 * is meant. `words`: those after "pulmo". */
void print_completions(FILE *out, int count, char **words);

#endif
