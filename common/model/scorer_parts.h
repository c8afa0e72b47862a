/*
 * What the files of the scorer share: a prepared ensemble, the program that a specialisation
 * leaves, and what an instruction set has to offer. Nobody else includes this.
 *
 * A value becomes a byte: its rank among up to 254 thresholds of its column. Such a set of
 * thresholds is a scale; a column with more of them has several. Missing counts as 0 where the
 * default is left and as 255 where it is right, so a scale fills up to two byte columns and a node
 * is one comparison, `byte >= rank` goes right.
 *
 * What is left of a tree numbers its leaves from the left. A slot holds one leaf number per
 * candidate; a step is a node: to = byte >= rank ? high : low. The subtree whose first leaf is a
 * works in slot a; the leaf a alone is constant a; the whole tree ends in a slot of its own, from
 * which the sums take the leaf numbers in the order of the trees.
 */
#pragma once

#include "model/scorer.h"

#include <stdalign.h>
#include <stdlib.h>

enum {
    SCALE_MOST = 254,   /* thresholds of a scale */
    SCALE_LEVELS = 8,   /* the deepest search */
    SCALE_SHALLOW = 4,  /* the shallowest: sixteen floats fill a register */
    BLOCK_DEPTH = 6,    /* trees up to here are specialised by whole registers */
    BLOCK_NODES = 64,   /* node i has the children 2i and 2i + 1, the root is 1 */
    BLOCK_WORTH = 16,   /* nodes of a part of a tree that make a block of it worth its memory */
    BYTE_COLUMNS = 256, /* that blocks can name */
    CHUNK_TREES = 64,   /* between finding leaf numbers and adding leaves up */
    STEP_LEAVES = 256,  /* a tree that is left with more is walked */
    WIDTHS = 4,         /* 32, 64, 128, 256 */
    WIDTH_MOST = 256,   /* candidates at a time */
};

/* Slots. Those of short steps fit in a byte. */
enum {
    SLOT_SHORT = 0,
    SLOT_RESULT = SLOT_SHORT + BLOCK_NODES,
    SLOT_CONSTANT = SLOT_RESULT + CHUNK_TREES, /* of short steps the first 64 */
    SLOT_LONG = SLOT_CONSTANT + STEP_LEAVES,
    SLOTS = SLOT_LONG + STEP_LEAVES,
};

/* The thresholds as a search tree: node i has the children 2i and 2i + 1, the root is 1; those
 * past the last are NaN, which no value reaches. */
struct scale {
    const float *tree; /* 1 << levels, aligned to 64 bytes */
    uint32_t column;   /* of rows */
    uint16_t low;      /* the byte column where missing is 0 */
    uint16_t high;     /* the one where it is 255; nobody reads either if it is the spare one */
    uint8_t levels;
};

/* A set of scales and the byte columns that they fill; the last of these is the spare one. */
struct scales {
    struct scale *all;
    size_t count;
    size_t columns;
};

/* A node of a tree of any shape. */
struct scorer_node {
    uint32_t left, right; /* in the same tree; 0: a leaf, as the root is nobody's child */
    union {
        float leaf;
        uint32_t block; /* not a leaf: from 1, the block that it is the root of; 0: of none */
    };
    uint16_t column; /* a byte column: of the shared ones, or of the others */
    uint8_t rank;
    bool shared;
};

/* A tree, or a part that hangs below its upper nodes, made complete. Nodes below a leaf lead left
 * to it. */
struct block {
    alignas(64) uint8_t column[BLOCK_NODES];
    alignas(64) uint8_t rank[BLOCK_NODES];
    alignas(64) float leaf[BLOCK_NODES];
    uint64_t varying; /* nodes on columns that are not shared */
    uint64_t fixed;   /* those on shared ones */
    size_t lookup;    /* where the fixed ones start in the list of all lookups */
};

struct scorer_tree {
    const struct scorer_node *nodes;
    const struct block *block; /* all of it is this one, or NULL */
    bool fits;                 /* all its byte columns can be named by a byte */
};

struct scorer {
    void *raw; /* the one allocation that all of it lies in */
    size_t bytes;
    float base_margin;
    struct scorer_tree *trees;
    size_t tree_count;
    struct block *blocks;
    struct scales shared, varying;
    uint8_t *lookup_column; /* of all blocks' fixed nodes, eight and eight, aligned */
    uint8_t *lookup_rank;
    size_t lookups;
    size_t short_steps; /* these are the most that a specialisation can leave */
    size_t steps;
    size_t leaves;
};

/* ------------------------------------------------------------ what a specialisation leaves */

struct step {
    uint16_t column, low, high, to;
    uint8_t rank;
};

/* A node that is left of a tree that is walked; a child with BRANCH_LEAF is a leaf's number. */
struct branch {
    uint32_t left, right;
    uint32_t first; /* leaf below it */
    uint16_t column;
    uint8_t rank;
};
#define BRANCH_LEAF 0x80000000u

