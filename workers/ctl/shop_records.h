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

/* p is not a PENDING_PAGE; page is its page, with the list if it is an impression. prefix begins
 * the ids of events and requests. */
int shop_event_record(struct event *out, const struct shop *s, const struct pending *p,
                      const struct page *page, struct str prefix, struct arena *a, struct err *e);
