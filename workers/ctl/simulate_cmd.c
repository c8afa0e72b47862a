/* flotilla simulate: the simulated shop, into Kafka or into files. */
#include "ctl.h"
#include "grid.h"
#include "lines.h"
#include "sender.h"
#include "simulate.h"

#include "base/clock.h"
#include "base/json.h"
#include "feature/instant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { SLICE_MS = 50, MOST_RATE = 1000000, MOST_DAYS = 3650, STANDARD_DAYS = 7, STREAMS = 3 };

#define DAY_MS INT64_C(86400000)

/* Where the records of one topic go. */
struct stream {
    const struct topic *topic;
    FILE *file; /* NULL: Kafka */
    char path[512];
    int64_t count;
};

struct run {
    const struct ctl *ctl;
    struct simulate_opts opts;
    struct simulate *shop;
    struct sender *sender; /* NULL: files */
    struct stream streams[STREAMS];
    struct arena arena;
    struct buf line;
    struct progress progress;
    int64_t total;  /* records expected; -1: without end */
    int64_t rate;   /* of events that come live; 0: only a history */
    int64_t now_ms; /* when the run began: what was simulated before is history */
    int64_t live_since_us, live_count;
    int64_t until_ms; /* simulated time ends here; INT64_MAX: it does not */
    int64_t started_us;
};

/* ---- Options ---- */

static int read_start(struct run *r, int64_t now_ms, int64_t days, struct err *e)
{
    const char *start = ctl_option(r->ctl, "start");
    int64_t us;
    if (!start) {
        r->opts.start_ms = now_ms - days * DAY_MS;
        return 0;
    }
    if (r->rate)
        return err_set(e, ERR_INVALID,
                       "--start and --rate do not go together: with a rate, the "
                       "time is now; --days begins before it");
    if (!instant_parse_us(&us, str_of(start)))
        return err_set(e, ERR_INVALID,
                       "--start is \"%s\": give a date as 2025-01-01 or a time as "
                       "2025-01-01T12:00:00Z",
                       start);
    r->opts.start_ms = us / 1000;
    return 0;
}

/* With a rate, events come live, behind a history of --days if there are any; without one, there is
 * only a history, which ends now or begins at --start. */
static int read_options(struct run *r, int64_t now_ms, struct err *e)
{
    int64_t users, propositions, events, seed, days;
    const struct ctl *c = r->ctl;
    r->opts = simulate_defaults;
    int rc = ctl_number(&users, c, "users", r->opts.users, 1, SIMULATE_USERS_MOST, e);
    if (!rc)
        rc = ctl_number(&propositions, c, "propositions", r->opts.propositions, 1,
                        SIMULATE_PROPOSITIONS_MOST, e);
    if (!rc)
        rc = ctl_number(&events, c, "events", 0, 0, INT64_MAX, e);
    if (!rc)
        rc = ctl_number(&r->rate, c, "rate", 0, 0, MOST_RATE, e);
    if (!rc)
        rc = ctl_number(&seed, c, "seed", (int64_t)r->opts.seed, 0, INT64_MAX, e);
    if (!rc)
        rc = ctl_number(&days, c, "days", r->rate ? 0 : STANDARD_DAYS, 0, MOST_DAYS, e);
    r->now_ms = now_ms;
    if (!rc)
        rc = read_start(r, now_ms, days, e);
    if (rc)
        return rc;
    r->opts.users = (uint32_t)users;
    r->opts.propositions = (uint32_t)propositions;
    r->opts.events = (uint64_t)events;
    r->opts.seed = (uint64_t)seed;
    r->opts.events_per_s = (double)r->rate;
    if (!r->rate && events && days && !(ctl_option(c, "start") && !ctl_option(c, "days")))
        r->opts.events_per_s = (double)events / ((double)days * (double)DAY_MS / 1000);
    r->total = events ? users + propositions + events : -1;
    r->until_ms = r->rate ? INT64_MAX : now_ms;
    if (ctl_option(c, "start") && ctl_option(c, "days"))
        r->until_ms = r->opts.start_ms + days * DAY_MS;
    if (ctl_option(c, "start") && events)
        r->until_ms = INT64_MAX; /* exactly so many */
    return 0;
}

