/*
 * The inside of struct ranker, shared by ranker.c (what a request gets), candidates.c (from the
 * catalogue), scores.c (by a model or by rules, and why) and score_log.c. Not for others.
 */
#pragma once

#include "feature/vector.h"
#include "ranker/hidden.h"
#include "ranker/ranker.h"

struct ranker {
    struct ranker_opts opts;
    struct vectors *vectors;
    struct chooser *chooser;
    struct scorer_scratch *scratch;
    enum scorer_path path;
    struct hidden hidden;
    struct str *columns;                   /* names of all outputs */
    struct buf fingerprints;               /* of the feature of each output */
    double ln_unknown[MAX_PLACEMENTS + 1]; /* base score where nothing is known */
    struct metric *items;
};

/* An answer while it is made. */
struct making {
    struct ranker *r;
    const struct ranker_ask *ask;
    size_t placement; /* place among placements */
    struct arena *arena;
    struct answer *answer;
    double *ln_scores; /* by rules; of each candidate; NULL: not known */
    double *utilities; /* what is ordered by */
    struct err *e;
};

/* ---- candidates.c ---- */

/* Candidates from the catalogue, at most `most`, best first; by full rules, or by base scores
 * alone. Puts candidates and ln_scores. */
int candidates_find(struct making *m, size_t most, bool full);

/* Base scores of the request's own candidates. */
int candidates_base(struct making *m);

/* ---- scores.c ---- */

/* Vectors of all candidates. Fails as vectors_read(). */
int scores_vectors(struct making *m);

/* Scores and utilities by the answer's pick, or by rules. */
int scores_by_model(struct making *m);
int scores_by_rules(struct making *m);

/* What moved the score of one candidate: a model's columns and the bias, or terms of the rules. */
int scores_explain(struct making *m, size_t candidate, struct double_map *out);

/* Margins of an answer's candidates by any model; in the arena. */
int scores_margins(struct ranker *r, const struct model *model, const double *vectors, size_t count,
                   struct arena *a, float **margins, struct err *e);

/* A number that is uniform in [0, 1) for an id and a purpose. */
double ranker_uniform(struct str id, const char *purpose);
