/* What fuzz targets share. A target is one file, targets/NAME.c, with this function; libFuzzer
 * calls it (tests/fuzz/run.sh), and replay.c for the files of regressions/NAME in the ordinary
 * suite. A finding is what ends the program: a sanitizer, an abort below, too much memory or time.
 */
#ifndef PULMO_FUZZ_TARGET_H
#define PULMO_FUZZ_TARGET_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pulmo/memory.h"
#include "pulmo/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, " (%s)\n", pulmo_error());                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* What is read ends well or with the one status of refusals, and its reason. */
static inline void fuzz_refused(pulmo_status status, pulmo_status refusal)
{
    if (status == PULMO_OK)
        return;
    FUZZ_CHECK(status == refusal, "status \"%s\"", pulmo_status_text(status));
    FUZZ_CHECK(pulmo_error()[0] != '\0', "a refusal without a reason");
    if (getenv("PULMO_FUZZ_SAYS"))
        fprintf(stderr, "refused: %s\n", pulmo_error());
    pulmo_error_clear();
}

/* A name for mkstemp or mkdtemp; free(). */
static inline char *fuzz_temporary(void)
{
    const char *base = getenv("TMPDIR");
    char *path = pulmo_format("%s/pulmo-fuzz-XXXXXX", base && *base ? base : "/tmp");
    FUZZ_CHECK(path, "no memory");
    return path;
}

/* The bytes as a file, until fuzz_file_close. libhdf5 asks for a path that leads somewhere. */
typedef struct fuzz_file {
    char *path;
} fuzz_file;

static inline fuzz_file fuzz_file_open(const uint8_t *data, size_t size)
{
    fuzz_file file = {.path = fuzz_temporary()};
    const int fd = mkstemp(file.path);
    FUZZ_CHECK(fd >= 0, "no file %s", file.path);
    FUZZ_CHECK(write(fd, data, size) == (ssize_t)size, "a short write");
    close(fd);
    return file;
}

static inline void fuzz_file_close(fuzz_file *file)
{
    unlink(file->path);
    free(file->path);
}

/* The bytes as a string, cut at the first NUL; free(). */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    FUZZ_CHECK(text, "no memory");
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
