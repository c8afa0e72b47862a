#include "feature/overlap.h"

enum { BLOCK = 64 };

/* A value of the attribute, and which past propositions of the block have it: a bit each. */
struct past_value {
    uint64_t hash;
    uint64_t who; /* 0: the slot is empty */
};

/* Past propositions are taken in blocks of 64, so that who has a value is one number. */
struct past {
    const struct overlap_reading *r;
    struct arena *arena;
    const struct known_value *block[BLOCK]; /* those that have values */
    size_t block_count;
    size_t values;       /* of the block together */
    size_t propositions; /* all, those without values too */
    size_t *met;         /* of each candidate */
    struct past_value *slots;
    size_t slot_cap;
    bool failed;
};

static size_t bits_in(uint64_t v)
{
    v = v - ((v >> 1) & 0x5555555555555555u);
    v = (v & 0x3333333333333333u) + ((v >> 2) & 0x3333333333333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (size_t)(v * 0x0101010101010101u >> 56);
}

/* The slot of a hash, or the empty one where it would be. */
static struct past_value *slot_of(const struct past *p, size_t mask, uint64_t hash)
{
    size_t at = hash & mask;
    while (p->slots[at].who && p->slots[at].hash != hash)
        at = (at + 1) & mask;
    return &p->slots[at];
}

/* Empties the slots and makes at least four times as many as there are values, so that most of what
 * is looked for in vain is so in one step; 0: memory was short. */
static size_t make_slots(struct past *p)
{
    size_t size = 16;
    while (size < p->values * 4)
        size *= 2;
    if (size > p->slot_cap) {
        p->slots = arena_alloc(p->arena, size * sizeof *p->slots);
        p->slot_cap = p->slots ? size : 0;
    }
    if (!p->slots)
        return 0;
    memset(p->slots, 0, size * sizeof *p->slots);
    return size;
}

/* Counts for each candidate whom of the block it has a value in common with. */
static void meet_block(struct past *p)
{
    size_t size = make_slots(p);
    p->failed |= size == 0;
    for (size_t i = 0; size && i < p->block_count; i++)
        for (size_t k = 0; k < p->block[i]->keys.count; k++) {
            struct past_value *v = slot_of(p, size - 1, p->block[i]->hashes[k]);
            v->hash = p->block[i]->hashes[k];
            v->who |= (uint64_t)1 << i;
        }
    for (size_t i = 0; size && i < p->r->count; i++) {
        struct overlap_values wanted = p->r->candidates[i];
        uint64_t who = 0;
        for (size_t k = 0; k < wanted.count; k++)
            who |= slot_of(p, size - 1, wanted.hashes[k])->who;
        p->met[i] += bits_in(who);
    }
    p->block_count = p->values = 0;
}

static void add_past(void *arg, struct str id)
{
    struct past *p = arg;
    struct situation s = {.proposition = entities_find(p->r->propositions, id)};
    const struct known_value *v = situation_attribute(&s, &p->r->feature->dimension);
    p->propositions++;
    if (!v || v->keys.count == 0)
        return;
    p->block[p->block_count++] = v;
    p->values += v->keys.count;
    if (p->block_count == BLOCK)
        meet_block(p);
}

int overlap_read(const struct overlap_reading *r, struct arena *a, struct err *e)
{
    struct past p = {.r = r, .arena = a};
    p.met = arena_alloc(a, r->count * sizeof *p.met + 1);
    if (!p.met)
        return err_nomem(e);
    memset(p.met, 0, r->count * sizeof *p.met);
    aggregate_each_past(r->feature, r->part, r->as_of_ms, add_past, &p);
    if (p.block_count)
        meet_block(&p);
    if (p.failed)
        return err_nomem(e);
    for (size_t i = 0; i < r->count; i++)
        r->out[i * r->stride] = p.propositions && r->candidates[i].count
                                    ? (double)p.met[i] / (double)p.propositions
                                    : NAN;
    return 0;
}
