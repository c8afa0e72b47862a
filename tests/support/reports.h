/*
 * Reports on a test part made by hand, whose metrics are known, and on ones made by chance. Include
 * after unit.h.
 */
#pragma once

#include "support/report_rows.h"

enum { REQUESTS = 40, CANDIDATES = 10 };

/* What a scorer gave the rows: constant for those who read a report's data, made here. */
static inline float *scores_of(struct report_made *m, size_t scorer)
{
    return (float *)(uintptr_t)m->scorers[scorer].scores;
}

static inline void put_row(struct report_made *m, size_t row, float label, float model, float rules)
{
    ((float *)(uintptr_t)m->rows.labels)[row] = label;
    scores_of(m, 0)[row] = model;
    scores_of(m, 1)[row] = rules;
}

/* 40 requests of 10 rows; every second user is of tier gold. Of those the model has the clicked row
 * first and the rules have it second; of the others the other way round. */
static inline void make_by_hand(struct report_made *m)
{
    const struct report_case small = {.seed = 1,
                                      .requests = REQUESTS,
                                      .candidates = CANDIDATES,
                                      .columns = 2,
                                      .values = 2,
                                      .base_rate = 0.5,
                                      .scorers = 2,
                                      .sampled = true};
    report_make(m, &small);
    uint32_t *segments = (uint32_t *)(uintptr_t)m->rows.segments;
    uint32_t *users = (uint32_t *)(uintptr_t)m->rows.users;
    uint32_t *seen = (uint32_t *)(uintptr_t)m->rows.user_seen;
    uint32_t *of_rows = (uint32_t *)(uintptr_t)m->rows.proposition_seen;
    for (size_t i = 0; i < REQUESTS; i++) {
        bool gold = i % 2 == 0;
        /* Texts 3 and 4 are of the first two kinds of users: gold, basic. */
        segments[i] = gold ? 3 : 4;
        users[i] = (uint32_t)i;
        seen[i] = i < 4 ? 0 : i < 12 ? 3 : 100;
        for (size_t j = 0; j < CANDIDATES; j++) {
            float below = 0.5f - 0.01f * (float)j;
            put_row(m, i * CANDIDATES + j, j == 0, j || gold ? below : 0.485f,
                    j || !gold ? below : 0.485f);
            of_rows[i * CANDIDATES + j] = 100;
        }
    }
}

/* Requests by chance, and two scorers that know nothing; how many, and of what, the test sets. */
static inline struct report_case ten_candidates(uint64_t seed)
{
    return (struct report_case){.seed = seed, .candidates = 10, .columns = 1, .scorers = 2};
}

static inline void assert_near(double got, double expected, double error)
{
    if (!(fabs(got - expected) <= error))
        fail_msg("%.17g is not %.17g", got, expected);
}

static inline struct report *make_report(const struct report_made *m)
{
    struct report *r = NULL;
    struct err e = {0};
    assert_int_equal(model_report_new(&r, &m->data, &e), 0);
    return r;
}

static inline const struct report_row *row_of(const struct report *r, const char *scorer,
                                              const char *segment, const char *metric)
{
    for (size_t i = 0; i < model_report_row_count(r); i++) {
        const struct report_row *row = &model_report_rows(r)[i];
        if (strcmp(row->scorer, scorer) == 0 && strcmp(row->segment, segment) == 0 &&
            strcmp(row->metric, metric) == 0)
            return row;
    }
    return NULL;
}

static inline const char *text_in(struct buf *b)
{
    buf_put_u8(b, 0);
    assert_true(buf_ok(b));
    return (const char *)b->data;
}
