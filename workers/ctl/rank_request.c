#include "rank_request.h"

#include "feature/contribution.h"
#include "feature/instant.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { ID_BYTES = 16, MOST_DEADLINE_MS = 86400000 };

static int make_id(struct str *out, struct arena *a, struct err *e)
{
    uint8_t bytes[ID_BYTES];
    char text[2 * ID_BYTES + 1];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_set(e, ERR_IO, "no random request_id could be made: %s", strerror(errno));
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    *out = arena_copy(a, str_of(text));
    return out->data ? 0 : err_nomem(e);
}

/* How many values the lists of an option have, one list for each time it is given. */
static size_t count_listed(const struct ctl *c, const char *name)
{
    size_t n = 0;
    int at = 0;
    for (const char *list; (list = ctl_next(c, name, &at));) {
        n++;
        for (const char *comma = list; (comma = strchr(comma, ',')); comma++)
            n++;
    }
    return n;
}

static int read_candidates(struct str_list *out, const struct ctl *c, struct arena *a,
                           struct err *e)
{
    int at = 0;
    *out = (struct str_list){
        arena_alloc(a, (count_listed(c, "candidates") + 1) * sizeof *out->items), 0};
    if (!out->items)
        return err_nomem(e);
    for (const char *list; (list = ctl_next(c, "candidates", &at));) {
        for (size_t n; list; list = list[n] ? list + n + 1 : NULL) {
            n = strcspn(list, ",");
            if (n == 0)
                return err_set(e, ERR_INVALID,
                               "--candidates has an empty id: give ids with a comma between them");
            out->items[out->count++] = str_bytes(list, n);
        }
    }
    return 0;
}

static int read_context(struct text_map *out, const struct ctl *c, struct arena *a, struct err *e)
{
    int at = 0;
    *out = (struct text_map){arena_alloc(a, ((size_t)c->given_count + 1) * sizeof *out->items), 0};
    if (!out->items)
        return err_nomem(e);
    for (const char *pair; (pair = ctl_next(c, "context", &at));) {
        const char *equals = strchr(pair, '=');
        if (!equals || equals == pair)
            return err_set(e, ERR_INVALID, "--context is \"%s\": give NAME=VALUE", pair);
        out->items[out->count++] =
            (struct text_entry){str_bytes(pair, (size_t)(equals - pair)), str_of(equals + 1)};
    }
    return 0;
}

static int read_as_of(int64_t *out, const struct ctl *c, struct err *e)
{
    const char *text = ctl_option(c, "as-of");
    char *end;
    int64_t us;
    *out = 0;
    if (!text)
        return 0;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (!*text || *end || errno) {
        if (!instant_parse_us(&us, str_of(text)))
            return err_set(e, ERR_INVALID,
                           "--as-of is \"%s\": give a time as 2025-01-01T12:00:00Z, or "
                           "milliseconds since 1970",
                           text);
        *out = us / 1000;
    }
    if (*out > CONTRIBUTION_MAX_MS || *out < -CONTRIBUTION_MAX_MS)
        return err_set(e, ERR_INVALID, "--as-of is \"%s\": no feature is read so far from now",
                       text);
    return 0;
}

static int read_user(struct str *out, const struct ctl *c, struct err *e)
{
    *out = str_of(ctl_option(c, "user"));
    return out->len ? 0
                    : err_set(e, ERR_INVALID, "%s: give --user ID",
                              out->data ? "--user is empty" : "whom to rank for is not said");
}

int rank_request_read(struct rank_request *out, const struct ctl *c, struct arena *a, struct err *e)
{
    const char *placement = ctl_option(c, "placement");
    int64_t limit = 0;
    *out = (struct rank_request){
        .placement = str_of(placement ? placement : "default"),
        .deadline.given = ctl_option(c, "deadline") != NULL,
        .explain = ctl_option(c, "explain") != NULL,
    };
    int rc = read_user(&out->user_id, c, e);
    if (!rc)
        rc = read_candidates(&out->candidates, c, a, e);
    if (!rc)
        rc = read_context(&out->context, c, a, e);
    if (!rc)
        rc = read_as_of(&out->timestamp, c, e);
    if (!rc)
        rc = ctl_number(&limit, c, "limit", 10, 0, INT32_MAX, e);
    if (!rc)
        rc = ctl_number(&out->deadline.value, c, "deadline", 0, 0, MOST_DEADLINE_MS, e);
    if (!rc)
        rc = make_id(&out->request_id, a, e);
    out->limit = (int32_t)limit;
    return rc;
}

void rank_request_stamp(struct rank_request *q, const struct ctl *c, int64_t now_ms)
{
    if (!ctl_option(c, "as-of"))
        q->timestamp = now_ms;
    q->deadline.value += now_ms;
}
