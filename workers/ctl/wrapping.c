#include "wrapping.h"

#include "base/buf.h"

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\r' || *c->at == '\n'))
        c->at++;
}

static bool take(struct cursor *c, char wanted)
{
    skip_space(c);
    bool there = c->at < c->end && *c->at == (uint8_t)wanted;
    c->at += there;
    return there;
}

/* A name without escapes; names of kinds have none. */
static bool take_name(struct cursor *c, struct str *out)
{
    if (!take(c, '"'))
        return false;
    const uint8_t *start = c->at;
    while (c->at < c->end && *c->at != '"' && *c->at != '\\')
        c->at++;
    *out = str_bytes(start, (size_t)(c->at - start));
    return take(c, '"') && take(c, ':');
}

/* To behind the brace that closes the object. */
static bool take_object(struct cursor *c, struct str *out)
{
    int depth = 0;
    bool quoted = false;
    skip_space(c);
    const uint8_t *start = c->at;
    if (c->at == c->end || *c->at != '{')
        return false;
    for (; c->at < c->end; c->at++) {
        if (quoted && *c->at == '\\') {
            if (++c->at == c->end)
                return false;
        } else if (*c->at == '"') {
            quoted = !quoted;
        } else if (!quoted) {
            depth += (*c->at == '{') - (*c->at == '}');
        }
        if (depth == 0) {
            *out = str_bytes(start, (size_t)(++c->at - start));
            return true;
        }
    }
    return false;
}

static bool take_timestamp(struct cursor *c, int64_t *out)
{
    int64_t n = 0;
    skip_space(c);
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9' && n < INT64_MAX / 100; c->at++)
        n = n * 10 + (*c->at - '0');
    *out = n;
    return n > 0;
}

static bool is_kind(struct str name)
{
    return str_is(name, "event") || str_is(name, "user") || str_is(name, "proposition") ||
           str_is(name, "request");
}

bool wrapping_open(struct wrapping *out, struct str line)
{
    struct cursor c = cursor_of(line.data, line.len);
    struct str name;
    *out = (struct wrapping){0};
    if (!take(&c, '{'))
        return false;
    do {
        if (!take_name(&c, &name))
            return false;
        bool good = !out->record.data && is_kind(name) ? take_object(&c, &out->record)
                    : !out->timestamp_ms && str_is(name, "kafka_timestamp")
                        ? take_timestamp(&c, &out->timestamp_ms)
                        : false;
        if (!good)
            return false;
        if (is_kind(name))
            out->kind = name;
    } while (take(&c, ','));
    bool closed = take(&c, '}');
    skip_space(&c);
    return closed && c.at == c.end && out->record.data;
}
