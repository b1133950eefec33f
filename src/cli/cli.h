/* The command line: options that every command has, and the commands. */
#ifndef PULMO_CLI_H
#define PULMO_CLI_H

#include <argp.h>

#include "pulmo/config.h"
#include "pulmo/dist.h"
#include "pulmo/log.h"
#include "pulmo/status.h"

/* -q, -v, -c FILE, --set KEY=VALUE. */
typedef struct common_options {
    pulmo_log_level level;
    pulmo_settings settings;
} common_options;

/* A child parser for argp; its input is a common_options. */
extern const struct argp common_argp;

/* Parses a command's own arguments; usage errors and --help end the process here. `input` starts
 * with a common_options. */
void parse_arguments(const struct argp *argp, int argc, char **argv, void *input);

/* For argp's help filter: the configuration's keys of these sections, and `ending`, stand at the
 * end of --help. */
char *help_with_keys(int key, const char *text, const char *sections, const char *ending);

/* Defaults, then the file, then --set. */
pulmo_status load_config(const common_options *common, pulmo_config *out);

/* The same for a command to which few settings mean something: others in the file are checked and
 * left alone, others in --set are refused. `keys` as in pulmo_settings_check. */
pulmo_status load_some(const common_options *common, const char *who, const char *keys,
                       pulmo_config *out);

/* What is set where a model is used: by evaluate and predict, and by what asks it for no decision.
 */
#define KEYS_OF_USE  "eval.threshold|eval.tta|augment.*|model.weights|train.threads"
#define KEYS_OF_LOOK "model.weights|train.threads"
/* And where one is trained: all but packing's. */
#define KEYS_OF_TRAINING "data.*|augment.*|model.*|train.*|bank.*|optim.*|eval.*"

/* load_some, and what the options --weights and --threads ("" and 0 where they were not given)
 * become. *weights may point into *config. */
pulmo_status load_use(const common_options *common, const char *who, const char *keys,
                      pulmo_config *config, const char **weights, int *threads);

/* Starts MPI and sets up messages. */
pulmo_status start_ranks(const common_options *common, pulmo_comm **out);

/* Whole number in [low, high], else argp's error. */
long parse_long(struct argp_state *state, const char *name, const char *text, long low, long high);

/* A command takes its own argv (argv[0] is "pulmo NAME") and sets *comm once MPI runs. */
typedef struct command {
    const char *name, *does;
    pulmo_status (*run)(int argc, char **argv, pulmo_comm **comm);
} command;

pulmo_status command_pack(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_preview(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_train(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_sweep(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_evaluate(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_predict(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_explain(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_export(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_weights(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_report(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_inspect(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_bench(int argc, char **argv, pulmo_comm **comm);
pulmo_status command_demo(int argc, char **argv, pulmo_comm **comm);

#endif
