/* flotilla rank: a request, and the ranking that answers it. */
#include "admin.h"
#include "ctl.h"
#include "rank_print.h"
#include "rank_request.h"
#include "sender.h"

#include "base/clock.h"
#include "stream/kafka.h"
#include "stream/tail.h"

/* librdkafka wants a group, which stands before the slash, even where none is joined; this one is
 * of those that `status` needs a right to. */
static const char CLIENT_ID[] = "recorder/flotilla-rank";

enum { SLICE_MS = 50, WARM_UP_MS = 2000, POLL_RECORDS = 1000, MOST_TIMEOUT_MS = 600000 };

struct run {
    const struct ctl *ctl;
    struct rank_request request;
    struct arena arena;  /* of the request */
    struct arena answer; /* of a record of rankings: of the right one, once answered */
    struct ranking ranking;
    bool answered;
    int64_t timeout_ms;
    int64_t sent_us, took_us;
    struct tail *rankings;
    struct sender *sender;
};

/* ---- The answer ---- */

static int on_ranking(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct run *r = arg;
    struct err why = {0};
    struct ranking ranking;
    if (r->answered || !m->payload || !str_equal(str_bytes(m->key, m->key_len), r->request.user_id))
        return 0;
    int64_t now_us = clock_monotonic_us();
    arena_reset(&r->answer);
    struct str bytes = arena_copy(&r->answer, str_bytes(m->payload, m->len));
    int rc = bytes.data ? ctl_decode(r->ctl, &ranking, &ranking_type, bytes, &r->answer, &why)
                        : err_nomem(&why);
    if (rc == ERR_UNAVAILABLE || rc == ERR_NOMEM)
        return err_set(e, rc == ERR_NOMEM ? rc : ERR_FATAL, "%s", why.msg);
    /* What cannot be decoded is no answer of a ranker's. */
    if (rc || !str_equal(ranking.request_id, r->request.request_id))
        return 0;
    r->ranking = ranking;
    r->answered = true;
    r->took_us = now_us - r->sent_us;
    return 0;
}

static int poll_rankings(struct run *r, int wait_ms, struct err *e)
{
    int count;
    int rc = tail_poll(r->rankings, wait_ms, POLL_RECORDS, &count, e);
    return rc == ERR_UNAVAILABLE ? 0 : rc; /* librdkafka goes on by itself */
}

/* Where the answer will be: the partition of the user, from where it ends now. */
static int find_end(struct run *r, const char *topic, int *partition, int64_t *end, struct err *e)
{
    struct admin a;
    int64_t first;
    int n = 0;
    int rc = admin_open(&a, r->ctl->conf, e);
    if (!rc)
        rc = kafka_partition_count(a.rk, topic, ADMIN_TIMEOUT_MS, &n, e);
    if (!rc) {
        *partition = kafka_partition_of(r->request.user_id, n);
        rc = kafka_offsets(a.rk, topic, *partition, ADMIN_TIMEOUT_MS, &first, end, e);
    }
    admin_close(&a);
    return rc;
}

static int open_rankings(struct run *r, struct err *e)
{
    const char *topic = conf_topic(r->ctl->conf, "rankings");
    int64_t end = 0;
    int partition = 0;
    int rc = find_end(r, topic, &partition, &end, e);
    if (!rc)
        rc = tail_new(&r->rankings, r->ctl->conf, CLIENT_ID, on_ranking, r, e);
    if (!rc)
        rc = tail_add_from(r->rankings, topic, partition, end, e);
    if (!rc)
        rc = tail_start(r->rankings, e);
    /* Returns as soon as reading has begun: so it takes no part in the time that is told. */
    if (!rc)
        rc = poll_rankings(r, WARM_UP_MS, e);
    if (rc == ERR_UNAVAILABLE)
        err_wrap(e, "kafka.brokers=%s", conf_text(r->ctl->conf, "kafka.brokers"));
    return rc;
}

/* ---- The request ---- */

static int send_request(struct run *r, const struct topic *t, struct err *e)
{
    struct buf value = {0};
    rank_request_stamp(&r->request, r->ctl, clock_now_ms());
    codec_encode(r->ctl->codec, &value, conf_topic(r->ctl->conf, t->name), t->type, &r->request);
    struct sender_record out = {
        .topic = t, .key = r->request.user_id, .value = buf_str(&value), .number = 0};
    r->sent_us = clock_monotonic_us();
    int rc = buf_ok(&value) ? sender_put(r->sender, &out, e) : err_nomem(e);
    buf_free(&value);
    return rc;
}

