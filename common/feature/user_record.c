#include "feature/user_record.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    ID_BYTES = 6,
    SPARE_BITS = 64 - 8 * ID_BYTES,
    INDEX_FROM = 16,
    FLAGS = KEY_IS_DUE | KEY_IS_GONE,
    MAX_GONE = 16384,
};

/* ------------------------------------------------------------ keys of one scope */

void user_keys_free(struct user_keys *u)
{
    free(u->keys);
    free(u->gone);
    free(u->index);
    *u = (struct user_keys){0};
}

static int corrupt(struct err *e)
{
    return err_set(e, ERR_CORRUPT, "the state of a user is damaged");
}

static bool room_for(struct user_key **keys, uint32_t *cap, uint32_t n)
{
    if (n <= *cap)
        return true;
    uint32_t bigger = *cap ? *cap * 2 : 16;
    while (bigger < n)
        bigger *= 2;
    struct user_key *moved = realloc(*keys, bigger * sizeof *moved);
    if (!moved)
        return false;
    *keys = moved;
    *cap = bigger;
    return true;
}

static bool is_held(const struct user_keys *u, uint32_t i)
{
    return u->keys[i].key.data != NULL;
}

static void put_in_index(struct user_keys *u, uint32_t number)
{
    struct str key = u->keys[number].key;
    uint32_t mask = u->index_size - 1, at = (uint32_t)XXH3_64bits(key.data, key.len) & mask;
    while (u->index[at])
        at = (at + 1) & mask;
    u->index[at] = number + 1;
}

/* Makes the index for the keys there are; few keys are searched one by one. */
static bool make_index(struct user_keys *u)
{
    uint32_t size = 64;
    while (size < u->count * 4)
        size *= 2;
    uint32_t *index = realloc(u->index, size * sizeof *index);
    if (!index)
        return false;
    memset(index, 0, size * sizeof *index);
    u->index = index;
    u->index_size = size;
    for (uint32_t i = 0; i < u->count; i++)
        if (is_held(u, i))
            put_in_index(u, i);
    return true;
}

static void link_newest(struct user_keys *u, uint32_t i)
{
    u->keys[i].before = u->newest;
    u->keys[i].after = USER_KEY_NONE;
    if (u->newest != USER_KEY_NONE)
        u->keys[u->newest].after = i;
    else
        u->oldest = i;
    u->newest = i;
}

static void take_out(struct user_keys *u, uint32_t i)
{
    struct user_key *k = &u->keys[i];
    if (k->before != USER_KEY_NONE)
        u->keys[k->before].after = k->after;
    else
        u->oldest = k->after;
    if (k->after != USER_KEY_NONE)
        u->keys[k->after].before = k->before;
    else
        u->newest = k->before;
}

/* Their number has a bound, for a user who goes through keys faster than they are published. */
static bool remember_gone(struct user_keys *u, const struct user_key *k)
{
    if (u->gone_count == MAX_GONE)
        return true;
    if (!room_for(&u->gone, &u->gone_cap, u->gone_count + 1))
        return false;
    u->gone[u->gone_count++] = *k;
    return true;
}

int user_keys_open(struct user_keys *u, struct str section, struct err *e)
{
    struct cursor c;
    uint64_t count = user_section_start(&c, section);
    u->count = u->held = u->index_size = u->gone_count = 0;
    u->oldest = u->newest = USER_KEY_NONE;
    if (c.bad)
        return corrupt(e);
    if (!room_for(&u->keys, &u->cap, (uint32_t)count + 1))
        return err_nomem(e);
    for (uint64_t i = 0; i < count; i++) {
        struct user_key_view v = user_section_next(&c);
        if (c.bad)
            return corrupt(e);
        struct user_key k = {.key = v.key, .cell = v.cell, .flags = *v.flags & FLAGS};
        if (k.flags & KEY_IS_GONE) {
            if (k.flags & KEY_IS_DUE && !remember_gone(u, &k))
                return err_nomem(e);
            continue;
        }
        u->keys[u->count] = k;
        link_newest(u, u->count++);
        u->held++;
    }
    if (c.bad || cursor_left(&c))
        return corrupt(e);
    return u->count > INDEX_FROM && !make_index(u) ? err_nomem(e) : 0;
}

