/*
 * Test parts for reports, made of nothing but a seed: requests whose candidates are clicked by a
 * known chance, scorers that know more or less of it, attributes, contributions. One thread.
 */
#pragma once

#include "base/buf.h"
#include "base/prng.h"
#include "report/report.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct report_case {
    uint64_t seed;
    size_t requests, candidates, columns, values; /* values of user.country */
    double knows_model, knows_rules; /* how much of the true utility scores have: 0 to 1 */
    double base_rate;
    size_t scorers; /* 1: the model alone */
    size_t trials;
    bool regression, hostile, explored, value_labels, calibrated, sampled;
};

struct report_made {
    struct report_case of;
    struct set_info info;
    struct set_rows rows;
    struct report_data data;
    struct report_scorer scorers[4];
    struct report_trial *trials;
    struct calibration calibration;
    struct str *texts;
    struct buf text; /* of all of them, one behind the other */
    size_t *text_starts;
    size_t text_count;
};

enum { REPORT_CASE_TEXTS = 4000 };

static inline void *report_zeroed(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    assert(p);
    return p;
}

/* Adds a text; its number. Texts get their places when all are there. */
static inline uint32_t report_text(struct report_made *m, const char *text)
{
    assert(m->text_count < REPORT_CASE_TEXTS);
    m->text_starts[m->text_count] = m->text.len;
    buf_put_text(&m->text, text);
    return (uint32_t)m->text_count++;
}

static inline double report_chance(double utility, double base_rate)
{
    return 1 / (1 + exp(-(utility * 1.5 + log(base_rate / (1 - base_rate)) - 0.5)));
}

static inline void report_segments_text(char text[512], const struct report_case *c, size_t n)
{
    static const char *const devices[] = {"mobile", "desktop", "tv"};
    snprintf(text, 512,
             "{\"context.device\":\"%s\",\"user.country\":\"%s%zu\",\"user.tier\":\"%s\"}",
             devices[n % 3], c->hostile ? "<script>alert(1)</script>&amp;\\\"'" : "c",
             n % c->values, n % 5 == 0 ? "gold" : "basic");
}

static inline void report_make_texts(struct report_made *m)
{
    char text[512];
    const struct report_case *c = &m->of;
    report_text(m, "");
    report_text(m, c->hostile ? "home</title><img src=x onerror=alert(1)>" : "home");
    report_text(m, "search");
    for (size_t i = 0; i < 600; i++) {
        report_segments_text(text, c, i);
        report_text(m, text);
    }
    for (size_t i = 0; i < 12; i++) {
        snprintf(text, sizeof text, "{\"proposition.brand\":\"%s%zu\"}",
                 c->hostile ? "\\u0001 ]]> <b>" : "brand ", i);
        report_text(m, text);
    }
    for (size_t i = 0; i < 400; i++) {
        snprintf(text, sizeof text, "p%zu", i);
        report_text(m, text);
    }
    m->texts = report_zeroed(m->text_count, sizeof *m->texts);
    for (size_t i = 0; i < m->text_count; i++) {
        size_t end = i + 1 < m->text_count ? m->text_starts[i + 1] : m->text.len;
        m->texts[i] = str_bytes(m->text.data + m->text_starts[i], end - m->text_starts[i]);
    }
}

/* Arrays of set_rows are constant for those who read them. */
#define REPORT_ARRAY(type, name, count)                                                            \
    type *name = report_zeroed(count, sizeof(type));                                               \
    m->rows.name = name

