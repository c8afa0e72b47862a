/* An ensemble becomes a scorer: thresholds become scales, nodes compare bytes, and trees that are
 * not too deep become complete blocks. */
#include "model/scorer_parts.h"

#include <math.h>
#include <string.h>

enum { UNUSED = UINT16_MAX, ZERO_COLUMN = 0 };

/* While it is prepared. */
struct preparation {
    const struct ensemble *m;
    const bool *shared;
    float *thresholds;    /* of all columns, one behind the other, each sorted and distinct */
    size_t *from;         /* column_count + 1: where a column's thresholds start */
    size_t *distinct;     /* of a column */
    size_t *scale_of;     /* of a column: its first scale, whichever side it is on */
    uint8_t *sides;       /* of a scale of all columns: bit 0 somebody reads low, bit 1 high */
    uint16_t *low, *high; /* of a scale of all columns */
    size_t nodes, inner, blocks, scales, scale_floats;
    void *memory;
};

static bool is_leaf(const struct ensemble_node *n)
{
    return n->left < 0;
}

/* ------------------------------------------------------------ thresholds */

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void count_nodes(struct preparation *p)
{
    const struct ensemble *m = p->m;
    for (size_t k = 0; k < m->tree_count; k++) {
        p->nodes += m->trees[k].count;
        for (size_t i = 0; i < m->trees[k].count; i++)
            p->inner += !is_leaf(&m->trees[k].nodes[i]);
    }
}

/* Sorts the thresholds of all nodes by column and size; -0 and 0 are the same. */
static void gather_thresholds(struct preparation *p)
{
    const struct ensemble *m = p->m;
    memset(p->from, 0, (m->column_count + 1) * sizeof *p->from);
    memset(p->distinct, 0, m->column_count * sizeof *p->distinct);
    for (size_t k = 0; k < m->tree_count; k++)
        for (size_t i = 0; i < m->trees[k].count; i++)
            if (!is_leaf(&m->trees[k].nodes[i]))
                p->from[m->trees[k].nodes[i].column + 1]++;
    for (size_t c = 0; c < m->column_count; c++)
        p->from[c + 1] += p->from[c];
    for (size_t k = 0; k < m->tree_count; k++)
        for (size_t i = 0; i < m->trees[k].count; i++) {
            const struct ensemble_node *n = &m->trees[k].nodes[i];
            if (!is_leaf(n))
                p->thresholds[p->from[n->column] + p->distinct[n->column]++] = n->value;
        }
    for (size_t c = 0; c < m->column_count; c++) {
        float *t = p->thresholds + p->from[c];
        size_t kept = 0;
        qsort(t, p->distinct[c], sizeof *t, by_size);
        for (size_t i = 0; i < p->distinct[c]; i++)
            if (!kept || t[i] != t[kept - 1])
                t[kept++] = t[i];
        p->distinct[c] = kept;
    }
}

