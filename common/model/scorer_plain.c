/* Scoring without any particular instructions. */
#include "model/scorer_parts.h"

#include <string.h>

enum { LANES = 32 }; /* a number that compilers unroll and use vectors of bytes for */

static bool can(void)
{
    return true;
}

static void specialise(const struct scorer *s, struct scorer_scratch *w)
{
    struct program *p = &w->program;
    for (size_t k = 0; k < s->tree_count; k++) {
        struct chunk *chunk = &p->chunks[k / CHUNK_TREES];
        if (k % CHUNK_TREES == 0)
            chunk->walked = false;
        program_add(s, w, k);
        chunk->end = p->step_count;
    }
}

static void rank_all(const struct scorer *s, struct scorer_scratch *w, size_t width,
                     const float *rows, size_t stride, size_t count)
{
    for (size_t i = 0; i < s->varying.count; i++) {
        const struct scale *scale = &s->varying.all[i];
        uint8_t *low = w->columns + scale->low * width, *high = w->columns + scale->high * width;
        for (size_t c = 0; c < count; c++) {
            float x = rows[c * stride + scale->column];
            uint8_t rank = scale_rank(scale, x);
            low[c] = rank;
            high[c] = x != x ? UINT8_MAX : rank;
        }
    }
}

/* Written to a place of its own first: what it is chosen from may be what it replaces. */
static void choose(uint8_t *to, const uint8_t *bytes, uint8_t rank, const uint8_t *low,
                   const uint8_t *high, size_t width)
{
    for (size_t at = 0; at < width; at += LANES) {
        uint8_t chosen[LANES];
        for (size_t c = 0; c < LANES; c++) {
            uint8_t right = (uint8_t) - (bytes[at + c] >= rank);
            chosen[c] = (uint8_t)(low[at + c] ^ (right & (low[at + c] ^ high[at + c])));
        }
        memcpy(to + at, chosen, LANES);
    }
}

static void find_leaves(const struct scorer_scratch *w, uint8_t *slots, size_t width, size_t from,
                        size_t end)
{
    for (const struct step *s = w->program.steps + end; s-- > w->program.steps + from;)
        choose(slots + s->to * width, w->columns + s->column * width, s->rank,
               slots + s->low * width, slots + s->high * width, width);
}

static void add_leaves(const struct scorer *s, const struct scorer_scratch *w, const uint8_t *slots,
                       size_t width, size_t chunk, size_t count, float *sums)
{
    static const uint8_t place[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    size_t end = (chunk + 1) * CHUNK_TREES;
    if (end > s->tree_count)
        end = s->tree_count;
    for (size_t k = chunk * CHUNK_TREES; k < end; k++) {
        const struct remains *t = &w->program.trees[k];
        const float *leaves = w->program.leaves + t->leaves_at;
        if (t->slot == SLOT_WALKED) {
            program_walk(w, k, place, width, count, sums);
            continue;
        }
        const uint8_t *numbers = slots + t->slot * width;
        for (size_t c = 0; c < count; c++)
            sums[c] += leaves[numbers[c]];
    }
}

static void margins(const struct scorer *s, struct scorer_scratch *w, const float *rows,
                    size_t stride, size_t count, float *sums)
{
    size_t i = 0, from = 0, chunks = (s->tree_count + CHUNK_TREES - 1) / CHUNK_TREES;
    while ((size_t)32 << i < count)
        i++;
    size_t width = (size_t)32 << i;
    rank_all(s, w, width, rows, stride, count);
    for (size_t c = 0; c < count; c++)
        sums[c] = s->base_margin;
    for (size_t k = 0; k < chunks; k++) {
        find_leaves(w, w->slots[i], width, from, w->program.chunks[k].end);
        add_leaves(s, w, w->slots[i], width, k, count, sums);
        from = w->program.chunks[k].end;
    }
}

const struct scorer_kernel scorer_plain = {can, specialise, margins};
