/* Specialising a tree of any shape, node by node or down to its blocks. */
#include "model/scorer_parts.h"

/* Adds what is left below a node; returns a branch, or BRANCH_LEAF and a leaf's number. Calls
 * itself no deeper than the tree is. */
static uint32_t prune(struct program *p, const struct scorer_node *nodes, uint32_t at,
                      const uint8_t *shared, uint32_t leaves_at)
{
    const struct scorer_node *n = &nodes[at];
    while (n->left && n->shared)
        n = &nodes[shared[n->column] >= n->rank ? n->right : n->left];
    uint32_t first = (uint32_t)p->leaf_count - leaves_at;
    if (!n->left) {
        p->leaves[p->leaf_count++] = n->leaf;
        return BRANCH_LEAF | first;
    }
    size_t branch = p->branch_count++;
    uint32_t left = prune(p, nodes, n->left, shared, leaves_at);
    uint32_t right = prune(p, nodes, n->right, shared, leaves_at);
    p->branches[branch] = (struct branch){left, right, first, n->column, n->rank};
    return (uint32_t)branch;
}

static void add_steps(struct program *p, size_t from, uint16_t result)
{
    for (const struct branch *b = p->branches + from; b < p->branches + p->branch_count; b++) {
        bool low_leaf = b->left & BRANCH_LEAF, high_leaf = b->right & BRANCH_LEAF;
        uint32_t middle = high_leaf ? b->right & ~BRANCH_LEAF : p->branches[b->right].first;
        uint16_t to = b->first ? (uint16_t)(SLOT_LONG + b->first) : result;
        p->steps[p->step_count++] = (struct step){
            .column = b->column,
            .low = low_leaf ? (uint16_t)(SLOT_CONSTANT + b->first) : to,
            .high = (uint16_t)((high_leaf ? SLOT_CONSTANT : SLOT_LONG) + middle),
            .to = to,
            .rank = b->rank,
        };
    }
}

void program_add(const struct scorer *s, struct scorer_scratch *w, size_t k)
{
    struct program *p = &w->program;
    struct remains *t = &p->trees[k];
    size_t from = p->branch_count;
    uint32_t leaves_at = (uint32_t)p->leaf_count;
    uint32_t root = prune(p, s->trees[k].nodes, 0, w->shared, leaves_at);
    *t = (struct remains){leaves_at, (uint32_t)p->leaf_count - leaves_at, root, SLOT_CONSTANT};
    if (t->leaves > STEP_LEAVES) {
        t->slot = SLOT_WALKED;
        p->chunks[k / CHUNK_TREES].walked = true;
        return;
    }
    if (t->leaves > 1) {
        t->slot = (uint16_t)(SLOT_RESULT + k % CHUNK_TREES);
        add_steps(p, from, t->slot);
    }
    p->branch_count = from;
}

/* ------------------------------------------------------------ trees with blocks */

struct shortening {
    const struct block *blocks;
    const struct scorer_node *nodes;
    const uint8_t *shared;
    struct program *p;
    const struct block_adder *adder;
    size_t leaves_at;
    uint16_t result;
};

/* Adds what is left below a node; returns its number of leaves, or 0 if there are too many. Calls
 * itself no deeper than the tree is. */
static size_t shorten(struct shortening *x, uint32_t at)
{
    struct program *p = x->p;
    const struct scorer_node *n = &x->nodes[at];
    while (n->left && !n->block && n->shared)
        n = &x->nodes[x->shared[n->column] >= n->rank ? n->right : n->left];
    size_t first = p->leaf_count - x->leaves_at;
    if (first == BLOCK_NODES)
        return 0;
    if (!n->left) {
        p->leaves[p->leaf_count++] = n->leaf;
        return 1;
    }
    if (n->block)
        return x->adder->add(x->adder->tables, p, &x->blocks[n->block - 1], first, x->result);
    size_t step = p->shorts.count++, left = shorten(x, n->left);
    size_t right = left ? shorten(x, n->right) : 0, middle = first + left;
    uint8_t to = (uint8_t)(first ? first : x->result);
    p->shorts.column[step] = (uint8_t)n->column;
    p->shorts.rank[step] = n->rank;
    p->shorts.to[step] = to;
    p->shorts.low[step] = left == 1 ? (uint8_t)(SLOT_CONSTANT + first) : to;
    p->shorts.high[step] = (uint8_t)(right == 1 ? SLOT_CONSTANT + middle : middle);
    return right ? left + right : 0;
}

void program_add_blocks(const struct scorer *s, struct scorer_scratch *w, size_t k,
                        const struct block_adder *adder)
{
    struct program *p = &w->program;
    size_t leaf_count = p->leaf_count, step_count = p->shorts.count;
    p->leaf_count = program_aligned(p->leaf_count);
    struct shortening x = {
        .blocks = s->blocks,
        .nodes = s->trees[k].nodes,
        .shared = w->shared,
        .p = p,
        .adder = adder,
        .leaves_at = p->leaf_count,
        .result = (uint16_t)(SLOT_RESULT + k % CHUNK_TREES),
    };
    size_t leaves = shorten(&x, 0);
    if (leaves) {
        p->trees[k] = (struct remains){(uint32_t)x.leaves_at, (uint32_t)leaves, 0,
                                       leaves > 1 ? x.result : (uint16_t)SLOT_CONSTANT};
        return;
    }
    p->leaf_count = leaf_count;
    p->shorts.count = step_count;
    program_add(s, w, k);
}

/* ------------------------------------------------------------ trees that are walked */

void program_walk(const struct scorer_scratch *w, size_t k, const uint8_t *place, size_t width,
                  size_t count, float *sums)
{
    const struct remains *t = &w->program.trees[k];
    const float *leaves = w->program.leaves + t->leaves_at;
    for (size_t c = 0; c < count; c++) {
        const uint8_t *bytes = w->columns + (c & ~(size_t)63) + place[c & 63];
        uint32_t at = t->root;
        while (!(at & BRANCH_LEAF)) {
            const struct branch *b = &w->program.branches[at];
            at = bytes[b->column * width] >= b->rank ? b->right : b->left;
        }
        sums[c] += leaves[at & ~BRANCH_LEAF];
    }
}
