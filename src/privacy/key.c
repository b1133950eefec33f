/* The file of the key: made once, read by its owner alone, at home. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pulmo/digest.h"
#include "pulmo/file.h"
#include "pulmo/log.h"
#include "pulmo/memory.h"
#include "pulmo/pseudonym.h"

#define KEY_BYTES  sizeof(((pulmo_pseudonym_key *)0)->bytes)
#define KEY_DIGITS (2 * KEY_BYTES)
#define FILE_NAME  "pulmo/pseudonyms.key"
#define FILE_MOST  1024

/* ---- where ---- */

pulmo_status pulmo_pseudonym_key_place(const char *given, char **out)
{
    const char *settings = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    *out = NULL;
    if (*given)
        *out = pulmo_strdup(given);
    else if (settings && *settings)
        *out = pulmo_format("%s/" FILE_NAME, settings);
    else if (home && *home)
        *out = pulmo_format("%s/.config/" FILE_NAME, home);
    else
        return pulmo_fail(PULMO_CONFIG, "neither HOME nor XDG_CONFIG_HOME says where the key of "
                                        "pseudonyms is kept; give pack.key_file");
    return *out ? PULMO_OK : PULMO_MEMORY;
}

/* ---- reading ---- */

/* The value of a hexadecimal digit; -1 if it is none. */
static int digit_of(uint8_t c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, c) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* 64 digits and nothing but blanks behind them. */
static bool parse_key(const uint8_t *text, size_t bytes, pulmo_pseudonym_key *out)
{
    if (bytes < KEY_DIGITS)
        return false;
    for (size_t i = 0; i < KEY_BYTES; i++) {
        const int high = digit_of(text[2 * i]);
        const int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out->bytes[i] = (uint8_t)(high << 4 | low);
    }
    for (size_t i = KEY_DIGITS; i < bytes; i++)
        if (text[i] != '\n' && text[i] != '\r' && text[i] != ' ')
            return false;
    return true;
}

static pulmo_status check_mode(const char *path, const struct stat *about)
{
    const unsigned mode = about->st_mode & 0777;
    if (!S_ISREG(about->st_mode))
        return pulmo_fail(PULMO_CONFIG, "%s: the key of pseudonyms is a file, and this is none",
                          path);
    if ((mode & 077) == 0)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "%s: the key of pseudonyms has mode %04o; others must not be able to read "
                      "or write it: chmod 600 it, or, where it may have been read, make a new one",
                      path, mode);
}

static pulmo_status read_key(const char *path, const struct stat *about, pulmo_pseudonym_key *out)
{
    uint8_t *text = NULL;
    size_t bytes = 0;
    PULMO_TRY(check_mode(path, about));
    PULMO_TRY(pulmo_file_read(path, FILE_MOST, &text, &bytes));
    const bool is_key = parse_key(text, bytes, out);
    explicit_bzero(text, bytes);
    free(text);
    if (is_key)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "%s: is no key of pseudonyms, which is %zu hexadecimal digits; give another "
                      "pack.key_file, where a file that is not there is made",
                      path, KEY_DIGITS);
}

/* ---- making ---- */

static pulmo_status draw_key(char text[KEY_DIGITS + 1])
{
    pulmo_pseudonym_key key;
    if (getrandom(key.bytes, KEY_BYTES, 0) != (ssize_t)KEY_BYTES)
        return pulmo_fail(PULMO_RUNTIME, "no random bytes for a key: %s", strerror(errno));
    for (size_t i = 0; i < KEY_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", key.bytes[i]);
    text[KEY_DIGITS] = '\n';
    explicit_bzero(&key, sizeof key);
    return PULMO_OK;
}

/* A whole file of mode 0600 at `path`, which must not be there. */
static bool write_private(const char *path, const char *text, size_t bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    const bool whole = write(fd, text, bytes) == (ssize_t)bytes && fsync(fd) == 0;
    return close(fd) == 0 && whole;
}

/* Appears whole, and never in place of another: of two that make it, both have the first one's. */
static pulmo_status publish_key(const char *path, const char *temporary, const char *text)
{
    pulmo_status status = PULMO_OK;
    const bool made = write_private(temporary, text, KEY_DIGITS + 1);
    if (!made || (link(temporary, path) != 0 && errno != EEXIST))
        status = pulmo_fail(PULMO_IO, "%s: cannot be made: %s; pack.key_file names another place",
                            path, strerror(errno));
    unlink(temporary);
    return status;
}

static pulmo_status make_folder(const char *path)
{
    char *folder = pulmo_strdup(path);
    pulmo_status status = folder ? PULMO_OK : PULMO_MEMORY;
    char *slash = folder ? strrchr(folder, '/') : NULL;
    if (slash && slash > folder) {
        *slash = '\0';
        status = pulmo_directory_make(folder);
    }
    free(folder);
    return status;
}

static pulmo_status make_key(const char *path)
{
    char text[KEY_DIGITS + 1];
    PULMO_TRY(make_folder(path));
    char *temporary = pulmo_file_temporary_name(path);
    pulmo_status status = temporary ? draw_key(text) : PULMO_MEMORY;
    if (status == PULMO_OK)
        status = publish_key(path, temporary, text);
    explicit_bzero(text, sizeof text);
    free(temporary);
    if (status == PULMO_OK)
        pulmo_info("%s: made, the key of pseudonyms. Keep a copy, and keep it to yourself: who has "
                   "it can tell whose image one is, and nobody can without it",
                   path);
    return status;
}

pulmo_status pulmo_pseudonym_key_read(const char *path, bool make, pulmo_pseudonym_key *out)
{
    struct stat about;
    bool there = stat(path, &about) == 0;
    if (!there && errno == ENOENT && make) {
        PULMO_TRY(make_key(path));
        there = stat(path, &about) == 0;
    }
    if (there)
        return read_key(path, &about, out);
    if (errno == ENOENT)
        return pulmo_fail(PULMO_CONFIG,
                          "%s: there is no key of pseudonyms; pack.key_file says where it is",
                          path);
    return pulmo_fail(PULMO_IO, "%s: cannot be opened: %s", path, strerror(errno));
}

pulmo_status pulmo_pseudonym_key_name(const pulmo_pseudonym_key *key, char out[PULMO_KEY_NAME])
{
    static const char domain[] = "pulmo key";
    char hex[PULMO_DIGEST_HEX];
    pulmo_digest digest;
    PULMO_TRY(pulmo_hmac(key->bytes, KEY_BYTES, domain, sizeof domain, &digest));
    pulmo_digest_hex(&digest, hex);
    memcpy(out, hex, PULMO_KEY_NAME - 1);
    out[PULMO_KEY_NAME - 1] = '\0';
    return PULMO_OK;
}
