/*
 * Dead letters as the recorder has stored them: which of them a person means, and what is known of
 * one.
 *
 * One thread.
 */
#pragma once

#include "ctl.h"

#include "db/connection.h"

/* Where the original record was: topic/partition/offset. */
struct letter_place {
    char topic[256]; /* as in Kafka */
    int partition;
    int64_t offset;
};

enum { LETTER_PLACE_BYTES = 320 };

/* Reads topic/partition/offset; a topic may have its name of the settings. Fails with ERR_INVALID.
 */
int letter_place_parse(struct letter_place *out, const struct conf *conf, const char *text,
                       struct err *e);
const char *letter_place_print(char text[LETTER_PLACE_BYTES], const struct letter_place *p);

/* The rows of dead letters as d, and of their replays, where there are any, as r. */
#define LETTERS_FROM                                                                               \
    " FROM dead_letters d LEFT JOIN dead_letter_replays r ON r.topic = d.topic "                   \
    "AND r.partition = d.partition AND r.\"offset\" = d.\"offset\" "

enum { LETTER_VALUES = 48 };

/* Conditions that all must hold, as SQL on LETTERS_FROM with parameters $1, $2, ... */
struct letter_filter {
    struct buf sql;              /* " AND ..." for each; terminated */
    struct buf text;             /* the conditions as they were given, for a person; terminated */
    char *values[LETTER_VALUES]; /* of the parameters; owned */
    int count;
};

#define LETTER_FILTER_HELP                                                                         \
    "Conditions, of which all must hold:\n"                                                        \
    "  topic=NAME  partition=N  offset=N  offset=N..N  worker=NAME  reason=CODE  key=TEXT\n"       \
    "  detail~TEXT          the detail holds the text\n"                                           \
    "  since=1h  until=2h   recorded at that time or later, and before it: so long ago (s, m, h, " \
    "d), or 2026-01-31T08:00:00Z\n"                                                                \
    "  state=none|left|sending|sent"

/* Reads every --filter of a command. Fails with ERR_INVALID (says which one and what there is),
 * ERR_NOMEM; to be freed in any case. */
int letter_filter_read(struct letter_filter *f, const struct ctl *c, int64_t now_ms, struct err *e);
void letter_filter_free(struct letter_filter *f);

/* Adds a parameter and returns its number; 0: there is no more room or memory. */
int letter_filter_add(struct letter_filter *f, const char *value);

/* A connection, made. Fails with ERR_INVALID, ERR_UNAVAILABLE, ERR_NOMEM. */
int letters_open(struct db **out, const struct ctl *c, struct err *e);

/* All that is kept of one dead letter. */
struct letter {
    struct letter_place place;
    PGresult *row; /* owned; the texts borrow from it */
    const char *worker, *reason, *detail, *recorded_at;
    const char *timestamp; /* NULL: it has none that PostgreSQL can hold */
    const char *headers;   /* JSON, as headers_put_json() writes it; NULL: none were kept */
    struct str key, value; /* data NULL: none */
    struct buf bytes;      /* owned; of key and value */
    int times;             /* how often this place was recorded; this is the newest */
    bool is_cut;           /* a part of the value or of the headers was not kept */
};

/* Fails with ERR_NOT_FOUND, ERR_NOMEM, and as db_query(). To be freed in any case. */
int letter_read(struct letter *l, struct db *d, const struct letter_place *p, struct err *e);
void letter_free(struct letter *l);
