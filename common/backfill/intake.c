#include "backfill/intake.h"

#include "backfill/intake_inside.h"
#include "backfill/intake_line.h"
#include "feature/apply.h"
#include "feature/fingerprint.h"
#include "stream/dead_letter.h"

#include <stdio.h>
#include <stdlib.h>

int intake_new(struct intake **out, struct journal *j, const struct intake_opts *opts,
               struct err *e)
{
    struct intake *in = calloc(1, sizeof *in);
    if (!in)
        return err_nomem(e);
    in->opts = *opts;
    in->journal = j;
    int rc = repeats_new(&in->repeats, e);
    if (rc)
        intake_free(in);
    else
        *out = in;
    return rc;
}

void intake_free(struct intake *in)
{
    if (!in)
        return;
    repeats_free(in->repeats);
    arena_free(&in->arena);
    free(in->partitions);
    free(in);
}

/* ---- What is of use ---- */

/* From here on events are too late for any label, as far as milliseconds go. */
static int64_t events_end(const struct intake_opts *opts)
{
    int64_t end;
    if (__builtin_mul_overflow(opts->label_window_ms, 2, &end) ||
        __builtin_add_overflow(end, opts->to_ms, &end))
        return INT64_MAX;
    return end;
}

static int check_time(int64_t timestamp, struct err *why)
{
    if (timestamp <= CONTRIBUTION_MAX_MS && timestamp >= -CONTRIBUTION_MAX_MS)
        return 0;
    return err_set(why, ERR_SCHEMA, "timestamp %lld is no time in milliseconds since 1970",
                   (long long)timestamp);
}

static int check_ids(struct str request_id, struct str user_id, struct err *why)
{
    if (!request_id.len)
        return err_set(why, ERR_SCHEMA, "request_id is empty: nothing could be joined with it");
    return user_id.len ? 0 : err_set(why, ERR_SCHEMA, "user_id is empty: name the user");
}

static int check_scored(const struct score_log *s, struct err *why)
{
    size_t n = s->candidates.count, columns = s->features.count;
    if (s->fingerprints.len != columns * FINGERPRINT_BYTES)
        return err_set(why, ERR_SCHEMA, "%zu features have %zu bytes of fingerprints", columns,
                       s->fingerprints.len);
    if (s->vectors.len != n * columns * sizeof(float) || s->scores.count != n)
        return err_set(why, ERR_SCHEMA,
                       "%zu candidates with %zu features have %zu bytes of vectors and %zu scores",
                       n, columns, s->vectors.len, s->scores.count);
    if (s->propensities.count != s->shown.count)
        return err_set(why, ERR_SCHEMA, "%zu places have %zu propensities", s->shown.count,
                       s->propensities.count);
    for (size_t i = 0; i < s->shown.count; i++)
        if (s->shown.items[i] < 0 || (size_t)s->shown.items[i] >= n)
            return err_set(why, ERR_SCHEMA, "candidate %d was shown, of %zu there are",
                           s->shown.items[i], n);
    return 0;
}

/* Entities may have any timestamp: the worker looks at their order alone. */
static int64_t bounded_time(int64_t time_ms)
{
    return time_ms > CONTRIBUTION_MAX_MS    ? CONTRIBUTION_MAX_MS
           : time_ms < -CONTRIBUTION_MAX_MS ? -CONTRIBUTION_MAX_MS
                                            : time_ms;
}

/* Whether a request, or what was scored, is well. */
static int check_request(const struct entry *entry, struct err *why)
{
    const struct rank_request *q = &entry->request;
    const struct score_log *s = &entry->scored;
    int rc = 0;
    if (entry->kind == ENTRY_REQUEST) {
        rc = check_ids(q->request_id, q->user_id, why);
    } else if (entry->kind == ENTRY_SCORED) {
        rc = check_ids(s->request_id, s->user_id, why);
        if (!rc)
            rc = check_scored(s, why);
    }
    return rc ? rc : check_time(entry->time_ms, why);
}

/* An event that was accepted is named by where it stands, which is the same whenever it is read. */
static int accept_event(struct intake *in, struct entry *entry, bool *is_repeat, struct err *e)
{
    char place[48];
    struct event *event = &entry->event;
    int rc = repeats_check(in->repeats, entry->arrival.source, event->user_id, event->event_id,
                           is_repeat, e);
    if (rc || *is_repeat)
        return rc;
    int n = snprintf(place, sizeof place, "%lld-%lld", (long long)entry->arrival.source,
                     (long long)entry->arrival.number);
    event->event_id = arena_copy(&in->arena, str_bytes(place, (size_t)n));
    return event->event_id.data ? 0 : err_nomem(e);
}

