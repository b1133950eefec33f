/* The extended regular expressions of the pack section. */
#include <errno.h>

#include "patterns.h"

pulmo_status pattern_compile(const char *key, const char *text, bool wants_group, pattern *out)
{
    char words[160];
    if (!*text)
        return PULMO_OK;
    int code = regcomp(&out->regex, text, REG_EXTENDED);
    if (code == REG_ESPACE)
        return pulmo_fail(PULMO_MEMORY, "pack.%s: out of memory", key);
    if (code != 0) {
        regerror(code, &out->regex, words, sizeof words);
        return pulmo_fail(PULMO_CONFIG,
                          "pack.%s: \"%s\": is not an extended regular expression: %s", key, text,
                          words);
    }
    out->there = true;
    if (!wants_group || out->regex.re_nsub >= 1)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG, "pack.%s: \"%s\": must have a group, as in ^(person[0-9]+)_",
                      key, text);
}

/* A split is made by a pattern or by a fraction. */
static pulmo_status check_one_way(const char *split, const pattern *held, double fraction)
{
    if (!held->there || fraction <= 0)
        return PULMO_OK;
    return pulmo_fail(
        PULMO_CONFIG,
        "pack.%s_pattern and pack.%s_fraction (%g): each says what %s is; leave one out", split,
        split, fraction, split);
}

pulmo_status patterns_compile(const pulmo_config *config, patterns *p)
{
    pattern *val = &p->hold[PULMO_SPLIT_VAL];
    pattern *test = &p->hold[PULMO_SPLIT_TEST];
    PULMO_TRY(pattern_compile("group_pattern", config->pack.group_pattern, true, &p->group));
    PULMO_TRY(pattern_compile("label_pattern", config->pack.label_pattern, true, &p->label));
    PULMO_TRY(pattern_compile("exclude_pattern", config->pack.exclude_pattern, false, &p->exclude));
    PULMO_TRY(pattern_compile("val_pattern", config->pack.val_pattern, false, val));
    PULMO_TRY(pattern_compile("test_pattern", config->pack.test_pattern, false, test));
    double val_fraction = config->pack.val_fraction;
    double test_fraction = config->pack.test_fraction;
    if (val_fraction + test_fraction > 0.95)
        return pulmo_fail(PULMO_CONFIG,
                          "pack.val_fraction and pack.test_fraction leave nothing to train on: %g "
                          "+ %g, must be at most 0.95",
                          val_fraction, test_fraction);
    PULMO_TRY(check_one_way("val", val, val_fraction));
    return check_one_way("test", test, test_fraction);
}

void pattern_free(pattern *p)
{
    if (p->there)
        regfree(&p->regex);
    p->there = false;
}

void patterns_free(patterns *p)
{
    pattern_free(&p->group);
    pattern_free(&p->label);
    pattern_free(&p->exclude);
    for (int s = 0; s < PULMO_SPLITS; s++)
        pattern_free(&p->hold[s]);
}

static bool starved; /* a match was given up for want of memory */

static bool run_pattern(const pattern *p, const char *text, size_t count, regmatch_t *found)
{
    if (!p->there)
        return false;
    /* glibc calls every failure "no match"; only errno tells them apart. */
    errno = 0;
    bool matched = regexec(&p->regex, text, count, found, 0) == 0;
    if (!matched && errno == ENOMEM)
        starved = true;
    return matched;
}

pulmo_status patterns_status(void)
{
    bool was = starved;
    starved = false;
    if (was)
        return pulmo_fail(PULMO_MEMORY, "out of memory for regular expressions");
    return PULMO_OK;
}

bool pattern_matches(const pattern *p, const char *text)
{
    return run_pattern(p, text, 0, NULL);
}

bool pattern_find(const pattern *p, const char *text, text_span out[PATTERN_SPANS])
{
    regmatch_t found[PATTERN_SPANS];
    if (!run_pattern(p, text, PATTERN_SPANS, found))
        return false;
    for (int i = 0; i < PATTERN_SPANS; i++) {
        regoff_t start = found[i].rm_so;
        regoff_t end = found[i].rm_eo;
        out[i] = (text_span){.text = text};
        if (start < 0)
            continue;
        out[i].text = text + start;
        out[i].bytes = (size_t)(end - start);
    }
    return true;
}
