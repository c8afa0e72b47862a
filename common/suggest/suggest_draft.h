/*
 * One suggestion under way: what the files that write suggestions share.
 * Not for others.
 */
#pragma once

#include "suggest/suggest_facts.h"
#include "suggest/suggest_text.h"

/* Fields of a kind of records that features are made of; others are told in a comment. */
enum { FIELDS_SUGGESTED = 24 };

struct suggestion {
    struct draft d;
    const struct suggest *s;
    struct facts f;
    struct buf scope, parameters; /* of the feature at hand */
};

/* Words of a name; the last is NULL. */
#define WORDS(...) ((const struct str[]){__VA_ARGS__, {0}})

/* The scope of the feature at hand: "proposition", or with a field behind it: "user*proposition."
 */
void scope_is(struct suggestion *g, const char *text, struct str field);

/* Features on scopes that scope_is() has set; names from words. */
struct rate {
    const struct seen_event *of, *per;
    int weight;
    bool is_placed; /* and the place of a candidate among the others by the longest window */
};
void suggest_rate(struct suggestion *g, bool commented_out, const struct str *words,
                  const struct rate *rate, const struct suggested_windows *windows);
/* count, sum or mean */
void suggest_windowed(struct suggestion *g, bool commented_out, const struct str *words,
                      const char *kind, const struct seen_event *event,
                      const struct suggested_windows *windows);
void suggest_recency(struct suggestion *g, const struct str *words, const struct seen_event *event);

/* The place of a candidate among the others by a value that is declared: NAME or NAME_WINDOW. It
 * leaves the scope of candidates behind. */
void suggest_standing(struct suggestion *g, const char *of, const struct suggested_window *window);

/* The feature at hand, of the scope that is set and with the parameters that were put. */
void suggest_put(struct suggestion *g, const char *name, const char *kind);

/* "field: NAME" among the parameters. */
void parameter_field(struct suggestion *g, const char *parameter, struct str name);

/* A value that is read as it stands, as the look of the field allows; prefix stands before its
 * name. Fails with ERR_NOMEM. */
struct seen;
int suggest_attribute(struct suggestion *g, const struct seen *x, const char *side,
                      const char *prefix, struct err *e);

/* Where the context has the words of a query; NULL: nowhere. */
const struct field *suggest_query(const struct suggestion *g);

/* What is asked for, in words, or by a value that propositions have: a genre's page. */
void suggest_matches(struct suggestion *g, const struct seen *x, const struct field *query);

/* The parts of the file. Fail with ERR_NOMEM. */
void suggest_users(struct suggestion *g);
void suggest_propositions(struct suggestion *g);
int suggest_user_attributes(struct suggestion *g, struct err *e);
int suggest_proposition_attributes(struct suggestion *g, struct err *e);
int suggest_context(struct suggestion *g, struct err *e);
