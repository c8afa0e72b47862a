#include "recorder/inside.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "stream/kafka.h"

/* Called from within a poll. */
static void on_assign(struct recorder *r, const rd_kafka_topic_partition_list_t *list)
{
    LOG_INFO("assigned", LOG_INT("partitions", list->cnt));
    r->flooded = false;
    r->home = (struct home){0};
    int rc = partitions_set(&r->partitions, list, r->names, &r->failure);
    /* Where to start is PostgreSQL's to say, which may be away: until then nothing is fetched. */
    if (!rc)
        kafka_halt(r->rk, &r->failure);
    r->phase = PHASE_CLAIM;
    FAILPOINT("recorder.group.assigned");
}

/* Called from within a poll, and from closing. What is at hand is written, or the next owner has to
 * read it again. */
static void on_revoke(struct recorder *r)
{
    LOG_INFO("revoked", LOG_INT("partitions", r->partitions.count),
             LOG_TEXT("lost", rd_kafka_assignment_lost(r->rk) ? "yes" : "no"));
    FAILPOINT("recorder.revoke.before_commit");
    recorder_commit_last(r);
    FAILPOINT("recorder.revoke.committed");
    partitions_clear(&r->partitions);
    rd_kafka_assign(r->rk, NULL);
    FAILPOINT("recorder.revoke.released");
    r->phase = PHASE_IDLE;
    if (worker_state(r->env) == WORKER_RUN)
        worker_become(r->env, WORKER_RESTORE);
}

void recorder_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                           rd_kafka_topic_partition_list_t *list, void *arg)
{
    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        on_assign(arg, list);
    else
        on_revoke(arg);
}

int recorder_join(struct recorder *r, struct err *e)
{
    int rc = group_find_topics(r->rk, r->names, e);
    if (rc == ERR_UNAVAILABLE) {
        outage_goes_on(&r->kafka, e);
        clock_sleep_ms(TURN_MS);
        return 0;
    }
    if (rc || (rc = group_subscribe(r->rk, r->names, e)))
        return rc;
    outage_ends(&r->kafka);
    worker_say(r->env, "joining the group");
    worker_become(r->env, WORKER_RESTORE);
    r->phase = PHASE_IDLE;
    return 0;
}

int recorder_rejoin(struct recorder *r, struct err *e)
{
    r->rejoin = false;
    FAILPOINT("recorder.rejoin.before");
    rd_kafka_unsubscribe(r->rk);
    FAILPOINT("recorder.rejoin.left");
    return group_subscribe(r->rk, r->names, e);
}

/* 0 also where a server is away, which shows in *waits. */
static int wait_for(struct outage *o, int rc, bool *waits, struct err *e)
{
    *waits = rc == ERR_UNAVAILABLE;
    if (*waits)
        outage_goes_on(o, e);
    else if (!rc)
        outage_ends(o);
    return *waits ? 0 : rc;
}

/* What PostgreSQL has of the partitions, if it is the database that they are recorded in. */
static int claim_in_postgres(struct recorder *r, struct err *e)
{
    struct db *db = flight_db(r->flight);
    int rc = db_connect(db, e);
    if (!rc)
        rc = home_check(&r->home, db, conf_text(r->env->conf, "recorder.database"), e);
    if (!rc)
        rc = partitions_claim(&r->partitions, db, r->group, e);
    if (!rc)
        db_settle(db);
    return rc;
}

int recorder_claim(struct recorder *r, struct err *e)
{
    int64_t missed = 0;
    bool waits;
    int rc = r->home.is_recalled ? 0 : home_recall(&r->home, &r->partitions, r->rk, e);
    rc = wait_for(&r->kafka, rc, &waits, e);
    if (rc || waits)
        return rc;
    rc = wait_for(&r->postgres, claim_in_postgres(r, e), &waits, e);
    if (rc || waits)
        return rc;
    flight_settle_in(r->flight, r->home.id);
    FAILPOINT("recorder.claim.claimed");
    rc = partitions_find_start(&r->partitions, r->rk, &missed, e);
    if (!rc && !r->home.is_noted)
        rc = home_tell(&r->home, &r->partitions, r->rk, true, e);
    rc = wait_for(&r->kafka, rc, &waits, e);
    if (rc || waits)
        return rc;
    metric_add(r->missed, (double)missed);
    worker_say(r->env, "");
    worker_become(r->env, WORKER_RUN);
    FAILPOINT("recorder.claim.start_found");
    return recorder_flow(r, e);
}
