/*
 * Dead letters back into their topics, once each, whatever ends it at whatever instant.
 *
 * In batches: repaired one by one, put on record, written in one transaction of Kafka, marked as
 * sent (replay_audit.h, replay_log.h). One thread.
 */
#pragma once

#include "repair.h"
#include "replay_audit.h"
#include "replay_log.h"

struct replay_told {
    int64_t sent;
    int64_t left;     /* by the repair command's own decision */
    int64_t failed;   /* it failed, or Kafka refused what it made */
    int64_t cut;      /* not all of them was kept */
    int64_t taken;    /* by another run */
    int64_t found;    /* sent by earlier runs that were ended before they knew */
    int64_t not_sent; /* claimed by earlier runs, but not sent: tried again */
};

struct letter_replay {
    const struct ctl *ctl;
    struct db *db; /* borrowed, as is the next */
    const struct letter_filter *filter;
    struct repair repair; /* command NULL: values go back as they are */
    char *topics;         /* of the fleet, as an array of PostgreSQL; owned */
    struct replay_told told;
    void (*each)(void *arg, int64_t done); /* after each letter */
    void (*say)(void *arg, const struct letter_place *p, const char *text);
    void *arg;
};

/* Borrows everything. Fails with ERR_NOMEM; to be freed in any case. */
int letter_replay_init(struct letter_replay *r, const struct ctl *c, struct db *d,
                       const struct letter_filter *f, struct err *e);
void letter_replay_free(struct letter_replay *r);

/* How many there are to be sent, how many that match were sent before, and how many rows are left
 * to be settled. Fails as db_query(). */
struct replay_count {
    int64_t due, sent, unsettled;
};
int letter_replay_count(struct letter_replay *r, struct replay_count *out, struct err *e);

/* Reads them all, repairs them, and sends nothing. Fails as db_query(), repair_run(). */
int letter_replay_rehearse(struct letter_replay *r, struct err *e);

/* Does it. Fails with ERR_FENCED, ERR_ABORTED (asked to stop: what was begun is done),
 * ERR_NOT_FOUND (as replay_log_find()), ERR_UNAVAILABLE, ERR_FATAL, ERR_IO, ERR_NOMEM. Run again,
 * it goes on. */
int letter_replay_run(struct letter_replay *r, struct err *e);
