/* By what the images that made the model are found again, when it is judged by others. */
#include "pulmo/identity.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "results_room.h"

static pulmo_status describe(pulmo_h5 *file, const char *split)
{
    static const struct {
        const char *column, *long_name, *units;
    } columns[] = {
        {"files", "SHA-256 of the image's file", "1"},
        {"pixels", "SHA-256 of the packed pixels", "1"},
        {"sketches", "how the image looks, to find others that look alike", "1"},
        {"patients", "patient, empty where that is not certain", NULL},
    };
    for (size_t c = 0; c < PULMO_COUNT_OF(columns); c++) {
        char name[64];
        snprintf(name, sizeof name, "seen/%s/%s", split, columns[c].column);
        if (!pulmo_h5_exists(file, name))
            continue;
        PULMO_TRY(pulmo_h5_set_text(file, name, "long_name", columns[c].long_name));
        if (columns[c].units)
            PULMO_TRY(pulmo_h5_set_text(file, name, "units", columns[c].units));
    }
    return PULMO_OK;
}

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
    if (status == PULMO_OK)
        status = describe(file, "train");
    if (status == PULMO_OK)
        status = describe(file, "val");
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
