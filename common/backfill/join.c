#include "backfill/join.h"
#include "backfill/join_lists.h"
#include "backfill/join_queue.h"

#include <stdlib.h>

/* Whose ranking it is, and when. */
struct asked_id {
    struct str request_id, user_id;
    int64_t time_ms;
    bool is_scored;
};

struct join {
    struct join_opts opts;
    struct join_counts counts;
    struct join_queue queue;
    struct join_lists lists;
    int64_t now_ms;
    struct buf waiting; /* labels of this millisecond: impressions of it may follow */
    bool is_ended;
};

void join_free(struct join *j)
{
    if (!j)
        return;
    join_queue_free(&j->queue);
    join_lists_free(&j->lists);
    buf_free(&j->waiting);
    free(j);
}

int join_new(struct join **out, const struct join_opts *opts, struct err *e)
{
    struct join *j = calloc(1, sizeof *j);
    if (!j)
        return err_nomem(e);
    j->opts = *opts;
    j->now_ms = INT64_MIN;
    int rc = join_lists_init(&j->lists, e);
    if (!rc)
        rc = join_queue_init(&j->queue, opts->window_ms, e);
    if (rc)
        join_free(j);
    else
        *out = j;
    return rc;
}

struct str join_proposition(const struct join *j, uint32_t proposition)
{
    return table_key(table_get(j->lists.propositions, proposition));
}

/* ------------------------------------------------------------ impressions */

/* The candidates of the ranking get the places of the list at hand. */
static void place_candidates(struct join *j, struct asked *r)
{
    size_t met = 0, different = lists_mark_places(&j->lists);
    for (size_t i = 0; i < r->out.count; i++) {
        struct mark *m = lists_mark(&j->lists, propositions_of(r)[i]);
        if (!m)
            continue;
        places_of(r)[i] = m->place;
        met += !m->is_met;
        m->is_met = true;
    }
    j->counts.unknown_shown += different - met;
}

/* An impression whose request is not known: what it shows is what is ranked. */
static int add_impression(struct join *j, uint64_t number, const struct event *event,
                          int64_t time_ms, struct err *e)
{
    int rc = lists_read(&j->lists, &event->propositions, e);
    if (rc)
        return rc;
    lists_mark_places(&j->lists);
    size_t count = lists_keep_first(&j->lists);
    rc = queue_add(&j->queue, number, j->lists.numbers, count, time_ms, e);
    if (rc)
        return rc;
    struct asked *r = queue_newest(&j->queue);
    r->out.is_impression = true;
    for (size_t i = 0; i < count; i++)
        places_of(r)[i] = lists_mark(&j->lists, propositions_of(r)[i])->place;
    if (event->request_id.len)
        rc = queue_name(&j->queue, e);
    return rc ? rc : queue_show(&j->queue, j->queue.next - 1, event->user_id, time_ms, e);
}

static int show(struct join *j, uint64_t at, const struct event *event, int64_t time_ms,
                struct err *e)
{
    int rc = lists_read(&j->lists, &event->propositions, e);
    if (!rc && queue_at(&j->queue, at)->out.count == 0) {
        lists_mark_places(&j->lists);
        size_t count = lists_keep_first(&j->lists);
        rc = queue_set_candidates(&j->queue, at, j->lists.numbers, count, e);
        if (!rc)
            rc = lists_read(&j->lists, &event->propositions, e);
    }
    if (rc)
        return rc;
    place_candidates(j, queue_at(&j->queue, at));
    return queue_show(&j->queue, at, event->user_id, time_ms, e);
}

static int put_impression(struct join *j, uint64_t number, const struct event *event,
                          int64_t time_ms, struct err *e)
{
    uint64_t held = 0;
    if (event->request_id.len && queue_find(&j->queue, event->request_id, event->user_id, &held, e))
        return ERR_NOMEM;
    const struct asked *r = held ? queue_at(&j->queue, held - 1) : NULL;
    if (!r || time_ms > r->end_ms)
        return add_impression(j, number, event, time_ms, e);
    if (!r->out.is_shown)
        return show(j, held - 1, event, time_ms, e);
    j->counts.repeated_impressions++;
    return 0;
}

/* ------------------------------------------------------------ labels */

/* Whether the ranking shows the proposition at this time; if so, the label has happened to it. */
static bool meets(struct asked *r, uint32_t proposition, int rule, int64_t time_ms)
{
    bool met = false;
    if (!r->out.is_shown || time_ms < r->shown_ms || time_ms > r->end_ms)
        return false;
    for (size_t i = 0; i < r->out.count; i++)
        if (propositions_of(r)[i] == proposition && places_of(r)[i] >= 0) {
            happened_of(r)[i] |= 1u << rule;
            met = true;
        }
    return met;
}

