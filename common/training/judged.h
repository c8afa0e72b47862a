/*
 * What a fitted model makes of the rows that its trees have not seen, beside what was there before:
 * all that the report and the registry want of it.
 *
 * One thread. No clock.
 */
#pragma once

#include "report/report.h"
#include "training/fit.h"

enum { JUDGED_SCORERS = 4, JUDGED_SAMPLE = 2000 };

struct judged {
    /* By row of the test part: the published score of the model first; rules, popularity and the
     * order shown where there are any. */
    struct report_scorer scorers[JUDGED_SCORERS];
    size_t scorer_count;
    float *margins, *uncalibrated;
    struct report_sample sample; /* test rows, evenly over the part */
    struct str *names;           /* of the model's columns, in their order */
    struct buf drift; /* stats/drift_reference.h as JSON, of all rows of validation and test: the
                         scores of rows that the trees have seen are no measure of later ones */
    float *owned[JUDGED_SCORERS];
};

/* judged_free() in any case. Fails as set_read(), ERR_FATAL (XGBoost says otherwise of a row),
 * ERR_NOMEM. */
int judged_make(struct judged *out, struct set *set, const struct fit *f,
                const struct feature_set *definitions, struct err *e);
void judged_free(struct judged *j);