uint32_t user_keys_find(const struct user_keys *u, struct str key)
{
    if (u->index_size == 0) {
        for (uint32_t i = 0; i < u->count; i++)
            if (is_held(u, i) && str_equal(u->keys[i].key, key))
                return i;
        return USER_KEY_NONE;
    }
    uint32_t mask = u->index_size - 1;
    for (uint32_t at = (uint32_t)XXH3_64bits(key.data, key.len) & mask; u->index[at];
         at = (at + 1) & mask) {
        uint32_t i = u->index[at] - 1;
        if (is_held(u, i) && str_equal(u->keys[i].key, key))
            return i;
    }
    return USER_KEY_NONE;
}

/* The time of the newest contribution, which a cell begins with. */
static struct str beginning(struct str cell)
{
    struct cursor c = cursor_of(cell.data, cell.len);
    cursor_zigzag(&c);
    return str_bytes(cell.data, cell.len - cursor_left(&c));
}

static bool drop_oldest(struct user_keys *u)
{
    uint32_t i = u->oldest;
    struct user_key *k = &u->keys[i];
    struct user_key gone = {
        .key = k->key, .cell = beginning(k->cell), .flags = KEY_IS_GONE | KEY_IS_DUE};
    take_out(u, i);
    k->key.data = NULL; /* stays in the index, found by nobody */
    u->held--;
    return !u->tells || remember_gone(u, &gone);
}

uint32_t user_keys_touch(struct user_keys *u, struct str key, uint32_t most)
{
    uint32_t i = user_keys_find(u, key);
    if (i != USER_KEY_NONE) {
        take_out(u, i);
        link_newest(u, i);
        return i;
    }
    if (!room_for(&u->keys, &u->cap, u->count + 1))
        return USER_KEY_NONE;
    i = u->count++;
    u->keys[i] = (struct user_key){.key = key.data ? key : str_of("")};
    u->held++;
    link_newest(u, i);
    bool indexed = u->index_size && u->count * 2 <= u->index_size;
    if (indexed)
        put_in_index(u, i);
    else if (u->count > INDEX_FROM && !make_index(u))
        return USER_KEY_NONE;
    return u->held <= most || drop_oldest(u) ? i : USER_KEY_NONE;
}

static void put_key(struct buf *out, struct str key, uint8_t flags, struct str cell)
{
    buf_put_varint(out, (uint64_t)key.len << USER_KEY_FLAG_BITS | (flags & FLAGS));
    buf_put_str(out, key);
    buf_put_sized(out, cell);
}

static void put_user_key(struct buf *out, const struct user_key *k)
{
    put_key(out, k->key, k->flags, k->cell);
}

void user_keys_close(const struct user_keys *u, struct buf *out)
{
    buf_put_varint(out, (uint64_t)u->gone_count + u->held);
    for (uint32_t i = 0; i < u->gone_count; i++)
        put_user_key(out, &u->gone[i]);
    for (uint32_t i = u->oldest; i != USER_KEY_NONE; i = u->keys[i].after)
        put_user_key(out, &u->keys[i]);
}

/* ------------------------------------------------------------ a few keys of it */

static bool is_named_twice(const struct user_change *changes, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (str_equal(changes[i].key, changes[k].key))
                return true;
    return false;
}

bool user_section_find_few(struct str section, struct user_change *changes, size_t count,
                           uint32_t most)
{
    struct cursor c;
    uint64_t keys = user_section_start(&c, section);
    size_t held = 0, found = 0;
    uint64_t lengths = 0; /* of the keys that are looked for, which most others do not have */
    for (size_t i = 0; i < count; i++) {
        changes[i] = (struct user_change){.key = changes[i].key, .cell = str_of("")};
        lengths |= UINT64_C(1) << (changes[i].key.len & 63);
    }
    if (section.len > UINT32_MAX || is_named_twice(changes, count))
        return false;
    for (uint64_t i = 0; i < keys; i++) {
        const uint8_t *at = c.at;
        struct user_key_view v = user_section_next(&c);
        if (c.bad)
            return false;
        /* Whoever opens it forgets what was told of dropped keys. */
        if (*v.flags & KEY_IS_GONE) {
            if (!(*v.flags & KEY_IS_DUE))
                return false;
            continue;
        }
        held++;
        for (size_t k = 0; lengths >> (v.key.len & 63) & 1 && k < count; k++) {
            struct user_change *x = &changes[k];
            if (x->key.len != v.key.len || memcmp(x->key.data, v.key.data, v.key.len) != 0)
                continue;
            x->cell = v.cell;
            x->flags = *v.flags & FLAGS;
            x->at = (uint32_t)(at - (const uint8_t *)section.data);
            x->end = (uint32_t)(c.at - (const uint8_t *)section.data);
            found++;
        }
    }
    return cursor_left(&c) == 0 && held + count - found <= most;
}

