#include "ranker/late.h"

/* Events up to a place of the bytes, due at one time: the least timestamp among them and all behind
 * them that were there when they joined. Groups are in ascending order of it. */
struct late_group {
    int64_t due_ms;
    size_t end;
};

/* What was taken is given up once it is so much, and more than what is left. */
enum { SLACK_BYTES = 64 * 1024 };

void late_free(struct late *l)
{
    buf_free(&l->bytes);
    buf_free(&l->groups);
    *l = (struct late){0};
}

void late_clear(struct late *l)
{
    buf_reset(&l->bytes);
    buf_reset(&l->groups);
    l->at = l->group = 0;
}

static struct late_group *groups(const struct late *l)
{
    return (struct late_group *)(void *)l->groups.data;
}

static size_t group_count(const struct late *l)
{
    return l->groups.len / sizeof(struct late_group);
}

bool late_put(struct late *l, const struct input *in)
{
    struct late_group made = {in->timestamp_ms < 0 ? INT64_MIN : in->timestamp_ms, 0};
    struct buf *b = &l->bytes;
    size_t before = b->len;
    buf_put_u64(b, (uint64_t)in->offset);
    buf_put_u64(b, (uint64_t)in->timestamp_ms);
    buf_put_u8(b, in->key.data != NULL);
    buf_put_u8(b, in->value.data != NULL);
    buf_put_sized(b, in->key);
    buf_put_sized(b, in->value);
    made.end = b->len;
    /* Whatever is later and stands before it is due with it. */
    while (group_count(l) > l->group && groups(l)[group_count(l) - 1].due_ms >= made.due_ms)
        l->groups.len -= sizeof made;
    buf_put(&l->groups, &made, sizeof made);
    if (buf_ok(b) && buf_ok(&l->groups))
        return true;
    b->len = before;
    return false;
}

static struct cursor next_bytes(const struct late *l)
{
    return cursor_of(l->bytes.data + l->at, l->bytes.len - l->at);
}

static void read_event(struct cursor *c, struct input *out)
{
    *out = (struct input){.offset = (int64_t)cursor_u64(c)};
    out->timestamp_ms = (int64_t)cursor_u64(c);
    bool has_key = cursor_u8(c), has_value = cursor_u8(c);
    struct str key = cursor_sized(c), value = cursor_sized(c);
    out->key = has_key ? key : (struct str){0};
    out->value = has_value ? value : (struct str){0};
}

bool late_next(const struct late *l, int64_t until_ms, struct input *out)
{
    if (late_is_empty(l) || groups(l)[l->group].due_ms > until_ms)
        return false;
    struct cursor c = next_bytes(l);
    read_event(&c, out);
    return true;
}

/* Gives up the bytes and groups that were taken. */
static void shift(struct late *l)
{
    size_t gone = l->at;
    buf_splice(&l->bytes, 0, gone, NULL, 0);
    buf_splice(&l->groups, 0, l->group * sizeof(struct late_group), NULL, 0);
    l->at = l->group = 0;
    for (size_t i = 0; i < group_count(l); i++)
        groups(l)[i].end -= gone;
}

void late_taken(struct late *l)
{
    struct cursor c = next_bytes(l);
    struct input in;
    read_event(&c, &in);
    l->at = l->bytes.len - cursor_left(&c);
    l->group += l->at == groups(l)[l->group].end;
    if (late_is_empty(l))
        late_clear(l);
    else if (l->at > SLACK_BYTES && l->at > l->bytes.len / 2)
        shift(l);
}
