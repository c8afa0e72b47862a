#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *e, int code, const char *format, ...)
{
    if (!e)
        return code;
    va_list args;
    va_start(args, format);
    vsnprintf(e->msg, sizeof e->msg, format, args);
    va_end(args);
    e->code = code;
    return code;
}

int err_wrap(struct err *e, const char *format, ...)
{
    if (!e)
        return ERR_FATAL;
    struct err inner = *e;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(e->msg, sizeof e->msg, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n + 3 < sizeof e->msg)
        snprintf(e->msg + n, sizeof e->msg - (size_t)n, ": %.*s",
                 (int)(sizeof e->msg - (size_t)n - 3), inner.msg);
    return e->code;
}

int err_nomem(struct err *e)
{
    return err_set(e, ERR_NOMEM, "out of memory");
}

enum err_class err_class(int code)
{
    switch (code) {
    case ERR_UNAVAILABLE:
        return ERR_CLASS_RETRY;
    case ERR_CORRUPT:
    case ERR_SCHEMA:
    case ERR_TOO_LARGE:
        return ERR_CLASS_POISON;
    case ERR_ABORTED:
        return ERR_CLASS_ABORT;
    default:
        return ERR_CLASS_FATAL;
    }
}
