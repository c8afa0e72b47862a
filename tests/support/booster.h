/*
 * XGBoost itself: what trains models for tests and says what they predict.
 *
 * A test is failed by whatever fails in here. One thread. Rows lie one after the other, NaN is a
 * missing value.
 */
#pragma once

#include "base/buf.h"

struct booster;

/* What a model is trained on: random numbers of a seed. */
struct booster_data {
    size_t rows, columns;
    uint64_t seed;
    float missing;   /* share of the values */
    bool whole;      /* values are small whole numbers, so that rows lie at thresholds */
    bool constant;   /* the label is 1 throughout */
    unsigned unused; /* so many of the last columns are always missing */
};

/* Trains for some rounds with parameters of XGBoost, name and value, NULL at the end. */
struct booster *booster_train(const struct booster_data *data, int rounds,
                              const char *const *parameters);
void booster_free(struct booster *b);

/* The model file; format is "ubj" or "json". */
void booster_save(struct booster *b, const char *format, struct buf *out);

/* Predicts for rows as they come, infinities too. */
enum booster_what { BOOSTER_MARGIN, BOOSTER_SCORE };
void booster_predict(struct booster *b, enum booster_what what, const float *rows, size_t count,
                     size_t columns, float *out);

/* Contributions, columns + 1 for each row; XGBoost takes no infinities here. */
void booster_contributions(struct booster *b, const float *rows, size_t count, size_t columns,
                           float *out);

/* The scores of margins: those of rows that no tree adds to. b has been trained for no round. */
void booster_scores(struct booster *b, const float *margins, size_t count, float *out);
