/* An epoch out: deltas, values, checkpoints, marks. */
#include "features/inside.h"

#include "base/failpoint.h"
#include "stream/kafka.h"

/* What is due is left for the next epoch once there is so much: a transaction has ten seconds. */
enum { EPOCH_BYTES = 32 * 1024 * 1024 };

/* More than one of these waits for the committing thread. */
enum { EPOCH_DELTAS = 100000, EPOCH_CONTRIBUTIONS = 1000000 };

bool features_is_full(const struct features *f)
{
    return deltas_count(f->deltas) >= EPOCH_DELTAS ||
           deltas_contributions(f->deltas) >= EPOCH_CONTRIBUTIONS;
}

bool features_is_overfull(const struct features *f)
{
    return deltas_contributions(f->deltas) >= 4 * EPOCH_CONTRIBUTIONS;
}

void features_drop_deltas(struct features *f)
{
    deltas_clear(f->deltas);
}

/* Deltas on their way out. */
struct telling {
    struct features *f;
    struct outbox *out;
};

static int tell_delta(void *arg, struct str shared, struct str cell, struct err *e)
{
    struct telling *t = arg;
    struct features *f = t->f;
    size_t scope;
    struct str key;
    (void)e;
    shared_key_parse(f->opts.set, shared, &scope, &key);
    buf_reset(&f->key);
    wire_put_key(&f->key, f->opts.set, shared);
    t->out->bytes.failed |= !buf_ok(&f->key);
    outbox_begin(t->out, f->opts.deltas,
                 kafka_partition_of(buf_str(&f->key), f->opts.delta_partitions), buf_str(&f->key));
    struct feature_delta delta = {buf_str(&f->wire.scope_layouts[scope]), cell};
    codec_encode(f->opts.codec, &t->out->bytes, f->opts.deltas, &feature_delta_type, &delta);
    outbox_end(t->out);
    return 0;
}

int features_collect_deltas(struct features *f, struct outbox *out, struct err *e)
{
    struct telling t = {f, out};
    int rc = deltas_each(f->deltas, tell_delta, &t, e);
    if (!rc)
        deltas_clear(f->deltas);
    return rc ? rc : outbox_ok(out) ? 0 : err_nomem(e);
}

/* One key's values on their way out. */
struct publishing {
    struct features *f;
    struct outbox *out;
    struct str user_id; /* data NULL: a shared key */
    size_t scope;
};

/* The key of a record of `features`: the parts, with U+001F between them. */
static void put_public_key(struct buf *b, const struct str_list *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        if (i)
            buf_put_u8(b, 0x1f);
        buf_put_str(b, parts->items[i]);
    }
}

/* is_gone: the key was dropped, it has no values any more. */
static int publish_cell(struct publishing *p, struct str key, struct str cell, bool is_gone,
                        struct err *e)
{
    struct features *f = p->f;
    const struct scope *scope = &f->opts.set->scopes[p->scope];
    struct feature_values v = {.scope = str_of(scope->text)};
    arena_reset(&f->arena);
    int rc = key_parts(&v.key, scope, key, p->user_id, &f->arena, e);
    if (is_gone)
        v.as_of = cell_newest_ms(cell);
    else if (!rc)
        rc = key_values(&v.values, &v.as_of, f->opts.set, p->scope, cell, f->totals, &f->arena, e);
    if (rc)
        return rc;
    buf_reset(&f->key);
    put_public_key(&f->key, &v.key);
    outbox_begin(p->out, f->opts.values, OUTBOX_ANY_PARTITION, buf_str(&f->key));
    codec_encode(f->opts.codec, &p->out->bytes, f->opts.values, &feature_values_type, &v);
    outbox_end(p->out);
    metric_add(f->published, 1);
    return buf_ok(&f->key) ? 0 : err_nomem(e);
}

static int publish_user_key(void *arg, const struct user_key_view *k, struct err *e)
{
    struct publishing *p = arg;
    if (!(*k->flags & KEY_IS_DUE))
        return 0;
    int rc = publish_cell(p, k->key, k->cell, *k->flags & KEY_IS_GONE, e);
    *(uint8_t *)(uintptr_t)k->flags &= (uint8_t)~KEY_IS_DUE; /* the bytes are the shard's own */
    return rc;
}

static int publish_section(void *arg, size_t scope, struct str section, struct err *e)
{
    struct publishing *p = arg;
    p->scope = scope;
    return p->f->opts.set->scopes[scope].is_published
               ? user_section_each(section, publish_user_key, p, e)
               : 0;
}

