#include "ctl.h"

#include "base/clock.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { REGISTRY_WAIT_US = 10 * 1000 * 1000, REGISTRY_SLICE_MS = 50 };

static volatile sig_atomic_t stopping;

static void on_signal(int number)
{
    (void)number;
    stopping = 1;
}

void ctl_catch_signals(void)
{
    struct sigaction asked = {.sa_handler = on_signal}, ignored = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &asked, NULL);
    sigaction(SIGTERM, &asked, NULL);
    sigaction(SIGPIPE, &ignored, NULL); /* A closed pipe is an error of the write. */
}

bool ctl_stopping(void)
{
    return stopping;
}

int command_option(const struct command *c, const char *name)
{
    for (int i = 0; i < COMMAND_OPTIONS && c->options[i].name; i++)
        if (strcmp(c->options[i].name, name) == 0)
            return i;
    return -1;
}

const char *ctl_option(const struct ctl *c, const char *name)
{
    return c->values[command_option(c->command, name)];
}

const char *ctl_next(const struct ctl *c, const char *name, int *at)
{
    int option = command_option(c->command, name);
    while (*at < c->given_count) {
        const struct given_option *g = &c->given[(*at)++];
        if (g->option == option)
            return g->value;
    }
    return NULL;
}

int ctl_number(int64_t *out, const struct ctl *c, const char *name, int64_t standard, int64_t least,
               int64_t most, struct err *e)
{
    const char *text = ctl_option(c, name);
    char *end;
    *out = standard;
    if (!text)
        return 0;
    errno = 0;
    *out = strtoll(text, &end, 10);
    if (!*text || *end || errno || *out < least || *out > most)
        return err_set(e, ERR_INVALID, "--%s is \"%s\": give a whole number from %lld to %lld",
                       name, text, (long long)least, (long long)most);
    return 0;
}

int ctl_print(struct buf *b, struct err *e)
{
    int rc = buf_ok(b) ? 0 : err_nomem(e);
    if (!rc && b->len && (fwrite(b->data, 1, b->len, stdout) != b->len || fflush(stdout)))
        rc = err_set(e, ERR_IO, "cannot write to standard output: %s", strerror(errno));
    buf_reset(b);
    return rc;
}

/* Whether to ask again: the registry has had a moment to answer. */
static bool wait_for_registry(const struct ctl *c, int64_t until_us, struct err *e)
{
    if (ctl_stopping())
        return false;
    if (clock_monotonic_us() >= until_us) {
        const char *why = codec_waiting(c->codec);
        err_set(e, ERR_UNAVAILABLE, "%s", *why ? why : "the schema registry does not answer");
        return false;
    }
    codec_turn(c->codec, REGISTRY_SLICE_MS);
    return true;
}

int ctl_decode(const struct ctl *c, void *out, const struct record_type *type, struct str bytes,
               struct arena *a, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + REGISTRY_WAIT_US;
    int rc;
    while ((rc = codec_decode(c->codec, out, type, bytes, a, e)) == ERR_UNAVAILABLE &&
           wait_for_registry(c, until_us, e))
        ;
    return rc;
}

int ctl_declare(const struct ctl *c, const char *topic, const struct record_type *type,
                struct err *e)
{
    int64_t until_us = clock_monotonic_us() + REGISTRY_WAIT_US;
    int rc;
    while ((rc = codec_declare(c->codec, topic, type, e)) == ERR_UNAVAILABLE &&
           wait_for_registry(c, until_us, e))
        ;
    return rc;
}

const char *ctl_user(void)
{
    const struct passwd *p = getpwuid(getuid());
    return p ? p->pw_name : "?";
}

int ctl_open_db(struct db **out, const struct ctl *c, struct err *e)
{
    char application[64];
    struct db_opts opts = {.url = conf_text(c->conf, "postgres.url"),
                           .application = application,
                           .timeout_ms = (int)conf_int(c->conf, "postgres.timeout_ms"),
                           .stopping = ctl_stopping};
    snprintf(application, sizeof application, "flotilla %s", c->command->name);
    int rc = db_new(out, &opts, e);
    return rc ? rc : db_connect(*out, e);
}