/* ---- Where it goes ---- */

static int open_file(struct stream *s, const char *folder, struct err *e)
{
    int n = snprintf(s->path, sizeof s->path, "%s/%s.jsonl", folder, s->topic->name);
    if (n >= (int)sizeof s->path)
        return err_set(e, ERR_INVALID, "--out is too long a path");
    s->file = fopen(s->path, "w");
    return s->file ? 0 : err_set(e, ERR_IO, "cannot write %s: %s", s->path, strerror(errno));
}

static int open_streams(struct run *r, struct err *e)
{
    static const char *const names[STREAMS] = {"users", "propositions", "events"};
    const char *folder = ctl_option(r->ctl, "out");
    int rc = 0;
    if (folder && mkdir(folder, 0777) && errno != EEXIST)
        return err_set(e, ERR_IO, "cannot make the folder %s: %s", folder, strerror(errno));
    if (!folder)
        rc = sender_new(&r->sender, r->ctl, e);
    for (int i = 0; i < STREAMS && !rc; i++) {
        r->streams[i].topic = topics_find(r->ctl->conf, names[i]);
        rc = folder ? open_file(&r->streams[i], folder, e)
                    : sender_open(r->sender, r->streams[i].topic, e);
    }
    return rc;
}

static int close_streams(struct run *r, int rc, struct err *e)
{
    struct err late = {0};
    for (int i = 0; i < STREAMS; i++)
        if (r->streams[i].file && fclose(r->streams[i].file) && !late.code)
            err_set(&late, ERR_IO, "cannot write %s: %s", r->streams[i].path, strerror(errno));
    if (r->sender)
        sender_flush(r->sender, &late);
    if (rc || !late.code)
        return rc;
    *e = late;
    return late.code;
}

static struct stream *stream_of(struct run *r, const struct simulate_item *item)
{
    return &r->streams[item->kind == SIMULATE_USER          ? 0
                       : item->kind == SIMULATE_PROPOSITION ? 1
                                                            : 2];
}

/* An entity and an event stand at the same place of the item; the key is the record's own. */
static int put(struct run *r, const struct simulate_item *item, struct err *e)
{
    struct stream *s = stream_of(r, item);
    buf_reset(&r->line);
    s->count++;
    if (s->file) {
        value_print_json(&r->line, codec_schema(r->ctl->codec, s->topic->type), &item->entity);
        buf_put_u8(&r->line, '\n');
        if (!buf_ok(&r->line))
            return err_nomem(e);
        if (fwrite(r->line.data, 1, r->line.len, s->file) != r->line.len)
            return err_set(e, ERR_IO, "cannot write %s: %s", s->path, strerror(errno));
        return 0;
    }
    bool is_event = item->kind == SIMULATE_EVENT;
    codec_encode(r->ctl->codec, &r->line, conf_topic(r->ctl->conf, s->topic->name), s->topic->type,
                 &item->entity);
    struct sender_record record = {
        .topic = s->topic,
        .key = is_event ? item->event.user_id : item->entity.id,
        .value = buf_str(&r->line),
        .timestamp_ms = is_event ? item->arrival_ms : 0,
    };
    return buf_ok(&r->line) ? sender_put(r->sender, &record, e) : err_nomem(e);
}

/* ---- The run ---- */

/* Until the next event is due. */
static void wait_turn(struct run *r)
{
    while (!ctl_stopping()) {
        double due_us = (double)r->live_since_us + (double)r->live_count * 1e6 / (double)r->rate;
        int64_t left_ms = (int64_t)(due_us - (double)clock_monotonic_us()) / 1000;
        if (left_ms <= 0)
            return;
        left_ms = left_ms < SLICE_MS ? left_ms : SLICE_MS;
        if (r->sender)
            sender_wait(r->sender, left_ms);
        else
            clock_sleep_ms(left_ms);
    }
}

