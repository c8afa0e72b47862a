#include "plans.h"

#include <stdlib.h>

enum { POLL_MS = 100, POLL_RECORDS = 1000 };

/* librdkafka wants a group, which stands before the slash, even where none is joined; this one is
 * of those that `status` needs a right to. */
static const char CLIENT_ID[] = "recorder/flotilla";

int topic_read(const struct ctl *c, const char *topic, tail_record *each, void *arg, struct err *e)
{
    struct tail *t = NULL;
    int count, rc = tail_new(&t, c->conf, CLIENT_ID, each, arg, e);
    if (!rc)
        rc = tail_add_topic(t, conf_topic(c->conf, topic), e);
    if (!rc)
        rc = tail_start(t, e);
    while (!rc && !tail_at_end(t)) {
        if (ctl_stopping())
            rc = err_set(e, ERR_UNAVAILABLE, "interrupted");
        else
            rc = tail_poll(t, POLL_MS, POLL_RECORDS, &count, e);
    }
    if (rc == ERR_UNAVAILABLE && !ctl_stopping())
        err_wrap(e, "kafka.brokers=%s", conf_text(c->conf, "kafka.brokers"));
    tail_free(t);
    return rc;
}

static struct rollout_plan *find(const struct plans *p, struct str model)
{
    for (size_t i = 0; i < p->count; i++)
        if (str_equal(p->items[i].model, model))
            return &p->items[i];
    return NULL;
}

const struct rollout_plan *plans_find(const struct plans *p, const char *model)
{
    return find(p, str_of(model));
}

static void forget(struct plans *p, struct str model)
{
    struct rollout_plan *plan = find(p, model);
    if (plan)
        *plan = p->items[--p->count];
}

static int keep(struct plans *p, const struct rollout_plan *plan, struct err *e)
{
    struct rollout_plan *known = find(p, plan->model);
    if (!known) {
        struct rollout_plan *longer = realloc(p->items, (p->count + 1) * sizeof *longer);
        if (!longer)
            return err_nomem(e);
        p->items = longer;
        known = &longer[p->count++];
    }
    *known = *plan;
    return 0;
}

static int take(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct plans *p = arg;
    struct rollout_plan plan;
    if (!m->payload) {
        forget(p, str_bytes(m->key, m->key_len));
        return 0;
    }
    struct str bytes = arena_copy(&p->arena, str_bytes(m->payload, m->len));
    int rc = bytes.data ? ctl_decode(p->ctl, &plan, &rollout_plan_type, bytes, &p->arena, e)
                        : err_nomem(e);
    if (!rc)
        rc = keep(p, &plan, e);
    return rc ? err_wrap(e, "%s, offset %lld", rd_kafka_topic_name(m->rkt), (long long)m->offset)
              : 0;
}

int plans_read(struct plans *p, const struct ctl *c, struct err *e)
{
    *p = (struct plans){.ctl = c};
    return topic_read(c, "models", take, p, e);
}

void plans_free(struct plans *p)
{
    free(p->items);
    arena_free(&p->arena);
    *p = (struct plans){0};
}
