/* Inside the config room: values as text and back. */
#ifndef PULMO_CONFIG_SCHEMA_H
#define PULMO_CONFIG_SCHEMA_H

#include "pulmo/config.h"

/* Stores a value given as text. On failure the report says "VALUE: rule", without the key. */
pulmo_status key_store(const pulmo_key *key, pulmo_config *config, const char *text);
/* The value as text that key_store takes back unchanged. */
void key_print(const pulmo_key *key, const pulmo_config *config, char *out, size_t out_bytes);
/* NULL if there is none; the report then says so, with "did you mean" where a name is close. */
const pulmo_key *key_find(const char *section, const char *name);

#endif
