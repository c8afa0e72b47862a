#include "base/failpoint.h"

#ifdef FLOTILLA_FAILPOINTS

#include "base/clock.h"
#include "base/log.h"

#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_ARMED = 4, NAME_BYTES = 128, SLEEP_LIMIT_MS = 600000 };

enum action { ACTION_KILL, ACTION_STOP, ACTION_SLEEP };

static const char *const action_names[] = {"kill", "stop", "sleep"};

/* What happens at one point. */
struct armed {
    const struct failpoint *point;
    long passage;
    enum action action;
    int sleep_ms;
    atomic_long passed;
};

/* Written at the start, before there are other threads. */
static struct armed armed[MOST_ARMED];
static int armed_count;

/* Of the linker: where the section of the macros begins and ends. Weak, since a program without any
 * point has none. */
extern const struct failpoint *__start_failpoints[] __attribute__((weak));
extern const struct failpoint *__stop_failpoints[] __attribute__((weak));

static const struct failpoint *find(struct str name)
{
    for (const struct failpoint **p = __start_failpoints; p < __stop_failpoints; p++)
        if (str_equal(str_of((*p)->name), name))
            return *p;
    return NULL;
}

/* A whole decimal number from 1 to the limit. */
static bool read_number(long *out, const char *text, long limit)
{
    char *end;
    if (*text < '1' || *text > '9')
        return false;
    *out = strtol(text, &end, 10);
    return *end == '\0' && *out <= limit;
}

static bool read_action(struct armed *a, const char *text)
{
    long ms = 0;
    if (strcmp(text, "kill") == 0)
        a->action = ACTION_KILL;
    else if (strcmp(text, "stop") == 0)
        a->action = ACTION_STOP;
    else if (strncmp(text, "sleep:", 6) == 0 && read_number(&ms, text + 6, SLEEP_LIMIT_MS))
        a->action = ACTION_SLEEP;
    else
        return false;
    a->sleep_ms = (int)ms;
    return true;
}

/* NAME:PASSAGE:ACTION */
static int arm(const char *text, struct err *e)
{
    char name[NAME_BYTES], passage[16];
    int used = 0;
    if (armed_count == MOST_ARMED)
        return err_set(e, ERR_INVALID, "FAILPOINT names more than %d points", MOST_ARMED);
    struct armed *a = &armed[armed_count];
    if (sscanf(text, "%127[^:]:%15[^:]:%n", name, passage, &used) != 2 || !used ||
        !read_number(&a->passage, passage, LONG_MAX) || !read_action(a, text + used))
        return err_set(e, ERR_INVALID,
                       "FAILPOINT has \"%.100s\": it has to be NAME:PASSAGE:ACTION, where PASSAGE "
                       "counts from 1 and ACTION is kill, stop or sleep:MS",
                       text);
    a->point = find(str_of(name));
    if (!a->point)
        return err_set(e, ERR_INVALID, "FAILPOINT names %s: this program has no such failpoint",
                       name);
    atomic_store(&a->passed, 0);
    armed_count++;
    return 0;
}

int failpoint_start(struct err *e)
{
    const char *text = getenv("FAILPOINT");
    int rc = 0;
    armed_count = 0;
    while (text && !rc) {
        char one[256];
        size_t len = strcspn(text, ",");
        snprintf(one, sizeof one, "%.*s", (int)len, text);
        rc = arm(one, e);
        text = text[len] ? text + len + 1 : NULL;
    }
    if (rc)
        armed_count = 0;
    else
        LOG_INFO("failpoints", LOG_INT("armed", armed_count),
                 LOG_TEXT("meaning", "this build can be told to kill itself: it is for tests"));
    return rc;
}

const char *failpoint_build(void)
{
    return " with failpoints";
}

static void act(const struct armed *a)
{
    LOG_INFO("failpoint", LOG_TEXT("point", a->point->name), LOG_INT("passage", a->passage),
             LOG_TEXT("action", action_names[a->action]));
    if (a->action == ACTION_KILL)
        raise(SIGKILL);
    else if (a->action == ACTION_STOP)
        raise(SIGSTOP);
    else
        clock_sleep_ms(a->sleep_ms);
}

void failpoint_pass(const struct failpoint *here)
{
    for (int i = 0; i < armed_count; i++) {
        struct armed *a = &armed[i];
        if (a->point == here && atomic_fetch_add(&a->passed, 1) + 1 == a->passage)
            act(a);
    }
}

#else

int failpoint_start(struct err *e)
{
    (void)e;
    return 0;
}

const char *failpoint_build(void)
{
    return "";
}

#endif
