/*
 * Rules: the score of a candidate where no model can give one, from the same vector a model reads.
 *
 *     score = exp(sum over terms of weight * ln(term))
 *
 * The term of popularity is max(value, 1e-9) for a rate, mean, min, max or attribute, and max(1 +
 * value, 1e-9) for a count, sum, decay or distinct, in which nothing seen is 0.
 *
 * That of recency is 2^(-seconds / half_life) of an age, or of the seconds since an event; what
 * lies in the future counts as 0 seconds.
 *
 * That of taste is max(1 + value, 1e-9). A rate or overlap counts from 0 to 1, so that the term has
 * a bound. That of match is 1 + value, which is from 0 to 1.
 *
 * Where the vector has no value (NaN), `missing` stands in its place: by default a rate's prior
 * where that is a number (0.01 where a popularity's is not), else 0; the half-life of a recency,
 * which is a factor of one half. A smoothed rate of a proposition that nobody has seen is no such
 * case: its value is the prior, and so cold propositions stand in the middle and not at the end.
 *
 * Without any term all scores are 1 and candidates keep their order; a catalogue then is in the
 * order of ids.
 *
 * Scores are handled as their logarithms, which keep apart what exp() would round to 0. Constant
 * once made, no clock (ages are in the vector): any thread may read. rules_add is for one thread.
 */
#pragma once

#include "base/err.h"
#include "feature/definition.h"

enum rule_kind { RULE_POPULARITY, RULE_RECENCY, RULE_TASTE, RULE_MATCH, RULE_KINDS };

struct rule_opts {
    enum rule_kind kind;
    const char *value;    /* name of an output, as prop_ctr_7d; NULL: what rules_add finds */
    double weight;        /* finite; 0: the term is left out */
    int64_t half_life_ms; /* RULE_RECENCY; 0: 30 days */
    double missing;       /* NaN: as above */
};

/* popularity, recency, taste, match. */
const char *rule_kind_name(enum rule_kind kind);

struct rules;

/* Without terms. Borrows the set. Fails with ERR_NOMEM. */
int rules_new(struct rules **out, const struct feature_set *set, struct err *e);
void rules_free(struct rules *r); /* NULL is fine */

/*
 * Adds a term. Without a value: popularity is the longest window of the first rate whose scope is
 * `proposition`, else the first decay there, else the longest window of the first count; recency
 * the first age of the proposition; taste the first overlap and the longest window of the first
 * rate of user*proposition.X (both, where there are both); match the first match.
 * Fails with ERR_INVALID (no such value, or of a kind that the term cannot read; says which can),
 * ERR_NOT_FOUND (no value was named and the features have none that would do), ERR_NOMEM.
 */
int rules_add(struct rules *r, const struct rule_opts *opts, struct err *e);

/* Adds, with weight 1, each kind of term that rules_add was not called for, where the features have
 * a value for it. Fails with ERR_NOMEM. */
int rules_add_rest(struct rules *r, struct err *e);

/* ln(score) from all values of the set, in its order. Never NaN, never infinite. */
double rules_ln_score(const struct rules *r, const double *vector);

/* exp() of it, kept above 0 and finite, as float too. */
double rules_score(double ln_score);

/* The part of ln(score) from terms whose value depends on the proposition alone (its scope has only
 * dimensions of the proposition; other values of the vector are not read), and the rest. */
double rules_ln_base(const struct rules *r, const double *vector);
double rules_ln_personal(const struct rules *r, const double *vector);

/* No ln_personal is above it; INFINITY where a term has no bound (a taste of a count). */
double rules_ln_personal_bound(const struct rules *r);

/* Terms, for explanations: name ("popularity.prop_ctr_7d"; belongs to rules) and what it adds to
 * ln(score). They add up to rules_ln_score. */
size_t rules_count(const struct rules *r);
const char *rules_term_name(const struct rules *r, size_t term);
double rules_term_ln(const struct rules *r, size_t term, const double *vector);

/* Place in the vector of the value that a term reads. */
size_t rules_term_output(const struct rules *r, size_t term);
bool rules_term_is_personal(const struct rules *r, size_t term);
