/*
 * Records of topics: C structures, and the one table for each from which they are read and written.
 *
 * A record_type names the fields of a schema in `schemas/` in its order and says where each stands
 * in the structure. From it come Avro decoding and encoding, JSON decoding and printing, and the
 * schema's canonical form. Decoded texts and lists borrow from the bytes they were read from or
 * live in the arena given, until either goes.
 *
 * Any thread; types are constants. Limits: a record is at most RECORD_MAX_BYTES; lengths and counts
 * are checked against the bytes that are left before memory is taken, so memory is bounded by a
 * small multiple of the record's size.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { RECORD_MAX_BYTES = 16 * 1024 * 1024 };

struct optional_long {
    bool given;
    int64_t value;
};

struct optional_double {
    bool given;
    double value;
};

struct str_list {
    struct str *items;
    size_t count;
};

/* Maps keep the order of the record; of equal names the last counts. */
struct text_map {
    struct text_entry {
        struct str name;
        struct str value;
    } * items;
    size_t count;
};

struct double_map {
    struct double_entry {
        struct str name;
        double value;
    } * items;
    size_t count;
};

enum attribute_type {
    ATTRIBUTE_NULL,
    ATTRIBUTE_BOOLEAN,
    ATTRIBUTE_NUMBER,
    ATTRIBUTE_TEXT,
    ATTRIBUTE_LIST
};

struct attribute {
    struct str name;
    enum attribute_type type;
    double number; /* also 0 or 1 of a boolean */
    struct str text;
    struct str_list list;
};

struct attribute_map {
    struct attribute *items;
    size_t count;
};

enum field_type {
    FIELD_TEXT,            /* struct str */
    FIELD_INT,             /* int32_t */
    FIELD_LONG,            /* int64_t */
    FIELD_BOOLEAN,         /* bool */
    FIELD_BYTES,           /* struct str */
    FIELD_OPTIONAL_TEXT,   /* struct str, data NULL for null */
    FIELD_OPTIONAL_BYTES,  /* struct str, data NULL for null */
    FIELD_OPTIONAL_LONG,   /* struct optional_long */
    FIELD_OPTIONAL_DOUBLE, /* struct optional_double */
    FIELD_TEXTS,           /* struct str_list */
    FIELD_TEXT_MAP,        /* struct text_map */
    FIELD_DOUBLE_MAP,      /* struct double_map */
    FIELD_ATTRIBUTES,      /* struct attribute_map */
};

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    const char *standard; /* JSON of the default; NULL: the field must be given */
};

struct record_type {
    const char *name;      /* of the schema's file: event */
    const char *full_name; /* flotilla.Event */
    size_t size;           /* of the structure */
    const struct field *fields;
    size_t field_count;
    uint64_t fingerprint; /* CRC-64-AVRO of the canonical form */
};

/*
 * Reads the bytes of a Kafka record; the first ones tell the framing: C3 01 is Avro single-object
 * encoding, `{` is JSON. Fails with ERR_CORRUPT (the bytes are no such record; says field and
 * byte), ERR_NOT_FOUND (written with a schema that is not known), ERR_SCHEMA (JSON that the schema
 * does not allow), ERR_TOO_LARGE, ERR_NOMEM.
 */
int record_decode(void *out, const struct record_type *type, struct str bytes, struct arena *a,
                  struct err *e);

/* The two framings by themselves: an Avro body without its header, and JSON. */
int record_decode_avro(void *out, const struct record_type *type, struct str body, struct arena *a,
                       struct err *e);
int record_decode_json(void *out, const struct record_type *type, struct str json, struct arena *a,
                       struct err *e);

/* Appends the record in single-object encoding. Nothing but memory (buf_ok) can fail. */
void record_encode(struct buf *out, const struct record_type *type, const void *record);

/* Appends the record as JSON on one line: defaults included, bytes as Avro's JSON writes them (a
 * character each). */
void record_print_json(struct buf *out, const struct record_type *type, const void *record);

/* Appends the schema in Avro's parsing canonical form, and its CRC-64-AVRO. */
void record_canonical_schema(struct buf *out, const struct record_type *type);
uint64_t record_fingerprint(struct str canonical_schema);
