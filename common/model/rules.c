#include "model/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* MOST_LN: exp() of it and of its negative are finite and above 0, as float too. */
enum { MOST_TERMS = 32, MOST_LN = 87, HALF_LIFE_DAYS = 30 };

#define DAY_MS  ((int64_t)24 * 3600 * 1000)
#define TINIEST 1e-9

struct term {
    enum rule_kind kind;
    size_t output;
    double weight;
    double half_life_s;
    double missing;
    double offset; /* added to the value: 1 where nothing seen is 0 */
    bool is_share; /* the value counts from 0 to 1 */
    bool is_personal;
    char *name; /* owned */
};

struct rules {
    const struct feature_set *set;
    struct term terms[MOST_TERMS];
    size_t count;
    bool is_given[RULE_KINDS]; /* rules_add was called for it */
};

/* The kinds of features that a kind of term can read, as bits and as words. */
static const struct {
    const char *name;
    unsigned readable;
    const char *words;
} kinds[RULE_KINDS] = {
    [RULE_POPULARITY] = {"popularity",
                         1u << FEATURE_RATE | 1u << FEATURE_COUNT | 1u << FEATURE_SUM |
                             1u << FEATURE_DECAY | 1u << FEATURE_DISTINCT | 1u << FEATURE_MEAN |
                             1u << FEATURE_MIN | 1u << FEATURE_MAX | 1u << FEATURE_ATTRIBUTE,
                         "rate, count, sum, decay, distinct, mean, min, max or attribute"},
    [RULE_RECENCY] = {"recency", 1u << FEATURE_AGE | 1u << FEATURE_RECENCY, "age or recency"},
    [RULE_TASTE] = {"taste",
                    1u << FEATURE_OVERLAP | 1u << FEATURE_RATE | 1u << FEATURE_COUNT |
                        1u << FEATURE_SUM | 1u << FEATURE_DECAY | 1u << FEATURE_DISTINCT,
                    "overlap, rate, count, sum, decay or distinct"},
    [RULE_MATCH] = {"match", 1u << FEATURE_MATCH, "match"},
};

const char *rule_kind_name(enum rule_kind kind)
{
    return kinds[kind].name;
}

int rules_new(struct rules **out, const struct feature_set *set, struct err *e)
{
    struct rules *r = calloc(1, sizeof *r);
    if (!r)
        return err_nomem(e);
    r->set = set;
    *out = r;
    return 0;
}

void rules_free(struct rules *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        free(r->terms[i].name);
    free(r);
}

/* ------------------------------------------------------------ which value */

/* Whether it is the same for every user and context. */
static bool is_of_proposition(const struct feature_set *set, const struct feature *f)
{
    if (f->kind == FEATURE_ATTRIBUTE || f->kind == FEATURE_AGE)
        return f->dimension.side == SIDE_PROPOSITION;
    if (f->scope < 0 || f->kind == FEATURE_GAP || f->kind == FEATURE_OVERLAP)
        return false;
    const struct scope *s = &set->scopes[f->scope];
    for (size_t i = 0; i < s->dimension_count; i++)
        if (s->dimensions[i].side != SIDE_PROPOSITION)
            return false;
    return true;
}

static bool is_proposition_scope(const struct feature_set *set, const struct feature *f)
{
    return f->scope >= 0 && strcmp(set->scopes[f->scope].text, "proposition") == 0;
}

/* user and one attribute of the proposition. */
static bool is_taste_scope(const struct feature_set *set, const struct feature *f)
{
    const struct scope *s = f->scope >= 0 ? &set->scopes[f->scope] : NULL;
    if (!s || s->dimension_count != 2 || !s->has_user)
        return false;
    for (size_t i = 0; i < 2; i++)
        if (s->dimensions[i].side == SIDE_PROPOSITION)
            return s->dimensions[i].field;
    return false;
}

typedef bool feature_test(const struct feature_set *set, const struct feature *f);

/* The output of the first feature of a kind that passes a test (NULL: any), in its longest window;
 * -1: there is none. */
