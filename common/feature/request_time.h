/*
 * Features that a request and a candidate give by themselves: attribute, age, time, match,
 * standing. One thread a call.
 */
#pragma once

#include "feature/contribution.h"

/* What an attribute, an age or a gap reads, as it is at any time: of an age, when it began. */
struct request_number {
    double number;  /* the value; of an age, ms since the epoch; NaN: there is none */
    int64_t age_us; /* or exactly; REQUEST_NO_US: see number */
};

#define REQUEST_NO_US INT64_MIN

struct request_number request_number(const struct feature *f, const struct situation *s);

/* The value of an attribute or an age; of a gap, the candidate's number. */
double request_number_at(const struct feature *f, const struct request_number *n, int64_t as_of_ms);
double request_time_part(const struct feature *f, int64_t as_of_ms);

/* query: the terms of the feature's context field (terms_of). False: memory was short. */
bool request_match(double *out, const struct feature *f, const struct situation *s,
                   struct str_list query, struct arena *a);

/* Standings of `count` values that lie `stride` doubles apart, written likewise. False: memory was
 * short. */
bool request_standings(const double *values, double *out, size_t count, size_t stride,
                       struct arena *a);
