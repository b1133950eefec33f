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
}

pulmo_status load_pack(arguments *a)
{
    PULMO_TRY(load_settings(a));
    if (!a->verify)
        pulmo_interrupt_listen(); /* a signal may come while the ranks still find each other */
    return PULMO_OK;
}

pulmo_status run_pack(arguments *a)
{
    if (a->verify)
        return pulmo_pack_verify(a->comm, a->operands[0], a->source, a->threads);
    const pulmo_pack_options options = {.source = a->operands[0],
                                        .destination = a->operands[1],
                                        .config = &a->config,
                                        .threads = a->threads,
                                        .overwrite = a->overwrite,
                                        .update = a->update};
    return pulmo_pack(a->comm, &options);
}