/* The place in the section where the next change stands that is not before `from`. */
static const struct user_change *next_change(const struct user_change *changes, size_t count,
                                             uint32_t from)
{
    const struct user_change *next = NULL;
    for (size_t i = 0; i < count; i++)
        if (changes[i].end > from && (!next || changes[i].at < next->at))
            next = &changes[i];
    return next;
}

void user_section_put_few(struct buf *out, struct str section, const struct user_change *changes,
                          size_t count)
{
    struct cursor c;
    uint64_t keys = user_section_start(&c, section);
    uint32_t from = (uint32_t)(section.len - cursor_left(&c));
    for (size_t i = 0; i < count; i++)
        keys += changes[i].end == 0;
    buf_put_varint(out, keys);
    for (const struct user_change *x; (x = next_change(changes, count, from)); from = x->end)
        buf_put(out, section.data + from, x->at - from);
    buf_put(out, section.data + from, section.len - from);
    for (size_t i = 0; i < count; i++)
        put_key(out, changes[i].key, changes[i].flags | KEY_IS_DUE, changes[i].cell);
}

/* ------------------------------------------------------------ the only key of it */

bool user_section_alone(struct str section, struct str *cell)
{
    struct cursor c;
    uint64_t count = user_section_start(&c, section);
    *cell = str_of("");
    if (count == 0)
        return !c.bad && cursor_left(&c) == 0;
    struct user_key_view v = user_section_next(&c);
    *cell = v.cell;
    return !c.bad && count == 1 && v.key.len == 0 && !(*v.flags & KEY_IS_GONE) &&
           cursor_left(&c) == 0;
}

void user_section_put_alone(struct buf *out, struct str cell)
{
    uint8_t length[VARINT_BYTES];
    /* One key, of no bytes, due. */
    buf_put_varint(out, 2 + varint_write(length, cell.len) + cell.len);
    buf_put_u8(out, 1);
    buf_put_u8(out, KEY_IS_DUE);
    buf_put_sized(out, cell);
}

int user_section_each(struct str section,
                      int (*each)(void *arg, const struct user_key_view *k, struct err *e),
                      void *arg, struct err *e)
{
    struct cursor c;
    uint64_t count = user_section_start(&c, section);
    for (uint64_t i = 0; i < count; i++) {
        struct user_key_view v = user_section_next(&c);
        if (c.bad)
            return corrupt(e);
        int rc = each(arg, &v, e);
        if (rc)
            return rc;
    }
    return c.bad || cursor_left(&c) ? corrupt(e) : 0;
}

/* ------------------------------------------------------------ the record */

int user_record_open(struct user_record *r, struct str record, struct err *e)
{
    struct cursor c = cursor_of(record.data, record.len);
    *r = (struct user_record){.ids = str_of("")};
    if (record.len == 0)
        return 0;
    r->ids = cursor_str(&c, (uint64_t)cursor_u8(&c) * ID_BYTES);
    r->scopes = (const char *)c.at;
    r->scopes_bytes = cursor_left(&c);
    return c.bad || r->ids.len > RECENT_EVENT_IDS * ID_BYTES ? corrupt(e) : 0;
}

static uint64_t id_hash(struct str event_id)
{
    return XXH3_64bits(event_id.data, event_id.len);
}

bool user_record_has_id(const struct user_record *r, struct str event_id)
{
    uint64_t wanted = id_hash(event_id) << SPARE_BITS, found;
    size_t at = 0;
    /* Eight bytes at a time, two of them those of the next one. */
    for (; at + sizeof found <= r->ids.len; at += ID_BYTES) {
        memcpy(&found, r->ids.data + at, sizeof found);
        if (found << SPARE_BITS == wanted)
            return true;
    }
    found = 0;
    memcpy(&found, r->ids.data + at, r->ids.len - at);
    return at < r->ids.len && found << SPARE_BITS == wanted;
}

void user_record_put_ids(struct buf *out, const struct user_record *r, struct str event_id)
{
    uint64_t hash = id_hash(event_id);
    struct str kept = r->ids;
    if (kept.len == RECENT_EVENT_IDS * ID_BYTES)
        kept = str_bytes(kept.data + ID_BYTES, kept.len - ID_BYTES);
    buf_put_u8(out, (uint8_t)(kept.len / ID_BYTES + 1));
    buf_put_str(out, kept);
    buf_put(out, &hash, ID_BYTES);
}

