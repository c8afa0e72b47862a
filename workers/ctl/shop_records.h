/*
 * Users, propositions and events of the simulated shop as records of the topics.
 *
 * Texts and lists live in the arena. Functions fail with ERR_NOMEM. Any thread with an arena of its
 * own.
 */
#pragma once

#include "base/arena.h"
#include "ctl/page.h"
#include "ctl/pending.h"
#include "serde/records.h"

/* Ids are u0, u1, … and p0, p1, …. False if the text is not the id of one of the first `count`. */
bool shop_id_number(uint32_t *number, struct str id, char prefix, uint32_t count);

int shop_user_record(struct entity *out, const struct shop *s, uint32_t user, int64_t timestamp,
                     struct arena *a, struct err *e);
int shop_proposition_record(struct entity *out, const struct shop *s, uint32_t proposition,
                            int64_t timestamp, struct arena *a, struct err *e);

/* A proposition's title; data NULL: memory could not be had. */
struct str shop_title(const struct shop *s, uint32_t proposition, struct arena *a);

/* Ids of propositions. */
int shop_proposition_ids(struct str_list *out, const uint32_t *propositions, size_t count,
                         struct arena *a, struct err *e);

/* What a page asks: its id is prefix and number, its placement and context are the page's; the
 * caller gives it candidates, limit and times. */
int shop_request_record(struct rank_request *out, uint64_t number, uint32_t user,
                        const struct page *page, struct str prefix, struct arena *a, struct err *e);

/* The number in a request's id. False where the id is none of this prefix. */
bool shop_request_number(uint64_t *number, struct str id, struct str prefix);

/* p is not a PENDING_PAGE; page is its page, with the list if it is an impression. prefix begins
 * the ids of events and requests. */
int shop_event_record(struct event *out, const struct shop *s, const struct pending *p,
                      const struct page *page, struct str prefix, struct arena *a, struct err *e);
