#include "base/table.h"
#include "fuzz.h"
#include "serde/schema.h"

#include <stdlib.h>

enum { MOST_TEXTS = 8, MEMORY_MOST = 64 * 1024 * 1024 };

/* A schema may be a cycle: each node is looked at once. */
struct walk {
    struct table *seen;
    size_t nodes;
};

static void check_node(struct walk *w, const struct schema_node *n);

static void check_record(struct walk *w, const struct schema_node *n)
{
    size_t end = 0;
    assert(n->size <= SCHEMA_MAX_SIZE);
    for (size_t i = 0; i < n->field_count; i++) {
        const struct schema_field *f = &n->fields[i];
        assert(f->name.len > 0);
        assert(f->offset >= end && f->offset % f->type->align == 0);
        end = f->offset + f->type->size;
        for (size_t k = 0; k < i && i < 100; k++)
            assert(!str_equal(n->fields[k].name, f->name));
        check_node(w, f->type);
    }
    assert(end <= n->size);
}

static void check_union(struct walk *w, const struct schema_node *n)
{
    assert(n->branch_count > 0 && n->least_bytes > 0);
    assert(n->shape == UNION_TAGGED || n->branch_count == 2);
    for (size_t i = 0; i < n->branch_count; i++) {
        const struct schema_node *b = n->branches[i];
        assert(b->type != SCHEMA_UNION);
        if (b->type != SCHEMA_RECORD)
            assert(n->value_offset % b->align == 0 && n->value_offset + b->size <= n->size);
        check_node(w, b);
    }
}

static void check_items(struct walk *w, const struct schema_node *n)
{
    assert(n->items->align && n->item_size % n->items->align == 0);
    assert(n->value_offset % n->items->align == 0);
    assert(n->value_offset >= (n->type == SCHEMA_MAP ? sizeof(struct str) : 0));
    assert(n->value_offset + n->items->size <= n->item_size);
    check_node(w, n->items);
}

static void check_node(struct walk *w, const struct schema_node *n)
{
    struct str key = str_bytes(&n, sizeof n);
    if (table_find(w->seen, key) != TABLE_NONE)
        return;
    assert(table_insert(w->seen, key) != TABLE_NONE);
    assert(++w->nodes <= SCHEMA_MAX_NODES + 8); /* those without parts are shared by all schemas */
    assert(n->align && n->align <= 16 && (n->align & (n->align - 1)) == 0);
    assert(n->size % n->align == 0);
    assert(schema_type_name(n).len > 0);
    if (n->type == SCHEMA_RECORD)
        check_record(w, n);
    else if (n->type == SCHEMA_UNION)
        check_union(w, n);
    else if (n->type == SCHEMA_ARRAY || n->type == SCHEMA_MAP)
        check_items(w, n);
    else if (n->type == SCHEMA_ENUM)
        assert(n->symbols.count > 0 && n->standard_symbol < (int)n->symbols.count);
}

static void check_layout(const struct schema_node *root)
{
    struct walk w = {.seen = table_new()};
    assert(w.seen);
    check_node(&w, root);
    table_free(w.seen);
}

/* The canonical form is a schema by itself, with the same canonical form and the same layout. */
static void check_canonical(const struct schema *s)
{
    struct buf once = {0}, twice = {0};
    struct schema *again = NULL;
    struct err e = {0};
    assert(schema_canonical(&once, s, &e) == 0);
    assert(schema_crc64(buf_str(&once)) == schema_fingerprint(s));
    struct str text = buf_str(&once);
    int rc = schema_parse(&again, &text, 1, &e);
    if (fuzz_succeeded(rc, &e)) {
        assert(schema_canonical(&twice, again, &e) == 0);
        assert(str_equal(buf_str(&once), buf_str(&twice)));
        assert(schema_fingerprint(again) == schema_fingerprint(s));
        assert(schema_root(again)->type == schema_root(s)->type);
        assert(schema_root(again)->size == schema_root(s)->size);
        assert(schema_root(again)->least_bytes == schema_root(s)->least_bytes);
    } else {
        /* In full it may be longer or deeper than the texts it came from. */
        assert(rc == ERR_TOO_LARGE);
    }
    schema_free(again);
    buf_free(&once);
    buf_free(&twice);
}

void fuzz_schema(struct str input)
{
    struct str texts[MOST_TEXTS];
    char *copies[MOST_TEXTS];
    size_t count = 0, before = fuzz_memory();
    struct schema *s = NULL;
    struct err e = {0};
    for (struct str piece; count < MOST_TEXTS && (piece = fuzz_piece(&input)).data; count++) {
        copies[count] = fuzz_exact(piece);
        texts[count] = str_bytes(copies[count], piece.len);
    }
    int rc = schema_parse(&s, texts, count, &e);
    assert(fuzz_memory() < before + MEMORY_MOST);
    /* Nothing of the texts is borrowed. */
    for (size_t i = 0; i < count; i++)
        free(copies[i]);
    if (fuzz_succeeded(rc, &e)) {
        check_layout(schema_root(s));
        check_canonical(s);
    } else {
        assert(rc == ERR_SCHEMA || rc == ERR_TOO_LARGE);
        assert(!s);
    }
    schema_free(s);
}