/* The position of a threshold among those of its column. */
static size_t position(const struct preparation *p, const struct ensemble_node *n)
{
    const float *t = p->thresholds + p->from[n->column];
    size_t low = 0, high = p->distinct[n->column];
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (t[middle] < n->value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ------------------------------------------------------------ scales */

static size_t scales_of(size_t thresholds)
{
    return (thresholds + SCALE_MOST - 1) / SCALE_MOST;
}

static size_t thresholds_of_scale(const struct preparation *p, size_t column, size_t scale)
{
    size_t rest = p->distinct[column] - scale * SCALE_MOST;
    return rest < SCALE_MOST ? rest : SCALE_MOST;
}

static uint8_t levels_for(size_t thresholds)
{
    uint8_t levels = SCALE_SHALLOW;
    while (((size_t)1 << levels) - 1 < thresholds)
        levels++;
    return levels;
}

/* Counts the scales and finds which byte columns of them are read. */
static void mark_sides(struct preparation *p)
{
    const struct ensemble *m = p->m;
    for (size_t c = 0; c < m->column_count; c++) {
        p->scale_of[c] = p->scales;
        for (size_t i = 0; i < scales_of(p->distinct[c]); i++)
            p->scale_floats += (size_t)1 << levels_for(thresholds_of_scale(p, c, i));
        p->scales += scales_of(p->distinct[c]);
    }
    memset(p->sides, 0, p->scales);
    for (size_t k = 0; k < m->tree_count; k++)
        for (size_t i = 0; i < m->trees[k].count; i++) {
            const struct ensemble_node *n = &m->trees[k].nodes[i];
            if (!is_leaf(n))
                p->sides[p->scale_of[n->column] + position(p, n) / SCALE_MOST] |=
                    n->missing_left ? 1 : 2;
        }
}

/* Lays `count` sorted thresholds out as a search tree; returns how many it has taken. */
static size_t fill_search(float *tree, size_t size, size_t node, const float *sorted, size_t count)
{
    if (node >= size)
        return 0;
    size_t left = fill_search(tree, size, 2 * node, sorted, count);
    tree[node] = left < count ? sorted[left] : NAN;
    size_t taken = left < count ? left + 1 : count;
    return taken + fill_search(tree, size, 2 * node + 1, sorted + taken, count - taken);
}

/* Numbers the byte columns of one side and fills its scales. */
static void fill_scales(struct preparation *p, struct scales *to, bool shared, float **floats)
{
    size_t first = shared ? ZERO_COLUMN + 1 : 0, columns = first;
    to->count = 0;
    for (size_t c = 0; c < p->m->column_count; c++)
        for (size_t i = 0; p->shared[c] == shared && i < scales_of(p->distinct[c]); i++) {
            size_t at = p->scale_of[c] + i, count = thresholds_of_scale(p, c, i);
            struct scale *s = &to->all[to->count++];
            p->low[at] = p->sides[at] & 1 ? (uint16_t)columns++ : UNUSED;
            p->high[at] = p->sides[at] & 2 ? (uint16_t)columns++ : UNUSED;
            *s = (struct scale){*floats, (uint32_t)c, p->low[at], p->high[at], levels_for(count)};
            fill_search(*floats, (size_t)1 << s->levels, 1,
                        p->thresholds + p->from[c] + i * SCALE_MOST, count);
            (*floats)[0] = NAN;
            *floats += (size_t)1 << s->levels;
        }
    for (size_t i = 0; i < to->count; i++) {
        if (to->all[i].low == UNUSED)
            to->all[i].low = (uint16_t)columns;
        if (to->all[i].high == UNUSED)
            to->all[i].high = (uint16_t)columns;
    }
    to->columns = columns + 1;
}

/* ------------------------------------------------------------ trees */

static void fill_node(const struct preparation *p, struct scorer_node *to,
                      const struct ensemble_node *n)
{
    if (is_leaf(n)) {
        *to = (struct scorer_node){.leaf = n->value};
        return;
    }
    size_t at = position(p, n), scale = p->scale_of[n->column] + at / SCALE_MOST;
    *to = (struct scorer_node){
        .left = (uint32_t)n->left,
        .right = (uint32_t)n->right,
        .column = n->missing_left ? p->low[scale] : p->high[scale],
        .rank = (uint8_t)(at % SCALE_MOST + 1),
        .shared = p->shared[n->column],
    };
}

/* Fills the block from position `at` down with the nodes from `node` down. */
static void fill_block(struct block *b, size_t at, const struct scorer_node *nodes, uint32_t node)
{
    const struct scorer_node *n = &nodes[node];
    if (at >= BLOCK_NODES) {
        b->leaf[at - BLOCK_NODES] = n->leaf;
        return;
    }
    if (!n->left) {
        b->column[at] = ZERO_COLUMN;
        b->rank[at] = UINT8_MAX;
        fill_block(b, 2 * at, nodes, node);
        return;
    }
    b->column[at] = (uint8_t)n->column;
    b->rank[at] = n->rank;
    *(n->shared ? &b->fixed : &b->varying) |= UINT64_C(1) << at;
    fill_block(b, 2 * at, nodes, n->left);
    fill_block(b, 2 * at + 1, nodes, n->right);
}

/* Puts the block's fixed nodes into the list of lookups. */
static void add_lookups(struct scorer *s, struct block *b)
{
    b->lookup = s->lookups;
    for (size_t at = 0; at < BLOCK_NODES; at++)
        if (b->fixed >> at & 1) {
            s->lookup_column[s->lookups] = b->column[at];
            s->lookup_rank[s->lookups++] = b->rank[at];
        }
    while (s->lookups % 8) {
        s->lookup_column[s->lookups] = ZERO_COLUMN;
        s->lookup_rank[s->lookups++] = UINT8_MAX;
    }
}

/* What hangs below a node. */
struct part {
    size_t nodes;
    int height;
};

/* Where blocks of a tree go; counts them only while there is no scorer. */
struct cutting {
    const struct ensemble_tree *from;
    struct scorer *s;
    struct scorer_node *nodes;
    size_t blocks;
};

static void make_block(struct cutting *x, int32_t at)
{
    size_t number = x->blocks++;
    if (!x->s)
        return;
    struct block *b = &x->s->blocks[number];
    memset(b, 0, sizeof *b);
    fill_block(b, 1, x->nodes, (uint32_t)at);
    add_lookups(x->s, b);
    if (x->nodes[at].left)
        x->nodes[at].block = (uint32_t)number + 1;
}

/* Makes blocks of the largest parts below a node that are not too high for it. Calls itself no
 * deeper than the tree is. */
static struct part cut(struct cutting *x, int32_t at)
{
    const struct ensemble_node *n = &x->from->nodes[at];
    if (is_leaf(n))
        return (struct part){1, 0};
    struct part left = cut(x, n->left), right = cut(x, n->right);
    int height = 1 + (left.height > right.height ? left.height : right.height);
    if (height > BLOCK_DEPTH) {
        if (left.height <= BLOCK_DEPTH && left.nodes >= BLOCK_WORTH)
            make_block(x, n->left);
        if (right.height <= BLOCK_DEPTH && right.nodes >= BLOCK_WORTH)
            make_block(x, n->right);
    }
    return (struct part){left.nodes + right.nodes + 1, height};
}

/* Whether all of the tree is one block. */
static bool cut_tree(struct cutting *x)
{
    bool whole = cut(x, 0).height <= BLOCK_DEPTH;
    if (whole)
        make_block(x, 0);
    return whole;
}

static bool fits(const struct ensemble_tree *from, const struct scorer_node *nodes)
{
    for (size_t i = 0; i < from->count; i++)
        if (nodes[i].left && nodes[i].column >= BYTE_COLUMNS)
            return false;
    return true;
}
/* No fewer than there will be. */
static void count_blocks(struct preparation *p)
{
    struct cutting counted = {0};
    for (size_t k = 0; k < p->m->tree_count; k++) {
        counted.from = &p->m->trees[k];
        cut_tree(&counted);
    }
    p->blocks = counted.blocks;
}

static void fill_trees(const struct preparation *p, struct scorer *s, struct scorer_node *nodes)
{
    struct cutting cutting = {.s = s};
    for (size_t k = 0; k < s->tree_count; k++) {
        const struct ensemble_tree *from = &p->m->trees[k];
        struct scorer_tree *t = &s->trees[k];
        size_t varying = 0;
        for (size_t i = 0; i < from->count; i++) {
            fill_node(p, &nodes[i], &from->nodes[i]);
            varying += nodes[i].left && !nodes[i].shared;
        }
        s->steps += varying;
        s->leaves += varying + 1 + 16;
        *t = (struct scorer_tree){.nodes = nodes, .fits = fits(from, nodes)};
        if (t->fits) {
            cutting.from = from;
            cutting.nodes = nodes;
            if (cut_tree(&cutting))
                t->block = &s->blocks[cutting.blocks - 1];
            s->short_steps += varying;
        }
        nodes += from->count;
    }
}

/* ------------------------------------------------------------ all of it */

static size_t lay_out_preparation(struct preparation *p, struct memory *at)
{
    size_t columns = p->m->column_count, scales = columns + p->inner / SCALE_MOST + 1;
    p->thresholds = memory_take(at, p->inner * sizeof *p->thresholds);
    p->from = memory_take(at, (columns + 1) * sizeof *p->from);
    p->distinct = memory_take(at, columns * sizeof *p->distinct);
    p->scale_of = memory_take(at, columns * sizeof *p->scale_of);
    p->sides = memory_take(at, scales);
    p->low = memory_take(at, scales * sizeof *p->low);
    p->high = memory_take(at, scales * sizeof *p->high);
    return at->used;
}

struct places {
    float *floats;
    struct scorer_node *nodes;
};

static size_t lay_out_scorer(const struct preparation *p, struct memory *at, struct scorer **s,
                             struct scorer *parts, struct places *places)
{
    *s = memory_take(at, sizeof **s);
    parts->trees = memory_take(at, p->m->tree_count * sizeof *parts->trees);
    parts->shared.all = memory_take(at, p->scales * sizeof *parts->shared.all);
    parts->varying.all = memory_take(at, p->scales * sizeof *parts->varying.all);
    parts->lookup_column = memory_take(at, p->blocks * BLOCK_NODES);
    parts->lookup_rank = memory_take(at, p->blocks * BLOCK_NODES);
    places->floats = memory_take(at, p->scale_floats * sizeof(float));
    places->nodes = memory_take(at, p->nodes * sizeof *places->nodes);
    parts->blocks = memory_take(at, p->blocks * sizeof *parts->blocks);
    return at->used;
}

int scorer_prepare(struct scorer **out, const struct ensemble *m, const bool *shared, struct err *e)
{
    struct preparation p = {.m = m, .shared = shared};
    struct memory measured = {0};
    struct scorer parts = {.base_margin = m->base_margin, .tree_count = m->tree_count};
    struct places places;
    struct scorer *s;
    count_nodes(&p);
    p.memory = memory_get(lay_out_preparation(&p, &measured));
    if (!p.memory)
        return err_nomem(e);
    struct memory memory = memory_of(p.memory);
    lay_out_preparation(&p, &memory);
    gather_thresholds(&p);
    mark_sides(&p);
    count_blocks(&p);

    measured = (struct memory){0};
    parts.bytes = lay_out_scorer(&p, &measured, &s, &parts, &places) + ALIGNMENT;
    void *raw = memory_get(parts.bytes - ALIGNMENT);
    if (!raw) {
        free(p.memory);
        return err_nomem(e);
    }
    memory = memory_of(raw);
    lay_out_scorer(&p, &memory, &s, &parts, &places);
    parts.raw = raw;
    *s = parts;
    fill_scales(&p, &s->shared, true, &places.floats);
    fill_scales(&p, &s->varying, false, &places.floats);
    fill_trees(&p, s, places.nodes);
    free(p.memory);
    *out = s;
    return 0;
}