/* From now on events come at the rate asked for, so simulated time, which has its quiet nights,
 * passes at a pace of its own; they happen when they are sent, or as much before as simulated. */
static void go_live(struct run *r, struct simulate_item *item)
{
    if (!r->live_since_us)
        r->live_since_us = clock_monotonic_us();
    wait_turn(r);
    r->live_count++;
    int64_t now_ms = clock_now_ms();
    item->event.timestamp += now_ms - item->arrival_ms;
    item->arrival_ms = now_ms;
}

static int run_shop(struct run *r, struct err *e)
{
    struct simulate_item item;
    int64_t done = 0;
    int rc = 0;
    while (!rc && !ctl_stopping()) {
        arena_reset(&r->arena);
        rc = simulate_next(r->shop, &r->arena, &item, e);
        if (rc || item.kind == SIMULATE_END || item.arrival_ms > r->until_ms)
            break;
        if (item.kind == SIMULATE_EVENT && r->rate && item.arrival_ms >= r->now_ms)
            go_live(r, &item);
        if (ctl_stopping())
            break;
        rc = put(r, &item, e);
        done++;
        progress_show(&r->progress, done, done, r->total);
    }
    return rc;
}

static void report(const struct run *r)
{
    char users[HUMAN_BYTES], propositions[HUMAN_BYTES], events[HUMAN_BYTES];
    double seconds = (double)(clock_monotonic_us() - r->started_us) / 1e6;
    printf("%s users, %s propositions, %s events %s in %.1f s (%.0f events/s)\n",
           human_count(users, r->streams[0].count), human_count(propositions, r->streams[1].count),
           human_count(events, r->streams[2].count), r->sender ? "sent" : "written", seconds,
           (double)r->streams[2].count / (seconds > 0.001 ? seconds : 0.001));
}

static enum ctl_status simulate(const struct ctl *c, struct err *e)
{
    struct run r = {.ctl = c};
    int rc = read_options(&r, clock_now_ms(), e);
    if (!rc)
        rc = simulate_new(&r.shop, &r.opts, e);
    if (!rc)
        rc = open_streams(&r, e);
    if (!rc) {
        r.started_us = clock_monotonic_us();
        progress_start(&r.progress, "records");
        rc = run_shop(&r, e);
        rc = close_streams(&r, rc, e);
        progress_end(&r.progress);
        report(&r);
    }
    sender_free(r.sender);
    simulate_free(r.shop);
    arena_free(&r.arena);
    buf_free(&r.line);
    return rc == ERR_INVALID ? CTL_USAGE : rc ? CTL_FAILED : CTL_OK;
}

const struct command simulate_command = {
    .name = "simulate",
    .arguments = "",
    .purpose = "a simulated shop: users, propositions and events with known truth behind them",
    .example = "flotilla simulate --users 10000 --events 1000000 --days 30\n"
               "         flotilla simulate --rate 500    (until Ctrl-C)\n\n"
               "The same options, --start among them, give the same records",
    .options = {{"users", "N", "how many (1000)"},
                {"propositions", "N", "how many (500)"},
                {"events", "N", "end after so many; 0, the default: no such end"},
                {"rate", "N",
                 "events a second, happening now, until Ctrl-C or --events. 0, the default: only a "
                 "history, as fast as possible"},
                {"days", "D",
                 "the history begins so long before now (7), and has about --events events; with "
                 "--rate, it comes first (0)"},
                {"start", "TIME",
                 "the history begins at this time instead, and has --events events"},
                {"seed", "N", "of the random numbers (1)"},
                {"out", "DIR",
                 "write DIR/users.jsonl, propositions.jsonl and events.jsonl instead"}},
    .run = simulate,
};
