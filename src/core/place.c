/* Where the files are that came with the program. */
#include "pulmo/place.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The directories that CMake's GNUInstallDirs was given. */
#ifndef PULMO_DATADIR
#define PULMO_DATADIR "share"
#endif
#ifndef PULMO_LIBEXECDIR
#define PULMO_LIBEXECDIR "libexec"
#endif

typedef struct ways {
    const char *installed;   /* below the prefix */
    const char *checked_out; /* below the checkout */
} ways;

static const ways ways_of[PULMO_PLACES] = {
    [PULMO_PLACE_CONFIGS] = {PULMO_DATADIR "/pulmo/configs", "configs"},
    [PULMO_PLACE_JOBS] = {PULMO_DATADIR "/pulmo/jobs", "jobs"},
    [PULMO_PLACE_TOOLS] = {PULMO_LIBEXECDIR "/pulmo", "data-prep"},
};

bool pulmo_place_program(char out[PULMO_PLACE_BYTES])
{
    ssize_t length = readlink("/proc/self/exe", out, PULMO_PLACE_BYTES - 1);
    if (length <= 0)
        return false;
    out[length] = '\0';
    return true;
}

/* Takes the last `levels` names off a path; false where it has fewer. */
static bool go_up(char *path, int levels)
{
    for (int i = 0; i < levels; i++) {
        char *slash = strrchr(path, '/');
        if (!slash)
            return false;
        *slash = '\0';
    }
    return true;
}

/* `name` in `directory`, seen from `levels` above the program. */
static bool is_below(int levels, const char *directory, const char *name,
                     char out[PULMO_PLACE_BYTES])
{
    char base[PULMO_PLACE_BYTES];
    if (!pulmo_place_program(base) || !go_up(base, levels))
        return false;
    if (*directory == '/') /* an absolute directory of GNUInstallDirs */
        *base = '\0';
    const char *between = *base ? "/" : "";
    const char *after = *name ? "/" : "";
    int length =
        snprintf(out, PULMO_PLACE_BYTES, "%s%s%s%s%s", base, between, directory, after, name);
    return length > 0 && length < PULMO_PLACE_BYTES && access(out, R_OK) == 0;
}

bool pulmo_place_find(pulmo_place place, const char *name, char out[PULMO_PLACE_BYTES])
{
    /* PREFIX/bin/pulmo; CHECKOUT/build/PRESET/bin/pulmo */
    return is_below(2, ways_of[place].installed, name, out) ||
           is_below(4, ways_of[place].checked_out, name, out);
}
