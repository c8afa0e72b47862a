/*
 * Features that a request and a candidate give by themselves: attribute, age, time, match,
 * standing. One thread a call.
 */
#pragma once

#include "feature/contribution.h"

double request_attribute(const struct feature *f, const struct situation *s);
double request_age(const struct feature *f, const struct situation *s, int64_t as_of_ms);
double request_time_part(const struct feature *f, int64_t as_of_ms);

/* query: the terms of the feature's context field (terms_of). False: memory was short. */
bool request_match(double *out, const struct feature *f, const struct situation *s,
                   struct str_list query, struct arena *a);

/* Standings of `count` values that lie `stride` doubles apart, written likewise. False: memory was
 * short. */
bool request_standings(const double *values, double *out, size_t count, size_t stride,
                       struct arena *a);
