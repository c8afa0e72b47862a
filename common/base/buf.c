#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

bool buf_grow(struct buf *b, size_t n)
{
    if (b->failed)
        return false;
    size_t cap = b->cap ? b->cap : 64;
    while (cap - b->len < n && cap <= SIZE_MAX / 2)
        cap *= 2;
    uint8_t *data = cap - b->len < n ? NULL : realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->cap = cap;
    return true;
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0 && buf_reserve(b, (size_t)n + 1)) {
        vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, again);
        b->len += (size_t)n;
    }
    va_end(again);
}

void buf_splice(struct buf *b, size_t at, size_t n, const void *bytes, size_t bytes_len)
{
    if (bytes_len > n && !buf_reserve(b, bytes_len - n))
        return;
    if (b->failed)
        return;
    memmove(b->data + at + bytes_len, b->data + at + n, b->len - at - n);
    if (bytes_len)
        memcpy(b->data + at, bytes, bytes_len);
    b->len += bytes_len - n;
}
