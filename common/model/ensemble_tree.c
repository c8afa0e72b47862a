#include "model/ensemble_tree.h"

#include <math.h>

/* A node that pruning left behind: the bits of its column and of its direction are all ones. */
enum { DELETED_COLUMN = INT32_MAX };

void tree_arrays_reset(struct tree_arrays *t)
{
    for (int i = 0; i < TREE_INTEGERS; i++)
        buf_reset(&t->integers[i]);
    for (int i = 0; i < TREE_FLOATS; i++)
        buf_reset(&t->floats[i]);
    t->nodes = t->deleted = t->values_per_leaf = 0;
    t->has_categories = false;
}

void tree_arrays_free(struct tree_arrays *t)
{
    for (int i = 0; i < TREE_INTEGERS; i++)
        buf_free(&t->integers[i]);
    for (int i = 0; i < TREE_FLOATS; i++)
        buf_free(&t->floats[i]);
    buf_free(&t->seen);
    buf_free(&t->order);
}

static const int32_t *integers(const struct tree_arrays *t, enum tree_integers which)
{
    return (const int32_t *)(const void *)t->integers[which].data;
}

static const float *floats(const struct tree_arrays *t, enum tree_floats which)
{
    return (const float *)(const void *)t->floats[which].data;
}

static int check_lengths(const struct tree_arrays *t, struct err *e)
{
    static const char *const names[TREE_INTEGERS] = {"left_children", "right_children",
                                                     "parents",       "split_indices",
                                                     "default_left",  "split_type"};
    static const char *const float_names[TREE_FLOATS] = {"split_conditions", "sum_hessian"};
    if (t->nodes < 1)
        return err_set(e, ERR_INVALID, "it has no nodes");
    for (int i = 0; i < TREE_INTEGERS; i++)
        if (t->integers[i].len != (size_t)t->nodes * 4 &&
            !(i == TREE_SPLIT_TYPE && t->integers[i].len == 0))
            return err_set(e, ERR_INVALID, "%s has %zu entries for %lld nodes", names[i],
                           t->integers[i].len / 4, (long long)t->nodes);
    for (int i = 0; i < TREE_FLOATS; i++)
        if (t->floats[i].len != (size_t)t->nodes * 4)
            return err_set(e, ERR_INVALID, "%s has %zu entries for %lld nodes", float_names[i],
                           t->floats[i].len / 4, (long long)t->nodes);
    return 0;
}

static int check_served(const struct tree_arrays *t, struct err *e)
{
    bool categorical = t->has_categories;
    for (size_t i = 0; i < t->integers[TREE_SPLIT_TYPE].len / 4; i++)
        categorical |= integers(t, TREE_SPLIT_TYPE)[i] != 0;
    if (categorical)
        return err_set(e, ERR_INVALID, "categorical splits are not served");
    return 0;
}

/* A node that is still to be visited. */
struct step {
    int32_t node;
    int32_t depth;
};

static bool is_deleted(const struct tree_arrays *t, size_t i)
{
    return integers(t, TREE_COLUMN)[i] == DELETED_COLUMN && integers(t, TREE_MISSING_LEFT)[i] == 1;
}

static int check_child(const struct tree_arrays *t, int32_t parent, int32_t child, struct err *e)
{
    if (child < 0 || child >= t->nodes)
        return err_set(e, ERR_INVALID, "node %d: its child %d is not one of %lld nodes", parent,
                       child, (long long)t->nodes);
    if (t->seen.data[child])
        return err_set(e, ERR_INVALID, "node %d: its child %d is reached by another way", parent,
                       child);
    if (integers(t, TREE_PARENT)[child] != parent)
        return err_set(e, ERR_INVALID, "node %d: its child %d names node %d as its parent", parent,
                       child, integers(t, TREE_PARENT)[child]);
    return 0;
}

static int check_numbers(const struct tree_arrays *t, int32_t i, struct err *e)
{
    float value = floats(t, TREE_VALUE)[i], cover = floats(t, TREE_COVER)[i];
    bool is_leaf = integers(t, TREE_LEFT)[i] < 0;
    if (!isfinite(value))
        return err_set(e, ERR_INVALID, "node %d: its %s is not finite", i,
                       is_leaf ? "value" : "threshold");
    if (!isfinite(cover) || cover < 0)
        return err_set(e, ERR_INVALID, "node %d: its sum_hessian is %g", i, (double)cover);
    if (integers(t, TREE_MISSING_LEFT)[i] >> 1)
        return err_set(e, ERR_INVALID, "node %d: its default_left is neither 0 nor 1", i);
    if (is_deleted(t, (size_t)i))
        return err_set(e, ERR_INVALID, "node %d is deleted, but in use", i);
    return 0;
}

