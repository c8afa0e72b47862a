#include "repair.h"

#include "base/base64.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    SLICE_MS = 100,
    PIPE_BYTES = 65536,
    SAID_BYTES = 16384,
    OWN_VARIABLES = 12,
    VARIABLE_BYTES = 100000, /* the kernel takes 128 KiB for one */
};

/* ---- What it is told ---- */

struct surroundings {
    char **list; /* ours, then the process's; owned, the texts of ours too */
    int own;
};

static void put_variable(struct surroundings *s, const char *name, struct str value)
{
    struct buf b = {0};
    if (!value.data || value.len > VARIABLE_BYTES)
        return;
    buf_printf(&b, "DEAD_LETTER_%s=", name);
    buf_put_str(&b, value);
    buf_put_u8(&b, 0);
    if (buf_ok(&b))
        s->list[s->own++] = (char *)b.data;
    else
        buf_free(&b);
}

/* A variable that the letter has no value for, or one that is too large, is not there. */
static int surround(struct surroundings *s, const struct letter *l, struct err *e)
{
    size_t n = 0;
    char partition[16], offset[32];
    struct buf key = {0};
    while (environ[n])
        n++;
    s->list = calloc(n + OWN_VARIABLES + 1, sizeof *s->list);
    if (!s->list)
        return err_nomem(e);
    snprintf(partition, sizeof partition, "%d", l->place.partition);
    snprintf(offset, sizeof offset, "%" PRId64, l->place.offset);
    put_variable(s, "TOPIC", str_of(l->place.topic));
    put_variable(s, "PARTITION", str_of(partition));
    put_variable(s, "OFFSET", str_of(offset));
    put_variable(s, "REASON", str_of(l->reason));
    put_variable(s, "DETAIL", str_of(l->detail));
    put_variable(s, "WORKER", str_of(l->worker));
    put_variable(s, "TIMESTAMP", str_of(l->timestamp));
    put_variable(s, "HEADERS", str_of(l->headers));
    put_variable(s, "HAS_VALUE", str_of(l->value.data ? "yes" : "no"));
    if (l->key.data) {
        base64_put(&key, l->key);
        put_variable(s, "KEY_BASE64", key.data ? buf_str(&key) : str_of(""));
    }
    buf_free(&key);
    memcpy(s->list + s->own, environ, n * sizeof *s->list);
    return 0;
}

static void surroundings_free(struct surroundings *s)
{
    for (int i = 0; i < s->own; i++)
        free(s->list[i]);
    free(s->list);
}

/* ---- Starting it ---- */

enum { STDIN, STDOUT, STDERR, STREAMS };

