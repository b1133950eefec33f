/* From probabilities to a class: which class is the finding, and from which probability on it is
 * predicted. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics_room.h"

/* ---- names ---- */

#define NAME_BYTES 256

/* Letters alike in both cases; "-", "_" and spaces are nothing. */
static bool is_named(const char *name, const char *lower)
{
    for (; *name; name++) {
        if (strchr("-_ ", *name))
            continue;
        if (tolower((unsigned char)*name) != *lower)
            return false;
        lower++;
    }
    return *lower == '\0';
}

static bool is_named_healthy(const char *name)
{
    static const char *const words[] = {"normal", "negative", "healthy", "nofinding"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (is_named(name, words[i]))
            return true;
    return false;
}

/* "No Pneumonia" beside "Pneumonia", as pack.finding calls the rest; "no_disease" beside "DISEASE".
 */
static bool is_named_without(const char *name, const char *finding)
{
    char lower[NAME_BYTES] = "no";
    size_t length = 2;
    for (; *finding && length + 1 < sizeof lower; finding++) {
        if (!strchr("-_ ", *finding))
            lower[length++] = (char)tolower((unsigned char)*finding);
    }
    lower[length] = '\0';
    return *finding == '\0' && is_named(name, lower);
}

int pulmo_metrics_finding(int classes, const char *const *names)
{
    if (classes != 2)
        return -1;
    bool first = is_named_healthy(names[0]) || is_named_without(names[0], names[1]);
    bool second = is_named_healthy(names[1]) || is_named_without(names[1], names[0]);
    if (first == second)
        return -1;
    return first ? 1 : 0;
}

/* ---- rules ---- */

typedef enum rule_kind {
    RULE_NUMBER,
    RULE_YOUDEN,
    RULE_ACCURACY,
    RULE_SENSITIVITY,
    RULE_SPECIFICITY
} rule_kind;

typedef struct rule {
    const char *text;
    rule_kind kind;
    double number; /* of RULE_NUMBER, RULE_SENSITIVITY, RULE_SPECIFICITY */
} rule;

bool pulmo_metrics_rule_given(const char *text, double *number)
{
    char *end = NULL;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= 0 && value <= 1))
        return false;
    if (number)
        *number = value;
    return true;
}

static pulmo_status rule_parse(const char *text, rule *out)
{
    static const struct {
        const char *begins;
        rule_kind kind;
        bool takes_number;
    } forms[] = {
        {"", RULE_NUMBER, true},
        {"sensitivity>=", RULE_SENSITIVITY, true},
        {"specificity>=", RULE_SPECIFICITY, true},
        {"youden", RULE_YOUDEN, false},
        {"accuracy", RULE_ACCURACY, false},
    };
    *out = (rule){.text = text};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t length = strlen(forms[i].begins);
        if (strncmp(text, forms[i].begins, length) != 0)
            continue;
        const char *rest = text + length;
        bool fits = *rest == '\0';
        if (forms[i].takes_number)
            fits = pulmo_metrics_rule_given(rest, &out->number);
        out->kind = forms[i].kind;
        if (fits)
            return PULMO_OK;
    }
    return pulmo_fail(PULMO_CONFIG,
                      "eval.threshold: \"%s\": must be a number from 0 to 1, youden, accuracy, "
                      "sensitivity>=X or specificity>=X",
                      text);
}

static uint32_t count_positives(const pulmo_scored *val, int positive)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < val->count; i++)
        count += val->labels[i] == positive;
    return count;
}

