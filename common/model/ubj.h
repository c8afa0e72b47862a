/*
 * The tokens of UBJ as XGBoost writes it: Universal Binary JSON, draft 12 (ubjson.org), with
 * big-endian numbers and arrays whose items have one type ("[$d#L", a count, the numbers).
 *
 * They move the reading on. Each fails with ERR_CORRUPT (says the byte) or ERR_TOO_LARGE. Types of
 * which an item takes no bytes cannot be the one type of an array, so that a count never stands for
 * more than the bytes that are there; high-precision numbers, characters and no-ops are refused:
 * XGBoost writes none.
 */
#pragma once

#include "serde/reading.h"

/* An array or an object that is being read. */
struct ubj_list {
    uint8_t type;    /* of all items; 0: each says its own */
    bool is_counted; /* no bracket closes it */
    size_t left;     /* of a counted one */
};

/* The next byte without passing over it; 0 at the end. */
static inline uint8_t ubj_peek(const struct reading *r)
{
    return r->at < r->end ? *r->at : 0;
}

/* What opens an array, and an object; goes one deeper. */
int ubj_open_array(struct reading *r, struct ubj_list *list);
int ubj_open_object(struct reading *r, struct ubj_list *list);

/* Whether another item follows, or another key; the end goes one back. */
int ubj_next_item(struct reading *r, struct ubj_list *list, bool *more);
int ubj_next_key(struct reading *r, struct ubj_list *list, struct str *key, bool *more);

/* A text, borrowed from the bytes. */
int ubj_text(struct reading *r, struct str *out);

/* A number of the type of its array, or one with its type before it (type 0). A truth is 0 or 1;
 * a fraction is not an integer. */
int ubj_integer(struct reading *r, uint8_t type, int64_t *out);
int ubj_float(struct reading *r, uint8_t type, float *out);

/* Any value; type as above. */
int ubj_skip(struct reading *r, uint8_t type);
