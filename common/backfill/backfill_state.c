/* What becomes state, and when. */
#include "backfill/backfill_parts.h"

int backfill_next(struct backfill *b, struct err *e)
{
    arena_reset(&b->state_arena);
    return journal_next(b->state, &b->state_arena, &b->state_next, &b->has_state_next, e);
}

/* What the features worker refuses, too, becomes no state. */
static bool is_refusal(int rc)
{
    return rc == ERR_SCHEMA || rc == ERR_TOO_LARGE;
}

static int apply_event_entry(struct backfill *b, const struct entry *entry, struct err *e)
{
    struct err why = {0};
    bool accepted = false;
    int rc = replay_event(b->replay, &entry->event, entry->time_ms, &accepted, &why);
    b->counts.events++;
    b->counts.refused_events += is_refusal(rc);
    if (rc && !is_refusal(rc))
        return err_set(e, rc, "%s", why.msg);
    if (!accepted)
        return 0;
    return seen_event(&b->seen, &entry->event, later_of(entry->time_ms, entry->arrival.time_ms),
                      entry->arrival.number, e);
}

static int apply_entity(struct backfill *b, const struct entry *entry, int64_t time_ms,
                        struct err *e)
{
    enum side side = entry->kind == ENTRY_USER ? SIDE_USER : SIDE_PROPOSITION;
    struct err why = {0};
    int rc = 0;
    b->counts.entities++;
    b->counts.later_entities += entry->time_ms == INT64_MIN && !entry->removed &&
                                entry->entity.timestamp > later_of(time_ms, b->opts.from_ms);
    if (entry->removed)
        replay_remove(b->replay, side, entry->entity.id);
    else
        rc = replay_entity(b->replay, side, &entry->entity, &why);
    if (is_refusal(rc)) {
        b->counts.refused_entities++;
        return 0;
    }
    return rc ? err_set(e, rc, "%s", why.msg)
              : seen_entity(&b->seen, side, &entry->entity, entry->removed, e);
}

int backfill_advance(struct backfill *b, int64_t time_ms, struct err *e)
{
    int rc = 0;
    while (!rc && b->has_state_next) {
        const struct entry *next = &b->state_next;
        bool is_entity = next->kind == ENTRY_USER || next->kind == ENTRY_PROPOSITION;
        if (next->time_ms > time_ms || (next->time_ms == time_ms && !is_entity))
            break;
        if (is_entity)
            rc = apply_entity(b, next, time_ms, e);
        else if (next->kind == ENTRY_EVENT)
            rc = apply_event_entry(b, next, e);
        if (!rc)
            rc = backfill_next(b, e);
    }
    return rc;
}
