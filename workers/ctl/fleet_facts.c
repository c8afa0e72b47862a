/* What can be told of a fleet without asking anybody: the pure part of fleet.h. */
#include "fleet.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct fleet_group fleet_groups[FLEET_GROUPS] = {
    {.name = "features", .topics = {"events", "feature.deltas"}},
    {.name = "recorder",
     .topics = {"features", "dead-letters", "rankings", "models"},
     .in_postgres = true},
    {.name = "ranker", .topics = {"rank.requests"}, .optional = true},
};

bool fleet_parse_client_id(struct fleet_worker *w, const char *client_id)
{
    const char *slash = strchr(client_id, '/'), *at = strrchr(client_id, '@');
    const char *name = w->group->name;
    char *end;
    if (!slash || !at || at < slash || (size_t)(slash - client_id) != strlen(name) ||
        strncmp(client_id, name, strlen(name)) != 0)
        return false;
    long port = strtol(at + 1, &end, 10);
    if (!at[1] || *end || port < 1 || port > 65535)
        return false;
    snprintf(w->instance, sizeof w->instance, "%.*s", (int)(at - slash - 1), slash + 1);
    w->port = (int)port;
    return true;
}

static void copy_text(char *out, size_t size, const json_t *j)
{
    const char *text = json_string_value(j);
    snprintf(out, size, "%s", text ? text : "");
}

static int64_t number(const json_t *j, const char *name, int64_t standard)
{
    const json_t *value = json_object_get(j, name);
    return json_is_integer(value) ? json_integer_value(value) : standard;
}

bool fleet_parse_status(struct fleet_worker *w, const char *json, size_t n)
{
    json_t *j = json_loadb(json, n, 0, NULL);
    const json_t *ready = json_object_get(j, "ready");
    const json_t *partitions = json_object_get(j, "partitions");
    bool good = json_is_boolean(ready) && json_is_string(json_object_get(j, "state"));
    if (good) {
        w->reached = true;
        w->ready = json_is_true(ready);
        copy_text(w->state, sizeof w->state, json_object_get(j, "state"));
        copy_text(w->reason, sizeof w->reason, json_object_get(j, "reason"));
        w->epochs = number(j, "epochs", -1);
        w->restored_records = number(j, "restored_records", 0);
        w->records_to_restore = number(j, "records_to_restore", 0);
        w->last_commit_ms = number(j, "last_commit_ms", w->last_commit_ms);
        w->restoring = 0;
        for (size_t i = 0; i < json_array_size(partitions); i++)
            w->restoring +=
                json_is_true(json_object_get(json_array_get(partitions, i), "restoring"));
    }
    json_decref(j);
    return good;
}

bool fleet_misses(const struct fleet *f, const struct fleet_group *g)
{
    bool has_run = false;
    for (size_t i = 0; i < f->worker_count; i++)
        if (f->workers[i].group == g)
            return false;
    for (size_t i = 0; i < f->partition_count; i++)
        has_run |= f->partitions[i].group == g && f->partitions[i].committed >= 0;
    return has_run || !g->optional;
}

bool fleet_is_well(const struct fleet *f, int64_t max_lag)
{
    bool well = true;
    for (int g = 0; g < FLEET_GROUPS; g++)
        well &= !fleet_misses(f, &fleet_groups[g]);
    for (size_t i = 0; i < f->worker_count; i++)
        well &= f->workers[i].ready;
    for (size_t i = 0; max_lag >= 0 && i < f->partition_count; i++)
        well &= f->partitions[i].known && f->partitions[i].lag <= max_lag;
    return well;
}
