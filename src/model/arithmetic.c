/* Which arithmetic made a file's numbers, as an attribute. */
#include "pulmo/model.h"

#include "pulmo/h5.h"

#define ATTRIBUTE "arithmetic"

pulmo_status pulmo_arithmetic_write(pulmo_h5 *file, int64_t arithmetic)
{
    return pulmo_h5_set_int(file, "/", ATTRIBUTE, arithmetic);
}

pulmo_status pulmo_arithmetic_read(pulmo_h5 *file, int64_t *out)
{
    *out = 1;
    if (!pulmo_h5_has_attribute(file, "/", ATTRIBUTE))
        return PULMO_OK;
    return pulmo_h5_get_int(file, "/", ATTRIBUTE, out);
}