void intake_leave_out(struct intake *in, enum entry_kind kind, const char *reason,
                      const struct origin *origin, const char *detail)
{
    struct left_out *l = NULL;
    for (size_t i = 0; i < in->left_out_count && !l; i++)
        if (in->left_out[i].kind == kind && strcmp(in->left_out[i].reason, reason) == 0)
            l = &in->left_out[i];
    if (!l && in->left_out_count < LEFT_OUT_MOST) {
        l = &in->left_out[in->left_out_count++];
        *l = (struct left_out){.kind = kind, .reason = reason};
        if (origin->partition < 0)
            snprintf(l->example, sizeof l->example, "%s:%lld", origin->name,
                     (long long)origin->number);
        else
            snprintf(l->example, sizeof l->example, "%s partition %d offset %lld", origin->name,
                     origin->partition, (long long)origin->number);
        snprintf(l->detail, sizeof l->detail, "%s", detail);
    }
    if (l)
        l->count++;
}

int intake_take(struct intake *in, struct entry *entry, const struct origin *origin, struct err *e)
{
    struct err why = {0};
    bool is_event = entry->kind == ENTRY_EVENT, is_repeat = false;
    int rc = 0;
    if (kind_is_attributes(entry->kind)) {
        entry->time_ms = bounded_time(entry->time_ms);
    } else if (is_event) {
        rc = accept_event(in, entry, &is_repeat, e);
    } else if (check_request(entry, &why)) {
        intake_leave_out(in, entry->kind, DEAD_INVALID_VALUE, origin, why.msg);
        return 0;
    }
    if (rc)
        return rc;
    int64_t end = is_event ? events_end(&in->opts) : in->opts.to_ms;
    if (is_repeat) {
        intake_leave_out(in, entry->kind, LEFT_REPEATED, origin,
                         "the id is among the last 64 of its user");
    } else if (!kind_is_attributes(entry->kind) && entry->time_ms >= end) {
        intake_leave_out(in, entry->kind, LEFT_AFTER_RANGE, origin, "");
    } else {
        rc = journal_add(in->journal, entry, e);
        in->kept[entry->kind] += !rc;
    }
    return rc;
}

/* ---- Lines ---- */

/* The time of a record that was read from a line, or why it is of no use. */
static int line_time(struct intake *in, struct intake_record *record, const char **reason,
                     struct err *why)
{
    struct entry *n = &record->entry;
    *reason = DEAD_INVALID_VALUE;
    if (n->kind == ENTRY_EVENT)
        return apply_check(&n->event, record->kafka_ms, in->opts.max_clock_skew_ms, &n->time_ms,
                           reason, why);
    n->time_ms = n->kind == ENTRY_REQUEST  ? n->request.timestamp
                 : n->kind == ENTRY_SCORED ? n->scored.timestamp
                                           : n->entity.timestamp;
    if (!kind_is_attributes(n->kind))
        return 0;
    return n->entity.id.len ? entity_check(&n->entity, why)
                            : err_set(why, ERR_SCHEMA, "id is empty: name the entity");
}

int intake_line(struct intake *in, enum entry_kind kind, struct str line, const char *file,
                int64_t number, struct err *e)
{
    struct origin origin = {file, -1, number};
    struct intake_record record;
    const char *reason;
    struct err why = {0};
    arena_reset(&in->arena);
    int rc = intake_line_read(&record, kind, line, in->opts.codec, &in->arena, &why);
    if (rc == ERR_NOMEM)
        return err_nomem(e);
    kind = record.entry.kind;
    if (kind != ENTRY_KINDS)
        in->read[kind]++;
    if (rc) {
        intake_leave_out(in, kind, dead_letter_reason(rc), &origin, why.msg);
        return 0;
    }
    record.entry.arrival = (struct arrival){.number = in->lines++};
    if (line_time(in, &record, &reason, &why)) {
        intake_leave_out(in, kind, reason, &origin, why.msg);
        return 0;
    }
    return intake_take(in, &record.entry, &origin, e);
}
