/*
 * The tokens of JSON (RFC 8259), for value_json.c: texts, numbers, and values that are passed over.
 *
 * They move the reading on, over white space before them. Each fails with ERR_CORRUPT (no JSON:
 * says the byte), ERR_TOO_LARGE, ERR_NOMEM.
 */
#pragma once

#include "serde/reading.h"

/* A number as it was written. */
struct json_number {
    bool is_whole; /* it is written without fraction and exponent, and is in `whole` */
    int64_t whole;
    double real; /* the nearest to it */
};

/* Passes over white space. */
void json_skip_space(struct reading *r);

/* The next byte behind white space; 0 at the end. */
static inline uint8_t json_peek(struct reading *r)
{
    if (r->at == r->end || *r->at <= ' ')
        json_skip_space(r);
    return r->at < r->end ? *r->at : 0;
}

/* Passes over one byte that must be there. */
int json_expect(struct reading *r, char c);

/* A text without its quotes: borrowed where it has no escapes, else in the arena. */
int json_text(struct reading *r, struct str *out);

int json_number(struct reading *r, struct json_number *out);

/* true, false or null. */
int json_word(struct reading *r, const char *word);

/*
 * After an item of an array or an object (closed by ] or }): whether another follows. The first
 * call, before any item, passes over what opens it.
 */
int json_next(struct reading *r, char open, bool first, bool *more);

/* Any value. */
int json_skip(struct reading *r);
