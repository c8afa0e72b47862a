/*
 * `flotilla`, the operator's hand: its commands and what they are given.
 *
 * One thread. Results go to standard output, progress and problems to standard error.
 */
#pragma once

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "db/connection.h"
#include "serde/codec.h"

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

enum { COMMAND_OPTIONS = 48 };

struct given_option {
    int option; /* its place among the command's options */
    const char *value;
};

struct ctl {
    const struct conf *conf;
    struct codec *codec;
    const struct command *command;
    const char *values[COMMAND_OPTIONS]; /* of the command's options; a flag's is "" where it is
                                            given, else NULL */
    struct given_option *given; /* all of them, in their order: some may be given several times */
    int given_count;
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

/* The values of an option that may be given several times, one a call; at starts with 0. NULL
 * behind the last. */
const char *ctl_next(const struct ctl *c, const char *name, int *at);

/* A whole number from an option; standard if it was not given. Fails with ERR_INVALID. */
int ctl_number(int64_t *out, const struct ctl *c, const char *name, int64_t standard, int64_t least,
               int64_t most, struct err *e);

/* Writes to standard output and empties the buffer. Fails with ERR_IO (a closed pipe), ERR_NOMEM.
 */
int ctl_print(struct buf *b, struct err *e);

/* The place of an option in a command; -1: it has none of that name. */
int command_option(const struct command *c, const char *name);

/*
 * codec_decode() and codec_declare(), waiting for a schema registry: at most 10 s, and not once
 * asked to stop. They fail as those do.
 */
int ctl_decode(const struct ctl *c, void *out, const struct record_type *type, struct str bytes,
               struct arena *a, struct err *e);
int ctl_declare(const struct ctl *c, const char *topic, const struct record_type *type,
                struct err *e);

/* Who the operating system says this is. */
const char *ctl_user(void);

/* A connection to PostgreSQL under the command's name. Fails with ERR_UNAVAILABLE, ERR_INVALID,
 * ERR_NOMEM. db_free() in any case. */
int ctl_open_db(struct db **out, const struct ctl *c, struct err *e);

/* SIGINT and SIGTERM ask to stop from now on: long commands end at the next good place. */
void ctl_catch_signals(void);
bool ctl_stopping(void);

extern const struct command topics_create_command, topics_check_command, topics_acls_command,
    migrate_command, features_check_command, features_list_command, features_get_command,
    features_vector_command, features_suggest_command, send_command, tail_command, simulate_command,
    status_command, schemas_list_command, schemas_check_command, dead_letters_list_command,
    dead_letters_show_command, dead_letters_replay_command, rank_command, train_command,
    models_register_command, models_list_command, models_show_command, models_export_command,
    models_promote_command, models_rollback_command, models_pin_command, models_unpin_command,
    models_plan_command, backfill_command, models_status_command;
