/*
 * One value after the other of a document that is JSON or UBJ, as a model file is: the same
 * questions to both, so that what a model consists of is written down once.
 *
 * One thread. Nothing is kept of what was passed over: a list may be as long as the file and takes
 * no memory. Each function fails with ERR_CORRUPT (not what is wanted here, or damaged: says the
 * field and the byte), ERR_TOO_LARGE (nested too deep), ERR_NOMEM.
 */
#pragma once

#include "base/buf.h"
#include "model/ubj.h"

struct document {
    struct reading reading;
    struct arena arena; /* of texts with escapes */
    bool is_ubj;
    uint8_t item_type; /* UBJ: of the items of the array that is being read; 0: they say it */
};

struct document_list {
    struct ubj_list ubj;
    bool is_begun;
};

/* Borrows the bytes. e must not be NULL. Fails with ERR_CORRUPT: they are neither of both. */
int document_open(struct document *d, struct str bytes, struct err *e);
void document_close(struct document *d);

/* Sets the error "field a.b, byte 17: what"; returns the code. */
int document_fail(struct document *d, int code, const char *what);

/* The items of an array: each must be read, or passed over, before the next is asked for. */
int document_array(struct document *d, struct document_list *list);
int document_next(struct document *d, struct document_list *list, bool *more);

/* The members of an object, likewise. The key stays until the document is closed. */
int document_object(struct document *d, struct document_list *list);
int document_key(struct document *d, struct document_list *list, struct str *key, bool *more);

/* A text: stays until the document is closed. */
int document_text(struct document *d, struct str *out);

/* true is 1, false is 0. */
int document_integer(struct document *d, int64_t *out);

/* The nearest float to a number; an infinity where it is out of range. JSON has no infinities and
 * no NaN: the words that XGBoost writes for them are read. */
int document_float(struct document *d, float *out);

int document_skip(struct document *d);

/* Whether nothing but white space is left. */
bool document_is_over(struct document *d);
