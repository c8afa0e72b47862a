#include "simulate_requests.h"

#include "ctl/shop_records.h"
#include "ctl/shop_visits.h"
#include "ctl/simulate_gain.h"
#include "ctl/simulate_tally.h"

#include "base/clock.h"
#include "stream/tail.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    PATIENCE_MS = 1000,
    SLICE_MS = 50,
    POLL_RECORDS = 1000,
    LAST_WAIT_MS = 1000,
    EXAMPLE_ITEMS = 5,
    REPORT_US = 5000000,
    BEHIND_MOST_US = 1000000, /* what was not sent for longer is left out */
};

/* Its first part is the group that the tail reads under: one that `status` needs a right to. */
static const char CLIENT_ID[] = "recorder/flotilla-simulate";

struct requests {
    struct requests_opts opts;
    struct visits *visits;
    struct tail *rankings;
    struct arena arena;
    struct tally lately, total;
    struct gain *gain;
    struct buf example; /* what one user was shown lately */
    struct buf text;
    int64_t began_us, reported_us;
    int64_t paced_us, paced; /* so many requests were sent since then */
    int64_t unanswered;
};

/* ---- Answers ---- */

/* "u17         home: Hidden Glacier, Last Dragon": the first of its list. */
static int keep_example(struct requests *r, const struct event *impression, struct str placement,
                        struct err *e)
{
    const struct str_list *list = &impression->propositions;
    uint32_t proposition = 0;
    buf_printf(&r->example, "%-11.*s %.*s:", STR_ARG(impression->user_id), STR_ARG(placement));
    for (size_t i = 0; i < list->count && i < EXAMPLE_ITEMS; i++) {
        if (!shop_id_number(&proposition, list->items[i], 'p', r->opts.shop->proposition_count))
            continue;
        struct str title = shop_title(r->opts.shop, proposition, &r->arena);
        if (!title.data)
            return err_nomem(e);
        buf_printf(&r->example, "%s %.*s", i ? "," : "", STR_ARG(title));
    }
    buf_put_u8(&r->example, '\n');
    return buf_ok(&r->example) ? 0 : err_nomem(e);
}

static int show(struct requests *r, const struct ranking *answer, struct err *e)
{
    struct visits_shown shown;
    int64_t now_us = clock_monotonic_us(), now_ms = clock_now_ms();
    int rc = visits_show(r->visits, answer, now_ms, &r->arena, &shown, e);
    if (!rc)
        gain_add(r->gain, &shown);
    if (rc || !shown.is_expected)
        return rc;
    r->unanswered--;
    tally_answer(&r->lately, answer, now_us - shown.sent);
    tally_answer(&r->total, answer, now_us - shown.sent);
    if (!shown.is_seen)
        return 0;
    rc = simulate_out_put(r->opts.out, OUT_EVENTS, &shown.impression, shown.impression.user_id,
                          now_ms, e);
    if (!rc && r->example.len == 0)
        rc = keep_example(r, &shown.impression, answer->placement, e);
    return rc;
}

static int on_ranking(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct requests *r = arg;
    struct ranking answer;
    if (!m->payload)
        return 0;
    arena_reset(&r->arena);
    int rc = ctl_decode(r->opts.ctl, &answer, &ranking_type, str_bytes(m->payload, m->len),
                        &r->arena, e);
    if (rc)
        return err_wrap(e, "%s, partition %d, offset %lld", rd_kafka_topic_name(m->rkt),
                        m->partition, (long long)m->offset);
    return show(r, &answer, e);
}

/* ---- What is due ---- */

static int64_t request_due_us(const struct requests *r)
{
    return r->paced_us + (int64_t)((double)r->paced * 1e6 / (double)r->opts.per_s);
}

/* Right behind the request, on the same partition: both are answered from the same state. */
static int ask_twin(struct requests *r, const struct rank_request *q, struct err *e)
{
    struct rank_request twin;
    int rc = visits_twin(r->visits, q, &r->arena, &twin, e);
    return rc ? rc : simulate_out_put(r->opts.out, OUT_REQUESTS, &twin, twin.user_id, 0, e);
}

static int ask(struct requests *r, int64_t now_us, struct err *e)
{
    struct rank_request q;
    arena_reset(&r->arena);
    int rc = visits_ask(r->visits, clock_now_ms(), now_us, &r->arena, &q, e);
    if (!rc)
        rc = simulate_out_put(r->opts.out, OUT_REQUESTS, &q, q.user_id, 0, e);
    if (!rc && r->opts.twins)
        rc = ask_twin(r, &q, e);
    if (rc)
        return rc;
    r->unanswered++;
    tally_request(&r->lately);
    tally_request(&r->total);
    return 0;
}

static int ask_due(struct requests *r, struct err *e)
{
    int64_t now_us = clock_monotonic_us();
    int rc = 0;
    if (now_us - request_due_us(r) > BEHIND_MOST_US) {
        r->paced_us = now_us;
        r->paced = 0;
    }
    for (; !rc && request_due_us(r) <= now_us && !ctl_stopping(); r->paced++)
        rc = ask(r, clock_monotonic_us(), e);
    return rc;
}

