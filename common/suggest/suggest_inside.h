/*
 * What a sample of records holds, as suggest.c collects it and the rest of suggest*.c reads it. Not
 * for others.
 */
#pragma once

#include "suggest/suggest.h"
#include "suggest/suggest_field.h"

#include "base/prng.h"

enum {
    IDS_MOST = 200000, /* users, propositions, requests that are told apart */
    EVENT_NAMES_MOST = 64,
    SAMPLE_SIZE = 2048,
};

/* Times or spans, a uniform sample of all (Vitter 1985, algorithm R). */
struct sample {
    int64_t *items; /* SAMPLE_SIZE; NULL while there is none */
    uint64_t seen;
};

/* Events of one name. */
struct seen_event {
    struct str name; /* owned */
    uint64_t count;
    uint64_t listing;     /* with propositions */
    uint64_t listed;      /* propositions in them */
    uint64_t valued;      /* with a value */
    uint64_t named;       /* with a request_id */
    uint64_t following;   /* with one that an earlier event has named */
    struct sample delays; /* of those, since the first that named it */
    struct fields context;
};

/* Flags of propositions: there is a record of it; an event or a request names it. */
enum { PROPOSITION_KNOWN = 1, PROPOSITION_NAMED = 2 };

struct suggest {
    struct suggest_opts opts;
    struct prng prng;
    struct seen_event *events; /* EVENT_NAMES_MOST */
    size_t event_count;
    uint64_t other_events; /* of names that were too long, or for which there was no room */
    uint64_t event_records, requests, candidates;
    uint64_t entities[2]; /* by side */
    struct fields attributes[2];
    struct fields context; /* of requests */
    size_t room;           /* for different values of fields */
    struct table *users;   /* tag: time of the user's newest event */
    struct table *propositions;
    struct table *request_ids; /* tag: time of the first event that named it */
    struct sample times;       /* of events */
    struct sample gaps;        /* between a user's events, where time passed */
    int64_t oldest_ms;         /* of events that the sample has not; INT64_MAX: none are known */
};

/* The value at a share (0 to 1) of a sample in order, 0 of an empty one. Fails with ERR_NOMEM. */
int sample_quantile(int64_t *out, const struct sample *s, double share, struct err *e);
