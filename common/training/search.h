/*
 * A random search that gives up early on what is going badly.
 *
 * Trial 0 is the standard point; the others are drawn around it (Bergstra and Bengio 2012). A trial
 * is looked at whenever eta * rounds has doubled, at the same amounts of learning for all trials:
 * if its best score so far is below the median of those that earlier trials had there, it is
 * stopped (the median rule of Golovin et al., "Google Vizier", 2017), but not before
 * SEARCH_FIRST_STOPPED trials have been seen to that point.
 *
 * Which points are tried hangs on the seed and the number of the trial alone, and what is stopped
 * on the trials before it: the first n trials are the same however many follow. One thread; no
 * clock: seconds are an argument.
 */
#pragma once

#include "training/space.h"

#include <stdint.h>

enum { SEARCH_MOST_TRIALS = 1000, SEARCH_LOOKS = 12, SEARCH_FIRST_STOPPED = 4 };

struct search_trial {
    struct space_point point;
    double score; /* more is better */
    uint32_t trees;
    bool stopped;
    bool better; /* than the standard, by more than one standard error of the difference */
    double seconds;
    int looks; /* that it came to */
    double seen[SEARCH_LOOKS];
};

struct search;

/* Copies the point. Fails with ERR_NOMEM. */
int search_new(struct search **out, const struct space_point *standard, uint64_t seed,
               struct err *e);
void search_free(struct search *s); /* NULL is fine */

/* Begins the next trial; NULL: there have been SEARCH_MOST_TRIALS. Belongs to the search. */
const struct space_point *search_begin(struct search *s);

/* The round behind which look `look` (from 0) at the running trial is due: eta * rounds has reached
 * 2^look. */
uint32_t search_round_of(const struct search *s, int look);

/* What a look at the running trial saw; false: give it up. */
bool search_look(struct search *s, double score);

/* Ends the running trial with what is in `ended` (its point and what was seen apart);
 * search_abandon() takes it back as if it had not been. */
void search_end(struct search *s, const struct search_trial *ended);
void search_abandon(struct search *s);

/*
 * The trials that have ended, in order; the place of the best, of which there must be one: the
 * greatest score among those that are better than the standard, else the standard. So a search over
 * few requests, where the greatest of many scores is a matter of luck, keeps the standard (the
 * one-standard-error rule of Breiman et al., "Classification and Regression Trees", 1984).
 */
size_t search_count(const struct search *s);
const struct search_trial *search_trials(const struct search *s);
size_t search_best(const struct search *s);
