/* Checkpoints in: records of state.user and state.shared become state again. */
#include "features/inside.h"

static int foreign(const struct input *in, struct err *e)
{
    return err_set(e, ERR_CORRUPT,
                   "%s partition %d offset %lld is no checkpoint of this program: if somebody "
                   "wrote to the topic, delete "
                   "it and its group's offsets, and the state is built again from the log",
                   in->topic, in->partition, (long long)in->offset);
}

/* A checkpoint is written by one of us: its schema is somewhere, and waited for. */
static int unknown(const struct input *in, struct err *e)
{
    err_wrap(e, "the checkpoint at %s partition %d offset %lld", in->topic, in->partition,
             (long long)in->offset);
    return e->code = ERR_UNAVAILABLE;
}

/* A walk over a user's record, for what may be damaged in it. */
struct walk {
    const struct feature_set *set;
    size_t scope;
};

static int check_key(void *arg, const struct user_key_view *k, struct err *e)
{
    const struct walk *w = arg;
    bool gone = *k->flags & KEY_IS_GONE;
    return gone || cell_is_sound(&w->set->scopes[w->scope], k->cell)
               ? 0
               : err_set(e, ERR_CORRUPT, "a cell is damaged");
}

static int check_section(void *arg, size_t scope, struct str section, struct err *e)
{
    struct walk *w = arg;
    w->scope = scope;
    return user_section_each(section, check_key, w, e);
}

static int restore_user(struct features *f, struct shard *s, const struct input *in,
                        const struct feature_state *state, int64_t now_ms, struct err *e)
{
    struct str record = state->state;
    if (!wire_matches(state->fingerprints, &f->user_layout)) {
        buf_reset(&f->converted);
        int rc = user_record_convert(&f->converted, f->opts.set, state->fingerprints, record, e);
        if (rc)
            return rc == ERR_NOMEM ? rc : foreign(in, e);
        record = buf_str(&f->converted);
    }
    struct walk w = {.set = f->opts.set};
    if (user_record_each(f->opts.set, record, check_section, &w, e))
        return foreign(in, e);
    return shard_restore(s, in->key, record, state->offset, state->due, now_ms, e);
}

int features_restore(struct features *f, struct shard *s, const struct input *in, int64_t now_ms,
                     int64_t *low_water, struct err *e)
{
    struct feature_state state;
    arena_reset(&f->arena);
    if (!in->key.data || !in->value.data)
        return foreign(in, e);
    int rc = codec_decode(f->opts.codec, &state, &feature_state_type, in->value, &f->arena, e);
    if (rc)
        return rc == ERR_UNAVAILABLE || rc == ERR_NOMEM ? rc
               : rc == ERR_NOT_FOUND                    ? unknown(in, e)
                                                        : foreign(in, e);
    if (str_is(in->key, FEATURES_MARK)) {
        *low_water = state.offset;
        return skipped_read(shard_skipped(s), state.state, e);
    }
    if (shard_kind(s) == SHARD_USERS)
        return restore_user(f, s, in, &state, now_ms, e);
    int scope = wire_read_key(f, in->key);
    if (scope < 0) {
        metric_add(f->unknown_scopes, 1);
        return scope == WIRE_UNKNOWN ? 0 : foreign(in, e);
    }
    struct str cell = state.state;
    if (wire_read_cell(f, scope, state.fingerprints, &cell, e))
        return e->code == ERR_NOMEM ? e->code : foreign(in, e);
    return cell.data ? shard_restore(s, buf_str(&f->key), cell, state.offset, state.due, now_ms, e)
                     : 0;
}
