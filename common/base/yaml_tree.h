/*
 * YAML files as trees with line numbers. Scalars are text, whatever they look like (`on`, `no`,
 * `1e3` stay words).
 *
 * Parsing is libyaml's; anchors and aliases resolve, tags and duplicate keys are refused. Any
 * thread, one document a thread at a time. Nodes belong to their document.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>

enum yaml_type { YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_type type;
    int line;                 /* from 1 */
    const char *text;         /* YAML_TEXT: terminated; holds no NUL byte */
    struct yaml_pair *pairs;  /* YAML_MAP: count pairs in the order of the file */
    struct yaml_node **items; /* YAML_LIST: count items */
    size_t count;
};

struct yaml_pair {
    const char *key;
    int line;
    struct yaml_node *value;
};

struct yaml_tree;

/* Reads a file. Fails with ERR_IO (cannot be read), ERR_INVALID (no YAML; says "FILE:LINE: what"),
 * ERR_TOO_LARGE (over 16 MiB, or more than 64 levels, 200,000 nodes or 16 MiB of texts with what
 * aliases stand for), ERR_NOMEM. */
int yaml_tree_load(struct yaml_tree **out, const char *path, struct err *e);

/* The same of a text; name stands for the file in messages. */
int yaml_tree_parse(struct yaml_tree **out, const char *name, struct str text, struct err *e);
void yaml_tree_free(struct yaml_tree *y);

/* NULL for an empty document. */
const struct yaml_node *yaml_tree_root(const struct yaml_tree *y);

/* The value of a key of a map; NULL if it is not there or the node is no map. */
const struct yaml_node *yaml_tree_get(const struct yaml_node *map, const char *key);
