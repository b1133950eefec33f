/* What a run's stepper is made of. */
#include "run.h"

pulmo_stepper_parts run_stepper_parts(run *r)
{
    return (pulmo_stepper_parts){.comm = r->comm,
                                 .backbone = &r->network.backbone,
                                 .head = &r->network.trained_head,
                                 .banked = run_from_bank(r),
                                 .loss = &r->recipe.loss,
                                 .optim = &r->recipe.optim,
                                 .data = train_info(r),
                                 .config = r->config,
                                 .state = &r->state};
}
