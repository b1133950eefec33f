/* Inside the preparation room: the extended regular expressions of the pack section. */
#ifndef PULMO_PREP_PATTERNS_H
#define PULMO_PREP_PATTERNS_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

#include "pulmo/config.h"
#include "pulmo/split.h"
#include "pulmo/status.h"

/* Part of a text that is kept by another; not ended by NUL. */
typedef struct text_span {
    const char *text;
    size_t bytes;
} text_span;

typedef struct pattern {
    regex_t regex;
    bool there; /* all zeros is a pattern that was not given and matches nothing */
} pattern;

typedef struct patterns {
    pattern group, label, exclude, hold[PULMO_SPLITS];
} patterns;

/* All patterns of the configuration, and whether they and the fractions contradict each other.
 * PULMO_CONFIG names the key. Owned by the caller, also after a failure. */
pulmo_status patterns_compile(const pulmo_config *config, patterns *out);
void patterns_free(patterns *p);

/* For patterns that are written in the program. Owned by the caller (pattern_free). */
pulmo_status pattern_compile(const char *key, const char *text, bool wants_group, pattern *out);
void pattern_free(pattern *p);

/* Not for several threads: patterns_status says what their answers since it was last asked are
 * worth, PULMO_MEMORY where a match was given up. */
pulmo_status patterns_status(void);
bool pattern_matches(const pattern *p, const char *text);
#define PATTERN_SPANS 4
/* The whole match and its groups; a group without a part has 0 bytes. */
bool pattern_find(const pattern *p, const char *text, text_span out[PATTERN_SPANS]);

#endif
