/* The trees of a model file: an object with an array for each property of its nodes. */
#include "model/ensemble_reader.h"

#include <stdio.h>

enum { TREE_NODES, TREE_DELETED, TREE_VALUES };

static int read_count(struct ensemble_reader *r, int which)
{
    int64_t *const counts[] = {
        [TREE_NODES] = &r->tree.nodes,
        [TREE_DELETED] = &r->tree.deleted,
        [TREE_VALUES] = &r->tree.values_per_leaf,
    };
    return ensemble_read_number(r, counts[which]);
}

static int read_integers(struct ensemble_reader *r, int which)
{
    struct buf *out = &r->tree.integers[which];
    struct document_list list;
    bool more;
    int rc = document_array(&r->d, &list);
    while (!rc && !(rc = document_next(&r->d, &list, &more)) && more) {
        int64_t v;
        if ((rc = document_integer(&r->d, &v)))
            break;
        int32_t half = (int32_t)v;
        if (half != v)
            return ensemble_read_fail(r, ERR_INVALID, "a number is over the range of 32 bits");
        if (out->len == ENSEMBLE_MAX_NODES * sizeof half)
            return ensemble_read_fail(r, ERR_TOO_LARGE, "a tree has too many nodes");
        buf_put(out, &half, sizeof half);
        if (!buf_ok(out))
            return err_nomem(r->d.reading.e);
    }
    return rc;
}

static int read_floats(struct ensemble_reader *r, int which)
{
    struct buf *out = &r->tree.floats[which];
    struct document_list list;
    bool more;
    int rc = document_array(&r->d, &list);
    while (!rc && !(rc = document_next(&r->d, &list, &more)) && more) {
        float v;
        if ((rc = document_float(&r->d, &v)))
            break;
        if (out->len == ENSEMBLE_MAX_NODES * sizeof v)
            return ensemble_read_fail(r, ERR_TOO_LARGE, "a tree has too many nodes");
        buf_put(out, &v, sizeof v);
        if (!buf_ok(out))
            return err_nomem(r->d.reading.e);
    }
    return rc;
}

/* The nodes that have a list of categories: that there is one is enough. */
static int read_categories(struct ensemble_reader *r, int which)
{
    struct document_list list;
    bool more;
    int rc = document_array(&r->d, &list);
    (void)which;
    while (!rc && !(rc = document_next(&r->d, &list, &more)) && more) {
        r->tree.has_categories = true;
        rc = document_skip(&r->d);
    }
    return rc;
}

static int read_tree_param(struct ensemble_reader *r, int which)
{
    static const struct ensemble_member members[] = {
        {"num_nodes", read_count, TREE_NODES, true},
        {"num_deleted", read_count, TREE_DELETED, false},
        {"size_leaf_vector", read_count, TREE_VALUES, false},
        {0},
    };
    (void)which;
    return ensemble_read_members(r, members);
}

/* XGBoost puts a tree at the place that its id says, and writes them in this order. */
static int read_id(struct ensemble_reader *r, int which)
{
    int64_t id;
    int rc = document_integer(&r->d, &id);
    (void)which;
    if (!rc && id != (int64_t)(r->trees.len / sizeof(struct ensemble_tree)))
        rc = ensemble_read_fail(r, ERR_INVALID, "it is not the tree's place in the list");
    return rc;
}

static int read_tree(struct ensemble_reader *r)
{
    static const struct ensemble_member members[] = {
        {"id", read_id, 0, true},
        {"tree_param", read_tree_param, 0, true},
        {"left_children", read_integers, TREE_LEFT, true},
        {"right_children", read_integers, TREE_RIGHT, true},
        {"parents", read_integers, TREE_PARENT, true},
        {"split_indices", read_integers, TREE_COLUMN, true},
        {"default_left", read_integers, TREE_MISSING_LEFT, true},
        {"split_type", read_integers, TREE_SPLIT_TYPE, false},
        {"split_conditions", read_floats, TREE_VALUE, true},
        {"sum_hessian", read_floats, TREE_COVER, true},
        {"categories_nodes", read_categories, 0, false},
        {0},
    };
    struct ensemble_tree tree;
    struct err *e = r->d.reading.e;
    tree_arrays_reset(&r->tree);
    int rc = ensemble_read_members(r, members);
    if (rc)
        return rc;
    size_t number = r->trees.len / sizeof tree;
    if ((rc = ensemble_tree_make(&tree, &r->tree, r->m->memory, e)))
        return err_wrap(e, "tree %zu", number);
    r->nodes += tree.count;
    if (r->nodes > ENSEMBLE_MAX_NODES)
        return err_set(e, ERR_TOO_LARGE, "the trees have more than %d nodes", ENSEMBLE_MAX_NODES);
    buf_put(&r->trees, &tree, sizeof tree);
    return buf_ok(&r->trees) ? 0 : err_nomem(e);
}

int ensemble_read_trees(struct ensemble_reader *r, int which)
{
    struct reading *reading = &r->d.reading;
    struct document_list list;
    bool more;
    int rc = document_array(&r->d, &list);
    (void)which;
    while (!rc && !(rc = document_next(&r->d, &list, &more)) && more) {
        size_t number = r->trees.len / sizeof(struct ensemble_tree);
        if (number == ENSEMBLE_MAX_TREES)
            return err_set(reading->e, ERR_TOO_LARGE, "there are more than %d trees",
                           ENSEMBLE_MAX_TREES);
        int n = snprintf(r->tree_name, sizeof r->tree_name, "%zu", number);
        reading->path[reading->depth] = str_bytes(r->tree_name, (size_t)n);
        rc = read_tree(r);
    }
    return rc;
}

/* Which class or target a tree is for. */
int ensemble_read_tree_info(struct ensemble_reader *r, int which)
{
    struct document_list list;
    bool more;
    int rc = document_array(&r->d, &list);
    (void)which;
    while (!rc && !(rc = document_next(&r->d, &list, &more)) && more) {
        int64_t group;
        rc = document_integer(&r->d, &group);
        if (!rc && group != 0)
            rc = ensemble_read_fail(r, ERR_INVALID,
                                    "several classes or targets (multi-class) are not served");
    }
    return rc;
}
