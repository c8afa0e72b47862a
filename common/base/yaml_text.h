/*
 * Writing YAML that reads back as what was written. One thread a call; memory failures show in
 * buf_ok().
 */
#pragma once

#include "base/buf.h"
#include "base/yaml_tree.h"

/* A text as a double-quoted scalar on one line. */
void yaml_put_text(struct buf *out, struct str text);

/* A pair of a map: the key, then the node in block style, ending with a line end. indent: columns
 * before the key. */
void yaml_put_pair(struct buf *out, const char *key, const struct yaml_node *value, int indent);
