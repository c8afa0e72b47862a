/*
 * What a sample says as a whole: which event shows propositions, which answer it, over which time.
 *
 * Pure. Events belong to the sample.
 */
#pragma once

#include "suggest/suggest_inside.h"
#include "suggest/suggest_windows.h"

enum { RESPONSES_MOST = 4, OTHERS_MOST = 4 };

struct facts {
    struct time_span span;
    struct suggested_windows user_windows, proposition_windows, long_window;
    const struct seen_event *impression; /* NULL: no event looks like one */
    /* Events with propositions that answer it, by frequency: the first is what is learned. */
    const struct seen_event *responses[RESPONSES_MOST];
    bool is_refusal[RESPONSES_MOST]; /* by its name: nothing that a user should do more often */
    size_t response_count;
    const struct seen_event *others[OTHERS_MOST]; /* without propositions */
    size_t other_count;
    struct suggested_window label_window;
    uint64_t named_propositions, known_propositions; /* of those that events and requests name */
    double contributions_per_user; /* propositions shown to one, else answered by one */
};

/* Fails with ERR_NOMEM. */
int facts_of(struct facts *f, const struct suggest *s, struct err *e);

/* A name that can stand in a definition: UTF-8, no NUL, neither empty nor over 200 bytes. */
bool is_usable_name(struct str name);
