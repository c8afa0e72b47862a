/*
 * `flotilla`, the operator's hand: its commands and what they are given.
 *
 * One thread. Results go to standard output, progress and problems to standard error.
 */
#pragma once

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"

#include <stdbool.h>

/* Exit statuses that scripts may rely on. */
enum ctl_status {
    CTL_OK = 0,
    CTL_FAILED = 1, /* a server, a file or a record failed: see the message */
    CTL_USAGE = 2,  /* wrong usage or configuration */
    CTL_WRONG = 3,  /* the check was made, and what was checked is wrong */
};

struct command_option {
    const char *name;
    const char *value; /* its value's name in the help; NULL: a flag */
    const char *help;
};

enum { COMMAND_OPTIONS = 16 };

struct ctl {
    const struct conf *conf;
    const struct command *command;
    const char *values[COMMAND_OPTIONS]; /* of the command's options; a flag's is "" where it is
                                            given, else NULL */
    const char **args;
    int arg_count;
};

struct command {
    const char *name;      /* one or two words */
    const char *arguments; /* in the help: "TOPIC FILE|-" */
    int least, most;       /* number of arguments */
    const char *purpose;   /* one line */
    const char *example;
    struct command_option options[COMMAND_OPTIONS];
    /* Returns a status; CTL_FAILED and CTL_USAGE with the reason in e. */
    enum ctl_status (*run)(const struct ctl *c, struct err *e);
};

/* An option's value; NULL if it was not given. The command must have it. */
const char *ctl_option(const struct ctl *c, const char *name);

/* A whole number from an option; standard if it was not given. Fails with ERR_INVALID. */
int ctl_number(int64_t *out, const struct ctl *c, const char *name, int64_t standard, int64_t least,
               int64_t most, struct err *e);

/* Writes to standard output and empties the buffer. Fails with ERR_IO (a closed pipe), ERR_NOMEM.
 */
int ctl_print(struct buf *b, struct err *e);

/* The place of an option in a command; -1: it has none of that name. */
int command_option(const struct command *c, const char *name);

/* SIGINT and SIGTERM ask to stop from now on: long commands end at the next good place. */
void ctl_catch_signals(void);
bool ctl_stopping(void);

extern const struct command topics_create_command, topics_check_command, migrate_command,
    features_check_command, features_list_command, features_get_command, features_vector_command,
    send_command, tail_command, simulate_command, status_command;
