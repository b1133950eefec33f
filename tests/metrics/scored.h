/* What the tests of metrics share: two sets of scored images, and calls for which class 1 is the
 * finding. */
#ifndef PULMO_TEST_SCORED_H
#define PULMO_TEST_SCORED_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pulmo/metrics.h"

#define ROUNDING 1e-12

static inline void near_at(double have, double want, int line)
{
    if (isnan(want) ? !isnan(have) : !(fabs(have - want) <= ROUNDING))
        fail_msg("line %d: %.17g, not %.17g", line, have, want);
}
#define NEAR(have, want)     near_at(have, want, __LINE__)
#define INTERVAL(i, a, b, c) NEAR((i).value, a), NEAR((i).low, b), NEAR((i).high, c)

/* ---- class 1 is the finding, unless a test says otherwise ---- */

static inline pulmo_scored scored_of(uint32_t n, int classes, const int32_t *labels,
                                     const float *probabilities)
{
    return (pulmo_scored){
        .count = n, .classes = classes, .labels = labels, .probabilities = probabilities};
}

static inline pulmo_status compute(uint32_t n, int classes, const int32_t *labels,
                                   const float *probabilities, double threshold, pulmo_metrics *out)
{
    const pulmo_scored scored = scored_of(n, classes, labels, probabilities);
    const pulmo_decision by = {1, threshold};
    return pulmo_metrics_compute(&scored, &by, out);
}

static inline pulmo_status roc_of(uint32_t n, int classes, const int32_t *labels,
                                  const float *probabilities, int positive, pulmo_roc *out)
{
    const pulmo_scored scored = scored_of(n, classes, labels, probabilities);
    return pulmo_roc_compute(&scored, positive, out);
}

static inline pulmo_status pr_of(uint32_t n, int classes, const int32_t *labels,
                                 const float *probabilities, int positive, pulmo_pr *out)
{
    const pulmo_scored scored = scored_of(n, classes, labels, probabilities);
    return pulmo_pr_compute(&scored, positive, out);
}

static inline pulmo_status threshold_of(const char *rule, uint32_t n, int classes,
                                        const int32_t *labels, const float *probabilities,
                                        double *out)
{
    const pulmo_scored scored = scored_of(n, classes, labels, probabilities);
    return pulmo_metrics_threshold(rule, &scored, 1, out);
}

static inline pulmo_status rule_check(const char *rule, uint32_t n, int classes,
                                      const int32_t *labels)
{
    const pulmo_scored scored = scored_of(n, classes, labels, NULL);
    return pulmo_metrics_rule_check(rule, &scored, 1);
}

/* ---- data ---- */

/* Two classes, with scores that tie within and across them:
 *   i = np.arange(40); y = ((i * 7) % 5 < 2).astype(int); p1 = np.float32(((i * 29) % 53 + 24 * y)
 * / 128) P = np.stack([1 - p1, p1], 1) */
#define TWO 40
static int32_t two_labels[TWO];
static float two_scores[TWO][2];

/* Three classes:
 *   i = np.arange(50); y = (i * 3) % 4; y[y == 3] = (i[y == 3] // 4) % 3
 *   a = np.minimum((i * 11) % 23 + 10 * (y == 0), 60); b = np.minimum((i * 17) % 19 + 9 * (y == 1),
 * 63 - a) P = np.stack([a, b, 64 - a - b], 1).astype(np.float32) / 64 */
#define THREE 50
static int32_t three_labels[THREE];
static float three_scores[THREE][3];

static inline int fill_data(void **state)
{
    (void)state;
    for (int i = 0; i < TWO; i++) {
        two_labels[i] = i * 7 % 5 < 2;
        two_scores[i][1] = (float)(i * 29 % 53 + 24 * two_labels[i]) / 128;
        two_scores[i][0] = 1 - two_scores[i][1];
    }
    for (int i = 0; i < THREE; i++) {
        int y = i * 3 % 4;
        if (y == 3)
            y = i / 4 % 3;
        int a = i * 11 % 23 + 10 * (y == 0), b = i * 17 % 19 + 9 * (y == 1);
        if (a > 60)
            a = 60;
        if (b > 63 - a)
            b = 63 - a;
        three_labels[i] = y;
        three_scores[i][0] = (float)a / 64;
        three_scores[i][1] = (float)b / 64;
        three_scores[i][2] = (float)(64 - a - b) / 64;
    }
    return 0;
}

#endif
