/*
 * Records of files instead of Kafka: --stream, whose lines say what they are, or --events with
 * --users, --propositions, --requests and, of commands that have it, --scored.
 *
 * One thread.
 */
#pragma once

#include "backfill/journal.h"
#include "ctl.h"
#include "lines.h"

/* The options, for commands that read them by log_files_read(). */
#define LOG_FILES_OPTIONS                                                                          \
    {"stream", "FILE",                                                                             \
     "JSON lines {\"event\"|\"request\"|\"user\"|\"proposition\": ...} in order of arrival; "      \
     "- is standard input"},                                                                       \
        {"events", "FILE", "instead: events, one a line, with the three below"},                   \
        {"users", "FILE", "users' attributes"},                                                    \
        {"propositions", "FILE", "propositions' attributes"},                                      \
    {                                                                                              \
        "requests", "FILE", "requests, each read against the events before its time"               \
    }

/* A line: of that kind, or, where kind is ENTRY_KINDS, one that says what it is. The line is
 * borrowed for the call. */
typedef int log_files_line(void *arg, enum entry_kind kind, struct str line, const struct lines *l,
                           struct err *e);

/* Which files there are, and of what: at most LOG_FILES. Fails with ERR_INVALID (options that do
 * not go together). */
enum { LOG_FILES = 6 };
struct log_file {
    const char *path;
    enum entry_kind kind;
};
int log_files_find(const struct ctl *c, struct log_file *out, size_t *count, struct err *e);

/* Hands over every line, attributes before events and requests; ends early once asked to stop.
 * Stops at the first non-zero return. Fails as log_files_find(), with ERR_IO, ERR_TOO_LARGE,
 * ERR_NOMEM. */
int log_files_read(const struct ctl *c, log_files_line *each, void *arg, struct err *e);