static inline void report_make_rows(struct report_made *m, struct prng *random, float *scores[4],
                                    float *utilities)
{
    const struct report_case *c = &m->of;
    size_t n = c->requests, rows = n * c->candidates;
    REPORT_ARRAY(uint64_t, first, n + 1);
    REPORT_ARRAY(int64_t, timestamps_ms, n);
    REPORT_ARRAY(uint32_t, users, n);
    REPORT_ARRAY(uint32_t, ids, n);
    REPORT_ARRAY(uint32_t, segments, n);
    REPORT_ARRAY(uint32_t, placements, n);
    REPORT_ARRAY(uint32_t, models, n);
    REPORT_ARRAY(uint32_t, variants, n);
    REPORT_ARRAY(int64_t, versions, n);
    REPORT_ARRAY(double, shares, n);
    REPORT_ARRAY(uint32_t, user_seen, n);
    REPORT_ARRAY(uint8_t, sources, n);
    REPORT_ARRAY(float, labels, rows);
    REPORT_ARRAY(int32_t, places, rows);
    REPORT_ARRAY(double, propensities, rows);
    m->rows.scores = report_zeroed(rows, sizeof(float));
    REPORT_ARRAY(uint32_t, propositions, rows);
    REPORT_ARRAY(uint32_t, proposition_segments, rows);
    REPORT_ARRAY(uint32_t, proposition_seen, rows);
    for (size_t i = 0; i < n; i++) {
        first[i + 1] = first[i] + c->candidates;
        timestamps_ms[i] = 1760000000000 + (int64_t)i * 1209600000 / (int64_t)n;
        uint32_t user = prng_below(random, (uint32_t)(n / 3 + 1)), which = user % 600;
        users[i] = user;
        segments[i] = 3 + which;
        placements[i] = i % 4 == 3 ? 2 : 1;
        shares[i] = 1;
        user_seen[i] = prng_below(random, 40);
        size_t shift = prng_below(random, (uint32_t)c->candidates);
        for (size_t j = 0; j < c->candidates; j++) {
            size_t row = first[i] + j;
            uint32_t item = prng_below(random, 400);
            double utility = prng_normal(random), chance = report_chance(utility, c->base_rate);
            /* Users of every fifth kind are what the model knows least of. */
            double knows = which % 5 == 0 ? c->knows_model * 0.4 : c->knows_model;
            bool clicked = prng_unit(random) < chance;
            propositions[row] = 3 + 600 + 12 + item;
            proposition_segments[row] = 3 + 600 + item % 12;
            proposition_seen[row] = item < 60 ? item % 30 : 100;
            /* A round of all places: each item stands at each place equally often. */
            places[row] = c->explored ? (int32_t)((j + shift) % c->candidates) : (int32_t)j;
            propensities[row] = c->explored ? 1 / (double)c->candidates : 1;
            labels[row] = c->regression     ? (float)(utility * 3 + prng_normal(random) + 10)
                          : !clicked        ? 0
                          : c->value_labels ? (float)(1 + 4 * (item % 3 == 0))
                                            : 1;
            utilities[row] = (float)utility;
            double said = utility * knows + (1 - knows) * prng_normal(random) * 0.7;
            double rules = utility * c->knows_rules + (1 - c->knows_rules) * prng_normal(random);
            scores[0][row] =
                c->regression ? (float)(said * 3 + 10) : (float)report_chance(said, c->base_rate);
            scores[1][row] = c->regression ? (float)(rules * 3 + 10) : (float)rules;
            scores[2][row] = (float)(400 - item);
            scores[3][row] = (float)-places[row];
        }
    }
    m->rows.request_count = n;
    m->rows.row_count = rows;
}

static inline void report_make_sample(struct report_made *m, struct prng *random,
                                      const float *utilities)
{
    size_t columns = m->of.columns, rows = m->rows.row_count < 1000 ? m->rows.row_count : 1000;
    float *values = report_zeroed(rows * columns, sizeof *values);
    float *contributions = report_zeroed(rows * (columns + 1), sizeof *contributions);
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            double v =
                (double)utilities[i] * (j % 2 ? 1 : -1) + prng_normal(random) * (double)j / 4;
            bool missing = j % 4 == 3 && prng_unit(random) < 0.3;
            values[i * columns + j] = missing ? NAN : j % 5 == 4 ? (float)(v > 0) : (float)v;
            contributions[i * (columns + 1) + j] =
                missing ? 0.01f : (float)(tanh(v) * (j % 2 ? 1 : -1) / (double)(j + 1));
        }
    m->data.sample = (struct report_sample){rows, columns, values, contributions, NULL};
}

static inline void report_make_trials(struct report_made *m, struct prng *random)
{
    m->trials = report_zeroed(m->of.trials, sizeof *m->trials);
    for (size_t i = 0; i < m->of.trials; i++)
        m->trials[i] = (struct report_trial){
            .parameters = str_of(i % 2 ? "eta 0.1, max_depth 4, min_child_weight 20, subsample 0.7"
                                       : "eta 0.05, max_depth 6, min_child_weight 100, lambda 5"),
            .score = 0.6 + 0.02 * prng_unit(random) - (i % 3 == 2 ? 0.03 : 0),
            .trees = 100 + prng_below(random, 300),
            .stopped = i % 3 == 2,
            .seconds = 3 + 4 * prng_unit(random)};
}

