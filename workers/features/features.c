#include "features/features.h"

#include "base/log.h"
#include "features/inside.h"
#include "state/log_record.h"
#include "stream/dead_letter.h"

#include <stdlib.h>

/* ------------------------------------------------------------ making */

static void make_metrics(struct features *f)
{
    struct metrics *m = f->opts.metrics;
    const char *none = NULL;
    f->events = metric_get(m, METRIC_COUNTER, "flotilla_features_events_total", "Events applied.",
                           none, none);
    f->repeats = metric_get(m, METRIC_COUNTER, "flotilla_features_repeated_events_total",
                            "Events ignored because their event_id was among the user's last 64.",
                            none, none);
    f->replayed =
        metric_get(m, METRIC_COUNTER, "flotilla_features_replayed_records_total",
                   "Records of the log that were applied again to restore state.", none, none);
    f->deltas_read = metric_get(m, METRIC_COUNTER, "flotilla_features_deltas_total",
                                "Combined deltas merged into shared keys.", none, none);
    f->published = metric_get(m, METRIC_COUNTER, "flotilla_features_published_keys_total",
                              "Keys whose values were handed over for publication.", none, none);
    f->checkpoints =
        metric_get(m, METRIC_COUNTER, "flotilla_features_checkpoints_total",
                   "Checkpoints of keys that were handed over for writing.", none, none);
    f->unknown_scopes = metric_get(
        m, METRIC_COUNTER, "flotilla_features_unknown_scope_records_total",
        "Deltas and checkpoints of scopes that the definitions no longer have.", none, none);
}

int features_new(struct features **out, const struct features_opts *opts, struct err *e)
{
    struct features *f = calloc(1, sizeof *f);
    if (!f)
        return err_nomem(e);
    f->opts = *opts;
    int rc = wire_init(&f->wire, opts->set, e);
    if (!rc)
        rc = deltas_new(&f->deltas, opts->set, e);
    if (!rc)
        rc = shared_cells_new(&f->totals, opts->set, e);
    if (!rc)
        rc = entities_new(&f->users, opts->set, SIDE_USER, e);
    if (!rc)
        rc = entities_new(&f->propositions, opts->set, SIDE_PROPOSITION, e);
    if (!rc)
        rc = apply_new(&f->apply, opts->set, f->users, f->propositions, opts->max_keys_per_user,
                       true, e);
    if (rc) {
        features_free(f);
        return rc;
    }
    make_metrics(f);
    *out = f;
    return 0;
}

void features_free(struct features *f)
{
    if (!f)
        return;
    wire_free(&f->wire);
    entities_free(f->users);
    entities_free(f->propositions);
    apply_free(f->apply);
    deltas_free(f->deltas);
    shared_cells_free(f->totals);
    buf_free(&f->after);
    buf_free(&f->key);
    arena_free(&f->arena);
    free(f);
}

/* ------------------------------------------------------------ dead letters */

static int bury(struct features *f, const struct input *in, struct outbox *out, const char *reason,
                const char *detail)
{
    if (!out)
        return 0;
    metric_add(metric_get(f->opts.metrics, METRIC_COUNTER, "flotilla_features_dead_letters_total",
                          "Records that could not be used, by reason.", "reason", reason),
               1);
    metric_add(metric_get(f->opts.metrics, METRIC_COUNTER,
                          "flotilla_features_dead_letters_by_topic_total",
                          "Records that could not be used, by topic.", "topic", in->topic),
               1);
    LOG_WARN("dead_letter", LOG_TEXT("topic", in->topic), LOG_INT("partition", in->partition),
             LOG_INT("offset", in->offset), LOG_TEXT("reason", reason), LOG_TEXT("detail", detail));
    dead_letter_put(out, f->opts.codec, f->opts.dead_letters, in, "features", reason, detail);
    f->buried++;
    return 0;
}

/* A record that its decoder or its contents make unusable. */
static int bury_error(struct features *f, const struct input *in, struct outbox *out, struct err *e)
{
    if (err_class(e->code) != ERR_CLASS_POISON && e->code != ERR_NOT_FOUND)
        return e->code;
    bury(f, in, out, dead_letter_reason(e->code), e->msg);
    *e = (struct err){0};
    return 0;
}

/*
 * A record whose schema nobody knows. That may change: what was passed over for it is remembered
 * for a replay, and what a replay cannot decode though it was counted is waited for.
 */
static int bury_unknown(struct features *f, struct shard *s, const struct input *in,
                        struct outbox *out, struct err *e)
{
    struct err why = {0};
    if (!out && !shard_replays_all(s)) {
        err_wrap(e, "it was counted before, and cannot be decoded again");
        return e->code = ERR_UNAVAILABLE;
    }
    int rc = skipped_add(shard_skipped(s), in->offset, &why);
    /* Without room for it, a replay of everything goes on: there is no checkpoint to wait for. */
    if (rc && (out || rc != ERR_UNAVAILABLE)) {
        *e = why;
        return e->code;
    }
    return bury_error(f, in, out, e);
}

/* ------------------------------------------------------------ tables */

int features_entity(struct features *f, enum side side, const struct input *in, struct err *e)
{
    struct entities *table = side == SIDE_USER ? f->users : f->propositions;
    struct entity record;
    struct err why = {0};
    const char *reason;
    if (!in->key.data)
        return 0;
    if (!in->value.data) {
        entities_remove(table, in->key);
        return 0;
    }
    arena_reset(&f->arena);
    int rc = log_record_entity(&record, &reason, f->opts.codec, in, &f->arena, &why);
    if (!rc)
        return entities_put(table, &record, e);
    return log_record_is_well(rc) ? err_set(e, rc, "%s", why.msg) : 0;
}

