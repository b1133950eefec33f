/* `pulmo pack`. */
#include "cli.h"
#include "pulmo/interrupt.h"
#include "pulmo/pack.h"

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
}

pulmo_status load_pack(arguments *a)
{
    PULMO_TRY(load_settings(a));
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

pulmo_status run_pack(arguments *a)
{
    const pulmo_pack_options options = options_of(a);
    if (a->verify)
        return pulmo_pack_verify(a->comm, &options);
    if (a->who)
        return pulmo_pack_who(a->comm, &options);
    return pulmo_pack(a->comm, &options);
}
