#include "ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

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
    if (!rc && (fwrite(b->data, 1, b->len, stdout) != b->len || (b->len && fflush(stdout))))
        rc = err_set(e, ERR_IO, "cannot write to standard output: %s", strerror(errno));
    buf_reset(b);
    return rc;
}
