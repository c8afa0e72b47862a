/*
 * What is asked of a schema registry, and what it answered: the client's memory, bounded.
 *
 * A question is in one of four lists, by its state. Those that are open wait for their turn, oldest
 * first; over QUESTIONS_MAX_OPEN no new one is taken. Of refused ones the oldest are forgotten
 * over QUESTIONS_MAX_REFUSED. What is answered stays until somebody makes room.
 *
 * One thread, no I/O; time is an argument.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "serde/registry_references.h"
#include "serde/registry_servers.h"
#include "serde/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUESTIONS_MAX_OPEN = 1000, QUESTIONS_MAX_REFUSED = 10000 };

enum question_state {
    QUESTION_OPEN,     /* to be asked */
    QUESTION_ASKED,    /* under way */
    QUESTION_ANSWERED, /* known */
    QUESTION_REFUSED,  /* the registry says no */
    QUESTION_STATES,
};

struct question {
    struct question *older, *newer; /* in its list */
    enum question_state state;
    uint32_t number; /* in the table */
    void *owner;     /* the registry, for who has nothing but the question */

    uint32_t id;     /* of a schema: what is asked for, or the answer where there is a subject */
    char *subject;   /* NULL: the schema of an id is asked for, else the id of a text */
    struct str text; /* owned */

    struct schema *schema;         /* the answer; owned */
    size_t bytes;                  /* of its texts */
    struct references *references; /* as far as they are there, while it is asked; owned */

    int code;           /* of a refusal */
    char *why;          /* of a refusal or of the last failure, owned; NULL: not known */
    bool told;          /* the refusal has been given to somebody */
    int64_t refused_ms; /* for how long it counts */
    size_t failures;    /* in a row */
    int64_t pause_ms;   /* after the last one */
    int64_t again_ms;   /* not asked before; INT64_MAX: never again */

    const struct server *asked; /* which server, and in which epoch */
    uint64_t epoch;
};

struct question_list {
    struct question *oldest, *newest;
    size_t count;
};

struct questions;

/* NULL if memory could not be had. */
struct questions *questions_new(void);
void questions_free(struct questions *q); /* NULL is fine */

/*
 * The question for a schema's id (subject NULL) or for the id of a text under a subject; an open
 * one where it is new. Subject and text are copied. *out is NULL, and 0 returned, where too many
 * are open already. Fails with ERR_NOMEM.
 */
int questions_find(struct questions *q, struct question **out, uint32_t id, const char *subject,
                   struct str text, struct err *e);

/* Puts a question at the newer end of a state's list; forgets the oldest refused one, if there are
 * too many now. False, and nothing is changed, where too many are open. */
bool questions_move(struct questions *q, struct question *x, enum question_state state);

/* Takes a question out and frees it. */
void questions_forget(struct questions *q, struct question *x);

const struct question_list *questions_in(const struct questions *q, enum question_state state);

/* Bytes of the texts of all answered ones. */
size_t questions_bytes(const struct questions *q);

/* The open one that may be asked at now_ms and has waited longest; NULL: none. *due_ms is when the
 * first will be (INT64_MAX: none is open). */
struct question *questions_due(const struct questions *q, int64_t now_ms, int64_t *due_ms);
