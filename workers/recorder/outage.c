#include "recorder/outage.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

void outage_goes_on(struct outage *o, const struct err *why)
{
    char text[256], event[48];
    if (o->since_us && strcmp(why->msg, o->reason.msg) == 0)
        return;
    o->reason = *why;
    if (!o->since_us)
        o->since_us = clock_monotonic_us();
    snprintf(event, sizeof event, "%s_away", o->event);
    LOG_WARN(event, LOG_ERR(why));
    snprintf(text, sizeof text, "waiting for %s: %.220s", o->server, why->msg);
    worker_say(o->env, text);
    if (o->waiting)
        metric_set(o->waiting, 1);
}

void outage_ends(struct outage *o)
{
    char event[48];
    if (!o->since_us)
        return;
    snprintf(event, sizeof event, "%s_back", o->event);
    LOG_INFO(event, LOG_INT("after_ms", (clock_monotonic_us() - o->since_us) / 1000));
    o->since_us = 0;
    worker_say(o->env, "");
    if (o->waiting)
        metric_set(o->waiting, 0);
}
