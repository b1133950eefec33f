/* A sweep's tables: the order of trials, columns and gaps of sweep.csv, and means over seeds. */
#include "support.h"

#include "sweep_room.h"

#define TRIALS 6 /* two rates, three seeds; the seed varies fastest */

typedef struct bench {
    char *directory;
    pulmo_config config;
    pulmo_grid grid;
    pulmo_sweep_options options;
    sweep_trial trials[TRIALS];
    sweep sweep;
} bench;

static bench *open_bench(void)
{
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->directory = scratch_directory();
    pulmo_config_init(&b->config);
    snprintf(b->config.train.run_dir, sizeof b->config.train.run_dir, "%s", b->directory);
    assert_ok(pulmo_grid_add(&b->grid, "optim.lr=0.1,0.01"));
    assert_ok(pulmo_grid_add(&b->grid, "train.seed=1,2,3"));
    b->options = (pulmo_sweep_options){.config = &b->config, .grid = &b->grid};
    for (int t = 0; t < TRIALS; t++) {
        sweep_trial *trial = &b->trials[t];
        trial->name = pulmo_format("trial-%d", t);
        trial->state = SWEEP_FINISHED;
        trial->best_epoch = t + 1;
        for (int f = 0; f < SWEEP_FIGURES; f++)
            trial->figure[f] = 0.5;
        snprintf(trial->head_digest, sizeof trial->head_digest, "digest%d", t);
    }
    b->sweep =
        (sweep){.options = &b->options, .grid = &b->grid, .count = TRIALS, .trials = b->trials};
    return b;
}

static void close_bench(bench *b)
{
    for (int t = 0; t < TRIALS; t++)
        free(b->trials[t].name);
    pulmo_grid_free(&b->grid);
    remove_directory(b->directory);
    free(b);
}

/* Writes the tables and returns one of them; owned by the caller (free). */
static char *table_of(const bench *b, const char *file)
{
    char *path = pulmo_format("%s/%s", b->directory, file);
    char *text = calloc(1, 65536);
    assert_ok(sweep_write_tables(&b->sweep, NULL));
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_true(fread(text, 1, 65535, in) > 0);
    fclose(in);
    free(path);
    return text;
}

/* The places of trials, as "3 0 1 ...". */
static void order_of(const char *text, char *out, size_t bytes)
{
    size_t at = 0;
    out[0] = '\0';
    for (const char *name = strstr(text, "trial-"); name; name = strstr(name + 1, "trial-"))
        at += (size_t)snprintf(out + at, bytes - at, "%s%c", at ? " " : "", name[6]);
}

static void assert_order(const bench *b, const char *want)
{
    char have[64];
    char *text = table_of(b, "sweep.csv");
    order_of(text, have, sizeof have);
    assert_string_equal(have, want);
    free(text);
}

static void the_best_comes_first(void **state)
{
    static const double accuracy[] = {0.6, 0.9, 0.7, 0.9, 0.5, 0.9};
    static const double loss[] = {1.0, 0.4, 1.0, 0.3, 1.0, 0.4};
    bench *b = open_bench();
    (void)state;
    for (int t = 0; t < TRIALS; t++) {
        b->trials[t].figure[SWEEP_VAL_ACCURACY] = accuracy[t];
        b->trials[t].figure[SWEEP_VAL_LOSS] = loss[t];
        b->trials[t].figure[SWEEP_VAL_AUC] = 1 - accuracy[t];
    }
    b->config.train.monitor = PULMO_MONITOR_ACCURACY;
    assert_order(b, "3 1 5 2 0 4"); /* ties by loss, then in the grid's order */
    b->config.train.monitor = PULMO_MONITOR_LOSS;
    assert_order(b, "3 1 5 0 2 4");
    b->config.train.monitor = PULMO_MONITOR_AUC;
    assert_order(b, "4 0 2 3 1 5");
    close_bench(b);
}

/* What has not finished has no figures and comes last, whatever stands in its memory. */
static void unfinished_trials_come_last(void **state)
{
    bench *b = open_bench();
    (void)state;
    b->trials[0].state = SWEEP_FAILED;
    b->trials[0].figure[SWEEP_VAL_ACCURACY] = 1;
    b->trials[2].state = SWEEP_WAITING;
    b->trials[4].figure[SWEEP_VAL_ACCURACY] = 0.75;
    b->trials[5].figure[SWEEP_VAL_ACCURACY] = NAN;
    assert_order(b, "4 1 3 0 2 5");
    close_bench(b);
}

static void a_line_holds_its_trial(void **state)
{
    bench *b = open_bench();
    (void)state;
    b->trials[3].figure[SWEEP_VAL_ACCURACY] = 0.875;
    b->trials[3].figure[SWEEP_TEST_AUC] = NAN;
    b->trials[1].state = SWEEP_FAILED;
    snprintf(b->trials[1].reason, sizeof b->trials[1].reason, "a \"bad\", word");
    char *text = table_of(b, "sweep.csv");
    assert_non_null(strstr(text, "place,optim.lr,train.seed,state,best_epoch,val_loss,val_accuracy,"
                                 "val_auc,test_accuracy,test_auc,head_sha256,directory,reason\n"));
    assert_non_null(strstr(text, "\n1,0.01,1,finished,4,0.5,0.875,0.5,0.5,,digest3,trial-3,\n"));
    assert_non_null(strstr(text, "\n6,0.1,2,failed,,,,,,,,trial-1,\"a \"\"bad\"\", word\"\n"));
    free(text);
    close_bench(b);
}

/* Seeds 1, 2, 3 of each rate: mean and the sample's standard deviation, by hand. */
static void seeds_are_grouped(void **state)
{
    static const double accuracy[] = {0.5, 0.75, 1.0, 0.25, 0.25, 0.25};
    bench *b = open_bench();
    (void)state;
    for (int t = 0; t < TRIALS; t++)
        b->trials[t].figure[SWEEP_VAL_ACCURACY] = accuracy[t];
    char *text = table_of(b, "sweep_groups.csv");
    assert_non_null(strstr(text, "optim.lr,seeds,val_loss_mean,val_loss_sd,val_accuracy_mean,"));
    assert_non_null(strstr(text, "\n0.1,3,0.5,0,0.75,0.25,"));
    assert_non_null(strstr(text, "\n0.01,3,0.5,0,0.25,0,"));
    free(text);
    b->trials[3].state = SWEEP_FAILED;
    b->trials[4].state = SWEEP_FAILED;
    text = table_of(b, "sweep_groups.csv");
    assert_non_null(strstr(text, "\n0.01,1,0.5,,0.25,,")); /* one has no deviation */
    free(text);
    close_bench(b);
}

static void one_seed_makes_no_groups(void **state)
{
    pulmo_grid one = {0};
    (void)state;
    assert_ok(pulmo_grid_add(&one, "train.seed=5"));
    assert_ok(pulmo_grid_add(&one, "optim.lr=0.1,0.2"));
    assert_false(sweep_has_repeats(&one));
    pulmo_grid_free(&one);
    assert_ok(pulmo_grid_add(&one, "optim.lr=0.1,0.2"));
    assert_ok(pulmo_grid_add(&one, "train.seed=5,6"));
    assert_true(sweep_is_repeat(&one, 1));
    pulmo_grid_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_comes_first),     cmocka_unit_test(unfinished_trials_come_last),
        cmocka_unit_test(a_line_holds_its_trial),   cmocka_unit_test(seeds_are_grouped),
        cmocka_unit_test(one_seed_makes_no_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
