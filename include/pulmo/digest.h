/* SHA-256 and HMAC, by OpenSSL's libcrypto, and XXH3, by libxxhash. Not collective. */
#ifndef PULMO_DIGEST_H
#define PULMO_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pulmo/status.h"

#define PULMO_DIGEST_BYTES 32
#define PULMO_DIGEST_HEX   65 /* with the final NUL */

typedef struct pulmo_digest {
    uint8_t bytes[PULMO_DIGEST_BYTES];
} pulmo_digest;

typedef struct pulmo_digester pulmo_digester;
pulmo_status pulmo_digester_create(pulmo_digester **out);
void pulmo_digester_add(pulmo_digester *digester, const void *data, size_t size_bytes);
/* With the final NUL, so that texts that follow one another stay apart. */
void pulmo_digester_add_text(pulmo_digester *digester, const char *text);
/* Finishes and frees. */
pulmo_digest pulmo_digester_end(pulmo_digester *digester);

pulmo_digest pulmo_digest_of(const void *data, size_t size_bytes);
pulmo_status pulmo_digest_of_file(const char *path, pulmo_digest *out);
/* HMAC-SHA-256 (RFC 2104, FIPS 198-1). PULMO_RUNTIME where libcrypto cannot. Thread safe. */
pulmo_status pulmo_hmac(const void *key, size_t key_bytes, const void *data, size_t size_bytes,
                        pulmo_digest *out);
/* MD5, for comparing with what others publish, as 32 hexadecimal digits; "" where libcrypto has
 * none. */
void pulmo_md5_hex(const void *data, size_t size_bytes, char out[33]);

/* XXH3 of 64 bits, seed 0: at the speed of memory, for accidents, not against intent. */
uint64_t pulmo_xxh3(const void *data, size_t size_bytes);

/* SHA-256 of the XXH3 of each piece of 64 KiB, the last one short, as little-endian numbers of 8
 * bytes one after the other. At the speed of memory, for accidents. */
pulmo_digest pulmo_digest_of_pieces(const void *data, size_t size_bytes);

/* Whether it is all zeros, which stands for none. */
bool pulmo_digest_is_none(const pulmo_digest *digest);
/* Writes 64 hexadecimal digits and NUL. */
void pulmo_digest_hex(const pulmo_digest *digest, char out[PULMO_DIGEST_HEX]);

#endif
