/* SHA-256, HMAC and MD5, by libcrypto; XXH3 by libxxhash. */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_* and MD5_*, which take no memory */
#include "pulmo/digest.h"

#include <endian.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/md5.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#define PIECE_BYTES ((size_t)1 << 16)

/* An alias for the library's context, so that callers need not include it. */
static EVP_MD_CTX *context_of(pulmo_digester *digester)
{
    return (EVP_MD_CTX *)(void *)digester;
}

static pulmo_status fail_libcrypto(const char *digest)
{
    if (errno == ENOMEM)
        return pulmo_fail(PULMO_MEMORY, "out of memory for %s (libcrypto)", digest);
    return pulmo_fail(PULMO_RUNTIME, "libcrypto has no %s", digest);
}

pulmo_status pulmo_digester_create(pulmo_digester **out)
{
    errno = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        pulmo_status status = fail_libcrypto("SHA-256");
        EVP_MD_CTX_free(context);
        return status;
    }
    *out = (pulmo_digester *)(void *)context;
    return PULMO_OK;
}

void pulmo_digester_add(pulmo_digester *digester, const void *data, size_t size_bytes)
{
    EVP_DigestUpdate(context_of(digester), data, size_bytes);
}

void pulmo_digester_add_text(pulmo_digester *digester, const char *text)
{
    pulmo_digester_add(digester, text, strlen(text) + 1);
}

pulmo_digest pulmo_digester_end(pulmo_digester *digester)
{
    pulmo_digest digest;
    EVP_DigestFinal_ex(context_of(digester), digest.bytes, NULL);
    EVP_MD_CTX_free(context_of(digester));
    return digest;
}

/* By libcrypto's older functions: a digest of zeros, for want of memory, would be taken for one. */
pulmo_digest pulmo_digest_of(const void *data, size_t size_bytes)
{
    SHA256_CTX context;
    pulmo_digest digest;
    SHA256_Init(&context);
    SHA256_Update(&context, data, size_bytes);
    SHA256_Final(digest.bytes, &context);
    return digest;
}

pulmo_status pulmo_hmac(const void *key, size_t key_bytes, const void *data, size_t size_bytes,
                        pulmo_digest *out)
{
    unsigned int made = 0;
    memset(out, 0, sizeof *out);
    errno = 0;
    if (!HMAC(EVP_sha256(), key, (int)key_bytes, data, size_bytes, out->bytes, &made))
        return fail_libcrypto("HMAC-SHA-256");
    return PULMO_OK;
}

pulmo_status pulmo_digest_of_file(const char *path, pulmo_digest *out)
{
    pulmo_status status = PULMO_OK;
    pulmo_digester *digester = NULL;
    char buffer[1 << 16];
    size_t got;
    FILE *file = fopen(path, "rb");
    if (!file)
        return pulmo_fail(PULMO_IO, "%s: cannot open: %s", path, strerror(errno));
    PULMO_GOTO(pulmo_digester_create(&digester));
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0)
        pulmo_digester_add(digester, buffer, got);
    *out = pulmo_digester_end(digester);
    if (ferror(file))
        status = pulmo_fail(PULMO_IO, "%s: cannot read: %s", path, strerror(errno));
out:
    fclose(file);
    return status;
}

/* Without printf: a pack writes hundreds of thousands of them. */
void pulmo_digest_hex(const pulmo_digest *digest, char out[PULMO_DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < PULMO_DIGEST_BYTES; i++) {
        out[2 * i] = digits[digest->bytes[i] >> 4];
        out[2 * i + 1] = digits[digest->bytes[i] & 15];
    }
    out[PULMO_DIGEST_HEX - 1] = '\0';
}

void pulmo_md5_hex(const void *data, size_t size_bytes, char out[33])
{
    MD5_CTX context;
    unsigned char bytes[MD5_DIGEST_LENGTH];
    MD5_Init(&context);
    MD5_Update(&context, data, size_bytes);
    MD5_Final(bytes, &context);
    for (int i = 0; i < MD5_DIGEST_LENGTH; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

uint64_t pulmo_xxh3(const void *data, size_t size_bytes)
{
    return XXH3_64bits(data, size_bytes);
}

pulmo_digest pulmo_digest_of_pieces(const void *data, size_t size_bytes)
{
    SHA256_CTX context;
    pulmo_digest digest;
    const uint8_t *at = data;
    SHA256_Init(&context);
    while (size_bytes > 0) {
        size_t piece_bytes = size_bytes < PIECE_BYTES ? size_bytes : PIECE_BYTES;
        uint64_t sum = htole64(pulmo_xxh3(at, piece_bytes));
        SHA256_Update(&context, &sum, sizeof sum);
        at += piece_bytes;
        size_bytes -= piece_bytes;
    }
    SHA256_Final(digest.bytes, &context);
    return digest;
}

bool pulmo_digest_is_none(const pulmo_digest *digest)
{
    static const pulmo_digest none;
    return memcmp(digest->bytes, none.bytes, sizeof none.bytes) == 0;
}