/* From the root, each node once; what was reached is marked in `seen`. */
static int walk(struct tree_arrays *t, int *depth, size_t *reached, struct err *e)
{
    const int32_t *lefts = integers(t, TREE_LEFT), *rights = integers(t, TREE_RIGHT);
    struct step stack[ENSEMBLE_MAX_DEPTH + 2];
    size_t height = 0;
    stack[height++] = (struct step){0, 0};
    t->seen.data[0] = 1;
    *depth = 0;
    for (*reached = 0; height; ++*reached) {
        struct step at = stack[--height];
        int rc = check_numbers(t, at.node, e);
        if (rc)
            return rc;
        *depth = at.depth > *depth ? at.depth : *depth;
        if (lefts[at.node] == -1 && rights[at.node] == -1)
            continue;
        if (at.depth == ENSEMBLE_MAX_DEPTH)
            return err_set(e, ERR_TOO_LARGE, "it is deeper than %d", ENSEMBLE_MAX_DEPTH);
        int32_t children[] = {rights[at.node], lefts[at.node]};
        for (int i = 0; i < 2; i++) {
            if ((rc = check_child(t, at.node, children[i], e)))
                return rc;
            t->seen.data[children[i]] = 1;
            stack[height++] = (struct step){children[i], at.depth + 1};
        }
    }
    return 0;
}

/* The numbers of the nodes without those that are deleted, in the same order. */
static int number_nodes(struct tree_arrays *t, size_t reached, struct err *e)
{
    int32_t *order = (int32_t *)(void *)t->order.data;
    int32_t next = 0;
    for (size_t i = 0; i < (size_t)t->nodes; i++) {
        order[i] = next;
        next += t->seen.data[i];
        if (!t->seen.data[i] && !is_deleted(t, i))
            return err_set(e, ERR_INVALID, "node %zu: nothing leads to it", i);
    }
    if ((int64_t)reached != t->nodes - t->deleted)
        return err_set(e, ERR_INVALID, "%zu of %lld nodes are in use and %lld are deleted", reached,
                       (long long)t->nodes, (long long)t->deleted);
    return 0;
}

static void put_nodes(struct ensemble_tree *out, const struct tree_arrays *t)
{
    const int32_t *order = (const int32_t *)(const void *)t->order.data;
    for (size_t i = 0; i < (size_t)t->nodes; i++) {
        if (!t->seen.data[i])
            continue;
        int32_t left = integers(t, TREE_LEFT)[i], right = integers(t, TREE_RIGHT)[i];
        bool is_leaf = left < 0;
        out->nodes[order[i]] = (struct ensemble_node){
            .left = is_leaf ? -1 : order[left],
            .right = is_leaf ? -1 : order[right],
            .column = is_leaf ? 0 : integers(t, TREE_COLUMN)[i],
            .value = floats(t, TREE_VALUE)[i],
            .cover = floats(t, TREE_COVER)[i],
            .missing_left = integers(t, TREE_MISSING_LEFT)[i] == 1,
        };
    }
}

int ensemble_tree_make(struct ensemble_tree *out, struct tree_arrays *t,
                       struct ensemble_memory *memory, struct err *e)
{
    size_t nodes = (size_t)t->nodes, reached = 0;
    if (t->values_per_leaf > 1)
        return err_set(e, ERR_INVALID, "leaves with several values (multi-target) are not served");
    int rc = check_lengths(t, e);
    if (!rc)
        rc = check_served(t, e);
    if (rc)
        return rc;
    buf_reset(&t->seen);
    buf_reset(&t->order);
    if (!buf_reserve(&t->seen, nodes) || !buf_reserve(&t->order, nodes * sizeof(int32_t)))
        return err_nomem(e);
    memset(t->seen.data, 0, nodes);
    if ((rc = walk(t, &out->depth, &reached, e)) || (rc = number_nodes(t, reached, e)))
        return rc;
    out->count = reached;
    out->nodes = arena_alloc(&memory->arena, reached * sizeof *out->nodes);
    if (!out->nodes)
        return err_nomem(e);
    put_nodes(out, t);
    return 0;
}
