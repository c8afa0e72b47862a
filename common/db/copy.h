/*
 * Rows in the binary format of PostgreSQL's COPY, version 1: integers and doubles big-endian, each
 * value with its length in bytes before it.
 *
 * Writes into a buffer; one thread a buffer. Values that the server would refuse are refused here
 * with ERR_SCHEMA, so that one of them does not fail a whole batch: the buffer may then hold part
 * of the row, and the caller cuts it back to where the row began. Out of memory shows in buf_ok()
 * alone.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "serde/records.h"
#include "serde/schema.h"

/* Before the first row, and after the last. */
void copy_begin(struct buf *b);
void copy_end(struct buf *b);

/* Starts a row; as many values must follow. */
void copy_row(struct buf *b, int columns);

void copy_null(struct buf *b);
void copy_int4(struct buf *b, int32_t value);
void copy_int8(struct buf *b, int64_t value);
void copy_bool(struct buf *b, bool value);
void copy_float8(struct buf *b, double value);
void copy_bytea(struct buf *b, struct str bytes);

/* Texts: UTF-8 without U+0000, which PostgreSQL cannot hold. ERR_SCHEMA says where it is. */
int copy_text(struct buf *b, struct str text, struct err *e);

/* The same for texts of unknown origin that are only for people: what cannot be held becomes
 * U+FFFD. */
void copy_clean_text(struct buf *b, struct str text);

/* text[] of one dimension. */
int copy_texts(struct buf *b, const struct str_list *texts, struct err *e);

/* An object of numbers, as json_put_number writes them: NaN and infinities become null. Of equal
 * names the last counts, as in jsonb itself. */
int copy_jsonb_doubles(struct buf *b, const struct double_map *map, struct err *e);

/* Any value, as value_print_json() writes it; of equal names in a map the last counts, as in jsonb
 * itself. ERR_SCHEMA: a text in it has U+0000. */
int copy_jsonb_value(struct buf *b, const struct schema_node *n, const void *value, struct err *e);

/* JSON that is known to be valid and to have no U+0000 in it. */
void copy_jsonb(struct buf *b, struct str json);

/* timestamptz of milliseconds since 1970: from 4714 BC to before 294277, PostgreSQL's own range. */
int copy_timestamptz(struct buf *b, int64_t ms, struct err *e);
