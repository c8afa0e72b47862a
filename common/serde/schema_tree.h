/*
 * The inside of a parsed schema, shared by its parts: schema.c (text to nodes), schema_shape.c
 * (nodes to C structures), schema_canonical.c (nodes to text).
 */
#pragma once

#include "base/arena.h"
#include "serde/schema.h"

struct schema {
    struct arena arena; /* of everything */
    const struct schema_node *root;
    uint64_t fingerprint;
};

/*
 * Lays out a node whose parts are laid out; a record that is still being read has align 0. Fails
 * with ERR_SCHEMA (a record that contains itself), ERR_TOO_LARGE.
 */
int schema_shape(struct schema_node *n, struct err *e);

/* The second half, for arrays and maps: once all nodes are laid out. */
void schema_shape_items(struct schema_node *n);

/* Of a node and everything below it; named types once in full, then by name. Fails with
 * ERR_TOO_LARGE, ERR_NOMEM. */
int schema_print_canonical(struct buf *out, const struct schema_node *root, struct err *e);