static int act_due(struct requests *r, struct err *e)
{
    int64_t now_ms = clock_now_ms();
    struct event event;
    bool due = true;
    int rc = 0;
    while (!rc && due && !ctl_stopping()) {
        arena_reset(&r->arena);
        rc = visits_next(r->visits, now_ms, &r->arena, &due, &event, e);
        if (!rc && due)
            rc = simulate_out_put(r->opts.out, OUT_EVENTS, &event, event.user_id, now_ms, e);
    }
    return rc;
}

static int print(struct requests *r, const struct tally *t, int64_t us, struct err *e)
{
    tally_print(t, (double)us / 1e6, &r->text);
    gain_print(r->gain, &r->text);
    return ctl_print(&r->text, e);
}

static int report_due(struct requests *r, struct err *e)
{
    int64_t now_us = clock_monotonic_us();
    if (now_us - r->reported_us < REPORT_US)
        return 0;
    int rc = print(r, &r->lately, now_us - r->reported_us, e);
    if (!rc && r->example.len)
        rc = ctl_print(&r->example, e);
    buf_reset(&r->example);
    r->lately = (struct tally){0};
    r->reported_us = now_us;
    return rc;
}

/* Until the first of all that comes due, rounded up so as not to wake before it. */
static int wait_ms(const struct requests *r, int64_t until_us)
{
    int64_t next_us = request_due_us(r), left_ms;
    int64_t act_ms = visits_next_ms(r->visits), now_ms = clock_now_ms();
    next_us = next_us < until_us ? next_us : until_us;
    left_ms = (next_us - clock_monotonic_us() + 999) / 1000;
    if (act_ms < now_ms + left_ms)
        left_ms = act_ms - now_ms;
    return left_ms <= 0 ? 0 : left_ms < SLICE_MS ? (int)left_ms : SLICE_MS;
}

/* A cluster that is away is logged and comes back. */
static int read_answers(struct requests *r, int ms, struct err *e)
{
    struct err why = {0};
    int count, rc = tail_poll(r->rankings, ms, POLL_RECORDS, &count, &why);
    simulate_out_wait(r->opts.out, 0);
    if (!rc || rc == ERR_UNAVAILABLE)
        return 0;
    if (e)
        *e = why;
    return rc;
}

int requests_turn(struct requests *r, int64_t until_us, struct err *e)
{
    int rc;
    if (!r->paced_us)
        r->paced_us = r->reported_us = r->began_us = clock_monotonic_us();
    do {
        rc = ask_due(r, e);
        if (!rc)
            rc = act_due(r, e);
        if (!rc)
            rc = read_answers(r, wait_ms(r, until_us), e);
        if (!rc)
            rc = report_due(r, e);
    } while (!rc && !ctl_stopping() && clock_monotonic_us() < until_us);
    return rc;
}

/* ---- Beginning and end ---- */

static int open_rankings(struct requests *r, struct err *e)
{
    const struct ctl *c = r->opts.ctl;
    int rc = tail_new(&r->rankings, c->conf, CLIENT_ID, on_ranking, r, e);
    if (!rc)
        rc = tail_add_topic_end(r->rankings, conf_topic(c->conf, "rankings"), e);
    if (rc == ERR_UNAVAILABLE)
        err_wrap(e, "kafka.brokers=%s", conf_text(c->conf, "kafka.brokers"));
    return rc ? rc : tail_start(r->rankings, e);
}

int requests_new(struct requests **out, const struct requests_opts *opts, struct err *e)
{
    struct requests *r = calloc(1, sizeof *r);
    if (!r)
        return err_nomem(e);
    struct visits_opts visits = {.shop = opts->shop,
                                 .seed = opts->seed,
                                 .start_ms = opts->start_ms,
                                 .list_size = opts->list_size,
                                 .patience_ms = PATIENCE_MS,
                                 .twins = opts->twins};
    r->opts = *opts;
    int rc = visits_new(&r->visits, &visits, e);
    if (!rc)
        rc = gain_new(&r->gain, opts->shop->user_count, e);
    if (!rc)
        rc = open_rankings(r, e);
    if (rc)
        requests_free(r);
    else
        *out = r;
    return rc;
}

void requests_free(struct requests *r)
{
    if (!r)
        return;
    tail_free(r->rankings);
    visits_free(r->visits);
    gain_free(r->gain);
    arena_free(&r->arena);
    buf_free(&r->example);
    buf_free(&r->text);
    free(r);
}

int requests_end(struct requests *r, struct err *e)
{
    int64_t now_us = clock_monotonic_us(), until_us = now_us + LAST_WAIT_MS * INT64_C(1000);
    int rc = 0;
    if (!r->began_us)
        return 0;
    while (!rc && r->unanswered > 0 && clock_monotonic_us() < until_us)
        rc = read_answers(r, SLICE_MS, e);
    if (rc)
        return rc;
    buf_printf(&r->text, "\nall in all, %lld requests, %lld without an answer:\n",
               (long long)r->total.requests, (long long)r->unanswered);
    return print(r, &r->total, now_us - r->began_us, e);
}