struct child {
    pid_t pid;
    int ours[STREAMS]; /* our end of each; -1: closed */
    int theirs[STREAMS];
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_all(struct child *c)
{
    for (int i = 0; i < STREAMS; i++) {
        close_end(&c->ours[i]);
        close_end(&c->theirs[i]);
    }
}

static int open_pipes(struct child *c, struct err *e)
{
    *c = (struct child){.ours = {-1, -1, -1}, .theirs = {-1, -1, -1}};
    for (int i = 0; i < STREAMS; i++) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC))
            return err_set(e, ERR_IO, "cannot make a pipe: %s", strerror(errno));
        c->ours[i] = ends[i == STDIN];
        c->theirs[i] = ends[i != STDIN];
        fcntl(c->ours[i], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

/* A process group of its own, so that all that the shell starts can be killed at once, and signals
 * as they are at first: we ignore some. */
static int spawn(struct child *c, const struct repair *r, const struct surroundings *s,
                 struct err *e)
{
    char *arguments[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                         (char *)(uintptr_t)r->command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t usual;
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < STREAMS; i++)
        posix_spawn_file_actions_adddup2(&actions, c->theirs[i], i);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigdefault(&attributes, &usual);
    int code = posix_spawn(&c->pid, "/bin/sh", &actions, &attributes, arguments, s->list);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    for (int i = 0; i < STREAMS; i++)
        close_end(&c->theirs[i]);
    return code ? err_set(e, ERR_IO, "cannot start /bin/sh: %s", strerror(code)) : 0;
}

/* ---- Talking to it ---- */

struct talk {
    struct child child;
    struct str left; /* of the value */
    struct repaired *out;
    bool is_too_much;
};

/* A command that does not want its input has closed it. */
static void feed(struct talk *t)
{
    ssize_t n = write(t->child.ours[STDIN], t->left.data, t->left.len);
    if (n > 0)
        t->left = str_bytes(t->left.data + n, t->left.len - (size_t)n);
    if (!t->left.len || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_end(&t->child.ours[STDIN]);
}

static void drain(struct talk *t, int stream)
{
    char piece[PIPE_BYTES];
    struct buf *to = stream == STDOUT ? &t->out->value : &t->out->said;
    size_t most = stream == STDOUT ? REPAIR_MAX_BYTES : SAID_BYTES;
    ssize_t n = read(t->child.ours[stream], piece, sizeof piece);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_end(&t->child.ours[stream]);
    if (n <= 0)
        return;
    size_t room = most - to->len;
    buf_put(to, piece, (size_t)n < room ? (size_t)n : room);
    t->is_too_much |= stream == STDOUT && (size_t)n > room;
}

/* Until it has closed both its outputs. Whether it did, in time. */
static bool listen_to(struct talk *t, int64_t until_us)
{
    struct child *c = &t->child;
    while (c->ours[STDOUT] >= 0 || c->ours[STDERR] >= 0) {
        struct pollfd fds[STREAMS];
        for (int i = 0; i < STREAMS; i++)
            fds[i] = (struct pollfd){.fd = c->ours[i], .events = i == STDIN ? POLLOUT : POLLIN};
        if (ctl_stopping() || clock_monotonic_us() >= until_us || t->is_too_much)
            return false;
        if (poll(fds, STREAMS, SLICE_MS) <= 0)
            continue;
        if (fds[STDIN].revents)
            feed(t);
        for (int i = STDOUT; i < STREAMS; i++)
            if (fds[i].revents)
                drain(t, i);
    }
    return true;
}

/* Its status, once it has ended; it may run on after closing its outputs. */
static bool wait_for(pid_t pid, int64_t until_us, int *status)
{
    while (waitpid(pid, status, WNOHANG) == 0) {
        if (ctl_stopping() || clock_monotonic_us() >= until_us)
            return false;
        clock_sleep_ms(1);
    }
    return true;
}

static void judge(struct repaired *out, int status)
{
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    out->end = code == 0 ? REPAIR_DONE : code == REPAIR_LEAVES ? REPAIR_LEFT : REPAIR_FAILED;
    if (code > 0)
        snprintf(out->note, sizeof out->note, "the repair command ended with status %d", code);
    else if (code < 0)
        snprintf(out->note, sizeof out->note, "the repair command was ended by signal %d",
                 WTERMSIG(status));
}

static int talk_to(struct talk *t, const struct repair *r, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + r->limit_ms * 1000;
    pid_t pid = t->child.pid;
    int status = 0;
    if (!t->left.len)
        close_end(&t->child.ours[STDIN]);
    if (listen_to(t, until_us) && wait_for(pid, until_us, &status)) {
        judge(t->out, status);
    } else {
        kill(-pid, SIGKILL);
        waitpid(pid, &status, 0);
        t->out->end = REPAIR_FAILED;
        if (ctl_stopping())
            return err_set(e, ERR_ABORTED, "interrupted");
        if (t->is_too_much)
            snprintf(t->out->note, sizeof t->out->note,
                     "the repair command printed more than %d bytes", REPAIR_MAX_BYTES);
        else
            snprintf(t->out->note, sizeof t->out->note,
                     "the repair command was not done after %" PRId64 " ms", r->limit_ms);
    }
    return buf_ok(&t->out->value) && buf_ok(&t->out->said) ? 0 : err_nomem(e);
}

int repair_run(struct repaired *out, const struct repair *r, const struct letter *l, struct err *e)
{
    struct talk t = {.left = l->value, .out = out};
    struct surroundings s = {0};
    *out = (struct repaired){.end = REPAIR_FAILED};
    int rc = open_pipes(&t.child, e);
    if (!rc)
        rc = surround(&s, l, e);
    if (!rc)
        rc = spawn(&t.child, r, &s, e);
    if (!rc)
        rc = talk_to(&t, r, e);
    close_all(&t.child);
    surroundings_free(&s);
    return rc;
}

void repaired_free(struct repaired *r)
{
    buf_free(&r->value);
    buf_free(&r->said);
}