static int first_of(const struct feature_set *set, enum feature_kind kind, feature_test *test)
{
    for (size_t i = 0; i < set->feature_count; i++) {
        const struct feature *f = &set->features[i];
        size_t longest = 0;
        if (f->kind != kind || (test && !test(set, f)))
            continue;
        for (size_t w = 1; w < f->window_count; w++)
            longest = f->windows[w].ms > f->windows[longest].ms ? w : longest;
        return (int)(f->first_output + longest);
    }
    return -1;
}

/* The values that a kind reads where none is named: at most two. */
static size_t find_values(int found[2], const struct feature_set *set, enum rule_kind kind)
{
    size_t n = 0;
    int output = -1;
    switch (kind) {
    case RULE_POPULARITY:
        output = first_of(set, FEATURE_RATE, is_proposition_scope);
        if (output < 0)
            output = first_of(set, FEATURE_DECAY, is_proposition_scope);
        if (output < 0)
            output = first_of(set, FEATURE_COUNT, is_proposition_scope);
        break;
    case RULE_RECENCY:
        output = first_of(set, FEATURE_AGE, is_of_proposition);
        break;
    case RULE_TASTE:
        output = first_of(set, FEATURE_OVERLAP, NULL);
        if (output >= 0)
            found[n++] = output;
        output = first_of(set, FEATURE_RATE, is_taste_scope);
        break;
    default:
        output = first_of(set, FEATURE_MATCH, NULL);
        break;
    }
    if (output >= 0)
        found[n++] = output;
    return n;
}

static int find_output(size_t *out, const struct feature_set *set, const struct rule_opts *opts,
                       struct err *e)
{
    size_t i = 0;
    while (i < set->output_count && strcmp(set->outputs[i].name, opts->value) != 0)
        i++;
    if (i == set->output_count)
        return err_set(e, ERR_INVALID,
                       "%s: the features have no value \"%s\": name one with its window, as "
                       "prop_ctr_7d",
                       kinds[opts->kind].name, opts->value);
    enum feature_kind kind = set->outputs[i].feature->kind;
    if (!(kinds[opts->kind].readable & 1u << kind))
        return err_set(e, ERR_INVALID, "%s: \"%s\" is of kind %s: give one of kind %s",
                       kinds[opts->kind].name, opts->value, feature_kind_name(kind),
                       kinds[opts->kind].words);
    *out = i;
    return 0;
}

/* ------------------------------------------------------------ terms */

static double missing_of(const struct term *t, const struct feature *f)
{
    if (t->kind == RULE_RECENCY)
        return t->half_life_s;
    if (f->kind != FEATURE_RATE)
        return 0;
    if (!isnan(f->prior))
        return f->prior;
    return t->kind == RULE_POPULARITY ? 0.01 : 0;
}

/* Values in which nothing is 0, so that they need 1 added before their logarithm is taken. */
static bool counts(enum feature_kind kind)
{
    return kind == FEATURE_COUNT || kind == FEATURE_SUM || kind == FEATURE_DECAY ||
           kind == FEATURE_DISTINCT;
}

static bool is_share(enum rule_kind kind, enum feature_kind feature)
{
    return kind == RULE_MATCH ||
           (kind == RULE_TASTE && (feature == FEATURE_RATE || feature == FEATURE_OVERLAP));
}

static int add_term(struct rules *r, const struct rule_opts *opts, size_t output, struct err *e)
{
    if (r->count == MOST_TERMS)
        return err_set(e, ERR_INVALID, "%s: more than %d terms", kinds[opts->kind].name,
                       MOST_TERMS);
    if (opts->weight == 0)
        return 0;
    struct term *t = &r->terms[r->count];
    const struct output *o = &r->set->outputs[output];
    int64_t half_life_ms = opts->half_life_ms ? opts->half_life_ms : HALF_LIFE_DAYS * DAY_MS;
    *t = (struct term){.kind = opts->kind,
                       .output = output,
                       .weight = opts->weight,
                       .half_life_s = (double)half_life_ms / 1000,
                       .is_share = is_share(opts->kind, o->feature->kind),
                       .is_personal = !is_of_proposition(r->set, o->feature)};
    t->missing = isnan(opts->missing) ? missing_of(t, o->feature) : opts->missing;
    t->offset = opts->kind != RULE_POPULARITY || counts(o->feature->kind);
    size_t size = strlen(kinds[t->kind].name) + 1 + strlen(o->name) + 1;
    if (!(t->name = malloc(size)))
        return err_nomem(e);
    snprintf(t->name, size, "%s.%s", kinds[t->kind].name, o->name);
    r->count++;
    return 0;
}

