/*
 * Errors as values: a code for the program, a sentence for a person.
 *
 * Functions that can fail take `struct err *e` last and return 0 or the code. The message is set
 * where the error happens and wrapped on the way up, so that it reads from the outside in: what,
 * why, what to do. Any thread; no globals.
 */
#pragma once

enum err_code {
    ERR_OK = 0,
    ERR_INVALID,     /* configuration, definition or argument that cannot be used */
    ERR_NOMEM,       /* memory could not be had */
    ERR_IO,          /* a file or a socket failed */
    ERR_NOT_FOUND,   /* what was asked for is not there */
    ERR_CORRUPT,     /* bytes that cannot be decoded */
    ERR_SCHEMA,      /* decodable, but not what the schema demands */
    ERR_TOO_LARGE,   /* over a stated limit */
    ERR_UNAVAILABLE, /* a server is away: the same call may succeed later */
    ERR_ABORTED,     /* the transaction was aborted: the same batch can be sent again */
    ERR_FENCED,      /* somebody else owns this now */
    ERR_FATAL,       /* nothing here can go on */
};

/* What is to be done about an error: decided here and nowhere else. */
enum err_class {
    ERR_CLASS_RETRY,  /* back off and try again */
    ERR_CLASS_POISON, /* dead-letter the record and go on */
    ERR_CLASS_ABORT,  /* abort the transaction, send the epoch again */
    ERR_CLASS_FATAL,  /* log, exit non-zero */
};

struct err {
    int code;
    char msg[512];
};

/* Sets code and message (cut at the size of msg); returns code. e may be NULL. */
int err_set(struct err *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "format: " before the message; returns e's code. */
int err_wrap(struct err *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ERR_NOMEM with the standard sentence. */
int err_nomem(struct err *e);

enum err_class err_class(int code);
