/* One dataset with its attributes, and the marks by which viewers know a plot. */
#include <stdio.h>

#include "results_room.h"

pulmo_status results_put(pulmo_h5 *file, const char *group, const results_field *field)
{
    char name[128];
    snprintf(name, sizeof name, "%s/%s", group, field->name);
    if (field->type == PULMO_H5_STRING)
        PULMO_TRY(pulmo_h5_write_strings(file, name, field->dims[0], field->data));
    else
        PULMO_TRY(pulmo_h5_write(file, name, field->type, field->rank, field->dims, field->data));
    if (field->units)
        PULMO_TRY(pulmo_h5_set_text(file, name, "units", field->units));
    return pulmo_h5_set_text(file, name, "long_name", field->long_name);
}

pulmo_status results_mark_plot(pulmo_h5 *file, const char *group, const char *signal,
                               const char *axis, const char *title)
{
    const char *const axes[1] = {axis};
    PULMO_TRY(pulmo_h5_set_text(file, group, "NX_class", "NXdata"));
    PULMO_TRY(pulmo_h5_set_text(file, group, "signal", signal));
    PULMO_TRY(pulmo_h5_set_text(file, group, "title", title));
    return pulmo_h5_set_texts(file, group, "axes", 1, axes);
}
