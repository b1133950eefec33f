/* Which file of weights: the one that is given, or the usual place; and opening it with its proof.
 */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/memory.h"
#include "weights_room.h"

#define PASSWD_BYTES 16384

/* The home directory as data-prep/fetch-weights finds it: $HOME, else by the password database,
 * since cron, sbatch --export=NONE and containers leave HOME unset. "" where there is none. The
 * caller frees *out. */
static pulmo_status find_home(char **out)
{
    const char *home = getenv("HOME");
    char text[PASSWD_BYTES];
    struct passwd entry, *found = NULL;
    if (!home || !*home) {
        bool known = getpwuid_r(getuid(), &entry, text, sizeof text, &found) == 0 && found;
        home = known && entry.pw_dir ? entry.pw_dir : "";
    }
    *out = pulmo_strdup(home);
    return *out ? PULMO_OK : PULMO_MEMORY;
}

/* The usual place; NULL in *out where the machine knows no home directory. The caller frees it. */
static pulmo_status usual_path(char **out)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    char *home = NULL;
    *out = NULL;
    if (cache && *cache) {
        *out = pulmo_format("%s/pulmo/vgg16_features.safetensors", cache);
        return *out ? PULMO_OK : PULMO_MEMORY;
    }
    PULMO_TRY(find_home(&home));
    bool known = *home != '\0';
    if (known)
        *out = pulmo_format("%s/.cache/pulmo/vgg16_features.safetensors", home);
    free(home);
    return *out || !known ? PULMO_OK : PULMO_MEMORY;
}

static pulmo_status not_there(const char *path)
{
    const char *what = path ? path : "the cache";
    const char *why = path ? "is not there" : "has no place, since HOME is unset";
    return pulmo_fail(
        PULMO_WEIGHTS,
        "no VGG16 weights: %s %s; run \"pulmo weights fetch\" (needs network once), or "
        "name a file with --set model.weights=FILE, in the configuration, or in $PULMO_WEIGHTS",
        what, why);
}

pulmo_status pulmo_weights_find(const char *given, char **out)
{
    const char *named = given && *given ? given : getenv("PULMO_WEIGHTS");
    char *path = NULL;
    if (named && *named) {
        *out = pulmo_strdup(named);
        return *out ? PULMO_OK : PULMO_MEMORY;
    }
    PULMO_TRY(usual_path(&path));
    if (path && access(path, R_OK) == 0) {
        *out = path;
        return PULMO_OK;
    }
    pulmo_status status = not_there(path);
    free(path);
    return status;
}

pulmo_status pulmo_weights_open(const pulmo_weights_choice *choice, pulmo_weights *out)
{
    char *path = NULL;
    memset(out, 0, sizeof *out);
    if (choice->drawn)
        return pulmo_weights_random(1, out);
    PULMO_TRY(pulmo_weights_find(choice->path, &path));
    pulmo_status status = pulmo_weights_read_as(path, choice->preprocessing, out);
    bool proved = out->proof != PULMO_PROOF_NONE; /* on the way to the preprocessing */
    if (status == PULMO_OK && !choice->any && !proved)
        status = pulmo_weights_prove(out);
    if (status == PULMO_OK && !choice->any)
        status = pulmo_weights_require_proof(out, path);
    free(path);
    if (status != PULMO_OK)
        pulmo_weights_free(out);
    return status;
}
