/* Where the program is that gets a file of weights. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "weights_room.h"

#define PATH_BYTES 1024

/* "DIR" of a program in "DIR/bin"; false where the system does not tell. */
static bool find_prefix(char *out, size_t out_bytes)
{
    ssize_t length = readlink("/proc/self/exe", out, out_bytes - 1);
    if (length <= 0)
        return false;
    out[length] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(out, '/');
        if (!slash)
            return false;
        *slash = '\0';
    }
    return true;
}

void weights_fetcher(char *out, size_t out_bytes)
{
    char prefix[PATH_BYTES];
    if (find_prefix(prefix, sizeof prefix)) {
        int length = snprintf(out, out_bytes, "%s/libexec/pulmo/fetch-weights", prefix);
        if (length > 0 && (size_t)length < out_bytes && access(out, X_OK) == 0)
            return;
    }
    snprintf(out, out_bytes, "data-prep/fetch-weights");
}
