/*
 * Headers of a Kafka record, apart from it: as bytes that are carried along with a record, as a
 * list for a producer, and as JSON for a database. Order, duplicates and null values stay as they
 * are.
 *
 * As bytes, each header is its name with its length before it, then the length of its value plus
 * one (0: the value is null), as varint, then the value. One thread a buffer; no I/O.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <librdkafka/rdkafka.h>

/* More than this, as bytes, is not kept of the headers of a record that could not be used. */
enum { HEADERS_MAX_BYTES = 64 * 1024 };

struct header {
    struct str name;
    struct str value; /* data NULL: null */
};

struct headers_count {
    size_t kept, all;
};

/* Appends one. */
void headers_put(struct buf *out, struct str name, struct str value);

/* The next one; borrows from the cursor's bytes. False: there is none, or the bytes are damaged,
 * which shows in c->bad. */
bool headers_next(struct cursor *c, struct header *out);

/* Appends the headers of a list from the first on, as long as they take at most `most` bytes. NULL
 * is a list without any. */
struct headers_count headers_take(struct buf *out, const rd_kafka_headers_t *list, size_t most);

/* A list for a producer, which takes it, or for rd_kafka_headers_destroy(); NULL where there are no
 * headers. Fails with ERR_CORRUPT, ERR_NOMEM. */
int headers_list(rd_kafka_headers_t **out, struct str headers, struct err *e);

/*
 * Appends an array of [name, value]: a text where it is UTF-8 without U+0000, {"base64": "..."}
 * where it is not, null for a null value. PostgreSQL holds all of it as jsonb. Damaged bytes end
 * the array.
 */
void headers_put_json(struct buf *out, struct str headers);

/* Appends what headers_put_json() has written, as bytes. Fails with ERR_SCHEMA (it is something
 * else), ERR_NOMEM. */
int headers_read_json(struct buf *out, struct str json, struct err *e);
