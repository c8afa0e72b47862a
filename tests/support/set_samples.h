/*
 * Requests for tests of training sets: the i-th is the same in every run, and each value of a row
 * can be told without having written it.
 *
 * Include after unit.h.
 */
#pragma once

#include "base/prng.h"
#include "set/set.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLE_COLUMNS = 5, SAMPLE_MOST_ROWS = 9, SAMPLE_TEXT = 96 };

/* A request with all that it borrows. */
struct sample {
    struct set_request request;
    char id[SAMPLE_TEXT], user[SAMPLE_TEXT], segments[SAMPLE_TEXT];
    char propositions[SAMPLE_MOST_ROWS][SAMPLE_TEXT];
    char proposition_segments[SAMPLE_MOST_ROWS][SAMPLE_TEXT];
    struct str ids[SAMPLE_MOST_ROWS], id_segments[SAMPLE_MOST_ROWS];
    float vectors[SAMPLE_MOST_ROWS * SAMPLE_COLUMNS], labels[SAMPLE_MOST_ROWS];
    float scores[SAMPLE_MOST_ROWS];
    int32_t places[SAMPLE_MOST_ROWS];
    double propensities[SAMPLE_MOST_ROWS];
    uint32_t seen[SAMPLE_MOST_ROWS];
};

/* What the sets of tests are. */
static inline struct set_info sample_info(void)
{
    static struct str names[SAMPLE_COLUMNS] = {
        {"price", 5}, {"clicks_1h", 9}, {"größe", 7}, {"a b", 3}, {"taste", 5}};
    static char prints[SAMPLE_COLUMNS * 8];
    for (size_t i = 0; i < sizeof prints; i++)
        prints[i] = (char)(i * 37);
    return (struct set_info){.columns = {names, SAMPLE_COLUMNS},
                             .fingerprints = {prints, sizeof prints},
                             .definitions = str_of("features:\n  - {name: \"größe\"}\n"),
                             .labels = str_of("click=1,convert=5"),
                             .options = str_of("sample 0.5"),
                             .label_window_ms = 86400000,
                             .from_ms = -5,
                             .to_ms = 1700000000000,
                             .counts = str_of("{}")};
}

static inline void sample_row(struct sample *s, struct prng *r, size_t row)
{
    uint32_t proposition = prng_below(r, 40);
    snprintf(s->propositions[row], SAMPLE_TEXT, "p%u", proposition);
    /* An attribute that changes: the same proposition has one or the other. */
    snprintf(s->proposition_segments[row], SAMPLE_TEXT, "{\"proposition.brand\":\"%u\"}",
             (proposition + prng_below(r, 2)) % 7);
    s->ids[row] = str_of(s->propositions[row]);
    s->id_segments[row] = str_of(prng_below(r, 5) ? s->proposition_segments[row] : "");
    for (size_t c = 0; c < SAMPLE_COLUMNS; c++)
        s->vectors[row * SAMPLE_COLUMNS + c] = prng_below(r, 6) ? (float)prng_normal(r) : NAN;
    s->labels[row] = prng_below(r, 3) ? (float)prng_below(r, 2) : NAN;
    s->places[row] = (int32_t)prng_below(r, 30) - 1;
    s->propensities[row] = prng_below(r, 2) ? prng_unit(r) : NAN;
    s->scores[row] = (float)prng_unit(r);
    s->seen[row] = prng_below(r, 4) ? prng_below(r, 100) : UINT32_MAX;
}

static inline void sample_make(struct sample *s, uint64_t i)
{
    struct prng r;
    prng_seed(&r, i);
    snprintf(s->id, sizeof s->id, "request-%llu", (unsigned long long)i);
    snprintf(s->user, sizeof s->user, "üser %u", prng_below(&r, 20));
    snprintf(s->segments, sizeof s->segments, "{\"user.tier\":\"%u\"}", prng_below(&r, 3));
    bool is_logged = prng_below(&r, 2);
    s->request = (struct set_request){.id = str_of(s->id),
                                      .user_id = str_of(s->user),
                                      .placement = str_of(i % 3 ? "home" : ""),
                                      .timestamp_ms = (int64_t)i * 1000 - 3000,
                                      .source = is_logged ? SET_LOGGED : SET_REPLAYED,
                                      .model = str_of(is_logged ? "shop" : ""),
                                      .variant = str_of(is_logged ? "champion" : ""),
                                      .version = is_logged ? (int64_t)i : 0,
                                      .share = is_logged ? 0.25 : 1,
                                      .seen = prng_below(&r, 1000),
                                      .segments = str_of(s->segments),
                                      .count = prng_below(&r, SAMPLE_MOST_ROWS + 1),
                                      .propositions = s->ids,
                                      .proposition_segments = s->id_segments,
                                      .vectors = s->vectors,
                                      .labels = s->labels,
                                      .places = s->places,
                                      .propensities = s->propensities,
                                      .scores = s->scores,
                                      .proposition_seen = s->seen};
    for (size_t row = 0; row < s->request.count; row++)
        sample_row(s, &r, row);
}

