/*
 * The course of things with vectors of bytes, whatever the instructions: the file of an instruction
 * set includes this once, last, after it has defined
 *
 *     TARGET, TARGET_INLINE   attributes of functions, by which a compiler may use the instructions
 *     RANKED                  candidates that are ranked at a time
 *     struct tables, set_up   what is the same for all blocks of a specialisation
 *     decisions               the nodes of a block at which the shared columns go right
 *     add_steps, add_values   the steps and leaves that are left of a block
 *     rank_values             values of RANKED candidates into byte columns
 *     choose                  one step for all candidates
 *     place                   where the byte of a candidate stands
 *     add_leaves              the leaves of some trees for all candidates
 */

/* ------------------------------------------------------------ specialising */

/* Which leaves can be reached; *nodes are the nodes that can. */
TARGET_INLINE uint64_t reachable(uint64_t right, uint64_t varying, uint64_t *nodes)
{
    uint64_t to_left = varying | ~right, to_right = varying | right, at = 1, all = 0;
    UNROLL
    for (unsigned level = 0; level < BLOCK_DEPTH; level++) {
        unsigned first = 1u << level;
        all |= at << first;
        at = _pdep_u64(at & (to_left >> first), UINT64_C(0x5555555555555555)) |
             _pdep_u64(at & (to_right >> first), UINT64_C(0xaaaaaaaaaaaaaaaa));
    }
    *nodes = all;
    return at;
}

/* Adds a block as a block_adder does, but its steps to `steps`. */
TARGET_INLINE size_t add_block(const struct tables *t, struct program *p, struct short_steps *steps,
                               const struct block *b, size_t first, uint16_t result)
{
    uint64_t nodes, leaves = reachable(decisions(t, b), b->varying, &nodes);
    size_t count = (size_t)_mm_popcnt_u64(leaves);
    if (first + count > BLOCK_NODES)
        return 0;
    add_steps(steps, t, b, leaves, nodes & b->varying, first, result);
    add_values(p->leaves + p->leaf_count, t, b, leaves, count);
    p->leaf_count += count;
    return count;
}

TARGET static size_t add_part(const void *t, struct program *p, const struct block *b, size_t first,
                              uint16_t result)
{
    return add_block(t, p, &p->shorts, b, first, result);
}

TARGET_INLINE void add_whole(const struct tables *t, struct program *p, struct short_steps *steps,
                             const struct block *b, size_t k)
{
    uint16_t result = (uint16_t)(SLOT_RESULT + k % CHUNK_TREES);
    size_t at = p->leaf_count = program_aligned(p->leaf_count);
    size_t count = add_block(t, p, steps, b, 0, result);
    p->trees[k] = (struct remains){(uint32_t)at, (uint32_t)count, 0,
                                   count > 1 ? result : (uint16_t)SLOT_CONSTANT};
}

/* The common case works on copies of the tables and of where steps go that nobody else can see, so
 * that compilers keep them in registers. */
TARGET static void specialise(const struct scorer *s, struct scorer_scratch *w)
{
    struct program *p = &w->program;
    struct short_steps steps = p->shorts;
    struct tables t, same;
    set_up(&t, s, w);
    same = t;
    const struct block_adder adder = {add_part, &same};
    for (size_t k = 0; k < s->tree_count; k++) {
        struct chunk *chunk = &p->chunks[k / CHUNK_TREES];
        if (k % CHUNK_TREES == 0)
            chunk->walked = false;
        if (s->trees[k].block) {
            add_whole(&t, p, &steps, s->trees[k].block, k);
        } else if (s->trees[k].fits) {
            p->shorts.count = steps.count;
            program_add_blocks(s, w, k, &adder);
            steps.count = p->shorts.count;
        } else {
            program_add(s, w, k);
        }
        chunk->short_end = steps.count;
        chunk->end = p->step_count;
    }
}

/* ------------------------------------------------------------ scoring */

enum { TILE = 16 }; /* columns whose values are collected before they are ranked */

