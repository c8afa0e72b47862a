#include "base/yaml_tree.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/table.h"

#include <stdlib.h>
#include <yaml.h>

enum { MAX_BYTES = 16 * 1024 * 1024, MAX_DEPTH = 64, MAX_NODES = 200000, FEW_KEYS = 64 };

struct yaml_tree {
    struct arena arena;
    struct yaml_node *root;
    const char *name;
    size_t nodes, bytes; /* nodes and texts built so far: aliases may multiply them */
};

/* One walk over libyaml's document. */
struct build {
    struct yaml_tree *y;
    yaml_document_t *doc;
    struct err *e;
};

static struct yaml_node *build_node(struct build *b, int index, int depth);

static char *text_of(struct build *b, const yaml_node_t *n)
{
    struct str s = {(const char *)n->data.scalar.value, n->data.scalar.length};
    if (s.len && memchr(s.data, 0, s.len)) {
        err_set(b->e, ERR_INVALID, "%s:%zu: a text holds a NUL character", b->y->name,
                n->start_mark.line + 1);
        return NULL;
    }
    if ((b->y->bytes += s.len) > MAX_BYTES) {
        err_set(b->e, ERR_TOO_LARGE, "%s: texts of more than %d bytes, by aliases", b->y->name,
                MAX_BYTES);
        return NULL;
    }
    char *copy = (char *)(uintptr_t)arena_copy(&b->y->arena, s).data;
    if (!copy)
        err_nomem(b->e);
    return copy;
}

static int build_list(struct build *b, struct yaml_node *out, const yaml_node_t *n, int depth)
{
    const yaml_node_item_t *first = n->data.sequence.items.start, *end = n->data.sequence.items.top;
    out->items = arena_alloc(&b->y->arena, (size_t)(end - first) * sizeof *out->items + 1);
    if (!out->items)
        return err_nomem(b->e);
    for (const yaml_node_item_t *i = first; i < end; i++)
        if (!(out->items[out->count++] = build_node(b, *i, depth + 1)))
            return b->e->code;
    return 0;
}

/* A key that was not given before. seen: NULL where there are few. */
static int check_key(struct build *b, const struct yaml_node *map, struct table *seen,
                     const char *key, int line)
{
    bool is_there =
        seen ? table_find(seen, str_of(key)) != TABLE_NONE : yaml_tree_get(map, key) != NULL;
    if (is_there)
        return err_set(b->e, ERR_INVALID, "%s:%d: \"%s\" is given twice: keep one", b->y->name,
                       line, key);
    return !seen || table_insert(seen, str_of(key)) != TABLE_NONE ? 0 : err_nomem(b->e);
}

static int build_pairs(struct build *b, struct yaml_node *out, const yaml_node_t *n, int depth,
                       struct table *seen)
{
    const yaml_node_pair_t *first = n->data.mapping.pairs.start, *end = n->data.mapping.pairs.top;
    for (const yaml_node_pair_t *p = first; p < end; p++) {
        const yaml_node_t *key = yaml_document_get_node(b->doc, p->key);
        int line = (int)key->start_mark.line + 1;
        if (key->type != YAML_SCALAR_NODE)
            return err_set(b->e, ERR_INVALID, "%s:%d: a key must be a text", b->y->name, line);
        const char *text = text_of(b, key);
        if (!text)
            return b->e->code;
        int rc = check_key(b, out, seen, text, line);
        if (rc)
            return rc;
        struct yaml_node *value = build_node(b, p->value, depth + 1);
        if (!value)
            return b->e->code;
        out->pairs[out->count++] = (struct yaml_pair){text, line, value};
    }
    return 0;
}

static int build_map(struct build *b, struct yaml_node *out, const yaml_node_t *n, int depth)
{
    size_t count = (size_t)(n->data.mapping.pairs.top - n->data.mapping.pairs.start);
    struct table *seen = NULL;
    out->pairs = arena_alloc(&b->y->arena, count * sizeof *out->pairs + 1);
    if (!out->pairs || (count > FEW_KEYS && !(seen = table_new())))
        return err_nomem(b->e);
    int rc = build_pairs(b, out, n, depth, seen);
    table_free(seen);
    return rc;
}

static struct yaml_node *build_node(struct build *b, int index, int depth)
{
    const yaml_node_t *n = yaml_document_get_node(b->doc, index);
    if (depth > MAX_DEPTH || ++b->y->nodes > MAX_NODES) {
        err_set(b->e, ERR_TOO_LARGE, "%s: more than %d levels or %d nodes", b->y->name, MAX_DEPTH,
                MAX_NODES);
        return NULL;
    }
    struct yaml_node *out = arena_alloc(&b->y->arena, sizeof *out);
    if (!out) {
        err_nomem(b->e);
        return NULL;
    }
    *out = (struct yaml_node){.line = (int)n->start_mark.line + 1};
    if (n->type == YAML_SCALAR_NODE) {
        out->type = YAML_TEXT;
        return (out->text = text_of(b, n)) ? out : NULL;
    }
    out->type = n->type == YAML_SEQUENCE_NODE ? YAML_LIST : YAML_MAP;
    int rc = out->type == YAML_LIST ? build_list(b, out, n, depth) : build_map(b, out, n, depth);
    return rc ? NULL : out;
}

int yaml_tree_parse(struct yaml_tree **out, const char *name, struct str text, struct err *e)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    struct err local;
    int rc = 0;
    if (!e)
        e = &local;
    if (text.len > MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "%s: larger than %d bytes", name, MAX_BYTES);
    struct yaml_tree *y = calloc(1, sizeof *y);
    if (!y)
        return err_nomem(e);
    y->name = arena_copy(&y->arena, str_of(name)).data;
    if (!y->name || !yaml_parser_initialize(&parser)) {
        yaml_tree_free(y);
        return err_nomem(e);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.len);
    if (!yaml_parser_load(&parser, &doc)) {
        rc = parser.error == YAML_MEMORY_ERROR
                 ? err_nomem(e)
                 : err_set(e, ERR_INVALID, "%s:%zu: not YAML: %s", name,
                           parser.problem_mark.line + 1,
                           parser.problem ? parser.problem : "unreadable");
        yaml_parser_delete(&parser);
        yaml_tree_free(y);
        return rc;
    }
    struct build b = {y, &doc, e};
    if (yaml_document_get_root_node(&doc) && !(y->root = build_node(&b, 1, 0)))
        rc = e->code;
    yaml_document_delete(&doc);
    yaml_parser_delete(&parser);
    if (rc) {
        yaml_tree_free(y);
        return rc;
    }
    *out = y;
    return 0;
}

int yaml_tree_load(struct yaml_tree **out, const char *path, struct err *e)
{
    struct buf text = {0};
    int rc = file_read(&text, path, MAX_BYTES, e);
    if (!rc)
        rc = yaml_tree_parse(out, path, buf_str(&text), e);
    buf_free(&text);
    return rc;
}

void yaml_tree_free(struct yaml_tree *y)
{
    if (!y)
        return;
    arena_free(&y->arena);
    free(y);
}

const struct yaml_node *yaml_tree_root(const struct yaml_tree *y)
{
    return y->root;
}

const struct yaml_node *yaml_tree_get(const struct yaml_node *map, const char *key)
{
    if (!map || map->type != YAML_MAP)
        return NULL;
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->pairs[i].key, key) == 0)
            return map->pairs[i].value;
    return NULL;
}