int features_entity_check(struct features *f, const struct input *in, struct outbox *out,
                          struct err *e)
{
    struct entity record;
    const char *reason;
    if (!in->key.data)
        return bury(f, in, out, DEAD_MISSING_KEY, "the record has no key: the key is the id");
    if (!in->value.data)
        return 0;
    arena_reset(&f->arena);
    int rc = log_record_entity(&record, &reason, f->opts.codec, in, &f->arena, e);
    if (!rc || log_record_is_well(rc))
        return rc;
    bury(f, in, out, reason, e->msg);
    *e = (struct err){0};
    return 0;
}

int features_total(struct features *f, const struct input *in, struct err *e)
{
    struct str key, cell;
    arena_reset(&f->arena);
    int rc = checkpoint_total(&key, &cell, &f->wire, f->opts.codec, in, &f->arena, e);
    return rc || !cell.data ? rc : shared_cells_put(f->totals, key, cell, e);
}

int64_t features_buried(const struct features *f)
{
    return f->buried;
}

/* ------------------------------------------------------------ events */

/* Whether an event changes values of a user's own that are published. */
static bool touches_user_values(const struct feature_set *set, struct str event)
{
    int id = feature_set_event(set, event);
    for (size_t i = 0; i < set->scope_count && id >= 0; i++)
        if (set->scopes[i].has_user && set->scopes[i].is_published && set->scopes[i].events[id])
            return true;
    return false;
}

static int apply(struct features *f, struct shard *s, const struct input *in,
                 const struct event *event, int64_t time_ms, struct outbox *out, int64_t now_ms,
                 struct err *e)
{
    uint32_t id = shard_find(s, event->user_id);
    enum applied outcome;
    if (id != TABLE_NONE && shard_includes(s, id, in->offset))
        return 0;
    struct str before = id == TABLE_NONE ? str_of("") : shard_value(s, id);
    int rc = apply_event(f->apply, event, time_ms, before, &f->after, out ? f->deltas : NULL,
                         &outcome, e);
    if (rc == ERR_TOO_LARGE)
        return bury_error(f, in, out, e);
    if (rc)
        return rc;
    metric_add(!out ? f->replayed : outcome == APPLY_REPEATED ? f->repeats : f->events, 1);
    if (outcome == APPLY_REPEATED)
        return 0;
    if (id == TABLE_NONE && (id = shard_key(s, event->user_id)) == TABLE_NONE)
        return err_nomem(e);
    return shard_put(s, id, buf_str(&f->after), in->offset,
                     touches_user_values(f->opts.set, event->event), now_ms, e);
}

int features_event(struct features *f, struct shard *s, const struct input *in, struct outbox *out,
                   int64_t now_ms, struct err *e)
{
    struct event event;
    int64_t time_ms;
    const char *reason;
    if (!out && skipped_has(shard_skipped(s), in->offset))
        return 0;
    arena_reset(&f->arena);
    int rc = log_record_event(&event, &time_ms, &reason, f->opts.codec, in,
                              f->opts.max_clock_skew_ms, &f->arena, e);
    if (!rc)
        return apply(f, s, in, &event, time_ms, out, now_ms, e);
    if (log_record_is_well(rc))
        return rc;
    if (rc == ERR_NOT_FOUND)
        return bury_unknown(f, s, in, out, e);
    bury(f, in, out, reason, e->msg);
    *e = (struct err){0};
    return 0;
}

/* ------------------------------------------------------------ deltas */

int features_delta(struct features *f, struct shard *s, const struct input *in, struct outbox *out,
                   int64_t now_ms, struct err *e)
{
    struct feature_delta delta;
    arena_reset(&f->arena);
    if (!in->key.data)
        return bury(f, in, out, DEAD_MISSING_KEY,
                    "the record has no key: the key is the scope and its key");
    if (!in->value.data)
        return bury(f, in, out, DEAD_INVALID_VALUE,
                    "the record has no value: a delta cannot be removed");
    if (!out && skipped_has(shard_skipped(s), in->offset))
        return 0;
    if (codec_decode(f->opts.codec, &delta, &feature_delta_type, in->value, &f->arena, e))
        return e->code == ERR_NOT_FOUND ? bury_unknown(f, s, in, out, e)
                                        : bury_error(f, in, out, e);
    int scope = wire_read_key(&f->wire, in->key, &f->arena);
    if (scope == WIRE_DAMAGED)
        return bury(f, in, out, "undecodable", "the key is no scope with its key");
    if (scope == WIRE_UNKNOWN) {
        metric_add(f->unknown_scopes, 1);
        return 0;
    }
    struct str cell = delta.cell;
    if (wire_read_cell(&f->wire, scope, delta.fingerprints, &cell, e))
        return bury_error(f, in, out, e);
    uint32_t id = cell.data ? shard_key(s, buf_str(&f->wire.key)) : TABLE_NONE;
    if (!cell.data || id == TABLE_NONE)
        return cell.data ? err_nomem(e) : 0;
    if (shard_includes(s, id, in->offset))
        return 0;
    buf_reset(&f->after);
    cell_merge(&f->after, &f->opts.set->scopes[scope], shard_value(s, id), cell);
    if (!buf_ok(&f->after))
        return err_nomem(e);
    metric_add(out ? f->deltas_read : f->replayed, 1);
    bool due = f->opts.set->scopes[scope].is_published;
    return shard_put(s, id, buf_str(&f->after), in->offset, due, now_ms, e);
}
