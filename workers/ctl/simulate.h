/*
 * A simulated shop: its users, its propositions, and what happens in it, with the truth behind
 * every click known.
 *
 * Users come in visits (more in the evening and at weekends, UTC), look at lists of propositions on
 * a home page, on a genre's page or after a search, click with the probability that shop.h defines,
 * and sometimes convert or dismiss. A few events arrive late, a few arrive twice. Ids and times are
 * those of the records; the same options give the same items, on any machine with the same C
 * library (whose exp and log may differ in the last bit from others').
 *
 * One thread. No Kafka, no clock: time is simulated, from start_ms on, and the caller decides how
 * fast it passes. Memory grows with users and propositions, and with what is under way at a moment;
 * not with events.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "serde/records.h"

#include <stdint.h>

struct simulate; /* opaque */
struct shop;     /* ctl/shop.h */

struct simulate_opts {
    uint64_t seed;
    uint32_t users;        /* 1 to SIMULATE_USERS_MOST */
    uint32_t propositions; /* 1 to SIMULATE_PROPOSITIONS_MOST */
    uint64_t events;       /* the simulation ends behind so many, repeats included; 0: never */
    int64_t start_ms;      /* when the simulated time begins */
    double events_per_s;   /* of simulated time, a week's mean; 0: each user comes twice a day */
    uint32_t list_size;    /* 1 to SIMULATE_LIST_MOST; shorter where there is not enough to show */
    double late_share;     /* of events, 0 to 1: they arrive minutes to hours after they happened */
    double repeat_share;   /* of events, 0 to 1: the same record arrives once more, seconds later */
};

enum {
    SIMULATE_USERS_MOST = 10000000,
    SIMULATE_PROPOSITIONS_MOST = 1000000,
    SIMULATE_LIST_MOST = 200 /* as PAGE_LIST_MOST */
};

/* 1,000 users, 500 propositions, lists of 10, 0.5 % late, 0.2 % twice, endless, from 2025-01-01 on,
 * seed 1. */
extern const struct simulate_opts simulate_defaults;

struct simulate_item {
    enum simulate_kind { SIMULATE_END, SIMULATE_USER, SIMULATE_PROPOSITION, SIMULATE_EVENT } kind;
    int64_t arrival_ms; /* simulated time at which it is sent; never falls */
    union {
        struct entity entity;
        struct event event; /* its timestamp is not after its arrival */
    };
};

/* Copies opts. Fails with ERR_INVALID (says which option and what it may be), ERR_NOMEM. */
int simulate_new(struct simulate **out, const struct simulate_opts *opts, struct err *e);
void simulate_free(struct simulate *s); /* NULL is fine */

/*
 * The next item in order of arrival: all users, all propositions, then events; SIMULATE_END behind
 * the last, as often as it is asked. Texts and lists live in the arena. Fails with ERR_NOMEM; the
 * simulation cannot be continued then.
 */
int simulate_next(struct simulate *s, struct arena *a, struct simulate_item *item, struct err *e);

/* The shop behind it, which does not change and lives as long as the simulation. */
const struct shop *simulate_shop(const struct simulate *s);

/* The probability that this user clicks this proposition, once it is looked at; NaN for ids that
 * are not of this simulation. Inactive propositions have one too. */
double simulate_truth(const struct simulate *s, struct str user_id, struct str proposition_id,
                      int64_t time_ms);

/* The probability that a place of a list, from 0, is looked at on a device (mobile, desktop, tv);
 * NaN for another device. A click on it has the probability of truth times examination, at the time
 * of the impression. */
double simulate_examination(uint32_t place, struct str device);