int user_record_each(const struct feature_set *set, struct str record,
                     int (*each)(void *arg, size_t scope, struct str section, struct err *e),
                     void *arg, struct err *e)
{
    struct user_record r;
    int rc = user_record_open(&r, record, e);
    struct cursor c = cursor_of(r.scopes, r.scopes_bytes);
    for (size_t s = 0; s < set->scope_count && !rc; s++) {
        if (!set->scopes[s].has_user)
            continue;
        struct str section = record.len ? cursor_sized(&c) : (struct str){"", 0};
        rc = c.bad ? corrupt(e) : each(arg, s, section, e);
    }
    return rc ? rc : cursor_left(&c) ? corrupt(e) : 0;
}

void user_record_fingerprints(struct buf *out, const struct feature_set *set)
{
    for (size_t s = 0; s < set->scope_count; s++) {
        if (!set->scopes[s].has_user)
            continue;
        buf_put_varint(out, set->scopes[s].slot_count);
        cell_fingerprints(out, &set->scopes[s]);
    }
}

/* A conversion under way: one scope's section from the old layout. */
struct convert {
    const struct scope *scope;
    struct str fingerprints;
    struct buf *out;
    struct buf cell;
    uint64_t count;
};

static int convert_key(void *arg, const struct user_key_view *k, struct err *e)
{
    struct convert *v = arg;
    (void)e;
    buf_reset(&v->cell);
    if (*k->flags & KEY_IS_GONE)
        buf_put_str(&v->cell, k->cell);
    else if (!cell_convert(&v->cell, v->scope, v->fingerprints, k->cell))
        return 0;
    put_key(v->out, k->key, *k->flags, buf_str(&v->cell));
    v->out->failed |= v->cell.failed;
    v->count++;
    return 0;
}

static bool has_slot_of(const struct scope *scope, struct str fingerprints)
{
    for (size_t i = 0; i + FINGERPRINT_BYTES <= fingerprints.len; i += FINGERPRINT_BYTES)
        for (size_t s = 0; s < scope->slot_count; s++)
            if (memcmp(fingerprints.data + i, scope->slots[s]->fingerprint, FINGERPRINT_BYTES) == 0)
                return true;
    return false;
}

/* The section of an old record whose scope had one of the scope's aggregates. */
static int convert_scope(struct convert *v, struct str layout, const struct user_record *r,
                         struct err *e)
{
    struct cursor l = cursor_of(layout.data, layout.len), c = cursor_of(r->scopes, r->scopes_bytes);
    struct buf keys = {0}, *out = v->out;
    int rc = 0;
    v->count = 0;
    while (cursor_left(&l) && !rc) {
        v->fingerprints = cursor_str(&l, cursor_varint(&l) * FINGERPRINT_BYTES);
        struct str section = cursor_sized(&c);
        if (l.bad || c.bad) {
            rc = corrupt(e);
        } else if (has_slot_of(v->scope, v->fingerprints)) {
            v->out = &keys;
            rc = user_section_each(section, convert_key, v, e);
            v->out = out;
        }
    }
    if (!rc) {
        struct buf count = {0};
        buf_put_varint(&count, v->count);
        buf_put_varint(out, count.len + keys.len);
        buf_put_str(out, buf_str(&count));
        buf_put_str(out, buf_str(&keys));
        out->failed |= count.failed | keys.failed;
        buf_free(&count);
    }
    buf_free(&keys);
    return rc;
}

int user_record_convert(struct buf *out, const struct feature_set *set, struct str fingerprints,
                        struct str record, struct err *e)
{
    struct user_record r;
    struct convert v = {.out = out};
    int rc = user_record_open(&r, record, e);
    if (rc || record.len == 0)
        return rc;
    buf_put_u8(out, (uint8_t)(r.ids.len / ID_BYTES));
    buf_put_str(out, r.ids);
    for (size_t s = 0; s < set->scope_count && !rc; s++) {
        v.scope = &set->scopes[s];
        if (v.scope->has_user)
            rc = convert_scope(&v, fingerprints, &r, e);
    }
    buf_free(&v.cell);
    return rc ? rc : buf_ok(out) ? 0 : err_nomem(e);
}