/* The user's newest impression that shows it. Older ones than one that was taken off have ended. */
static bool meets_newest(struct join *j, struct str user_id, uint32_t proposition, int rule,
                         int64_t time_ms)
{
    uint64_t at = queue_shown(&j->queue, user_id);
    for (; at > j->queue.first; at = queue_at(&j->queue, at - 1)->older)
        if (meets(queue_at(&j->queue, at - 1), proposition, rule, time_ms))
            return true;
    return false;
}

/* Labels wait for the end of their millisecond. */
static int put_label(struct join *j, const struct event *event, int rule, struct err *e)
{
    buf_put_varint(&j->waiting, (uint64_t)rule);
    buf_put_u8(&j->waiting, event->request_id.len > 0);
    buf_put_sized(&j->waiting, event->user_id);
    buf_put_sized(&j->waiting, event->request_id);
    buf_put_varint(&j->waiting, event->propositions.count);
    for (size_t i = 0; i < event->propositions.count; i++)
        buf_put_sized(&j->waiting, event->propositions.items[i]);
    return buf_ok(&j->waiting) ? 0 : err_nomem(e);
}

static int meet_labels(struct join *j, struct err *e)
{
    struct cursor c = cursor_of(j->waiting.data, j->waiting.len);
    while (cursor_left(&c) && !c.bad) {
        int rule = (int)cursor_varint(&c);
        bool has_id = cursor_u8(&c);
        struct str user_id = cursor_sized(&c), request_id = cursor_sized(&c);
        uint64_t held = 0;
        if (has_id && queue_find(&j->queue, request_id, user_id, &held, e))
            return ERR_NOMEM;
        for (uint64_t n = cursor_varint(&c); n > 0; n--) {
            uint32_t p = table_find(j->lists.propositions, cursor_sized(&c));
            bool met = p == TABLE_NONE ? false
                       : has_id ? held && meets(queue_at(&j->queue, held - 1), p, rule, j->now_ms)
                                : meets_newest(j, user_id, p, rule, j->now_ms);
            j->counts.labels += met;
            j->counts.lost_labels += !met;
        }
    }
    buf_reset(&j->waiting);
    return 0;
}

static int move_to(struct join *j, int64_t time_ms, struct err *e)
{
    int rc = time_ms > j->now_ms && j->waiting.len ? meet_labels(j, e) : 0;
    j->now_ms = time_ms > j->now_ms ? time_ms : j->now_ms;
    return rc;
}

/* ------------------------------------------------------------ what is put */

/* What was shown of the old ranking, and what happened to it, goes over to the newest; the old one
 * stays in its place in the queue, as one that is nothing. */
static void take_over(struct join *j, uint64_t old_at)
{
    struct asked *old = queue_at(&j->queue, old_at), *r = queue_newest(&j->queue);
    lists_mark_numbers(&j->lists, propositions_of(old), old->out.count);
    for (size_t i = 0; i < r->out.count; i++) {
        const struct mark *m = lists_mark(&j->lists, propositions_of(r)[i]);
        if (m) {
            places_of(r)[i] = places_of(old)[m->place];
            happened_of(r)[i] = happened_of(old)[m->place];
        }
    }
    old->is_dropped = true;
    if (old->out.is_shown)
        queue_stand_in(&j->queue, old_at);
}

/* Where the impression came first: the request has its places, and its list where it named none. */
static int stand_behind(struct join *j, uint64_t impression_at, struct err *e)
{
    struct asked *old = queue_at(&j->queue, impression_at), *r = queue_newest(&j->queue);
    if (r->out.count == 0) {
        int rc = queue_set_candidates(&j->queue, j->queue.next - 1, propositions_of(old),
                                      old->out.count, e);
        if (rc)
            return rc;
        r = queue_newest(&j->queue);
    }
    r->out.is_early = true;
    lists_mark_numbers(&j->lists, propositions_of(old), old->out.count);
    for (size_t i = 0; i < r->out.count; i++) {
        const struct mark *m = lists_mark(&j->lists, propositions_of(r)[i]);
        if (m)
            places_of(r)[i] = places_of(old)[m->place];
    }
    old->request = j->queue.next;
    j->counts.early_impressions++;
    return 0;
}

