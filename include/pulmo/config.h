/* The configuration: one schema table gives defaults, the YAML file's checks, --set, --help,
 * the echo and what binds a checkpoint. Not collective (rank 0 reads, the text is broadcast).
 *
 * A configuration file has two levels, `section:` and `key: value`. Unknown sections and keys,
 * a key given twice, wrong types, trailing junk in numbers and values out of range are
 * PULMO_CONFIG with file, line, value, rule and, where a name is close, "did you mean". */
#ifndef PULMO_CONFIG_H
#define PULMO_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "pulmo/framing.h"
#include "pulmo/status.h"

#define PULMO_TEXT_BYTES 1024
#define PULMO_LIST_MAX   64

/* A list of integers or reals. */
typedef struct pulmo_int_list {
    int count;
    int64_t value[PULMO_LIST_MAX];
} pulmo_int_list;

typedef struct pulmo_config {
    struct {
        char path[PULMO_TEXT_BYTES];
        int64_t fold; /* -1: none */
    } data;
    struct {
        int64_t size, shard_images, pixels_max;
        double val_fraction, test_fraction;
        int64_t seed, folds;
        char group_pattern[PULMO_TEXT_BYTES], label_pattern[PULMO_TEXT_BYTES];
        char val_pattern[PULMO_TEXT_BYTES], test_pattern[PULMO_TEXT_BYTES],
            exclude_pattern[PULMO_TEXT_BYTES];
        /* pulmo/table.h reads these */
        char table[PULMO_TEXT_BYTES], join[PULMO_TEXT_BYTES];
        char table_path[PULMO_TEXT_BYTES], table_label[PULMO_TEXT_BYTES];
        char table_patient[PULMO_TEXT_BYTES], table_split[PULMO_TEXT_BYTES];
        char train_list[PULMO_TEXT_BYTES], val_list[PULMO_TEXT_BYTES], test_list[PULMO_TEXT_BYTES];
        char label_map[PULMO_TEXT_BYTES], finding[PULMO_TEXT_BYTES];
        char keep[PULMO_TEXT_BYTES], where[PULMO_TEXT_BYTES];
        char window[PULMO_FRAMING_TEXT]; /* pulmo/image.h reads this and the next */
        char modalities[PULMO_FRAMING_TEXT];
        int header_patient;      /* index into the key's choices */
        int uncertain, blank;    /* index into the key's choices */
        int fit, border, aspect; /* the same */
        int pseudonyms;          /* the same */
        char key_file[PULMO_TEXT_BYTES];
        int decode, on_bad, leaks, patients_unknown; /* the same */
    } pack;
    struct {
        double crop_scale[2], crop_ratio[2], hflip, rotate_deg, translate[2], scale[2];
        double brightness[2], contrast[2], gamma[2];
        double equalize, autocontrast, sharpness[2], blur[2], noise, erasing, strength[2];
        int strength_of;
    } augment;
    struct {
        char weights[PULMO_TEXT_BYTES], positive_class[PULMO_TEXT_BYTES];
        int trainable, pool, preprocessing, weights_check;
        pulmo_int_list pool_blocks, hidden;
        double dropout;
    } model;
    struct {
        char run_dir[PULMO_TEXT_BYTES], init[PULMO_TEXT_BYTES];
        int64_t epochs, batch, microbatch, seed, patience, threads, loader_threads;
        int monitor, features, exchange;
        pulmo_int_list unfreeze_epochs;
        int64_t checkpoint_batches;
        double checkpoint_seconds, stall_seconds, time_limit_seconds;
    } train;
    struct {
        char path[PULMO_TEXT_BYTES];
        int64_t views, seed; /* seed -1: train.seed */
        int precision;
    } bank;
    struct {
        int name;
        double lr, trunk_lr_scale, trunk_lr_decay, clip_norm, ema;
        double weight_decay, beta1, beta2, eps, momentum;
        int schedule;
        double warmup_epochs, step_epochs, step_gamma, min_lr, label_smoothing;
        char class_weights[PULMO_TEXT_BYTES]; /* "none", "balanced" or "[w0, w1, ...]" */
    } optim;
    struct {
        char threshold[64];
        int calibration, audit, crops;
        int64_t tta;
    } eval;
} pulmo_config;

/* Values of choice keys, in the order of the table's choices. */
enum { PULMO_DECODE_EXACT, PULMO_DECODE_FAST };
enum { PULMO_ASPECT_AUTO, PULMO_ASPECT_KEPT };
enum { PULMO_PSEUDONYMS_AUTO, PULMO_PSEUDONYMS_OFF, PULMO_PSEUDONYMS_ON };
enum { PULMO_ON_BAD_SKIP, PULMO_ON_BAD_FAIL };
enum { PULMO_CELL_REFUSE, PULMO_CELL_LEAVE_OUT, PULMO_CELL_POSITIVE, PULMO_CELL_NEGATIVE };
enum { PULMO_LEAKS_FAIL, PULMO_LEAKS_ALLOW, PULMO_LEAKS_DROP };
enum { PULMO_CALIBRATE_NONE, PULMO_CALIBRATE_TEMPERATURE };
enum { PULMO_CROPS_NONE, PULMO_CROPS_FIVE, PULMO_CROPS_TEN };
enum {
    PULMO_TRAINABLE_HEAD,
    PULMO_TRAINABLE_BLOCK5,
    PULMO_TRAINABLE_BLOCK4,
    PULMO_TRAINABLE_BLOCK3,
    PULMO_TRAINABLE_BLOCK2,
    PULMO_TRAINABLE_ALL
};
enum { PULMO_FEATURES_FRESH, PULMO_FEATURES_BANK };
enum { PULMO_STRENGTH_OF_ALL, PULMO_STRENGTH_OF_LIGHT };
enum { PULMO_PRECISION_FLOAT, PULMO_PRECISION_HALF };
enum { PULMO_EXCHANGE_AUTO, PULMO_EXCHANGE_SUMS, PULMO_EXCHANGE_FACTORS };
enum { PULMO_MONITOR_ACCURACY, PULMO_MONITOR_AUC, PULMO_MONITOR_LOSS };

