/*
 * What the files that read a model file share: objects are read by tables of their members, and
 * what no table names is passed over.
 *
 * Pure, one thread. Functions fail as ensemble_read() does, but for ERR_CORRUPT where bytes cannot
 * be decoded.
 */
#pragma once

#include "model/document.h"
#include "model/ensemble_tree.h"

struct ensemble_reader {
    struct document d;
    struct ensemble *m;
    struct tree_arrays tree; /* the one that is being read */
    struct buf trees, names; /* struct ensemble_tree, const char * */
    size_t nodes;            /* of all trees */
    char tree_name[24];      /* for messages */
    struct str booster, base_score;
    int64_t columns, classes, targets;
};

/* A member of an object. */
struct ensemble_member {
    const char *name; /* NULL: the end of the table */
    int (*read)(struct ensemble_reader *r, int which);
    int which;
    bool is_needed;
};

/* An object; a member that is there twice is refused. */
int ensemble_read_members(struct ensemble_reader *r, const struct ensemble_member *members);

/* A whole number of up to ten digits, which is written as a text. */
int ensemble_read_number(struct ensemble_reader *r, int64_t *out);

/* The members of gradient_booster.model that a tree is found in. */
int ensemble_read_trees(struct ensemble_reader *r, int which);
int ensemble_read_tree_info(struct ensemble_reader *r, int which);

static inline int ensemble_read_fail(struct ensemble_reader *r, int code, const char *what)
{
    return document_fail(&r->d, code, what);
}
