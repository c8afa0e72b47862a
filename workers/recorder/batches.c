#include "recorder/inside.h"

#include "base/clock.h"
#include "base/log.h"
#include "stream/kafka.h"

enum {
    MARKS_INTERVAL_US = 1000000,
    BATCH_MAX_BYTES = 48 * 1024 * 1024,
    BATCH_FIRST_ROWS = 10000,
    BATCH_LEAST_ROWS = 500,
    BATCH_SHORT_US = 400000,
    BATCH_LONG_US = 1000000,
};

void recorder_let_go(struct recorder *r)
{
    if (!r->held)
        return;
    rd_kafka_message_destroy(r->held);
    r->held = NULL;
    outage_ends(&r->registry);
}

/* Forgets what is not in PostgreSQL: it will be read again. Nothing may be under way. */
static void drop_batches(struct recorder *r)
{
    flight_drop(r->flight);
    partitions_rewind(&r->partitions);
    recorder_let_go(r);
}

/* Another recorder has the partitions: what is at hand is theirs to write, and our place in the
 * group is out of date.
 */
static void lose_claim(struct recorder *r, const struct err *why)
{
    LOG_WARN("fenced", LOG_ERR(why), LOG_INT("records_dropped", flight_records(r->flight)));
    metric_add(r->fenced, 1);
    drop_batches(r);
    r->phase = PHASE_IDLE;
    r->rejoin = true;
}

int recorder_flow(struct recorder *r, struct err *e)
{
    r->phase = r->flooded ? PHASE_FLOODED : PHASE_FLOW;
    if (r->flooded)
        return kafka_halt(r->rk, e);
    return partitions_fetch(&r->partitions, r->rk, e);
}

int64_t recorder_batch_left_us(const struct recorder *r, int64_t now_us)
{
    int64_t left = INT64_MAX;
    if (batch_records(flight_batch(r->flight)))
        left = r->batch_since_us + r->batch_interval_us - now_us;
    else if (r->marks_since_us)
        left = r->marks_since_us + MARKS_INTERVAL_US - now_us;
    return left > 0 ? left : 0;
}

bool recorder_batch_is_full(const struct recorder *r)
{
    const struct batch *b = flight_batch(r->flight);
    return batch_records(b) >= r->batch_rows || batch_bytes(b) >= BATCH_MAX_BYTES;
}

static bool batch_is_due(const struct recorder *r, int64_t now_us)
{
    return recorder_batch_left_us(r, now_us) == 0 || recorder_batch_is_full(r);
}

/*
 * The more rows in a batch, the cheaper is each of them: fewer commits, and of a key's rows only
 * the last is written. But a statement that takes longer than postgres.timeout_ms allows can never
 * succeed. So batches grow while PostgreSQL takes them at once, and shrink when it takes long.
 */
static void adapt(struct recorder *r, const struct landing *l)
{
    size_t rows = r->batch_rows;
    if (l->took_us > BATCH_LONG_US)
        rows = rows / 2 > BATCH_LEAST_ROWS ? rows / 2 : BATCH_LEAST_ROWS;
    else if (l->took_us < BATCH_SHORT_US && l->records >= rows)
        rows *= 2;
    r->batch_rows = rows < r->batch_most ? rows : r->batch_most;
}

void recorder_batches_begin(struct recorder *r, size_t most_rows)
{
    r->batch_most = most_rows;
    r->batch_rows = most_rows < BATCH_FIRST_ROWS ? most_rows : BATCH_FIRST_ROWS;
}

/* Sees how the batch that is under way got on. 0 also where it has to wait or was lost: the phase
 * says so. */
static int land(struct recorder *r, int wait_ms, struct err *e)
{
    struct err why = {0};
    struct landing l;
    bool was_stuck = r->phase == PHASE_STUCK;
    int rc = flight_land(r->flight, &r->partitions, wait_ms, &l, &why);
    if (l.landed) {
        adapt(r, &l);
        outage_ends(&r->postgres);
        return was_stuck ? recorder_flow(r, e) : 0;
    }
    if (rc == ERR_UNAVAILABLE) {
        outage_goes_on(&r->postgres, &why);
        recorder_let_go(r);
        r->phase = PHASE_STUCK;
        return was_stuck ? 0 : kafka_halt(r->rk, e);
    }
    if (rc == ERR_FENCED) {
        lose_claim(r, &why);
        return 0;
    }
    if (rc)
        *e = why;
    return rc;
}

int recorder_commit(struct recorder *r, struct err *e)
{
    /* A batch that is full waits for the one before, and nothing more is read meanwhile. */
    bool wait = r->phase == PHASE_FLOW && recorder_batch_is_full(r);
    int rc = land(r, wait ? TURN_MS : 0, e);
    if (rc || r->phase < PHASE_FLOW)
        return rc;
    if (r->phase == PHASE_STUCK)
        flight_retry(r->flight);
    if (flight_is_out(r->flight) || !batch_is_due(r, clock_monotonic_us()))
        return 0;
    r->marks_since_us = 0;
    return flight_start(r->flight, &r->partitions, e);
}

void recorder_commit_last(struct recorder *r)
{
    struct err e = {0};
    size_t records = flight_records(r->flight);
    flight_retry(r->flight);
    int rc = flight_land(r->flight, &r->partitions, -1, NULL, &e);
    if (!rc && batch_records(flight_batch(r->flight))) {
        rc = flight_start(r->flight, &r->partitions, &e);
        if (!rc)
            rc = flight_land(r->flight, &r->partitions, -1, NULL, &e);
    }
    if (rc && records)
        LOG_WARN("batch_dropped", LOG_ERR(&e), LOG_INT("records", flight_records(r->flight)));
    drop_batches(r);
}
