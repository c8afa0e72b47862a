/*
 * Which topic goes to which table, and how: the one place where a topic is added.
 *
 * A sink is a few declarative lines in sinks.c and a migration that makes its table. Any thread;
 * constants.
 *
 * Not here is score.log: it takes some 3 KB a request, ten times what everything else about a
 * request does, and is read by programs that read it whole. Kafka keeps it for 30 days.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "serde/records.h"
#include "serde/schema.h"

#include <stdbool.h>

enum sink_mode {
    SINK_LATEST,  /* one row a key, the newest: by order of the log */
    SINK_HISTORY, /* a row a record */
};

/* What a column is in PostgreSQL, and which type of field it takes. */
enum column_type {
    COLUMN_TEXT,          /* text: struct str */
    COLUMN_CLEAN_TEXT,    /* the same; what PostgreSQL cannot hold is replaced instead of refused */
    COLUMN_TEXTS,         /* text[]: struct str_list */
    COLUMN_DOUBLES,       /* jsonb: struct double_map */
    COLUMN_TIME,          /* timestamptz: int64_t, in milliseconds */
    COLUMN_TIME_OR_NULL,  /* the same; null where PostgreSQL cannot hold it */
    COLUMN_INT,           /* integer: int32_t */
    COLUMN_LONG,          /* bigint: int64_t */
    COLUMN_BOOLEAN,       /* boolean: bool */
    COLUMN_BYTES,         /* bytea: struct str or NULL */
    COLUMN_TEXT_OR_NULL,  /* text: struct str or NULL */
    COLUMN_JSON,          /* jsonb: any field, as value_print_json() writes it */
    COLUMN_KAFKA_KEY,     /* bytea: the key of the Kafka record; no field, as the next are not */
    COLUMN_KAFKA_HEADERS, /* jsonb: its headers, as headers_put_json() writes them */
    COLUMN_KAFKA_TOPIC,   /* text: where it was, with partition and offset */
    COLUMN_KAFKA_PARTITION, /* integer */
    COLUMN_KAFKA_OFFSET,    /* bigint */
};

struct sink_column {
    const char *name;
    enum column_type type;
    size_t offset; /* of the field in the record */
};

struct sink {
    const char *topic; /* as in the settings topics.* */
    const char *table;
    enum sink_mode mode;
    const struct record_type *type;
    const struct sink_column *columns;
    int column_count;
    bool wants_headers;  /* one of the columns is of COLUMN_KAFKA_HEADERS */
    int key_columns;     /* SINK_LATEST: the first columns are the primary key */
    int indexed_columns; /* SINK_HISTORY: so many of the first columns, all text, stand in indexes;
                            together they must fit into an entry of one */
    /* SINK_LATEST: whether a record says that its key has no values any more, and the SQL of the
     * same on its row, beginning with a column; NULL: none does */
    bool (*is_removal)(const void *fields);
    const char *removed;
};

/* What columns are taken from; borrows everything. */
struct sink_record {
    const void *fields;               /* a structure of the sink's type */
    const struct schema_node *schema; /* of it; NULL where the sink has no COLUMN_JSON */
    struct str key;                   /* of the Kafka record, as are those below */
    struct str headers; /* as stream/headers.h has them; empty where the sink wants none */
    const char *topic;
    int32_t partition;
    int64_t offset;
};

/* NULL behind the last. */
extern const struct sink *const sinks[];

/* The one for records that others cannot take. */
extern const struct sink dead_letters_sink;

/*
 * Appends a record as a row for COPY. *key_bytes is how many bytes of it, from its third on, are
 * the key columns. Fails with ERR_SCHEMA (a value that PostgreSQL cannot hold: says which column
 * and why), ERR_TOO_LARGE (a key that no index can hold): the row is not there then. Out of memory
 * shows in buf_ok().
 */
int sink_put_row(struct buf *rows, const struct sink *s, const struct sink_record *record,
                 size_t *key_bytes, struct err *e);
