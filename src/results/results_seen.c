/* By what the images that made the model are found again, when it is judged by others. */
#include "pulmo/identity.h"
#include "pulmo/log.h"
#include "results_room.h"

/* Both are read before either is written: a run keeps both or none. */
static pulmo_status write_both(pulmo_h5 *file, const pulmo_results *r)
{
    pulmo_identities trained = {0};
    pulmo_identities chosen = {0};
    pulmo_status status = pulmo_identities_of(r->trained_on, &trained);
    if (status == PULMO_OK)
        status = pulmo_identities_of(r->chosen_on, &chosen);
    if (status == PULMO_OK)
        status = pulmo_identities_write(file, "seen/train", &trained);
    if (status == PULMO_OK)
        status = pulmo_identities_write(file, "seen/val", &chosen);
    pulmo_identities_free(&trained);
    pulmo_identities_free(&chosen);
    return status;
}

pulmo_status results_seen(pulmo_h5 *file, const pulmo_results *r)
{
    if (!r->trained_on)
        return PULMO_OK;
    const pulmo_status status = write_both(file, r);
    if (status != PULMO_DATA)
        return status;
    pulmo_warn("%s: the results do not keep which images were trained on: %s", r->data,
               pulmo_error());
    pulmo_error_clear();
    return PULMO_OK;
}
