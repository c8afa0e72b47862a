#include "base/last_word.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/memory.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Names of worker and instance as they stand in a line. */
static char names[1024];

static const struct {
    int number;
    const char *name;
    const char *meaning;
} signals[] = {
    {SIGABRT, "SIGABRT",
     "a library gave up: as a rule because memory could not be had. What it said of it, if "
     "anything, "
     "stands above"},
    {SIGSEGV, "SIGSEGV",
     "a fault in this program or in a library, or memory that could not be had"},
    {SIGBUS, "SIGBUS", "a fault in this program or in a library, or memory that could not be had"},
    {SIGFPE, "SIGFPE", "a fault in this program or in a library"},
    {SIGILL, "SIGILL",
     "a fault in this program or in a library, or another processor than it is for"},
};

/* A line in the making. Nothing here may allocate or lock. */
struct line {
    char text[2048];
    size_t len;
};

static void put(struct line *l, const char *text)
{
    size_t n = strlen(text);
    if (n > sizeof l->text - l->len)
        n = sizeof l->text - l->len;
    memcpy(l->text + l->len, text, n);
    l->len += n;
}

static void put_number(struct line *l, int64_t n, int digits)
{
    char text[24], *at = text + sizeof text;
    *--at = '\0';
    for (; (n > 0 || digits > 0) && at > text; n /= 10, digits--)
        *--at = (char)('0' + n % 10);
    put(l, at);
}

/* Days since the epoch as a date (Howard Hinnant, "chrono-compatible low-level date algorithms").
 */
static void put_date(struct line *l, int64_t days)
{
    int64_t z = days + 719468, era = z / 146097, day_of_era = z - era * 146097;
    int64_t year =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day = day_of_era - (365 * year + year / 4 - year / 100);
    int64_t shifted = (5 * day + 2) / 153, month = shifted < 10 ? shifted + 3 : shifted - 9;
    put_number(l, era * 400 + year + (month <= 2), 4);
    put(l, "-");
    put_number(l, month, 2);
    put(l, "-");
    put_number(l, day - (153 * shifted + 2) / 5 + 1, 2);
}

static void put_time(struct line *l)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t seconds = now.tv_sec % 86400;
    put_date(l, now.tv_sec / 86400);
    put(l, "T");
    put_number(l, seconds / 3600, 2);
    put(l, ":");
    put_number(l, seconds / 60 % 60, 2);
    put(l, ":");
    put_number(l, seconds % 60, 2);
    put(l, ".");
    put_number(l, now.tv_nsec / 1000000, 3);
    put(l, "Z");
}

static void on_signal(int number)
{
    struct line l = {.len = 0};
    struct memory_use memory;
    size_t i = 0;
    while (signals[i].number != number)
        i++;
    memory_read(&memory);
    put(&l, "{\"time\":\"");
    put_time(&l);
    put(&l, "\",\"level\":\"error\",");
    put(&l, names);
    put(&l, ",\"event\":\"crashed\",\"signal\":\"");
    put(&l, signals[i].name);
    put(&l, "\",\"error\":\"");
    put(&l, signals[i].meaning);
    put(&l, "\",\"resident_bytes\":");
    put_number(&l, memory.resident_bytes, 1);
    put(&l, ",\"limit_bytes\":");
    put_number(&l, memory.limit_bytes, 1);
    put(&l, ",\"limit\":\"");
    put(&l, memory.limit);
    put(&l,
        "\",\"meaning\":\"start it again: what was committed is there, the rest is done again. If "
        "memory is what it lacks, give it more, or start more copies\"}\n");
    ssize_t written = write(STDERR_FILENO, l.text, l.len);
    (void)written; /* Nobody is left to tell. */
    /* The handler is gone (SA_RESETHAND): what comes next is the signal's own effect. */
    raise(number);
}

void last_word_prepare(const char *worker, const char *instance)
{
    struct buf b = {0};
    buf_put_text(&b, "\"worker\":");
    json_put_text(&b, str_of(worker));
    buf_put_text(&b, ",\"instance\":");
    json_put_text(&b, str_of(instance));
    buf_put_u8(&b, 0);
    if (buf_ok(&b) && b.len <= sizeof names)
        memcpy(names, b.data, b.len);
    else
        memcpy(names, "\"worker\":\"\"", 12);
    buf_free(&b);
    struct sigaction told = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}, before;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i].number, NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(signals[i].number, &told, NULL);
}