static inline void assert_text(const struct set_rows *rows, uint32_t number, struct str expected)
{
    assert_true(number < rows->text_count);
    struct str got = rows->texts[number];
    if (!str_equal(got, expected))
        fail_msg("expected %.*s, got %.*s", STR_ARG(expected), STR_ARG(got));
}

/* Of request `at`, all but its rows. */
static inline void assert_sample_request(const struct set_rows *rows, size_t at,
                                         const struct set_request *r)
{
    assert_text(rows, rows->ids[at], r->id);
    assert_text(rows, rows->users[at], r->user_id);
    assert_text(rows, rows->placements[at], r->placement);
    assert_text(rows, rows->models[at], r->model);
    assert_text(rows, rows->variants[at], r->variant);
    assert_text(rows, rows->segments[at], r->segments);
    assert_int_equal(rows->timestamps_ms[at], r->timestamp_ms);
    assert_int_equal(rows->versions[at], r->version);
    assert_int_equal(rows->sources[at], r->source);
    assert_int_equal(rows->user_seen[at], r->seen);
    assert_true(rows->shares[at] == r->share);
    assert_int_equal(rows->first[at + 1] - rows->first[at], r->count);
}

/* Request `at` of the set is this one, bit for bit; its vectors too. */
static inline void assert_sample(struct set *set, size_t at, const struct sample *s)
{
    static const size_t columns[SAMPLE_COLUMNS] = {0, 1, 2, 3, 4};
    const struct set_rows *rows = set_rows(set);
    const struct set_request *r = &s->request;
    float vectors[SAMPLE_MOST_ROWS * SAMPLE_COLUMNS];
    struct err e = {0};
    assert_sample_request(rows, at, r);
    uint64_t first = rows->first[at];
    for (size_t i = 0; i < r->count; i++) {
        assert_text(rows, rows->propositions[first + i], r->propositions[i]);
        assert_text(rows, rows->proposition_segments[first + i], r->proposition_segments[i]);
    }
    assert_memory_equal(rows->labels + first, r->labels, r->count * sizeof(float));
    assert_memory_equal(rows->scores + first, r->scores, r->count * sizeof(float));
    assert_memory_equal(rows->places + first, r->places, r->count * sizeof(int32_t));
    assert_memory_equal(rows->propensities + first, r->propensities, r->count * sizeof(double));
    assert_memory_equal(rows->proposition_seen + first, r->proposition_seen,
                        r->count * sizeof(uint32_t));
    if (set_read(set, first, first + r->count, columns, SAMPLE_COLUMNS, vectors, &e))
        fail_msg("%s", e.msg);
    assert_memory_equal(vectors, r->vectors, r->count * SAMPLE_COLUMNS * sizeof(float));
}

/* Puts requests from <= i < to; returns the first code that is not 0. */
static inline int sample_put(struct set_writer *w, uint64_t from, uint64_t to, struct err *e)
{
    struct sample s;
    int rc = 0;
    for (uint64_t i = from; !rc && i < to; i++) {
        sample_make(&s, i);
        rc = set_writer_put(w, &s.request, e);
    }
    return rc;
}

/* Goes on in the set of these requests, and finishes it. Parts have so many rows. */
static inline int sample_write(const char *dir, uint64_t count, uint64_t part_rows, struct err *e)
{
    const struct set_info info = sample_info();
    struct set_writer *w = NULL;
    uint64_t kept = 0;
    int rc = set_writer_new(&w, dir, &info, &kept, e);
    if (rc)
        return rc;
    set_writer_limit(w, part_rows, 0);
    rc = sample_put(w, kept, count, e);
    if (!rc)
        rc = set_writer_finish(w, str_of("{\"requests\":{\"used\":3}}"), e);
    set_writer_free(w);
    return rc;
}

/* The set has just these requests. */
static inline void assert_samples(const char *dir, uint64_t count)
{
    struct set *set = NULL;
    struct err e = {0};
    struct sample s;
    if (set_open(&set, dir, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(set_rows(set)->request_count, count);
    for (uint64_t i = 0; i < count; i++) {
        sample_make(&s, i);
        assert_sample(set, i, &s);
    }
    set_free(set);
}
