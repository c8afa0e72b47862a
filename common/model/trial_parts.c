#include "model/trial_parts.h"

void trial_put_parts(struct buf *out, const struct model_parts *parts, const bool *shared)
{
    buf_put_sized(out, parts->sha256);
    buf_put_sized(out, parts->canary_rows);
    buf_put_sized(out, parts->canary_margins);
    buf_put_varint(out, parts->features.count);
    for (size_t i = 0; i < parts->features.count; i++)
        buf_put_u8(out, shared[i]);
    buf_put_sized(out, parts->bytes);
}

int trial_read_parts(struct model_parts *parts, const bool **shared, struct str bytes,
                     struct arena *a, struct err *e)
{
    struct cursor c = cursor_of(bytes.data, bytes.len);
    *parts = (struct model_parts){.sha256 = cursor_sized(&c)};
    parts->canary_rows = cursor_sized(&c);
    parts->canary_margins = cursor_sized(&c);
    uint64_t columns = cursor_varint(&c);
    struct str flags = cursor_str(&c, columns);
    parts->bytes = cursor_sized(&c);
    parts->features.count = flags.len;
    if (c.bad || cursor_left(&c))
        return err_set(e, ERR_CORRUPT, "these are no parts of a model");
    bool *list = arena_alloc(a, flags.len + 1);
    if (!list)
        return err_nomem(e);
    for (size_t i = 0; i < flags.len; i++)
        list[i] = flags.data[i] != 0;
    *shared = list;
    return 0;
}
