/* libjpeg's errors, caught: see the header. */
#include "jpeg_trap.h"

#include <string.h>

#include <jerror.h>

static void on_error(j_common_ptr jpeg)
{
    jpeg_trap *trap = (jpeg_trap *)jpeg->err;
    jpeg->err->format_message(jpeg, trap->text);
    trap->out_of_memory = jpeg->err->msg_code == JERR_OUT_OF_MEMORY;
    longjmp(trap->leave, 1);
}

/* `level` is negative for a warning, after which libjpeg would go on with what it makes up, for as
 * long as the header says; traces are not wanted. */
static void on_message(j_common_ptr jpeg, int level)
{
    jpeg_trap *trap = (jpeg_trap *)jpeg->err;
    if (level >= 0)
        return;
    jpeg->err->format_message(jpeg, trap->warning);
    trap->premature_end = jpeg->err->msg_code == JWRN_JPEG_EOF;
    longjmp(trap->leave, 1);
}

void jpeg_trap_set(jpeg_trap *trap)
{
    memset(trap, 0, sizeof *trap);
    jpeg_std_error(&trap->manager);
    trap->manager.error_exit = on_error;
    trap->manager.emit_message = on_message;
}