/* Ranks up to RANKED candidates. Values are collected for several columns before they are loaded as
 * registers, which would otherwise wait for them. */
TARGET_INLINE void rank_some(const struct scorer *s, uint8_t *columns, size_t width,
                             const float *rows, size_t stride, size_t count)
{
    alignas(64) float tile[TILE][RANKED];
    if (count < RANKED && count < width)
        memset(tile, 0, sizeof tile);
    for (size_t from = 0; from < s->varying.count; from += TILE) {
        const struct scale *scales = s->varying.all + from;
        size_t n = s->varying.count - from < TILE ? s->varying.count - from : TILE;
        for (size_t i = 0; i < n; i++) {
            const float *value = rows + scales[i].column;
            for (size_t c = 0; c < count; c++, value += stride)
                tile[i][c] = *value;
        }
        for (size_t i = 0; i < n; i++)
            rank_values(&scales[i], tile[i], columns + scales[i].low * width,
                        columns + scales[i].high * width, width);
    }
}

TARGET_INLINE void find_leaves(const struct scorer_scratch *w, uint8_t *slots, size_t width,
                               size_t chunk)
{
    const struct program *p = &w->program;
    const struct chunk *c = &p->chunks[chunk];
    size_t short_from = chunk ? c[-1].short_end : 0, from = chunk ? c[-1].end : 0;
    for (size_t i = c->short_end; i-- > short_from;)
        choose(slots + p->shorts.to[i] * width, w->columns + p->shorts.column[i] * width,
               p->shorts.rank[i], slots + p->shorts.low[i] * width,
               slots + p->shorts.high[i] * width, width);
    for (const struct step *s = p->steps + c->end; s-- > p->steps + from;)
        choose(slots + s->to * width, w->columns + s->column * width, s->rank,
               slots + s->low * width, slots + s->high * width, width);
}

/* Like add_leaves(), but some trees are walked. */
TARGET_INLINE void add_or_walk(const struct scorer_scratch *w, const uint8_t *slots, size_t width,
                               size_t k, size_t end, size_t count, float *sums)
{
    uint8_t places[64];
    for (size_t c = 0; c < 64; c++)
        places[c] = place(c, width);
    for (; k < end; k++)
        if (w->program.trees[k].slot == SLOT_WALKED)
            program_walk(w, k, places, width, count, sums);
        else
            add_leaves(w, slots, width, k, k + 1, count, sums);
}

TARGET_INLINE void score(const struct scorer *s, struct scorer_scratch *w, const float *rows,
                         size_t stride, size_t count, float *margins, size_t width, uint8_t *slots)
{
    alignas(64) float sums[WIDTH_MOST];
    for (size_t c = 0; c < count; c += RANKED)
        rank_some(s, w->columns + c, width, rows + c * stride, stride,
                  count - c < RANKED ? count - c : RANKED);
    for (size_t c = 0; c < width; c++)
        sums[c] = s->base_margin;
    for (size_t k = 0, chunk = 0; k < s->tree_count; k += CHUNK_TREES, chunk++) {
        size_t end = s->tree_count - k < CHUNK_TREES ? s->tree_count : k + CHUNK_TREES;
        find_leaves(w, slots, width, chunk);
        if (w->program.chunks[chunk].walked)
            add_or_walk(w, slots, width, k, end, count, sums);
        else
            add_leaves(w, slots, width, k, end, count, sums);
    }
    memcpy(margins, sums, count * sizeof *margins);
}

/* Each width is compiled on its own, its loops unrolled. */
TARGET static void margins(const struct scorer *s, struct scorer_scratch *w, const float *rows,
                           size_t stride, size_t count, float *out)
{
    if (count <= 32)
        score(s, w, rows, stride, count, out, 32, w->slots[0]);
    else if (count <= 64)
        score(s, w, rows, stride, count, out, 64, w->slots[1]);
    else if (count <= 128)
        score(s, w, rows, stride, count, out, 128, w->slots[2]);
    else
        score(s, w, rows, stride, count, out, 256, w->slots[3]);
}
