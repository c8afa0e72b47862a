/*
 * Journals in temporary directories, and what is in them as one text. Include after unit.h.
 */
#pragma once

#include "backfill/journal.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { TEMPORARY_BYTES = 64 };

/* A directory that is not there yet, in one that is. */
static inline void temporary_journal(char path[TEMPORARY_BYTES])
{
    strcpy(path, "/tmp/test_journal.XXXXXX");
    assert_non_null(mkdtemp(path));
    strcat(path, "/journal");
}

static inline void remove_temporary(char path[TEMPORARY_BYTES])
{
    struct err e = {0};
    if (journal_remove(path, &e))
        fail_msg("%s", e.msg);
    *strrchr(path, '/') = 0;
    assert_int_equal(rmdir(path), 0);
}

static inline int try_open(struct journal **out, const char *dir, const char *identity,
                           size_t memory_bytes, bool *sealed, struct err *e)
{
    struct journal_opts opts = {dir, memory_bytes, str_of(identity)};
    return journal_open(out, &opts, sealed, e);
}

/* One that is to be filled. */
static inline struct journal *open_journal(const char *dir, size_t memory_bytes)
{
    struct journal *j = NULL;
    struct err e = {0};
    bool sealed = true;
    if (try_open(&j, dir, "a", memory_bytes, &sealed, &e))
        fail_msg("%s", e.msg);
    assert_false(sealed);
    return j;
}

static inline void add(struct journal *j, const struct entry *entry)
{
    struct err e = {0};
    if (journal_add(j, entry, &e))
        fail_msg("%s", e.msg);
}

static inline void seal(struct journal *j)
{
    struct err e = {0};
    if (journal_seal(j, str_of("{}"), &e))
        fail_msg("%s", e.msg);
}

static inline struct entry event_entry(const char *id, int64_t time_ms, int64_t number)
{
    return (struct entry){.kind = ENTRY_EVENT,
                          .time_ms = time_ms,
                          .arrival.number = number,
                          .event = {.event_id = str_of(id),
                                    .event = str_of("click"),
                                    .user_id = str_of("u"),
                                    .timestamp = time_ms}};
}

static inline struct entry request_entry(const char *id, int64_t time_ms, int64_t number)
{
    return (struct entry){.kind = ENTRY_REQUEST,
                          .time_ms = time_ms,
                          .arrival.number = number,
                          .request = {.request_id = str_of(id),
                                      .user_id = str_of("u"),
                                      .timestamp = time_ms,
                                      .placement = str_of("home")}};
}

static inline struct entry scored_entry(const char *id, int64_t time_ms, int64_t number)
{
    return (struct entry){.kind = ENTRY_SCORED,
                          .time_ms = time_ms,
                          .arrival.number = number,
                          .scored = {.request_id = str_of(id), .timestamp = time_ms}};
}

static inline struct entry user_entry(const char *id, int64_t timestamp, int64_t number)
{
    return (struct entry){.kind = ENTRY_USER,
                          .time_ms = timestamp,
                          .arrival.number = number,
                          .entity = {.id = str_of(id), .timestamp = timestamp, .active = true}};
}

static inline struct entry tombstone_entry(const char *id, int64_t time_ms, int64_t number)
{
    struct entry e = user_entry(id, time_ms, number);
    e.removed = true;
    return e;
}

/* So many events, and a user's records with them. */
static inline void fill(struct journal *j, int count)
{
    for (int i = 0; i < count; i++) {
        struct entry n = event_entry("x", count - i, i), u = user_entry("u", i, i);
        add(j, &n);
        add(j, &u);
    }
}

/* "E7:id" for an event of time 7 and so on, U, P, R, S; -u for a tombstone; times that are the
 * beginning are left away. */
static inline void put_entry_text(struct buf *out, const struct entry *n)
{
    const char letters[ENTRY_KINDS] = {
        [ENTRY_USER] = 'U',   [ENTRY_PROPOSITION] = 'P', [ENTRY_REQUEST] = 'R',
        [ENTRY_SCORED] = 'S', [ENTRY_EVENT] = 'E',
    };
    struct str id = n->kind == ENTRY_EVENT     ? n->event.event_id
                    : n->kind == ENTRY_REQUEST ? n->request.request_id
                    : n->kind == ENTRY_SCORED  ? n->scored.request_id
                                               : n->entity.id;
    buf_printf(out, "%s%s%c", out->len ? " " : "", n->removed ? "-" : "", letters[n->kind]);
    if (n->time_ms != INT64_MIN)
        buf_printf(out, "%lld", (long long)n->time_ms);
    buf_printf(out, ":%.*s", STR_ARG(id));
    /* Of attributes it matters which record of an entity it is. */
    if (n->kind <= ENTRY_PROPOSITION && !n->removed)
        buf_printf(out, "@%lld", (long long)n->entity.timestamp);
}

/* All entries in order, or as many as there are before a failure, whose code it returns. */
static inline int try_text(struct buf *out, struct journal *j, struct err *e)
{
    struct journal_cursor *c = NULL;
    struct arena a = {0};
    struct entry entry;
    bool more = true;
    buf_reset(out);
    int rc = journal_read(&c, j, e);
    while (!rc && more) {
        arena_reset(&a);
        rc = journal_next(c, &a, &entry, &more, e);
        if (!rc && more)
            put_entry_text(out, &entry);
    }
    journal_cursor_free(c);
    arena_free(&a);
    return rc;
}

static inline void assert_journal(struct journal *j, const char *text)
{
    struct buf b = {0};
    struct err e = {0};
    if (try_text(&b, j, &e))
        fail_msg("%s", e.msg);
    assert_buf_is(&b, text);
    buf_free(&b);
}
