/* `pulmo pack`, `pulmo audit`. */
#include <string.h>

#include "cli.h"
#include "pulmo/interrupt.h"
#include "pulmo/log.h"
#include "pulmo/model.h"
#include "pulmo/pack.h"

/* The model of --like; its classes are kept until the pack is done. */
static pulmo_model liked;

void check_pack(struct argp_state *state, const arguments *a)
{
    if (a->verify && a->operand_count != 1)
        argp_error(state, "--verify takes DEST alone");
    if (!a->verify && a->operand_count != 2)
        argp_error(state, "SOURCE and DEST are needed");
    if (!a->verify && a->source)
        argp_error(state, "--source goes with --verify");
    if (a->verify && a->who)
        argp_error(state, "--verify and --who are two questions: ask one");
    if (a->verify && a->like)
        argp_error(state, "--like goes with packing; --verify needs no model");
}

/* ---- --like ---- */

/* How the model's images were given their shape. */
static void take_framing(pulmo_config *config, const pulmo_framing *framing)
{
    config->pack.fit = (int)framing->fit;
    config->pack.border = framing->crop_border;
    config->pack.decode = framing->fast ? PULMO_DECODE_FAST : PULMO_DECODE_EXACT;
    memcpy(config->pack.window, framing->window, sizeof config->pack.window);
    if (*framing->modalities)
        memcpy(config->pack.modalities, framing->modalities, sizeof config->pack.modalities);
}

/* What would make other splits, as the configuration of a training pack may have it. */
static void leave_out_splits(pulmo_config *config)
{
    char *const texts[] = {config->pack.val_pattern, config->pack.test_pattern,
                           config->pack.table_split, config->pack.train_list,
                           config->pack.val_list,    config->pack.test_list};
    bool any = config->pack.val_fraction > 0 || config->pack.test_fraction > 0;
    any = any || config->pack.folds > 0;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        any = any || *texts[i];
        *texts[i] = '\0';
    }
    config->pack.val_fraction = 0;
    config->pack.test_fraction = 0;
    config->pack.folds = 0;
    if (any && launched_rank() == 0)
        pulmo_info("--like: all images are the test split; what was said of splits plays no part");
}

/* The model's ways are defaults: what is given on the command line wins. */
static pulmo_status load_like(arguments *a)
{
    PULMO_TRY(pulmo_model_read(a->like, &liked));
    pulmo_config_init(&a->config);
    a->config.pack.size = liked.size_px;
    take_framing(&a->config, &liked.framing);
    PULMO_TRY(load_settings_over(a, a->command->name));
    leave_out_splits(&a->config);
    return PULMO_OK;
}

/* ---- the command ---- */

pulmo_status load_pack(arguments *a)
{
    PULMO_TRY(a->like ? load_like(a) : load_settings(a));
    if (!a->verify && !a->who)
        pulmo_interrupt_listen(); /* a signal may come while the ranks still find each other */
    return PULMO_OK;
}

/* SOURCE and DEST stand by themselves, but for --verify. */
static pulmo_pack_options options_of(const arguments *a)
{
    pulmo_pack_options options = {.source = a->operands[0],
                                  .config = &a->config,
                                  .threads = a->threads,
                                  .overwrite = a->overwrite,
                                  .update = a->update};
    options.destination = a->operands[a->operand_count - 1];
    if (a->verify)
        options.source = a->source;
    return options;
}

static pulmo_status pack_as_asked(const arguments *a, const pulmo_pack_options *options)
{
    if (a->verify)
        return pulmo_pack_verify(a->comm, options);
    if (a->who)
        return pulmo_pack_who(a->comm, options);
    return pulmo_pack(a->comm, options);
}

pulmo_status run_source_audit(arguments *a)
{
    const pulmo_pack_options options = {
        .source = a->operands[0], .config = &a->config, .threads = a->threads};
    const pulmo_pack_findings how = {.json = strcmp(a->format, "json") == 0, .strict = a->strict};
    return pulmo_pack_audit(a->comm, &options, how);
}

pulmo_status run_pack(arguments *a)
{
    pulmo_pack_options options = options_of(a);
    const pulmo_pack_like like = {.run = a->like,
                                  .classes = liked.classes,
                                  .class_names = (const char *const *)liked.class_names};
    if (a->like)
        options.like = &like;
    pulmo_status status = pack_as_asked(a, &options);
    pulmo_model_free(&liked);
    return status;
}
