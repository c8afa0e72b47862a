/*
 * Everything that is known of one user from the user's events, encoded: recent event ids, and the
 * cells of every scope with the user in it.
 *
 * Form: u8 number of event ids and 6 bytes of hash for each, oldest first; then for each scope with
 * the user, in the order of the feature set, a length and so many bytes: number of keys, then each
 * key, the one contributed to least recently first: its length without the user's id times 4 plus
 * its flags (varint), the key, the sized cell. Before them stand keys that were dropped and whose
 * readers were not told yet, flagged so, with the time of their newest contribution for a cell. No
 * bytes at all are a user never seen.
 *
 * Event ids are kept as 48 bits of hash: an event is taken for a repeat of another in 1 of 4·10^12
 * cases. One thread; no clock.
 */
#pragma once

#include "feature/cell.h"

enum {
    RECENT_EVENT_IDS = 64,
    KEY_IS_DUE = 1,  /* touched, or dropped, since it was last published */
    KEY_IS_GONE = 2, /* dropped: the key is not held any more */
};

/* One key of a scope in a record that is open for change. */
struct user_key {
    struct str key;
    struct str cell;
    uint8_t flags;
    uint32_t before, after; /* order of contribution */
};

/* The keys of one scope, open; kept by the caller over events so that it allocates nothing in the
 * long run. */
struct user_keys {
    struct user_key *keys;
    uint32_t count, cap;
    uint32_t held; /* of count: those not dropped since */
    uint32_t oldest, newest;
    uint32_t *index; /* hash index over keys: number + 1 */
    uint32_t index_size;
    bool tells;            /* dropped keys are kept until that is published; set by the caller */
    struct user_key *gone; /* those */
    uint32_t gone_count, gone_cap;
};

#define USER_KEY_NONE UINT32_MAX

void user_keys_free(struct user_keys *u);

/* Reads a scope's section; forgets dropped keys that were published since. Fails with ERR_CORRUPT,
 * ERR_NOMEM. Borrows section. */
int user_keys_open(struct user_keys *u, struct str section, struct err *e);

/* The number of a key, USER_KEY_NONE if it is not held. */
uint32_t user_keys_find(const struct user_keys *u, struct str key);

/* The number of a key that is contributed to now: it becomes the newest; a new one has an empty
 * cell. Where there are more than `most` keys then, the oldest is dropped. USER_KEY_NONE: memory
 * was short. Borrows key. */
uint32_t user_keys_touch(struct user_keys *u, struct str key, uint32_t most);

/* Appends the section. */
void user_keys_close(const struct user_keys *u, struct buf *out);

/*
 * The same for a few keys without opening the section: what user_keys_open, a touch of each with
 * its cell merged, and user_keys_close make of it, byte for byte. A change is a key with its cell
 * as it stands in the section (empty: it has none), then as it is to be.
 */
enum { USER_FEW_KEYS = 8 };
struct user_change {
    struct str key, cell;
    uint32_t at, end; /* where it stands in the section; both 0: nowhere */
    uint8_t flags;
};

/* Finds the cells of the keys named in the changes. False: it has to be opened, because a key is
 * named twice, one would have to be dropped, or bytes are damaged. */
bool user_section_find_few(struct str section, struct user_change *changes, size_t count,
                           uint32_t most);

/* Appends the section with the cells of the changes, whose keys are its newest, in their order. */
void user_section_put_few(struct buf *out, struct str section, const struct user_change *changes,
                          size_t count);

/* A section that has one key, and has it whatever happens: that of a scope which is the user alone.
 * Its cell, empty where nothing was seen. False: it has to be opened. */
bool user_section_alone(struct str section, struct str *cell);

/* Appends the length of such a section and the section, its key touched. */
void user_section_put_alone(struct buf *out, struct str cell);

/* A record in its parts. */
struct user_record {
    struct str ids;     /* 6 bytes each */
    const char *scopes; /* sections with their lengths */
    size_t scopes_bytes;
};

/* Fails with ERR_CORRUPT. An empty record is a user never seen. */
int user_record_open(struct user_record *r, struct str record, struct err *e);

/* Whether the id is among the recent ones. */
bool user_record_has_id(const struct user_record *r, struct str event_id);

/* Appends the ids with one more, the oldest dropped where there are 64 already. */
void user_record_put_ids(struct buf *out, const struct user_record *r, struct str event_id);

/* Calls each(arg, scope, section) for every scope with the user; an empty section where nothing was
 * seen. Stops at the first non-zero return. Fails with ERR_CORRUPT. */
int user_record_each(const struct feature_set *set, struct str record,
                     int (*each)(void *arg, size_t scope, struct str section, struct err *e),
                     void *arg, struct err *e);

/* Calls each for every key of a section: flags may be changed in place where the bytes are the
 * caller's. */
struct user_key_view {
    struct str key;
    struct str cell;
    const uint8_t *flags; /* in its two lower bits: the first byte of the key's head */
};
int user_section_each(struct str section,
                      int (*each)(void *arg, const struct user_key_view *k, struct err *e),
                      void *arg, struct err *e);

/* Or one key after the other: how many a section has, its cursor being at the first then; and the
 * next one. Damaged bytes make the cursor bad. */
static inline uint64_t user_section_start(struct cursor *c, struct str section)
{
    *c = cursor_of(section.data, section.len);
    uint64_t count = section.len ? cursor_varint(c) : 0;
    c->bad |= count > cursor_left(c);
    return c->bad ? 0 : count;
}

enum { USER_KEY_FLAG_BITS = 2 };

static inline struct user_key_view user_section_next(struct cursor *c)
{
    struct user_key_view v = {.flags = c->at};
    v.key = cursor_str(c, cursor_varint(c) >> USER_KEY_FLAG_BITS);
    v.cell = cursor_sized(c);
    return v;
}

/* Appends the layout that checkpoints carry: for each scope with the user the number of slots and
 * their fingerprints. */
void user_record_fingerprints(struct buf *out, const struct feature_set *set);

/* Appends a record that was written under another layout in the form of this set: aggregates that
 * are defined as before are kept, others start from nothing. Fails with ERR_CORRUPT, ERR_NOMEM. */
int user_record_convert(struct buf *out, const struct feature_set *set, struct str fingerprints,
                        struct str record, struct err *e);
