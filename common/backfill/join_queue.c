#include "backfill/join_queue.h"

#include <stdlib.h>

void join_queue_free(struct join_queue *q)
{
    for (uint64_t at = q->first; at < q->next; at++)
        free(queue_at(q, at));
    table_free(q->ids);
    table_free(q->users);
    table_free(q->logged);
    buf_free(&q->key);
    free(q->rankings);
    *q = (struct join_queue){0};
}

int join_queue_init(struct join_queue *q, int64_t window_ms, struct err *e)
{
    *q = (struct join_queue){
        .ids = table_new(), .users = table_new(), .logged = table_new(), .window_ms = window_ms};
    return q->ids && q->users && q->logged ? 0 : err_nomem(e);
}

static int64_t window_end(const struct join_queue *q, int64_t from_ms)
{
    int64_t end_ms;
    return __builtin_add_overflow(from_ms, q->window_ms, &end_ms) ? INT64_MAX : end_ms;
}

static int grow_queue(struct join_queue *q, struct err *e)
{
    size_t cap = q->cap ? q->cap * 2 : 256;
    struct asked **rankings = malloc(cap * sizeof *rankings);
    if (!rankings)
        return err_nomem(e);
    for (uint64_t at = q->first; at < q->next; at++)
        rankings[at & (cap - 1)] = queue_at(q, at);
    free(q->rankings);
    q->rankings = rankings;
    q->cap = cap;
    return 0;
}

static void set_candidates(struct asked *r, const uint32_t *propositions, size_t count)
{
    r->out.count = count;
    for (size_t i = 0; i < count; i++) {
        propositions_of(r)[i] = propositions[i];
        places_of(r)[i] = -1;
        happened_of(r)[i] = 0;
    }
}

int queue_add(struct join_queue *q, uint64_t number, const uint32_t *propositions, size_t count,
              int64_t time_ms, struct err *e)
{
    if (q->next - q->first == q->cap && grow_queue(q, e))
        return ERR_NOMEM;
    struct asked *r = malloc(sizeof *r + count * sizeof *r->lists);
    if (!r)
        return err_nomem(e);
    *r = (struct asked){.out = {.number = number},
                        .end_ms = window_end(q, time_ms),
                        .id = TABLE_NONE,
                        .user = TABLE_NONE,
                        .logged = TABLE_NONE};
    set_candidates(r, propositions, count);
    q->rankings[q->next++ & (q->cap - 1)] = r;
    return 0;
}

int queue_set_candidates(struct join_queue *q, uint64_t at, const uint32_t *propositions,
                         size_t count, struct err *e)
{
    struct asked *r = realloc(queue_at(q, at), sizeof *r + count * sizeof *r->lists);
    if (!r)
        return err_nomem(e);
    set_candidates(r, propositions, count);
    q->rankings[at & (q->cap - 1)] = r;
    return 0;
}

/* No request of another user is meant by the id. */
int queue_find(struct join_queue *q, struct str request_id, struct str user_id, uint64_t *held,
               struct err *e)
{
    buf_reset(&q->key);
    buf_put_sized(&q->key, user_id);
    buf_put_str(&q->key, request_id);
    if (!buf_ok(&q->key))
        return err_nomem(e);
    uint32_t id = table_find(q->ids, buf_str(&q->key));
    *held = id == TABLE_NONE ? 0 : (uint64_t)table_tag(table_get(q->ids, id));
    return 0;
}

int queue_name(struct join_queue *q, struct err *e)
{
    struct asked *r = queue_newest(q);
    r->id = table_insert(q->ids, buf_str(&q->key));
    if (r->id == TABLE_NONE)
        return err_nomem(e);
    struct table_entry *id = table_get(q->ids, r->id);
    if (table_tag(id))
        queue_at(q, (uint64_t)table_tag(id) - 1)->id = TABLE_NONE;
    table_set_tag(id, (int64_t)q->next);
    return 0;
}

int queue_show(struct join_queue *q, uint64_t at, struct str user_id, int64_t time_ms,
               struct err *e)
{
    struct asked *r = queue_at(q, at);
    r->user = table_insert(q->users, user_id);
    if (r->user == TABLE_NONE)
        return err_nomem(e);
    struct table_entry *user = table_get(q->users, r->user);
    r->older = (uint64_t)table_tag(user);
    table_set_tag(user, (int64_t)at + 1);
    r->out.is_shown = true;
    r->shown_ms = time_ms;
    r->end_ms = window_end(q, time_ms);
    return 0;
}

void queue_stand_in(struct join_queue *q, uint64_t at)
{
    struct asked *r = queue_newest(q), *old = queue_at(q, at);
    r->out.is_shown = true;
    r->shown_ms = old->shown_ms;
    r->end_ms = old->end_ms;
    old->out.is_shown = false;
    if (old->user == TABLE_NONE) /* a newer one has ended, so nobody looks for this one */
        return;
    r->older = old->older;
    r->user = old->user;
    old->user = TABLE_NONE;
    struct table_entry *user = table_get(q->users, r->user);
    if ((uint64_t)table_tag(user) == at + 1) {
        table_set_tag(user, (int64_t)q->next);
        return;
    }
    struct asked *newer = queue_at(q, (uint64_t)table_tag(user) - 1);
    while (newer->older != at + 1)
        newer = queue_at(q, newer->older - 1);
    newer->older = q->next;
}

uint64_t queue_shown(const struct join_queue *q, struct str user_id)
{
    uint32_t user = table_find(q->users, user_id);
    return user == TABLE_NONE ? 0 : (uint64_t)table_tag(table_get(q->users, user));
}

int queue_log(struct join_queue *q, struct str user_id, int64_t until_ms, struct err *e)
{
    struct asked *r = queue_newest(q);
    r->logged = table_insert(q->logged, user_id);
    if (r->logged == TABLE_NONE)
        return err_nomem(e);
    struct table_entry *user = table_get(q->logged, r->logged);
    r->logged_before = (uint64_t)table_tag(user);
    r->until_ms = until_ms;
    table_set_tag(user, (int64_t)q->next);
    return 0;
}

/* Those that are held by far longer than they are close to anything are not gone through. */
void queue_mark_close(struct join_queue *q, struct str user_id, int64_t time_ms, uint64_t from)
{
    uint32_t user = table_find(q->logged, user_id);
    uint64_t at = user == TABLE_NONE ? 0 : (uint64_t)table_tag(table_get(q->logged, user));
    for (; at > q->first; at = queue_at(q, at - 1)->logged_before) {
        struct asked *r = queue_at(q, at - 1);
        if (time_ms > r->until_ms)
            return;
        r->out.is_close |= at != from;
    }
}

/* The user's older impressions have ended, too: nobody looks for them any more. */
static void forget_older(struct join_queue *q, struct asked *r)
{
    while (r->older > q->first) {
        struct asked *next = queue_at(q, r->older - 1);
        r->older = 0;
        r = next;
        r->user = TABLE_NONE;
    }
    r->older = 0;
}

void queue_take(struct join_queue *q)
{
    struct asked *r = queue_at(q, q->first);
    if (r->id != TABLE_NONE)
        table_remove(q->ids, r->id);
    if (r->user != TABLE_NONE) {
        bool is_newest = (uint64_t)table_tag(table_get(q->users, r->user)) == q->first + 1;
        forget_older(q, r);
        if (is_newest)
            table_remove(q->users, r->user);
    }
    if (r->logged != TABLE_NONE &&
        (uint64_t)table_tag(table_get(q->logged, r->logged)) == q->first + 1)
        table_remove(q->logged, r->logged);
    free(r);
    q->first++;
}
