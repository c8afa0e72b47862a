#include "state/checkpoint.h"

#include "feature/apply.h"
#include "state/log_record.h"

static int foreign(const struct input *in, struct err *e)
{
    return err_set(e, ERR_CORRUPT,
                   "%s partition %d offset %lld is no checkpoint of this program: if somebody "
                   "wrote to the topic, delete it and its group's offsets, and the state is built "
                   "again from the log",
                   in->topic, in->partition, (long long)in->offset);
}

static int unknown(const struct input *in, struct err *e)
{
    err_wrap(e, "the checkpoint at %s partition %d offset %lld", in->topic, in->partition,
             (long long)in->offset);
    return e->code = ERR_UNAVAILABLE;
}

static int decode(struct feature_state *state, struct codec *codec, const struct input *in,
                  struct arena *a, struct err *e)
{
    if (!in->key.data || !in->value.data)
        return foreign(in, e);
    int rc = codec_decode(codec, state, &feature_state_type, in->value, a, e);
    if (rc == ERR_NOT_FOUND)
        return unknown(in, e);
    return !rc || rc == ERR_UNAVAILABLE || rc == ERR_NOMEM ? rc : foreign(in, e);
}

static int read_shared(struct checkpoint *out, struct wire *w, struct str fingerprints,
                       const struct input *in, struct arena *a, struct err *e)
{
    int scope = wire_read_key(w, in->key, a);
    out->is_nothing = scope == WIRE_UNKNOWN;
    if (out->is_nothing)
        return 0;
    int rc = scope == WIRE_DAMAGED ? ERR_CORRUPT
                                   : wire_read_cell(w, scope, fingerprints, &out->state, e);
    out->key = buf_str(&w->key);
    out->is_nothing = !rc && !out->state.data;
    return !rc || rc == ERR_NOMEM ? rc : foreign(in, e);
}

int checkpoint_read(struct checkpoint *out, enum checkpoint_kind kind, struct wire *w,
                    struct codec *codec, const struct input *in, struct arena *a, struct err *e)
{
    struct feature_state state;
    int rc = decode(&state, codec, in, a, e);
    if (rc)
        return rc;
    *out = (struct checkpoint){.is_mark = str_is(in->key, CHECKPOINT_MARK),
                               .due = state.due,
                               .offset = state.offset,
                               .key = in->key,
                               .state = state.state,
                               .keys = state.keys};
    if (out->is_mark)
        return 0;
    if (kind == CHECKPOINT_SHARED)
        return read_shared(out, w, state.fingerprints, in, a, e);
    rc = wire_read_user(w, state.fingerprints, &out->state, e);
    return !rc || rc == ERR_NOMEM ? rc : foreign(in, e);
}

int checkpoint_total(struct str *key, struct str *cell, struct wire *w, struct codec *codec,
                     const struct input *in, struct arena *a, struct err *e)
{
    struct feature_state state;
    struct err why = {0};
    int scope = in->key.data ? feature_set_scope(w->set, in->key) : -1;
    *key = *cell = (struct str){0};
    if (scope < 0 || !w->set->scopes[scope].is_total || !in->value.data)
        return 0;
    int rc = codec_decode(codec, &state, &feature_state_type, in->value, a, &why);
    if (rc)
        return log_record_is_well(rc) ? err_set(e, rc, "%s", why.msg) : 0;
    if (!wire_matches(state.fingerprints, &w->scope_layouts[scope]) ||
        !cell_is_sound(&w->set->scopes[scope], state.state))
        return 0;
    buf_reset(&w->key);
    shared_key(&w->key, (size_t)scope, str_of(""));
    *key = buf_str(&w->key);
    *cell = state.state;
    return buf_ok(&w->key) ? 0 : err_nomem(e);
}
