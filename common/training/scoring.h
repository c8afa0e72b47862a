/*
 * Scores of a set's rows: by a model as it is served, by rules.
 *
 * One thread. No clock.
 */
#pragma once

#include "model/calibration.h"
#include "model/ensemble.h"
#include "model/rules.h"
#include "training/labelled.h"

/*
 * What is served in some columns whatever the log has: the place of an item is at_serving of its
 * definition, since a model scores before there are places. columns: the names of a set's. out has
 * room for as many as there are columns; returns how many there are.
 */
size_t scoring_served(struct labelled_fixed *out, const struct str_list *columns,
                      const struct feature_set *definitions);

/*
 * Margins of the rows that `what` gives, whose columns are the model's; margins and scores (which
 * may be NULL) have room for them: scores are those of the objective, before a calibration.
 *
 * A sample of the rows, every 64th and at most 2,000, is scored by XGBoost's own library as well.
 * Fails with ERR_FATAL (it says otherwise in a single bit: names the row), as set_read(),
 * ERR_NOMEM.
 */
int scoring_model(const struct labelled_opts *what, const struct ensemble *m, struct str bytes,
                  float *margins, float *scores, struct err *e);

enum scoring_rules { SCORING_RULES, SCORING_POPULARITY };

/*
 * Logarithms of the rules' scores of all rows of some requests, as the fleet ranks where nothing
 * is configured: every kind of term that the definitions have a value for; or popularity alone.
 * what: requests and fixed values, columns are not looked at. *found is false where the
 * definitions have no value to rank by. Fails as set_read(), ERR_NOMEM.
 */
int scoring_by_rules(const struct labelled_opts *what, const struct feature_set *definitions,
                     enum scoring_rules kind, bool *found, float *scores, struct err *e);

/* The place that each row was shown at, from the last: the first place is the highest score; rows
 * that were not shown are NaN. False: no row of them was. */
bool scoring_as_shown(const struct set_rows *rows, size_t first, size_t count, float *scores);
