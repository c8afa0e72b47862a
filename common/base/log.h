/*
 * The log: one JSON object a line on standard error, the same fields first everywhere:
 * time, level, worker, instance, event, then the event's own.
 *
 * Any thread. An event of level warn or error that repeats is written at most five times in ten
 * seconds; the next line says how many were left out ("suppressed"). The sink is the one global of
 * the project besides the stop flag.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_OFF };

struct log_field {
    const char *name; /* snake_case, unit in the name */
    enum { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_DOUBLE } type;
    struct str text;
    int64_t integer;
    double real;
};

#define LOG_STR(field, value)                                                                      \
    ((struct log_field){.name = (field), .type = LOG_FIELD_TEXT, .text = (value)})
#define LOG_TEXT(field, value) LOG_STR(field, str_of(value))
#define LOG_INT(field, value)                                                                      \
    ((struct log_field){.name = (field), .type = LOG_FIELD_INT, .integer = (int64_t)(value)})
#define LOG_DOUBLE(field, value)                                                                   \
    ((struct log_field){.name = (field), .type = LOG_FIELD_DOUBLE, .real = (value)})
#define LOG_ERR(e) LOG_TEXT("error", (e)->msg)

/* Copies nothing: both must outlive the process's logging. Lines below the level are not written.
 */
void log_init(const char *worker, const char *instance, enum log_level level);

/* debug, info, warn or error; ERR_INVALID for anything else. */
int log_level_parse(enum log_level *out, const char *text, struct err *e);

/*
 * Keeps a text (copies, cut at 511 bytes) beside the log: what a library says to its log callback
 * and to nobody else, for an error to quote. "" forgets it. log_kept() copies the newest one to
 * out; false: there is none of the last within_ms.
 */
void log_keep(const char *text);
bool log_kept(char *out, size_t size, int64_t within_ms);

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);

#define LOG_(level, event, ...)                                                                    \
    log_write(level, event, (const struct log_field[]){__VA_ARGS__},                               \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define LOG_DEBUG(event, ...) LOG_(LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define LOG_INFO(event, ...)  LOG_(LOG_LEVEL_INFO, event, __VA_ARGS__)
#define LOG_WARN(event, ...)  LOG_(LOG_LEVEL_WARN, event, __VA_ARGS__)
#define LOG_ERROR(event, ...) LOG_(LOG_LEVEL_ERROR, event, __VA_ARGS__)
