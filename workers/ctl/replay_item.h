/*
 * A dead letter on its way back into its topic.
 */
#pragma once

#include "letters.h"

/* The last header of a record that was replayed: which dead letter it was, topic/partition/offset.
 */
#define REPLAY_HEADER "flotilla-replay"

enum { REPLAY_NOTE_BYTES = 200 };

struct replay_item {
    struct letter_place place;
    struct buf bytes; /* owned; of what is sent */
    bool has_key, has_value;
    size_t key_len, headers_len; /* in bytes one behind the other: key, headers, value */
    bool send;                   /* false: it is left, and note says why */
    bool taken;                  /* another run has it: nothing is done about it */
    char note[REPLAY_NOTE_BYTES];
    int target_partition;
    int64_t log_end;       /* where that ended before */
    int64_t target_offset; /* where it is now; -1: it is not there */
};

static inline struct str item_key(const struct replay_item *i)
{
    return str_bytes(i->has_key ? i->bytes.data : NULL, i->key_len);
}

static inline struct str item_headers(const struct replay_item *i)
{
    return str_bytes(i->bytes.data + i->key_len, i->headers_len);
}

static inline struct str item_value(const struct replay_item *i)
{
    size_t at = i->key_len + i->headers_len;
    return str_bytes(i->has_value ? i->bytes.data + at : NULL, i->bytes.len - at);
}
