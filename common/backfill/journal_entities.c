#include "backfill/journal_entities.h"

/* The entity at hand, between two tombstones. */
struct history {
    struct collector *into;
    uint64_t *counts;
    struct buf id, oldest; /* the record with the oldest timestamp so far; empty: none */
    uint8_t kind;
    bool any;          /* there is an entity */
    int64_t oldest_ms; /* its timestamp */
    int64_t since_ms;  /* of the tombstone before; INT64_MIN: none was */
    int64_t newest_ms; /* of what was added since */
};

static int add(struct history *h, const struct raw_entry *raw, int64_t time_ms, struct err *e)
{
    time_ms = time_ms > h->since_ms ? time_ms : h->since_ms;
    h->newest_ms = time_ms > h->newest_ms ? time_ms : h->newest_ms;
    h->counts[raw->place.kind]++;
    return collector_add_raw(h->into, raw, time_ms, e);
}

/* From when the oldest record counts, once it is known. */
static int64_t beginning(const struct history *h)
{
    return h->since_ms == INT64_MIN ? INT64_MIN : h->oldest_ms;
}

static int release(struct history *h, int64_t time_ms, struct err *e)
{
    struct raw_entry raw;
    if (!h->oldest.len)
        return 0;
    entry_place(&raw, buf_str(&h->oldest));
    int rc = add(h, &raw, time_ms, e);
    buf_reset(&h->oldest);
    return rc;
}

static int begin(struct history *h, const struct raw_entry *raw, struct err *e)
{
    int rc = release(h, beginning(h), e);
    h->any = true;
    h->kind = raw->place.kind;
    h->since_ms = h->newest_ms = INT64_MIN;
    buf_reset(&h->id);
    buf_put_str(&h->id, entry_id(raw));
    return rc || buf_ok(&h->id) ? rc : err_nomem(e);
}

static int take_tombstone(struct history *h, const struct raw_entry *raw, struct err *e)
{
    int rc = release(h, beginning(h), e);
    int64_t time_ms = raw->place.time_ms > h->newest_ms ? raw->place.time_ms : h->newest_ms;
    if (!rc)
        rc = add(h, raw, time_ms, e);
    h->since_ms = h->newest_ms;
    return rc;
}

static int take_record(struct history *h, const struct raw_entry *raw, struct err *e)
{
    int64_t time_ms = raw->place.time_ms;
    if (h->oldest.len && time_ms > h->oldest_ms)
        return add(h, raw, time_ms, e);
    if (h->oldest.len && time_ms < h->oldest_ms) {
        int rc = release(h, h->oldest_ms, e);
        if (rc)
            return rc;
    }
    /* Of equal ones the later arrival replaces the other, as it would in any table. */
    h->oldest_ms = time_ms;
    buf_reset(&h->oldest);
    buf_put_str(&h->oldest, raw->bytes);
    return buf_ok(&h->oldest) ? 0 : err_nomem(e);
}

int entities_give_times(struct merge *from, struct collector *into, uint64_t counts[ENTRY_KINDS],
                        struct err *e)
{
    struct history h = {.into = into, .counts = counts};
    const struct raw_entry *raw = NULL;
    int rc = merge_next(from, &raw, e);
    while (!rc && raw) {
        if (!h.any || h.kind != raw->place.kind || !str_equal(buf_str(&h.id), entry_id(raw)))
            rc = begin(&h, raw, e);
        if (!rc)
            rc = raw->place.removed ? take_tombstone(&h, raw, e) : take_record(&h, raw, e);
        if (!rc)
            rc = merge_next(from, &raw, e);
    }
    if (!rc)
        rc = release(&h, beginning(&h), e);
    buf_free(&h.id);
    buf_free(&h.oldest);
    return rc;
}
