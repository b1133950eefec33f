/* What tests share: scratch directories, outside data, arrays of numbers. */
#ifndef PULMO_TEST_SUPPORT_H
#define PULMO_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/memory.h"
#include "pulmo/rng.h"
#include "pulmo/status.h"

/* Fails with the report's words. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        pulmo_status ok_ = (call);                                                                 \
        if (ok_ != PULMO_OK)                                                                       \
            fail_msg("%s: %s", pulmo_status_text(ok_), pulmo_error());                             \
    } while (0)

/* The status, and a word that the report must hold. */
#define assert_refused(call, status_, word)                                                        \
    do {                                                                                           \
        pulmo_status got_ = (call);                                                                \
        if (got_ != (status_))                                                                     \
            fail_msg("status %d, not %d: %s", got_, (status_), pulmo_error());                     \
        if (!strstr(pulmo_error(), word))                                                          \
            fail_msg("no \"%s\" in: %s", word, pulmo_error());                                     \
    } while (0)

/* A new empty directory under $TMPDIR; owned by the caller (free). */
static inline char *scratch_directory(void)
{
    const char *base = getenv("TMPDIR");
    char *path = pulmo_format("%s/pulmo-test-XXXXXX", base && *base ? base : "/tmp");
    if (!path || !mkdtemp(path))
        abort();
    return path;
}

static inline void remove_directory(char *path)
{
    char *command = pulmo_format("rm -rf '%s'", path);
    if (!command || system(command) != 0)
        fprintf(stderr, "cannot remove %s\n", path);
    free(command);
    free(path);
}

/* $PULMO_TEST_DATA/NAME, or NULL where the variable is unset; owned by the caller. */
static inline char *outside_data(const char *name)
{
    const char *base = getenv("PULMO_TEST_DATA");
    return base && *base ? pulmo_format("%s/%s", base, name) : NULL;
}

static inline void fill_normal(float *values, size_t count, unsigned seed)
{
    pulmo_rng rng;
    pulmo_rng_at(&rng, seed, PULMO_RNG_TEST, 99, 0);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)pulmo_rng_normal(&rng);
}

/* ||a - b|| / ||b|| */
static inline double relative_rms(const float *a, const float *b, size_t count)
{
    double away = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        away += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    return sqrt(away / size);
}

#endif
