/* Inside the image room: libjpeg's errors, caught. libjpeg reports a fatal error by a function that
 * may not return; here it leaves by longjmp, with the message kept. Only this file and those that
 * include it see <jpeglib.h> and <setjmp.h>. */
#ifndef PULMO_IMAGE_JPEG_TRAP_H
#define PULMO_IMAGE_JPEG_TRAP_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h>

#include <jpeglib.h>

/* A codec's `err` is set to `manager`, and `leave` by setjmp, before libjpeg is first called. */
typedef struct jpeg_trap {
    struct jpeg_error_mgr manager; /* first: libjpeg hands its address back */
    jmp_buf leave;
    char text[JMSG_LENGTH_MAX];    /* the fatal error that ended it */
    char warning[JMSG_LENGTH_MAX]; /* or the complaint about the data that did, or "" */
    bool premature_end;            /* the data ended before the image did */
    bool out_of_memory;
} jpeg_trap;

void jpeg_trap_set(jpeg_trap *trap);

#endif
