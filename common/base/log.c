#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum {
    REPEATED_EVENTS = 64,
    LINES_PER_PERIOD = 5,
    PERIOD_MS = 10000,
    LINE_BYTES = 4096, /* had from the start: what is said of want of memory fits */
    END_BYTES = 64,    /* room for the end of a line, however it ends */
};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* How often one kind of problem was written in the running period. */
struct repeated {
    char event[48];
    int64_t period_start_ms;
    int lines;
    int64_t suppressed;
};

static struct {
    pthread_mutex_t lock;
    const char *worker;
    const char *instance;
    enum log_level level;
    struct repeated repeated[REPEATED_EVENTS];
    struct buf line;
    char kept[512];
    int64_t kept_us;
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .worker = "", .instance = "", .level = LOG_LEVEL_INFO};

void log_init(const char *worker, const char *instance, enum log_level level)
{
    pthread_mutex_lock(&sink.lock);
    sink.worker = worker;
    sink.instance = instance;
    sink.level = level;
    buf_reset(&sink.line);
    buf_reserve(&sink.line, LINE_BYTES);
    pthread_mutex_unlock(&sink.lock);
}

int log_level_parse(enum log_level *out, const char *text, struct err *e)
{
    for (int i = 0; i <= LOG_LEVEL_ERROR; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return err_set(e, ERR_INVALID, "log level is \"%s\": give debug, info, warn or error", text);
}

void log_keep(const char *text)
{
    pthread_mutex_lock(&sink.lock);
    snprintf(sink.kept, sizeof sink.kept, "%s", text);
    sink.kept_us = clock_monotonic_us();
    pthread_mutex_unlock(&sink.lock);
}

bool log_kept(char *out, size_t size, int64_t within_ms)
{
    pthread_mutex_lock(&sink.lock);
    bool there = *sink.kept && clock_monotonic_us() - sink.kept_us <= within_ms * 1000;
    if (there)
        snprintf(out, size, "%s", sink.kept);
    pthread_mutex_unlock(&sink.lock);
    return there;
}

/* The event's row; the one whose period is oldest gives way to a new event. */
static struct repeated *row_of(const char *event)
{
    struct repeated *oldest = &sink.repeated[0];
    for (size_t i = 0; i < REPEATED_EVENTS; i++) {
        struct repeated *r = &sink.repeated[i];
        if (strncmp(r->event, event, sizeof r->event - 1) == 0)
            return r;
        if (r->period_start_ms < oldest->period_start_ms)
            oldest = r;
    }
    *oldest = (struct repeated){0};
    snprintf(oldest->event, sizeof oldest->event, "%s", event);
    return oldest;
}

/* Whether to leave this line out; else how many were left out before it. */
static bool is_suppressed(const char *event, int64_t now_ms, int64_t *suppressed)
{
    struct repeated *r = row_of(event);
    if (now_ms - r->period_start_ms >= PERIOD_MS || now_ms < r->period_start_ms) {
        r->period_start_ms = now_ms;
        r->lines = 0;
    }
    if (r->lines >= LINES_PER_PERIOD) {
        r->suppressed++;
        return true;
    }
    r->lines++;
    *suppressed = r->suppressed;
    r->suppressed = 0;
    return false;
}

static void put_field(struct buf *b, const struct log_field *f)
{
    buf_put_u8(b, ',');
    json_put_text(b, str_of(f->name));
    buf_put_u8(b, ':');
    if (f->type == LOG_FIELD_TEXT)
        json_put_text(b, f->text);
    else if (f->type == LOG_FIELD_INT)
        buf_printf(b, "%lld", (long long)f->integer);
    else
        json_put_number(b, f->real);
}

/* *whole becomes the length up to the last one that is there completely, with room for the end. */
static void put_fields(struct buf *b, const struct log_field *fields, size_t n, size_t *whole)
{
    for (size_t i = 0; i < n; i++) {
        put_field(b, &fields[i]);
        if (buf_reserve(b, END_BYTES))
            *whole = b->len;
    }
}

/* Without memory a line ends with the last field that fits; in that of log_init(), all that matters
 * does. */
static void cut(struct buf *b, size_t whole)
{
    if (!whole)
        return;
    buf_reset(b);
    b->len = whole;
    buf_put_text(b, ",\"cut\":\"out of memory\"");
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n)
{
    if (level < sink.level)
        return;
    int64_t now_ms = clock_now_ms(), suppressed = 0;
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    pthread_mutex_lock(&sink.lock);
    if (level >= LOG_LEVEL_WARN && is_suppressed(event, now_ms, &suppressed)) {
        pthread_mutex_unlock(&sink.lock);
        return;
    }
    struct buf *b = &sink.line;
    buf_reset(b);
    char time[32];
    strftime(time, sizeof time, "%Y-%m-%dT%H:%M:%S", &utc);
    buf_printf(b, "{\"time\":\"%s.%03dZ\",\"level\":\"%s\"", time, (int)(now_ms % 1000),
               level_names[level]);
    struct log_field first[] = {LOG_TEXT("worker", sink.worker),
                                LOG_TEXT("instance", sink.instance), LOG_TEXT("event", event)};
    size_t whole = 0;
    put_fields(b, first, sizeof first / sizeof *first, &whole);
    put_fields(b, fields, n, &whole);
    if (!buf_ok(b))
        cut(b, whole);
    if (suppressed)
        put_field(b, &LOG_INT("suppressed", suppressed));
    buf_put_text(b, "}\n");
    if (buf_ok(b)) {
        ssize_t written = write(STDERR_FILENO, b->data, b->len);
        (void)written; /* Nobody is left to tell. */
    }
    pthread_mutex_unlock(&sink.lock);
}
