/*
 * A request becomes a ranking: candidates, vectors, scores, order.
 *
 * Pure: the request, the state and readings of the clock in, records out; no I/O. One thread.
 *
 * What a request gets, in this order:
 *   deadline passed         no items, degraded "deadline"
 *   waited too long         no items, degraded "overload"   (over three quarters of its budget)
 *   too many candidates     no items, degraded "too_large"
 *   limit 0                 no items
 *   waited half its budget  by the base scores of the rules, no vectors; degraded "overload"
 *   deadline is near        the same; degraded "deadline"
 *   otherwise               by the model that its user is assigned, or what stands in for it
 * where the budget runs from the request's Kafka timestamp to its deadline, or ranker.budget_ms.
 */
#pragma once

#include "model/scorer.h"
#include "ranker/catalogue.h"
#include "ranker/serving.h"
#include "state/mirror.h"

struct ranker;

struct ranker_opts {
    const struct feature_set *set; /* borrowed, as all below */
    const struct placements *placements;
    struct catalogue *catalogue;
    const struct serving *serving;
    int64_t budget_ms;
    size_t max_candidates;
    struct metrics *metrics;
};

int ranker_new(struct ranker **out, const struct ranker_opts *opts, struct err *e);
void ranker_free(struct ranker *r); /* NULL is fine */

struct ranker_ask {
    const struct rank_request *request;
    struct state_view view;
    int64_t now_ms;
    int64_t arrived_ms; /* Kafka's timestamp of the request */
    bool is_stale;      /* events could not be read to their end */
};

/* An answer, and what it was made of; in the arena, and good until serving_turn(), the catalogue or
 * the state changes. */
struct answer {
    struct ranking ranking;
    const struct placement *placement;
    struct str_list candidates;
    const double *vectors;   /* candidates x outputs; NULL: none were needed */
    const float *scores;     /* of each candidate, as published */
    const double *utilities; /* of each candidate, what was ordered by */
    const uint32_t *places;  /* in the order shown */
    const double *propensities;
    struct pick pick;
};

/*
 * What a request must satisfy to be answered at all. Fails with ERR_SCHEMA: says what is wrong (a
 * limit below zero, a timestamp that is no time, no request_id); the record is a dead letter then.
 */
int ranker_check(const struct rank_request *q, struct err *e);

/* Fails with ERR_CORRUPT (the state is damaged), ERR_NOMEM. */
int ranker_answer(struct ranker *r, const struct ranker_ask *ask, struct arena *a,
                  struct answer *out, struct err *e);

/* Whether an answer is to be logged: it has vectors, and its request is among those sampled (by its
 * id: a repeat is logged as well). */
bool ranker_logs(const struct answer *answer);

/* The record of score.log, borrowing from ask and answer. shadows: also what the plan's shadows
 * say, which costs as much as another answer each. Fails with ERR_NOMEM. */
int ranker_log(struct ranker *r, const struct ranker_ask *ask, const struct answer *answer,
               bool shadows, struct arena *a, struct score_log *out, struct err *e);

/* Gives a proposition its base scores anew. shared: where its values are read. Fails as
 * ranker_answer(). */
int ranker_refresh(struct ranker *r, struct str proposition, const struct state_view *view,
                   int64_t now_ms, struct err *e);