static int nobody_answers(const struct run *r, struct err *e)
{
    return err_set(e, ERR_UNAVAILABLE,
                   "nothing came within %lld ms: see with `flotilla status` whether a ranker runs "
                   "and is ready, and with `flotilla dead-letters list` whether it refused the "
                   "request (%.*s)",
                   (long long)r->timeout_ms, STR_ARG(r->request.request_id));
}

static int wait_for_answer(struct run *r, struct err *e)
{
    int64_t until_us = r->sent_us + r->timeout_ms * 1000;
    int rc = 0;
    while (!rc && !r->answered) {
        rc = poll_rankings(r, SLICE_MS, e);
        sender_wait(r->sender, 0);
        if (!rc && !r->answered && sender_failed(r->sender) >= 0)
            rc = sender_flush(r->sender, e); /* says why */
        else if (!rc && !r->answered && ctl_stopping())
            rc = err_set(e, ERR_UNAVAILABLE, "interrupted before an answer came");
        else if (!rc && !r->answered && clock_monotonic_us() > until_us)
            rc = nobody_answers(r, e);
    }
    return rc;
}

static int ask(struct run *r, struct err *e)
{
    const struct topic *t = topics_find(r->ctl->conf, "rank.requests");
    int rc = open_rankings(r, e);
    if (!rc)
        rc = sender_new_prompt(&r->sender, r->ctl, e);
    if (!rc)
        rc = sender_open(r->sender, t, e);
    if (!rc)
        rc = send_request(r, t, e);
    return rc ? rc : wait_for_answer(r, e);
}

/* ---- The command ---- */

static void print_json(struct buf *b, const struct run *r)
{
    buf_put_text(b, "{\"request\":");
    value_print_json(b, codec_schema(r->ctl->codec, &rank_request_type), &r->request);
    buf_put_text(b, ",\"ranking\":");
    value_print_json(b, codec_schema(r->ctl->codec, &ranking_type), &r->ranking);
    buf_printf(b, ",\"milliseconds\":%.3f}\n", (double)r->took_us / 1000);
}

static int show(struct run *r, struct err *e)
{
    struct buf b = {0};
    if (ctl_option(r->ctl, "json"))
        print_json(&b, r);
    else
        rank_print(&b, &r->request, &r->ranking, r->took_us);
    int rc = ctl_print(&b, e);
    buf_free(&b);
    return rc;
}

static enum ctl_status rank(const struct ctl *c, struct err *e)
{
    struct run r = {.ctl = c};
    int rc = ctl_number(&r.timeout_ms, c, "timeout", RANK_TIMEOUT_MS, 1, MOST_TIMEOUT_MS, e);
    if (!rc)
        rc = rank_request_read(&r.request, c, &r.arena, e);
    enum ctl_status failed = rc == ERR_INVALID ? CTL_USAGE : CTL_FAILED;
    if (!rc)
        rc = ask(&r, e);
    if (!rc)
        rc = show(&r, e);
    sender_free(r.sender);
    tail_free(r.rankings);
    arena_free(&r.arena);
    arena_free(&r.answer);
    return rc ? failed : CTL_OK;
}

const struct command rank_command = {
    .name = "rank",
    .arguments = "--user ID",
    .purpose = "ask the rankers what to show to a user, and wait for the answer",
    .example = "flotilla rank --user u1 --limit 3 --context device=tv --explain\n"
               "         flotilla rank --user u1 --candidates p1,p2,p3 --placement home --json\n\n"
               "It goes the way of every request: through rank.requests to a ranker, and back "
               "through rankings",
    .options = {{"user", "ID", "whom to rank for"},
                {"candidates", "ID,ID...", "what to rank; else it is taken from the catalogue"},
                {"context", "NAME=VALUE",
                 "what is known of the moment; may be given several times"},
                {"placement", "NAME", "where it will be shown (default)"},
                {"limit", "N", "so many at most (10)"},
                {"as-of", "TIME",
                 "features as of 2025-01-01T12:00:00Z, or milliseconds since 1970 (now)"},
                {"deadline", "MS", "an answer is of use for so long"},
                {"explain", NULL, "show what moved each score, the largest first"},
                {"json", NULL, "{\"request\", \"ranking\", \"milliseconds\"} on one line"},
                {"timeout", "MS", "wait for the answer for so long (10000)"}},
    .run = rank,
};