int rules_add(struct rules *r, const struct rule_opts *opts, struct err *e)
{
    int found[2] = {0, 0}, rc = 0;
    size_t output = 0, n;
    r->is_given[opts->kind] = true;
    if (!isfinite(opts->weight))
        return err_set(e, ERR_INVALID, "%s: the weight must be a finite number",
                       kinds[opts->kind].name);
    if (opts->value) {
        rc = find_output(&output, r->set, opts, e);
        return rc ? rc : add_term(r, opts, output, e);
    }
    n = find_values(found, r->set, opts->kind);
    if (n == 0 && opts->weight != 0)
        return err_set(e, ERR_NOT_FOUND,
                       "%s: the features have no value that it could read by itself: name one of "
                       "kind %s, as {value: NAME}",
                       kinds[opts->kind].name, kinds[opts->kind].words);
    for (size_t i = 0; i < n && !rc; i++)
        rc = add_term(r, opts, (size_t)found[i], e);
    return rc;
}

int rules_add_rest(struct rules *r, struct err *e)
{
    for (int kind = 0; kind < RULE_KINDS; kind++) {
        struct rule_opts opts = {.kind = (enum rule_kind)kind, .weight = 1, .missing = NAN};
        struct err none = {0};
        int rc = r->is_given[kind] ? 0 : rules_add(r, &opts, &none);
        if (rc && rc != ERR_NOT_FOUND)
            return err_set(e, rc, "%s", none.msg);
    }
    return 0;
}

static double term_ln(const struct term *t, const double *vector)
{
    double value = vector[t->output];
    if (isnan(value))
        value = t->missing;
    if (t->kind == RULE_RECENCY)
        return -t->weight * (fmax(value, 0) / t->half_life_s) * M_LN2;
    if (t->is_share)
        value = fmin(fmax(value, 0), 1);
    return t->weight * log(fmax(value + t->offset, TINIEST));
}

/* Infinite values and weights of any size stay numbers that can be ordered. */
static double bounded(double ln)
{
    const double most = 1e300;
    return isnan(ln) ? 0 : fmin(fmax(ln, -most), most);
}

double rules_ln_score(const struct rules *r, const double *vector)
{
    double sum = 0;
    for (size_t i = 0; i < r->count; i++)
        sum += rules_term_ln(r, i, vector);
    return bounded(sum);
}

double rules_score(double ln_score)
{
    return exp(fmin(fmax(ln_score, -MOST_LN), MOST_LN));
}

static double part(const struct rules *r, const double *vector, bool is_personal)
{
    double sum = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->terms[i].is_personal == is_personal)
            sum += rules_term_ln(r, i, vector);
    return bounded(sum);
}

double rules_ln_base(const struct rules *r, const double *vector)
{
    return part(r, vector, false);
}

double rules_ln_personal(const struct rules *r, const double *vector)
{
    return part(r, vector, true);
}

/* The most that a term can add: where its value is least or most, as the sign of the weight is. */
static double most_ln(const struct term *t)
{
    if (t->kind == RULE_RECENCY)
        return t->weight > 0 ? 0 : INFINITY;
    if (t->is_share)
        return t->weight > 0 ? t->weight * M_LN2 : 0;
    return t->weight > 0 ? INFINITY : t->weight * log(TINIEST);
}

double rules_ln_personal_bound(const struct rules *r)
{
    double sum = 0;
    for (size_t i = 0; i < r->count; i++)
        sum += r->terms[i].is_personal ? most_ln(&r->terms[i]) : 0;
    return sum;
}

size_t rules_count(const struct rules *r)
{
    return r->count;
}

const char *rules_term_name(const struct rules *r, size_t term)
{
    return r->terms[term].name;
}

double rules_term_ln(const struct rules *r, size_t term, const double *vector)
{
    return bounded(term_ln(&r->terms[term], vector));
}

size_t rules_term_output(const struct rules *r, size_t term)
{
    return r->terms[term].output;
}

bool rules_term_is_personal(const struct rules *r, size_t term)
{
    return r->terms[term].is_personal;
}
