#include "model/trial.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "model/trial_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child that was started, and the end of its standard output. */
struct child {
    pid_t pid;
    int output;
    char said[sizeof(((struct err *)0)->msg)];
    size_t said_bytes;
};

static int write_all(int fd, struct str bytes)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.data, bytes.len);
        if (n < 0 && errno != EINTR)
            return -1;
        size_t done = n > 0 ? (size_t)n : 0;
        bytes = (struct str){bytes.data + done, bytes.len - done};
    }
    return lseek(fd, 0, SEEK_SET) == 0 ? 0 : -1;
}

/* A file in memory that the child reads; -1 with the reason in e. */
static int write_input(const struct model_parts *parts, const bool *shared, struct err *e)
{
    struct buf b = {0};
    trial_put_parts(&b, parts, shared);
    int fd = buf_ok(&b) ? memfd_create("model", MFD_CLOEXEC) : -1;
    if (!buf_ok(&b)) {
        err_nomem(e);
    } else if (fd < 0 || write_all(fd, buf_str(&b))) {
        err_set(e, ERR_UNAVAILABLE, "no file in memory for the process that tries the model: %s",
                strerror(errno));
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    buf_free(&b);
    return fd;
}

/* Nothing but standard input, output and error goes along. */
static int spawn(struct child *c, const struct trial_opts *opts, int input, int output)
{
    char *const arguments[] = {program_invocation_short_name, (char *)(uintptr_t)opts->argument,
                               NULL};
    posix_spawn_file_actions_t files;
    if (posix_spawn_file_actions_init(&files))
        return ENOMEM;
    int rc = posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    if (!rc)
        rc = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
    if (!rc)
        rc = posix_spawn(&c->pid, opts->program, &files, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    return rc;
}

static int start(struct child *c, const struct trial_opts *opts, const struct model_parts *parts,
                 const bool *shared, struct err *e)
{
    int ends[2], input = write_input(parts, shared, e);
    if (input < 0)
        return e ? e->code : ERR_UNAVAILABLE;
    int why = pipe2(ends, O_CLOEXEC) ? errno : 0;
    if (!why) {
        why = spawn(c, opts, input, ends[1]);
        close(ends[1]);
        if (why)
            close(ends[0]);
        else
            c->output = ends[0];
    }
    close(input);
    return why ? err_set(e, ERR_UNAVAILABLE, "cannot start the process that tries the model: %s",
                         strerror(why))
               : 0;
}

/* What it says, until it has closed its output. Fails when it must be ended. */
static int listen_to(struct child *c, const struct trial_opts *opts, struct err *e)
{
    int64_t until_us = clock_monotonic_us() + opts->limit_ms * INT64_C(1000);
    for (;;) {
        struct pollfd fds[] = {{.fd = c->output, .events = POLLIN},
                               {.fd = opts->stop_fd, .events = POLLIN}};
        int64_t left_us = until_us - clock_monotonic_us();
        int ready = left_us > 0 ? poll(fds, 2, (int)(left_us / 1000) + 1) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0)
            return err_set(e, ERR_UNAVAILABLE, "trying the model took longer than %d ms",
                           opts->limit_ms);
        if (fds[1].revents)
            return err_set(e, ERR_UNAVAILABLE, "stopped while the model was tried");
        char rest[256];
        size_t room = sizeof c->said - 1 - c->said_bytes;
        ssize_t n = room ? read(c->output, c->said + c->said_bytes, room)
                         : read(c->output, rest, sizeof rest);
        if (n == 0 || (n < 0 && errno != EINTR))
            return 0;
        c->said_bytes += room && n > 0 ? (size_t)n : 0;
    }
}

/* "CODE REASON" in a line. */
static int take_reason(const struct child *c, struct err *e)
{
    char *text;
    long code = strtol(c->said, &text, 10);
    if (code < ERR_INVALID || code > ERR_FATAL || *text != ' ')
        return err_set(e, ERR_UNAVAILABLE, "the process that tried the model gave no reason");
    return err_set(e, (int)code, "%.*s", (int)strcspn(text + 1, "\n"), text + 1);
}

static int judge(const struct child *c, int status, struct err *e)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == TRIAL_REFUSED)
        return take_reason(c, e);
    if (WIFEXITED(status))
        return err_set(e, ERR_UNAVAILABLE, "the process that tried the model ended with status %d",
                       WEXITSTATUS(status));
    const char *name = sigdescr_np(WTERMSIG(status));
    /* Killed is no verdict: where memory is short it is the first to go. */
    return err_set(e, WTERMSIG(status) == SIGKILL ? ERR_UNAVAILABLE : ERR_CORRUPT,
                   "the process that tried the model crashed: signal %d (%s)", WTERMSIG(status),
                   name ? name : "unknown");
}

int trial_run(const struct trial_opts *opts, const struct model_parts *parts, const bool *shared,
              struct err *e)
{
    struct child c = {0};
    int status = 0, rc = start(&c, opts, parts, shared, e);
    if (rc)
        return rc;
    rc = listen_to(&c, opts, e);
    if (rc)
        kill(c.pid, SIGKILL);
    close(c.output);
    while (waitpid(c.pid, &status, 0) < 0 && errno == EINTR)
        ;
    return rc ? rc : judge(&c, status, e);
}
