/* Checkpoints in: records of state.user and state.shared become state again. */
#include "features/inside.h"

int features_restore(struct features *f, struct shard *s, const struct input *in, int64_t now_ms,
                     int64_t *low_water, struct err *e)
{
    enum checkpoint_kind kind = shard_kind(s) == SHARD_USERS ? CHECKPOINT_USERS : CHECKPOINT_SHARED;
    struct checkpoint c;
    arena_reset(&f->arena);
    int rc = checkpoint_read(&c, kind, &f->wire, f->opts.codec, in, &f->arena, e);
    if (rc)
        return rc;
    if (c.is_mark) {
        *low_water = c.offset;
        shard_promise(s, c.keys);
        return skipped_read(shard_skipped(s), c.state, e);
    }
    if (c.is_nothing) {
        metric_add(f->unknown_scopes, 1);
        shard_pass_over(s);
        return 0;
    }
    return shard_restore(s, c.key, c.state, c.offset, c.due, now_ms, e);
}