/* What was logged stands for its request, and for an impression that came before it. */
static int stand_for(struct join *j, uint64_t old_at, struct str user_id, int64_t until_ms,
                     struct err *e)
{
    const struct asked *old = queue_at(&j->queue, old_at);
    if (old->request > j->queue.first)
        queue_at(&j->queue, old->request - 1)->is_dropped = true;
    queue_newest(&j->queue)->out.is_early = old->out.is_impression;
    queue_newest(&j->queue)->out.has_request = !old->out.is_impression || old->request;
    j->counts.replaced_requests++;
    take_over(j, old_at);
    return queue_log(&j->queue, user_id, until_ms, e);
}

/* A ranking at the end of the queue. *held: place + 1 of the one that has its id; 0: none. It was
 * not added where that is one of its kind already. */
static int put_ranking(struct join *j, uint64_t number, const struct asked_id *id,
                       const struct str_list *candidates, uint64_t *held, bool *is_added,
                       struct err *e)
{
    *is_added = false;
    int rc = move_to(j, id->time_ms, e);
    if (!rc)
        rc = queue_find(&j->queue, id->request_id, id->user_id, held, e);
    if (rc)
        return rc;
    const struct asked *old = *held ? queue_at(&j->queue, *held - 1) : NULL;
    if (old && (old->is_scored || (!id->is_scored && (!old->out.is_impression || old->request)))) {
        j->counts.repeated_requests++;
        return 0;
    }
    rc = lists_read(&j->lists, candidates, e);
    if (!rc)
        rc = queue_add(&j->queue, number, j->lists.numbers, candidates->count, id->time_ms, e);
    *is_added = !rc;
    return rc;
}

int join_request(struct join *j, uint64_t number, const struct rank_request *request, struct err *e)
{
    struct asked_id id = {request->request_id, request->user_id, request->timestamp, false};
    uint64_t held = 0;
    bool is_added;
    int rc = put_ranking(j, number, &id, &request->candidates, &held, &is_added, e);
    if (rc || !is_added)
        return rc;
    return held ? stand_behind(j, held - 1, e) : queue_name(&j->queue, e);
}

int join_scored(struct join *j, uint64_t number, const struct score_log *scored, int64_t until_ms,
                struct err *e)
{
    struct asked_id id = {scored->request_id, scored->user_id, scored->timestamp, true};
    uint64_t held = 0;
    bool is_added;
    int rc = put_ranking(j, number, &id, &scored->candidates, &held, &is_added, e);
    if (rc || !is_added)
        return rc;
    queue_newest(&j->queue)->is_scored = true;
    rc = queue_name(&j->queue, e);
    if (rc)
        return rc;
    return held ? stand_for(j, held - 1, id.user_id, until_ms, e)
                : queue_log(&j->queue, id.user_id, until_ms, e);
}

static int mark_close(struct join *j, const struct event *event, int64_t time_ms, struct err *e)
{
    uint64_t from = 0;
    if (event->request_id.len && queue_find(&j->queue, event->request_id, event->user_id, &from, e))
        return ERR_NOMEM;
    queue_mark_close(&j->queue, event->user_id, time_ms, from);
    return 0;
}

int join_event(struct join *j, uint64_t number, const struct event *event, int64_t time_ms,
               struct err *e)
{
    int rule, rc = move_to(j, time_ms, e);
    if (rc)
        return rc;
    rc = table_count(j->queue.logged) ? mark_close(j, event, time_ms, e) : 0;
    if (rc)
        return rc;
    if (labels_is_impression(j->opts.labels, event->event))
        return put_impression(j, number, event, time_ms, e);
    rule = labels_find(j->opts.labels, event->event);
    return rule < 0 ? 0 : put_label(j, event, rule, e);
}

int join_end(struct join *j, struct err *e)
{
    j->is_ended = true;
    return meet_labels(j, e);
}

/* ------------------------------------------------------------ what comes out */

void join_take(struct join *j)
{
    queue_take(&j->queue);
}

const struct joined *join_first(struct join *j)
{
    while (j->queue.first < j->queue.next && queue_at(&j->queue, j->queue.first)->is_dropped)
        join_take(j);
    struct asked *r = j->queue.first < j->queue.next ? queue_at(&j->queue, j->queue.first) : NULL;
    if (!r || (!j->is_ended && r->end_ms >= j->now_ms))
        return NULL;
    r->out.is_complete = r->end_ms < j->opts.log_end_ms;
    r->out.propositions = propositions_of(r);
    r->out.places = places_of(r);
    r->out.happened = happened_of(r);
    return &r->out;
}

struct join_counts join_counts(const struct join *j)
{
    return j->counts;
}

size_t join_open(const struct join *j)
{
    return (size_t)(j->queue.next - j->queue.first);
}