/* All defaults. */
void pulmo_config_init(pulmo_config *config);
/* Reads a file that the program wrote, perhaps an earlier version, over what is there: former names
 * of keys are taken. */
pulmo_status pulmo_config_read_stored(pulmo_config *config, const char *path);
/* The same for text that the program stored; `name` stands for the file in errors. */
pulmo_status pulmo_config_parse(pulmo_config *config, const char *name, const char *text);
/* "section.key=value", as given to --set. */
pulmo_status pulmo_config_set(pulmo_config *config, const char *assignment);

/* What a command line says of the configuration. */
#define PULMO_SETTINGS_MAX 64
typedef struct pulmo_settings {
    const char *path;                     /* -c FILE, or NULL */
    const char *sets[PULMO_SETTINGS_MAX]; /* of --set, in order */
    int count;
} pulmo_settings;
/* The file that a person wrote, then each --set, over what is there. A key's name of an earlier
 * version is PULMO_CONFIG with the name that it has now. */
pulmo_status pulmo_config_apply(pulmo_config *config, const pulmo_settings *settings);
/* Refuses (PULMO_CONFIG) a --set of a key that means nothing to `command`. `keys`:
 * "section.key|section.*|..."; "" for none. */
pulmo_status pulmo_settings_check(const pulmo_settings *settings, const char *command,
                                  const char *keys);

/* Every key and value as a YAML document that reads back to the same configuration.
 * Owned by the caller (free); NULL when out of memory. */
char *pulmo_config_echo(const pulmo_config *config);
/* The same for the keys that make the model (places and numbers of threads are left out) and for
 * one section. Files and keys of feature banks hold these bytes: they stay as they are. */
char *pulmo_config_binding_lines(const pulmo_config *config);
char *pulmo_config_section_lines(const pulmo_config *config, const char *section);
/* The bound keys whose values differ, "section.key: a, not b" per line. Owned by the caller (free);
 * NULL when out of memory. */
char *pulmo_config_differences(const pulmo_config *mine, const pulmo_config *other);
/* The same for all keys of a section, "section.key: a, not b; section.key: c, not d". */
char *pulmo_config_section_differences(const pulmo_config *mine, const pulmo_config *other,
                                       const char *section);

/* The name of a choice, as in ("model.pool", 1); static storage, NULL where there is none. */
const char *pulmo_config_choice(const char *key, int index);
/* The choice of this name, or -1. */
int pulmo_config_choice_find(const char *key, const char *text);

/* ---- grids: every combination of some keys' values (pulmo sweep) ---- */

#define PULMO_GRID_AXES   16
#define PULMO_GRID_VALUES 256

typedef struct pulmo_grid_axis {
    char key[136]; /* "optim.lr" */
    int count;
    char *value[PULMO_GRID_VALUES]; /* as --set takes them */
} pulmo_grid_axis;
typedef struct pulmo_grid {
    int axes;
    pulmo_grid_axis axis[PULMO_GRID_AXES];
} pulmo_grid; /* starts as zeros; ended by pulmo_grid_free */

/* "section.key=value,value,...", as given to --grid; commas inside brackets are part of a value. */
pulmo_status pulmo_grid_add(pulmo_grid *grid, const char *assignment);
/* Reads a file as pulmo_config_apply does, and its section `sweep`, which that refuses:
 * "section.key: [value, ...]" a line. */
pulmo_status pulmo_config_read_grid(pulmo_config *config, pulmo_grid *grid, const char *path);
uint64_t pulmo_grid_trials(const pulmo_grid *grid);
/* Which of the axis' values a trial has; the last axis varies fastest. */
int pulmo_grid_index(const pulmo_grid *grid, uint64_t trial, int axis);
/* That value, as --set takes it; borrowed from the grid. */
const char *pulmo_grid_value(const pulmo_grid *grid, uint64_t trial, int axis);
/* Sets all axes' keys as the trial has them. */
pulmo_status pulmo_grid_apply(const pulmo_grid *grid, uint64_t trial, pulmo_config *config);
void pulmo_grid_free(pulmo_grid *grid);

/* ---- for people ---- */

/* Describes keys for --help, in order, by section. `keys`: "section|section.key|section.*|...", or
 * NULL for all. */
void pulmo_config_help(FILE *out, const char *keys);
/* The name "section.key" of the index-th of these keys; false past the last. */
#define PULMO_KEY_BYTES 136
bool pulmo_config_key_name(int index, const char *keys, char out[PULMO_KEY_BYTES]);

#endif