/* What became of a tree. */
struct remains {
    uint32_t leaves_at; /* in the program's leaves */
    uint32_t leaves;
    uint32_t root; /* walked: its first branch */
    uint16_t slot; /* SLOT_WALKED: it is walked */
};
#define SLOT_WALKED UINT16_MAX

/* The steps of up to CHUNK_TREES trees end here; they begin where the chunk before ends. */
struct chunk {
    size_t short_end, end;
    bool walked; /* one of its trees is */
};

/* Steps of trees that fit and are left with at most BLOCK_NODES leaves, so that everything in them
 * is a byte. Each array can be written a register past what is counted. */
struct short_steps {
    uint8_t *column, *rank, *low, *high, *to;
    size_t count;
};

/* Steps go from the last to the first of a chunk: children stand behind their parents. */
struct program {
    struct short_steps shorts;
    struct step *steps;
    size_t step_count;
    struct branch *branches;
    size_t branch_count;
    float *leaves; /* readable 64 past the last */
    size_t leaf_count;
    struct remains *trees;
    struct chunk *chunks;
};

struct scorer_scratch {
    const struct scorer *scorer; /* of the last specialisation */
    enum scorer_path path;
    struct program program;
    uint8_t *shared;        /* the request's byte columns */
    uint8_t *columns;       /* the candidates' */
    uint8_t *looked_up;     /* a byte, then a bit, for each of all lookups */
    uint8_t *slots[WIDTHS]; /* SLOTS of 32 << i bytes */
    void *slot_memory;
    void *memory; /* of the rest, `size` bytes of parts */
    size_t size;
};

/* ------------------------------------------------------------ memory */

/* One allocation that is dealt out in parts aligned to 64 bytes. With no memory behind it, it
 * measures: parts are NULL and `used` is what they take. */
struct memory {
    char *start;
    size_t used;
};

enum { ALIGNMENT = 64 };

static inline struct memory memory_of(void *raw)
{
    uintptr_t past = (uintptr_t)raw % ALIGNMENT;
    return (struct memory){(char *)raw + (past ? ALIGNMENT - past : 0), 0};
}

/* Memory for so many bytes of parts, to be freed by the caller; NULL if it could not be had. */
static inline void *memory_get(size_t bytes)
{
    return malloc(bytes + ALIGNMENT);
}

static inline void *memory_take(struct memory *m, size_t bytes)
{
    char *part = m->start ? m->start + m->used : NULL;
    m->used += (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    return part;
}

/* ------------------------------------------------------------ work */

/* scorer_new() is this. */
int scorer_prepare(struct scorer **out, const struct ensemble *m, const bool *shared,
                   struct err *e);

/* The rank of a value; 0 if it is missing. */
static inline uint8_t scale_rank(const struct scale *s, float x)
{
    unsigned i = 1;
    for (unsigned level = 0; level < s->levels; level++)
        i = 2 * i + (x >= s->tree[i]);
    return (uint8_t)(i - (1u << s->levels));
}

/* Where leaves of a tree may start, so that a register that is loaded from there crosses no line of
 * the cache. */
static inline size_t program_aligned(size_t leaf_count)
{
    return (leaf_count + 15) & ~(size_t)15;
}

/* Adds what is left of tree k to the program, as long steps or to be walked. Any shape. */
void program_add(const struct scorer *s, struct scorer_scratch *w, size_t k);

/* Adds the steps and leaves of a block whose first leaf has the number `first`; returns how many
 * leaves are left of it, or 0, and nothing was added, if numbers would not fit into a block's. */
struct block_adder {
    size_t (*add)(const void *tables, struct program *p, const struct block *b, size_t first,
                  uint16_t result);
    const void *tables;
};

/* The same as program_add() for a tree that fits, but in short steps if it is left with few enough
 * leaves; blocks are left to the adder. */
void program_add_blocks(const struct scorer *s, struct scorer_scratch *w, size_t k,
                        const struct block_adder *adder);

/* Adds the leaf of a walked tree to the sums of `count` candidates; place[c] is where the byte of
 * candidate c stands among 64, width the size of a byte column. */
void program_walk(const struct scorer_scratch *w, size_t k, const uint8_t *place, size_t width,
                  size_t count, float *sums);

/* What is done per instruction set: specialising once the shared columns are bytes, and the margins
 * of up to WIDTH_MOST candidates. */
struct scorer_kernel {
    bool (*can)(void);
    void (*specialise)(const struct scorer *s, struct scorer_scratch *w);
    void (*margins)(const struct scorer *s, struct scorer_scratch *w, const float *rows,
                    size_t stride, size_t count, float *margins);
};

/* Before a loop over a few registers, which are registers only if it is unrolled. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

extern const struct scorer_kernel scorer_plain;
#if defined(__x86_64__)
extern const struct scorer_kernel scorer_avx2, scorer_avx512;
#endif
