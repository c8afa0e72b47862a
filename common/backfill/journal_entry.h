/*
 * An entry of a journal as bytes, and the two orders that entries stand in.
 *
 * Bytes: u8 kind (with 0x80: a tombstone), zigzag time, zigzag time of arrival less time, zigzag
 * source, zigzag number; then the record's fields in the order of its structure, lists and maps
 * with their number before them. Of attributes the id comes first. The bytes stay on this machine
 * and are covered by checksums: no form of an earlier program is read.
 *
 * Any thread; no I/O.
 */
#pragma once

#include "backfill/journal.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

/* Where an entry stands among others. */
struct place {
    int64_t time_ms;
    int64_t arrival_ms;
    int64_t number;
    int32_t source;
    uint8_t kind;
    bool removed;
};

/* An entry that was not decoded. */
struct raw_entry {
    struct place place;
    struct str bytes; /* all of it */
    struct str rest;  /* behind the place */
};

static inline bool kind_is_attributes(unsigned kind)
{
    return kind == ENTRY_USER || kind == ENTRY_PROPOSITION;
}

/* Flags of attributes, in a byte behind their timestamp. */
enum { ENTITY_HAS_FROM = 1, ENTITY_HAS_UNTIL = 2, ENTITY_IS_ACTIVE = 4 };

/* Appends an entry. Nothing but memory (buf_ok) can fail. */
void entry_write(struct buf *out, const struct entry *entry);

/* Appends one with another time. */
void entry_write_raw(struct buf *out, const struct raw_entry *raw, int64_t time_ms);

/* Its place; false: the bytes are no entry. Borrows them. */
bool entry_place(struct raw_entry *out, struct str bytes);

/* The whole entry; what is decoded borrows from the bytes or lives in the arena. Fails with
 * ERR_CORRUPT, ERR_NOMEM. */
int entry_read(struct entry *out, const struct raw_entry *raw, struct arena *a, struct err *e);

/* Of attributes: the id. */
struct str entry_id(const struct raw_entry *raw);

/* How qsort() has it: negative, 0, positive. */
typedef int entry_order(const struct raw_entry *a, const struct raw_entry *b);

/* As a journal is read. */
entry_order order_of_time;

/* As it is collected: attributes first, those of an entity beside each other in order of arrival;
 * others as a journal is read. */
entry_order order_of_collection;