static inline void report_make_info(struct report_made *m)
{
    size_t columns = m->of.columns;
    struct str *names = report_zeroed(columns, sizeof *names);
    for (size_t i = 0; i < columns; i++)
        names[i] = str_of(m->of.hostile ? "a<b>&\"c\" of a column whose name does not end soon"
                          : i % 3 == 0  ? "prop_ctr_7d"
                          : i % 3 == 1  ? "user_clicks_30d"
                                        : "since_click");
    m->info = (struct set_info){
        .columns = {names, columns},
        .labels = str_of(m->of.value_labels ? "click=1,convert=5" : "click=1"),
        .label_window_ms = 86400000,
        .from_ms = 1755000000000,
        .to_ms = 1760000000000 + 1209600000,
        .counts = str_of("{\"events\":{\"read\":1234567,\"repeated\":12,\"late\":3},"
                         "\"requests\":{\"used\":4000,\"without impression\":17}}")};
}

/* What a report is made of; report_made_free() in any case. */
static inline void report_make(struct report_made *m, const struct report_case *c)
{
    struct prng random;
    float *scores[4];
    size_t rows = c->requests * c->candidates;
    float *utilities = report_zeroed(rows, sizeof *utilities);
    *m = (struct report_made){.of = *c};
    m->text_starts = report_zeroed(REPORT_CASE_TEXTS, sizeof *m->text_starts);
    prng_seed(&random, c->seed);
    report_make_texts(m);
    for (int i = 0; i < 4; i++)
        scores[i] = report_zeroed(rows, sizeof(float));
    report_make_rows(m, &random, scores, utilities);
    m->rows.texts = m->texts;
    m->rows.text_count = m->text_count;
    m->scorers[0] = (struct report_scorer){"model", scores[0], !c->regression};
    m->scorers[1] = (struct report_scorer){"rules", scores[1], false};
    m->scorers[2] = (struct report_scorer){"popularity", scores[2], false};
    m->scorers[3] = (struct report_scorer){"as shown", scores[3], false};
    report_make_info(m);
    m->data = (struct report_data){
        .model = c->hostile ? "</script><script>alert(\"1\")</script> & `co" : "shop",
        .version = 7,
        .objective = c->regression ? "reg:squarederror" : "binary:logistic",
        .regression = c->regression,
        .info = &m->info,
        .rows = &m->rows,
        .test_requests = c->requests,
        .scorers = m->scorers,
        .scorer_count = c->scorers,
        .parameters = str_of("{\"eta\":0.05,\"max_depth\":6,\"trees\":312}"),
        .seed = 1,
        .made_ms = 1761300000000,
        .k = 10,
        .version_text = "0.1.0"};
    if (c->calibrated) {
        m->calibration.kind = CALIBRATION_ISOTONIC;
        m->data.calibration = &m->calibration;
        float *raw = report_zeroed(rows, sizeof *raw);
        for (size_t i = 0; i < rows; i++)
            raw[i] = sqrtf(scores[0][i]);
        m->data.uncalibrated = raw;
    }
    if (c->sampled)
        report_make_sample(m, &random, utilities);
    report_make_trials(m, &random);
    m->data.trials = m->trials;
    m->data.trial_count = c->trials;
    free(utilities);
}

static inline void report_made_free(struct report_made *m)
{
    const void *const owned[] = {m->rows.first,
                                 m->rows.timestamps_ms,
                                 m->rows.users,
                                 m->rows.ids,
                                 m->rows.segments,
                                 m->rows.placements,
                                 m->rows.models,
                                 m->rows.variants,
                                 m->rows.versions,
                                 m->rows.shares,
                                 m->rows.user_seen,
                                 m->rows.sources,
                                 m->rows.labels,
                                 m->rows.places,
                                 m->rows.propensities,
                                 m->rows.scores,
                                 m->rows.propositions,
                                 m->rows.proposition_segments,
                                 m->rows.proposition_seen,
                                 m->scorers[0].scores,
                                 m->scorers[1].scores,
                                 m->scorers[2].scores,
                                 m->scorers[3].scores,
                                 m->data.uncalibrated,
                                 m->data.sample.values,
                                 m->data.sample.contributions,
                                 m->info.columns.items,
                                 m->trials,
                                 m->texts,
                                 m->text_starts};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free((void *)(uintptr_t)owned[i]);
    buf_free(&m->text);
}