static void tell_total(struct features *f, size_t scope, struct str cell, struct outbox *out)
{
    struct feature_state state = {.fingerprints = buf_str(&f->wire.scope_layouts[scope]),
                                  .state = cell};
    outbox_begin(out, f->opts.totals, OUTBOX_ANY_PARTITION,
                 str_of(f->opts.set->scopes[scope].text));
    codec_encode(f->opts.codec, &out->bytes, f->opts.totals, &feature_state_type, &state);
    outbox_end(out);
}

static int publish(struct features *f, struct shard *s, uint32_t id, struct outbox *out,
                   struct err *e)
{
    struct publishing p = {.f = f, .out = out};
    struct str value = shard_value(s, id), key;
    if (shard_kind(s) == SHARD_USERS) {
        p.user_id = shard_name(s, id);
        return user_record_each(f->opts.set, value, publish_section, &p, e);
    }
    if (!shared_key_parse(f->opts.set, shard_name(s, id), &p.scope, &key))
        return 0;
    if (!f->opts.set->scopes[p.scope].is_total)
        return publish_cell(&p, key, value, false, e);
    tell_total(f, p.scope, value, out);
    return 0;
}

static const char *state_topic(const struct features *f, const struct shard *s)
{
    return shard_kind(s) == SHARD_USERS ? f->opts.state_user : f->opts.state_shared;
}

static int checkpoint(struct features *f, struct shard *s, uint32_t id, int64_t offset,
                      struct outbox *out, struct err *e)
{
    struct feature_state state = {
        .offset = offset, .due = shard_is_due(s, id), .state = shard_value(s, id)};
    struct str key = shard_name(s, id);
    FAILPOINT("features.checkpoint.before_key");
    if (shard_kind(s) == SHARD_USERS) {
        state.fingerprints = buf_str(&f->wire.user_layout);
    } else {
        size_t scope;
        struct str inner;
        shared_key_parse(f->opts.set, key, &scope, &inner);
        state.fingerprints = buf_str(&f->wire.scope_layouts[scope]);
        buf_reset(&f->key);
        wire_put_key(&f->key, f->opts.set, key);
        key = buf_str(&f->key);
    }
    const char *topic = state_topic(f, s);
    outbox_begin(out, topic, shard_partition(s), key);
    codec_encode(f->opts.codec, &out->bytes, topic, &feature_state_type, &state);
    outbox_end(out);
    metric_add(f->checkpoints, 1);
    return buf_ok(&f->key) ? 0 : err_nomem(e);
}

/* Whether one more of a kind goes into this epoch. */
static bool has_room(const struct outbox *out, size_t count, size_t most)
{
    return count < most && out->bytes.len < EPOCH_BYTES;
}

int features_collect(struct features *f, struct shard *s, struct outbox *out, size_t most,
                     int64_t now_ms, bool *more, struct err *e)
{
    uint32_t id = 0;
    size_t values = 0, checkpoints = 0;
    int64_t offset;
    int rc = 0;
    while (!rc && id != TABLE_NONE && has_room(out, values, most))
        if ((id = shard_next_due(s, now_ms)) != TABLE_NONE && ++values)
            rc = publish(f, s, id, out, e);
    FAILPOINT("features.epoch.values_collected");
    id = 0;
    while (!rc && id != TABLE_NONE && has_room(out, checkpoints, most))
        if ((id = shard_next_checkpoint(s, now_ms, &offset)) != TABLE_NONE && ++checkpoints)
            rc = checkpoint(f, s, id, offset, out, e);
    FAILPOINT_WHEN(checkpoints, "features.checkpoint.keys_collected");
    *more = !has_room(out, values, most) || !has_room(out, checkpoints, most);
    return rc ? rc : outbox_ok(out) ? 0 : err_nomem(e);
}

void features_collect_mark(struct features *f, struct shard *s, int64_t low_water,
                           struct outbox *out)
{
    const char *topic = state_topic(f, s);
    skipped_forget(shard_skipped(s), low_water);
    buf_reset(&f->wire.converted);
    skipped_write(shard_skipped(s), &f->wire.converted);
    struct feature_state mark = {.offset = low_water,
                                 .fingerprints = str_of(""),
                                 .state = buf_str(&f->wire.converted),
                                 .keys = shard_written(s)};
    outbox_begin(out, topic, shard_partition(s), str_of(CHECKPOINT_MARK));
    codec_encode(f->opts.codec, &out->bytes, topic, &feature_state_type, &mark);
    outbox_end(out);
    out->bytes.failed |= f->wire.converted.failed;
}
