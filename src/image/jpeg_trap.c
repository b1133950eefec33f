/* libjpeg's errors, caught: see the header. */
#include "jpeg_trap.h"

#include <string.h>

#include <jerror.h>

static void on_error(j_common_ptr jpeg)
{
    jpeg_trap *trap = (jpeg_trap *)jpeg->err;
    jpeg->err->format_message(jpeg, trap->text);
    longjmp(trap->leave, 1);
}

/* `level` is negative for a warning; traces are not wanted. */
static void on_message(j_common_ptr jpeg, int level)
{
    jpeg_trap *trap = (jpeg_trap *)jpeg->err;
    if (level >= 0)
        return;
    if (jpeg->err->num_warnings++ == 0)
        jpeg->err->format_message(jpeg, trap->warning);
    if (jpeg->err->msg_code == JWRN_JPEG_EOF)
        trap->premature_end = true;
}

void jpeg_trap_set(jpeg_trap *trap)
{
    memset(trap, 0, sizeof *trap);
    jpeg_std_error(&trap->manager);
    trap->manager.error_exit = on_error;
    trap->manager.emit_message = on_message;
}
