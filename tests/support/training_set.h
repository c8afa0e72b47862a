/*
 * A small training set on disk whose truth is known: what the label hangs on, and how.
 *
 * Include after unit.h. Requests a second apart, each with some rows of the columns of
 * TRAINING_COLUMNS: `taste` and `price` are what a label hangs on, `noise` is not, `empty` never
 * has a value, `same` always has the same one, `place` is the place shown (at serving 0), which
 * draws clicks as well.
 */
#pragma once

#include "feature/definition.h"
#include "set/set.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/prng.h"

enum { TRAINING_COLUMNS = 6, TRAINING_MOST_ROWS = 64 };

static const char training_definitions[] =
    "features:\n"
    "  - {name: taste, scope: proposition, attribute: {field: taste}}\n"
    "  - {name: price, scope: proposition, attribute: {field: price}}\n"
    "  - {name: noise, scope: proposition, attribute: {field: noise}}\n"
    "  - {name: empty, scope: proposition, attribute: {field: empty}}\n"
    "  - {name: same, scope: proposition, attribute: {field: same}}\n"
    "  - {name: place, scope: candidate, position: {at_serving: 0}}\n";

enum training_labels { LABELS_CLICKS, LABELS_GRADED, LABELS_NONE, LABELS_ALL, LABELS_REAL };

struct training_opts {
    size_t requests, rows;
    uint64_t seed;
    enum training_labels labels;
    double unlabelled; /* share of the rows */
    bool explored;     /* propensities below 1, and small in the lower half of a list */
    bool infinite;     /* a price now and then */
    bool one_time;     /* all requests */
};

static inline float training_label(struct prng *r, const struct training_opts *o, const float *row)
{
    double margin = 2 * (double)row[0] - (double)row[1] - 1.5 - 0.3 * (double)row[5];
    bool click = prng_unit(r) < 1 / (1 + exp(-margin));
    switch (o->labels) {
    case LABELS_CLICKS:
        return click ? 1 : 0;
    case LABELS_GRADED:
        return click ? (prng_unit(r) < 0.2 ? 6 : 1) : 0;
    case LABELS_NONE:
        return 0;
    case LABELS_ALL:
        return 1;
    case LABELS_REAL:
        break;
    }
    return (float)(10 + 3 * margin + prng_normal(r));
}

static inline void training_request(struct set_writer *w, struct prng *r,
                                    const struct training_opts *o, size_t i)
{
    float vectors[TRAINING_MOST_ROWS * TRAINING_COLUMNS], labels[TRAINING_MOST_ROWS],
        scores[TRAINING_MOST_ROWS];
    struct str propositions[TRAINING_MOST_ROWS], segments[TRAINING_MOST_ROWS];
    int32_t places[TRAINING_MOST_ROWS];
    double propensities[TRAINING_MOST_ROWS];
    uint32_t seen[TRAINING_MOST_ROWS];
    char names[TRAINING_MOST_ROWS][16], id[32], user[32];
    struct err e;
    for (size_t k = 0; k < o->rows; k++) {
        float *row = vectors + k * TRAINING_COLUMNS;
        row[0] = (float)prng_normal(r);
        row[1] = o->infinite && prng_below(r, 50) == 0 ? INFINITY : (float)prng_unit(r);
        row[2] = prng_below(r, 10) == 0 ? NAN : (float)prng_normal(r);
        row[3] = NAN;
        row[4] = 7;
        row[5] = (float)k;
        labels[k] = prng_unit(r) < o->unlabelled ? NAN : training_label(r, o, row);
        places[k] = (int32_t)k;
        propensities[k] = !o->explored ? 1 : k < o->rows / 2 ? 0.9 : 0.01;
        scores[k] = -(float)k;
        seen[k] = (uint32_t)(k * 10);
        snprintf(names[k], sizeof names[k], "p%zu", (size_t)prng_below(r, 200));
        propositions[k] = str_of(names[k]);
        segments[k] = str_of("");
    }
    snprintf(id, sizeof id, "r%zu", i);
    snprintf(user, sizeof user, "u%zu", i % 97);
    struct set_request request = {.id = str_of(id),
                                  .user_id = str_of(user),
                                  .placement = str_of("home"),
                                  .timestamp_ms =
                                      1700000000000 + (o->one_time ? 0 : (int64_t)i * 1000),
                                  .source = SET_REPLAYED,
                                  .model = str_of(""),
                                  .variant = str_of(""),
                                  .share = 1,
                                  .seen = (uint32_t)(i / 97),
                                  .segments = str_of("{\"context.device\":\"tv\"}"),
                                  .count = o->rows,
                                  .propositions = propositions,
                                  .proposition_segments = segments,
                                  .vectors = vectors,
                                  .labels = labels,
                                  .places = places,
                                  .propensities = propensities,
                                  .scores = scores,
                                  .proposition_seen = seen};
    assert_int_equal(set_writer_put(w, &request, &e), 0);
}

/* Writes it into dir, which is not there yet. */
static inline void training_write(const char *dir, const struct training_opts *o)
{
    struct feature_set *definitions;
    struct set_writer *w;
    struct str columns[TRAINING_COLUMNS];
    uint8_t prints[TRAINING_COLUMNS * FINGERPRINT_BYTES];
    struct prng r;
    uint64_t kept;
    struct err e;
    assert_int_equal(feature_set_parse(&definitions, "test", str_of(training_definitions), &e), 0);
    assert_int_equal(definitions->output_count, TRAINING_COLUMNS);
    for (size_t i = 0; i < TRAINING_COLUMNS; i++) {
        columns[i] = str_of(definitions->outputs[i].name);
        memcpy(prints + i * FINGERPRINT_BYTES, definitions->outputs[i].feature->fingerprint,
               FINGERPRINT_BYTES);
    }
    struct set_info info = {.columns = {columns, TRAINING_COLUMNS},
                            .fingerprints = str_bytes(prints, sizeof prints),
                            .definitions = str_of(training_definitions),
                            .labels = str_of("click=1"),
                            .label_window_ms = 1800000,
                            .from_ms = 1700000000000,
                            .to_ms = 1800000000000,
                            .counts = str_of("{}")};
    prng_seed(&r, o->seed);
    if (set_writer_new(&w, dir, &info, &kept, &e))
        fail_msg("%s", e.msg);
    for (size_t i = 0; i < o->requests; i++)
        training_request(w, &r, o, i);
    assert_int_equal(set_writer_finish(w, str_of("{}"), &e), 0);
    set_writer_free(w);
    feature_set_free(definitions);
}

/* A directory's name that is not there yet; training_remove() takes it away with its files. */
static inline void training_directory(char path[64])
{
    snprintf(path, 64, "/tmp/flotilla-fit-XXXXXX");
    assert_non_null(mkdtemp(path));
}

static inline void training_remove(const char *dir)
{
    char path[400];
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *f; (f = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", dir, f->d_name);
        unlink(path);
    }
    closedir(d);
    assert_int_equal(rmdir(dir), 0);
}
