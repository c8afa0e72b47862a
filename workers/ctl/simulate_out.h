/*
 * Where the records of a simulation go: topics, or files of JSON lines.
 *
 * One thread.
 */
#pragma once

#include "ctl.h"

#include <stdint.h>

struct simulate_out; /* opaque */

enum out_stream { OUT_USERS, OUT_PROPOSITIONS, OUT_EVENTS, OUT_REQUESTS, OUT_STREAMS };

struct simulate_out_opts {
    const char *folder; /* FOLDER/users.jsonl and so on are written; NULL: Kafka */
    bool is_live;       /* records are sent one by one, and requests are among them */
};

/* Borrows c and opts. Fails with ERR_IO (the folder), and as sender_new() and sender_open(). */
int simulate_out_new(struct simulate_out **out, const struct ctl *c,
                     const struct simulate_out_opts *opts, struct err *e);
void simulate_out_free(struct simulate_out *o); /* NULL is fine */

/* A record of the stream's type, with its key. timestamp_ms as sender_put() has it. Fails with
 * ERR_IO, and as sender_put(). */
int simulate_out_put(struct simulate_out *o, enum out_stream to, const void *record, struct str key,
                     int64_t timestamp_ms, struct err *e);

/* Passes time, in which deliveries are noticed. */
void simulate_out_wait(struct simulate_out *o, int64_t ms);

/* Writes what is still here. Fails with ERR_IO, and as sender_flush(). */
int simulate_out_close(struct simulate_out *o, struct err *e);

int64_t simulate_out_count(const struct simulate_out *o, enum out_stream of);
