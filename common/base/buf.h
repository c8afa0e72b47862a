/*
 * A growing run of bytes, and the numbers that are written into one.
 *
 * One thread. A failed allocation is remembered: further writes do nothing, and buf_ok() is asked
 * once at the end instead of after each write. Integers are little-endian; a varint is base 128,
 * low bits first; signed ones are zigzag (as in Avro's binary encoding).
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
    uint8_t *data; /* owned */
    size_t len;
    size_t cap;
    bool failed; /* an allocation failed since the last reset */
};

void buf_free(struct buf *b);

/* Empties; keeps the memory, forgets a failure. */
static inline void buf_reset(struct buf *b)
{
    b->len = 0;
    b->failed = false;
}

static inline bool buf_ok(const struct buf *b)
{
    return !b->failed;
}

/* Room for n more bytes; false (and failed) if memory could not be had. */
bool buf_grow(struct buf *b, size_t n);

static inline bool buf_reserve(struct buf *b, size_t n)
{
    return !b->failed && (b->cap - b->len >= n || buf_grow(b, n));
}

static inline void buf_put(struct buf *b, const void *bytes, size_t n)
{
    if (n && buf_reserve(b, n)) {
        memcpy(b->data + b->len, bytes, n);
        b->len += n;
    }
}

static inline void buf_put_str(struct buf *b, struct str s)
{
    buf_put(b, s.data, s.len);
}

static inline void buf_put_text(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

static inline void buf_put_u8(struct buf *b, uint8_t v)
{
    buf_put(b, &v, 1);
}

static inline void buf_put_u64(struct buf *b, uint64_t v)
{
    buf_put(b, &v, 8); /* every supported machine is little-endian */
}

static inline void buf_put_double(struct buf *b, double v)
{
    buf_put(b, &v, 8);
}

enum { VARINT_BYTES = 10 };

/* Writes at most VARINT_BYTES; returns how many. */
static inline size_t varint_write(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v > 0x7f; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

static inline void buf_put_varint(struct buf *b, uint64_t v)
{
    if (buf_reserve(b, VARINT_BYTES))
        b->len += varint_write(b->data + b->len, v);
}

static inline void buf_put_zigzag(struct buf *b, int64_t v)
{
    buf_put_varint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

/* A text with its length before it, as varint. */
static inline void buf_put_sized(struct buf *b, struct str s)
{
    buf_put_varint(b, s.len);
    buf_put_str(b, s);
}

/* As printf. */
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Takes n bytes at `at` out and puts others in their place. */
void buf_splice(struct buf *b, size_t at, size_t n, const void *bytes, size_t bytes_len);

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){(const char *)b->data, b->len};
}

/*
 * Reading: a cursor over borrowed bytes. Past the end, or on a varint over 64 bits, it turns bad,
 * stays bad, and reads zeros; `bad` is asked once at the end.
 */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

/* bytes may be NULL where n is 0. */
static inline struct cursor cursor_of(const void *bytes, size_t n)
{
    return (struct cursor){bytes, n ? (const uint8_t *)bytes + n : bytes, false};
}

static inline size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->at);
}

static inline const uint8_t *cursor_take(struct cursor *c, size_t n)
{
    if (c->bad || cursor_left(c) < n) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *bytes = c->at;
    c->at += n;
    return bytes;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    const uint8_t *b = cursor_take(c, 1);
    return b ? *b : 0;
}

static inline uint64_t cursor_u64(struct cursor *c)
{
    const uint8_t *b = cursor_take(c, 8);
    uint64_t v = 0;
    if (b)
        memcpy(&v, b, 8);
    return v;
}

static inline double cursor_double(struct cursor *c)
{
    const uint8_t *b = cursor_take(c, 8);
    double v = 0;
    if (b)
        memcpy(&v, b, 8);
    return v;
}

static inline uint64_t cursor_varint(struct cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (c->bad || c->at == c->end)
            break;
        uint8_t byte = *c->at++;
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    c->bad = true;
    return 0;
}

static inline int64_t cursor_zigzag(struct cursor *c)
{
    uint64_t v = cursor_varint(c);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline struct str cursor_str(struct cursor *c, uint64_t n)
{
    if (n > cursor_left(c))
        c->bad = true;
    const uint8_t *bytes = c->bad ? NULL : cursor_take(c, (size_t)n);
    return bytes ? (struct str){(const char *)bytes, (size_t)n} : (struct str){"", 0};
}

static inline struct str cursor_sized(struct cursor *c)
{
    return cursor_str(c, cursor_varint(c));
}
