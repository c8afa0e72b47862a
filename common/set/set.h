/*
 * Training sets: requests with their candidates' vectors, labels, and what is needed to weigh and
 * judge them, on disk, readable without this project.
 *
 * A set is a directory: set.json (what it is: columns, fingerprints, definitions, labels, range,
 * counts of what was used and what was not), and part-000001.h5, part-000002.h5, ... in the order
 * of the requests' times. A part is an HDF5 file of columns:
 *
 *     /features/<name>     float32 a row, NaN is missing; in the order of set.json
 *     /rows/label          float32; NaN: not shown, so nothing is known
 *     /rows/place          int32, the place it was shown at from 0; -1: not shown, or not known
 *     /rows/propensity     float64, the probability that it stood at that place; NaN: not known
 *     /rows/score          float32, by what ranked it then; NaN: not known
 *     /rows/proposition    int32, its place in /propositions/id
 *     /rows/seen           uint32, how often an event named the proposition before the request
 *     /requests/...        id, user, timestamp, placement, rows, source, model, version, variant,
 *                          share, seen (accepted events of the user before), segments (a place in
 *                          /segments/json)
 *     /propositions/...    id, segments (a place in /segments/json); an id is there once for each
 *                          segments that it had
 *     /segments/json       JSON objects of texts, each once
 *
 * Values are not compressed: of RankLens gzip leaves a third, but takes 1.6 microseconds a row,
 * more than all of a backfill may. Texts are UTF-8 of one width a column, filled up with 0.
 * set.json says how many requests and rows each part has, and the XXH3 of its bytes: what was
 * damaged or changed is seen before it is read.
 *
 * A part is written beside its place and renamed when it is whole and on disk: whoever is killed
 * leaves whole parts. set.json is written last, so a set without one is unfinished.
 *
 * One thread an object (HDF5's library is used from one thread at a time). No clock.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "serde/records.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum set_source {
    SET_REPLAYED,   /* a request; its vectors were computed from the log */
    SET_LOGGED,     /* a request; its vectors are those of score.log */
    SET_IMPRESSION, /* an impression without a request that is known */
};

/* What a set is. Texts are borrowed from whoever made it. */
struct set_info {
    struct str_list columns; /* names of the values of the vector */
    struct str fingerprints; /* FINGERPRINT_BYTES each, of the feature of each column */
    struct str definitions;  /* the YAML text */
    struct str labels;       /* as they were said: click=1,convert=5 */
    struct str options;      /* how else it was made, as text: samples, names of events */
    int64_t label_window_ms;
    int64_t from_ms, to_ms; /* of requests: from <= time < to */
    struct str counts;      /* a JSON object: how much was read, used, and not used, and why */
};

/* A request and its candidates; arrays have `count` items, those of rows. */
struct set_request {
    struct str id, user_id, placement;
    int64_t timestamp_ms;
    enum set_source source;
    struct str model, variant; /* what ranked it; "" where that is not known */
    int64_t version;
    double share;        /* of such requests that were logged: 1 / share is its weight; else 1 */
    uint32_t seen;       /* accepted events of the user before it */
    struct str segments; /* a JSON object of texts: {"context.device": "tv", "user.tier": "gold"} */
    size_t count;
    const struct str *propositions;
    const struct str *proposition_segments; /* JSON objects: {"proposition.brand": "x"}; "" none */
    const float *vectors;                   /* count * columns */
    const float *labels;
    const int32_t *places;
    const double *propensities;
    const float *scores;
    const uint32_t *proposition_seen;
};

/* ---- Writing ---- */

struct set_writer;

/*
 * Makes the directory, or goes on in an unfinished set of the same info (counts apart), keeping its
 * whole parts: *kept says how many requests are in those already; they need not be put again. One
 * of another info is begun anew while no part of it is whole. Copies info. Fails with ERR_INVALID
 * (the directory has other files, a finished set, or whole parts of another info: says which and
 * what to do; or another process writes there), ERR_IO, ERR_NOMEM.
 */
int set_writer_new(struct set_writer **out, const char *dir, const struct set_info *info,
                   uint64_t *kept, struct err *e);
void set_writer_free(struct set_writer *w); /* NULL is fine; an unfinished part is removed */

/* The next request, in the order of time; copies. Memory held is bounded by some chunks of rows and
 * the ids of one part. Fails with ERR_IO (disk full: says which file), ERR_TOO_LARGE (over 2^31 - 1
 * candidates), ERR_NOMEM; after that nothing more can be put. */
int set_writer_put(struct set_writer *w, const struct set_request *r, struct err *e);

/* Parts end earlier than after 1,000,000 rows or 256 MiB, whichever is first; 0 leaves one as it
 * is. For tests: they have small ones. */
void set_writer_limit(struct set_writer *w, uint64_t rows, uint64_t bytes);

/* Ends the last part and writes set.json with these counts. Fails as set_writer_put(). */
int set_writer_finish(struct set_writer *w, struct str counts, struct err *e);

/* ---- Reading ---- */

struct set;

/*
 * What all requests are, by request and by row, in memory: about 70 bytes a request, 32 a row, and
 * each different text once. Owned by the set.
 */
struct set_rows {
    size_t request_count, row_count;
    const uint64_t *first; /* request_count + 1: rows of request i are first[i] to first[i + 1] */
    const int64_t *timestamps_ms;
    const uint32_t *users;    /* in texts, as are these */
    const uint32_t *ids;      /* of the requests */
    const uint32_t *segments; /* JSON */
    const uint32_t *placements, *models, *variants;
    const int64_t *versions;
    const double *shares;
    const uint32_t *user_seen;
    const uint8_t *sources;
    const float *labels;
    const int32_t *places;
    const double *propensities;
    const float *scores;
    const uint32_t *propositions; /* in texts */
    const uint32_t *proposition_segments;
    const uint32_t *proposition_seen;
    const struct str *texts;
    size_t text_count;
};

/* Opens a finished set and reads everything but the vectors. Fails with ERR_NOT_FOUND (no such
 * directory, or unfinished: says how to finish it), ERR_CORRUPT (a part is damaged or is not the
 * set's: names it), ERR_IO, ERR_NOMEM. */
int set_open(struct set **out, const char *dir, struct err *e);
void set_free(struct set *s); /* NULL is fine */

const struct set_info *set_info(const struct set *s);
const struct set_rows *set_rows(const struct set *s);

/*
 * The values of some columns (their places in info.columns) of rows from <= row < to, row after row
 * into out: (to - from) * count floats. Reads at most a part at a time. Fails with ERR_IO,
 * ERR_CORRUPT, ERR_NOMEM.
 */
int set_read(struct set *s, uint64_t from, uint64_t to, const size_t *columns, size_t count,
             float *out, struct err *e);
