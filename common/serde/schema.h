/*
 * Avro schemas, parsed (Avro 1.11), and the C structure that each of them has.
 *
 * A schema is a tree of nodes; a named type that is used again is the same node, so a recursive one
 * is a cycle. Values of a schema stand in memory as its nodes say (size, align, offsets): what a
 * compiler would lay out for the fields in their order, from
 *
 *   null                       nothing (0 bytes)
 *   boolean                    bool
 *   int, enum                  int32_t (an enum: the symbol's place in the schema)
 *   long                       int64_t
 *   float, double              float, double
 *   bytes, string, fixed       struct str
 *   array                      struct { item *items; size_t count; }
 *   map                        struct { struct { struct str name; value value; } *items;
 *                                       size_t count; }, in the order of the record; of equal names
 *                              the last counts
 *   record                     its fields
 *   union of null and another  text, bytes, fixed: struct str, data NULL for null;
 *                              a record: a pointer to it, NULL for null;
 *                              a number, boolean or enum: struct { bool given; type value; }
 *   any other union            struct { int32_t branch; union { ... } value; }, where a record is a
 *                              pointer to it
 *
 * So `struct event` in records.h and schemas/event.avsc are one thing, written twice and compared
 * by a test. Logical types are passed through as what they are made of.
 *
 * Any thread once it was parsed; nothing is changed any more. No I/O.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum {
    SCHEMA_MAX_BYTES = 1024 * 1024, /* of a schema's text */
    SCHEMA_MAX_NODES = 20000,       /* types and aliases */
    SCHEMA_MAX_DEPTH = 64,          /* of types inside types, as they are written */
    SCHEMA_MAX_SIZE = 1024 * 1024,  /* of the structure of a record, in bytes */
    SCHEMA_MAX_PARTS = 100000,      /* fields of a record, those of records in it included */
};

enum schema_type {
    SCHEMA_NULL,
    SCHEMA_BOOLEAN,
    SCHEMA_INT,
    SCHEMA_LONG,
    SCHEMA_FLOAT,
    SCHEMA_DOUBLE,
    SCHEMA_BYTES,
    SCHEMA_STRING,
    SCHEMA_FIXED,
    SCHEMA_ENUM,
    SCHEMA_ARRAY,
    SCHEMA_MAP,
    SCHEMA_UNION,
    SCHEMA_RECORD,
};

/* How a union stands in memory. */
enum union_shape {
    UNION_TAGGED,   /* branch and value */
    UNION_TEXT,     /* struct str or NULL */
    UNION_POINTER,  /* of a record, or NULL */
    UNION_OPTIONAL, /* given and value */
};

struct schema_names {
    struct str *items;
    size_t count;
};

struct schema_field {
    struct str name;
    struct schema_names aliases;
    const struct schema_node *type;
    struct str standard; /* JSON of the default; data NULL: it has none */
    size_t offset;       /* in the record's structure */
};

struct schema_node {
    enum schema_type type;
    struct str name;             /* full name of a record, enum or fixed */
    struct schema_names aliases; /* full names as well */
    struct schema_field *fields; /* of a record */
    size_t field_count;
    struct schema_names symbols; /* of an enum */
    int standard_symbol;         /* an enum's default; -1: it has none */
    size_t fixed_bytes;
    const struct schema_node *items; /* of an array; the values of a map */
    const struct schema_node **branches;
    size_t branch_count;
    enum union_shape shape;
    size_t value_offset; /* of the value in a tagged or optional union, or in an entry of a map */
    size_t size, align;  /* of a value's structure */
    size_t item_size;    /* of an item of an array, of an entry of a map */
    size_t least_bytes;  /* no value takes less, encoded */
    size_t parts;        /* 1, and those of all fields */
};

/* Any array or map, as it stands in memory. */
struct schema_list {
    char *items; /* of item_size bytes each */
    size_t count;
};

struct schema;

/*
 * Parses the last of `count` texts; those before it may define names that later ones use (the
 * references of a schema registry). Nothing of the texts is borrowed. Unknown attributes are
 * ignored, as Avro demands. Fails with ERR_SCHEMA (not JSON, or no Avro schema: says what and
 * where), ERR_TOO_LARGE (over a limit above), ERR_NOMEM.
 */
int schema_parse(struct schema **out, const struct str *texts, size_t count, struct err *e);
void schema_free(struct schema *s); /* NULL is fine */

const struct schema_node *schema_root(const struct schema *s);

/* CRC-64-AVRO of the parsing canonical form. */
uint64_t schema_fingerprint(const struct schema *s);

/* Appends the parsing canonical form. Fails with ERR_NOMEM. */
int schema_canonical(struct buf *out, const struct schema *s, struct err *e);

/* CRC-64-AVRO of any bytes. */
uint64_t schema_crc64(struct str bytes);

/* What a person calls a type: "string", "array", "flotilla.Event". 0 behind it. */
struct str schema_type_name(const struct schema_node *n);