/* What the rule needs of the split it is to be chosen on. */
static pulmo_status rule_check(const rule *r, const pulmo_scored *val, int positive)
{
    if (r->kind == RULE_NUMBER)
        return PULMO_OK;
    if (val->classes != 2)
        return pulmo_fail(PULMO_CONFIG,
                          "eval.threshold: \"%s\": needs two classes, there are %d; set "
                          "eval.threshold: 0.5 (of more than two classes the most probable one is "
                          "taken)",
                          r->text, val->classes);
    if (val->count == 0)
        return pulmo_fail(PULMO_CONFIG,
                          "eval.threshold: \"%s\": needs a val split to be chosen on; pack with "
                          "--val-fraction 0.15, or set eval.threshold: 0.5",
                          r->text);
    uint32_t positives = count_positives(val, positive);
    if (positives > 0 && positives < val->count)
        return PULMO_OK;
    return pulmo_fail(PULMO_CONFIG,
                      "eval.threshold: \"%s\": val must hold both classes; all its %u images are "
                      "of class %d",
                      r->text, val->count, val->labels[0]);
}

pulmo_status pulmo_metrics_rule_check(const char *text, const pulmo_scored *val, int positive)
{
    rule r;
    PULMO_TRY(rule_parse(text, &r));
    return rule_check(&r, val, positive);
}

/* ---- thresholds ---- */

/* Half-way down to the next lower score, so that the threshold does not stand on a score. What
 * nothing may reach stands half-way to 1, or just above 1 where a score is 1. */
static double threshold_below(const pulmo_roc *roc, uint32_t point)
{
    double here = point > 0 ? roc->threshold[point] : 1.0;
    double below = point + 1 < roc->points ? roc->threshold[point + 1] : 0.0;
    if (point == 0 && below >= here)
        return nextafter(1.0, 2.0);
    return (here + below) / 2;
}

/* What a rule makes largest: `share` of the images are positive. */
static double worth(const pulmo_roc *roc, uint32_t point, rule_kind kind, double share)
{
    if (kind == RULE_YOUDEN)
        return roc->tpr[point] - roc->fpr[point];
    return share * roc->tpr[point] + (1 - share) * (1 - roc->fpr[point]);
}

static const double rounding = 1e-12; /* 1 - 9/10 is a little below 1/10 */

static uint32_t point_of_most_worth(const pulmo_roc *roc, rule_kind kind, double share)
{
    uint32_t best = 0;
    for (uint32_t i = 0; i < roc->points; i++)
        if (worth(roc, i, kind, share) > worth(roc, best, kind, share) + rounding)
            best = i;
    return best;
}

/* The highest threshold that finds enough. */
static uint32_t point_of_sensitivity(const pulmo_roc *roc, double wanted)
{
    for (uint32_t i = 0; i < roc->points; i++)
        if (roc->tpr[i] >= wanted - rounding)
            return i;
    return 0;
}

/* The lowest threshold that spares enough. */
static uint32_t point_of_specificity(const pulmo_roc *roc, double wanted)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < roc->points; i++)
        if (1 - roc->fpr[i] >= wanted - rounding)
            last = i;
    return last;
}

static uint32_t point_of(const rule *r, const pulmo_roc *roc, double share)
{
    if (r->kind == RULE_SENSITIVITY)
        return point_of_sensitivity(roc, r->number);
    if (r->kind == RULE_SPECIFICITY)
        return point_of_specificity(roc, r->number);
    return point_of_most_worth(roc, r->kind, share);
}

pulmo_status pulmo_metrics_threshold(const char *text, const pulmo_scored *val, int positive,
                                     double *out)
{
    rule r;
    pulmo_roc roc;
    pulmo_scored by_probability = *val;
    by_probability.logits = NULL; /* what a threshold cannot tell apart is one to a rule */
    PULMO_TRY(rule_parse(text, &r));
    PULMO_TRY(rule_check(&r, val, positive));
    *out = r.number;
    if (r.kind == RULE_NUMBER)
        return PULMO_OK;
    PULMO_TRY(pulmo_roc_compute(&by_probability, positive, &roc));
    double share = (double)count_positives(val, positive) / val->count;
    *out = threshold_below(&roc, point_of(&r, &roc, share));
    pulmo_roc_free(&roc);
    return PULMO_OK;
}
