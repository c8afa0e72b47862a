/*
 * What `flotilla train` tells a person while it works: what is in the data, and how the search
 * goes.
 *
 * One thread.
 */
#pragma once

#include "lines.h"

#include "base/buf.h"
#include "training/fit.h"

/* Appends what is in the set: its parts, and the columns that are not used and why. */
void train_say_found(struct buf *out, const struct set_info *info, const struct split *split,
                     const struct survey *survey, const struct instances *train, bool regression);

/* Appends one line about a trial. */
void train_say_trial(struct buf *out, size_t trial, const struct search_trial *t,
                     enum metric_kind metric, int k, bool is_best);

/* What trials are held against each other by: "NDCG@10". */
const char *train_metric_text(char text[32], enum metric_kind metric, int k);

/* 2021-11-15 16:25:09 UTC. */
const char *train_time_text(char text[32], int64_t ms);
