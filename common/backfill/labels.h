/*
 * What the names of events mean: which say what was shown, and which are labels, and what each of
 * these weighs: "click=1,convert=5".
 *
 * A label is an event that a user has on a proposition after it was shown. Its name counts once for
 * a proposition that was shown, however often it happened: the label of a row is the sum of the
 * weights of the names that happened. Any thread, no state, no clock.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LABELS_MOST = 16 };

#define LABELS_FORM                                                                                \
    "names of events with weights, as click=1,convert=5 (a name without a weight has 1; 16 "       \
    "different names at most)"

struct labels {
    struct label_rule {
        struct str event; /* in the text that was parsed */
        double weight;
    } rules[LABELS_MOST];
    size_t count;
    struct str impressions[LABELS_MOST]; /* borrowed */
    size_t impression_count;             /* 0: impression */
};

/*
 * Borrows the text. Fails with ERR_INVALID: not LABELS_FORM, a weight that is 0 or no finite
 * number, or a name twice; says what is wrong and what is right.
 */
int labels_parse(struct labels *out, const char *text, struct err *e);

/* Events of this name say what was shown. Fails with ERR_INVALID (more than LABELS_MOST names, or
 * an empty one). Borrows. */
int labels_add_impression(struct labels *l, const char *event, struct err *e);

/* After both: no name may be a label and say what was shown. Fails with ERR_INVALID. */
int labels_check(const struct labels *l, struct err *e);

/* Whether an event says what was shown. */
bool labels_is_impression(const struct labels *l, struct str event);

/* The place of an event among the rules; -1: it is none. */
int labels_find(const struct labels *l, struct str event);

/* The label of a proposition of which these have happened: bit i stands for rule i. */
float labels_value(const struct labels *l, uint32_t happened);
