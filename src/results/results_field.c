/* One dataset with its attributes, and the marks by which viewers know a plot. */
#include <stdio.h>

#include "results_room.h"

static pulmo_status write_values(pulmo_h5 *file, const char *name, const results_field *field)
{
    const uint64_t *dims = field->dims;
    if (field->type == PULMO_H5_STRING)
        return pulmo_h5_write_strings(file, name, dims[0], field->data);
    return pulmo_h5_write(file, name, field->type, field->rank, dims, field->data);
}

pulmo_status results_put(pulmo_h5 *file, const char *group, const results_field *field)
{
    char name[128];
    snprintf(name, sizeof name, "%s/%s", group, field->name);
    PULMO_TRY(write_values(file, name, field));
    if (field->units)
        PULMO_TRY(pulmo_h5_set_text(file, name, "units", field->units));
    return pulmo_h5_set_text(file, name, "long_name", field->long_name);
}

pulmo_status results_interval(pulmo_h5 *file, const char *object, const char *name,
                              pulmo_interval it)
{
    char bound[96];
    PULMO_TRY(pulmo_h5_set_real(file, object, name, it.value));
    snprintf(bound, sizeof bound, "%s_low95", name);
    PULMO_TRY(pulmo_h5_set_real(file, object, bound, it.low));
    snprintf(bound, sizeof bound, "%s_high95", name);
    return pulmo_h5_set_real(file, object, bound, it.high);
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
