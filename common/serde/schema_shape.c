#include "serde/schema_tree.h"

#include <stdalign.h>

static size_t align_up(size_t n, size_t align)
{
    return (n + align - 1) / align * align;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static void set(struct schema_node *n, size_t size, size_t align, size_t least_bytes)
{
    n->size = size;
    n->align = align;
    n->least_bytes = least_bytes;
    n->parts = 1;
}

static int shape_record(struct schema_node *n, struct err *e)
{
    size_t size = 0, align = 1, least = 0, parts = 1;
    for (size_t i = 0; i < n->field_count; i++) {
        struct schema_field *f = &n->fields[i];
        if (!f->type->align)
            return err_set(
                e, ERR_SCHEMA,
                "record %.*s contains itself in field %.*s: no value has an end unless a "
                "union, an array or a map stands between",
                STR_ARG(f->type->name), STR_ARG(f->name));
        f->offset = align_up(size, f->type->align);
        size = f->offset + f->type->size;
        align = larger(align, f->type->align);
        least += f->type->least_bytes;
        parts += f->type->parts;
        if (size > SCHEMA_MAX_SIZE || parts > SCHEMA_MAX_PARTS)
            return err_set(e, ERR_TOO_LARGE,
                           "record %.*s takes over %d bytes of memory, or has over %d fields",
                           STR_ARG(n->name), SCHEMA_MAX_SIZE, SCHEMA_MAX_PARTS);
    }
    set(n, align_up(size, align), align, least);
    n->parts = parts;
    return 0;
}

/* What stands in memory for a branch: a record is a pointer, so that it may contain the union. */
static size_t branch_size(const struct schema_node *b)
{
    return b->type == SCHEMA_RECORD ? sizeof(void *) : b->size;
}

static size_t branch_align(const struct schema_node *b)
{
    return b->type == SCHEMA_RECORD ? alignof(void *) : b->align;
}

static enum union_shape shape_of_union(const struct schema_node *n)
{
    if (n->branch_count != 2)
        return UNION_TAGGED;
    const struct schema_node *a = n->branches[0], *b = n->branches[1];
    if (a->type != SCHEMA_NULL && b->type != SCHEMA_NULL)
        return UNION_TAGGED;
    switch (a->type == SCHEMA_NULL ? b->type : a->type) {
    case SCHEMA_STRING:
    case SCHEMA_BYTES:
    case SCHEMA_FIXED:
        return UNION_TEXT;
    case SCHEMA_RECORD:
        return UNION_POINTER;
    case SCHEMA_BOOLEAN:
    case SCHEMA_INT:
    case SCHEMA_LONG:
    case SCHEMA_FLOAT:
    case SCHEMA_DOUBLE:
    case SCHEMA_ENUM:
        return UNION_OPTIONAL;
    default:
        return UNION_TAGGED;
    }
}

static void shape_union(struct schema_node *n)
{
    size_t size = 0, align = 1, least = SIZE_MAX;
    for (size_t i = 0; i < n->branch_count; i++) {
        const struct schema_node *b = n->branches[i];
        size = larger(size, branch_size(b));
        align = larger(align, branch_align(b));
        least = b->least_bytes < least ? b->least_bytes : least;
    }
    n->shape = shape_of_union(n);
    if (n->shape == UNION_TEXT || n->shape == UNION_POINTER) {
        set(n, size, align, 1 + least);
        return;
    }
    size_t before = n->shape == UNION_OPTIONAL ? sizeof(bool) : sizeof(int32_t);
    n->value_offset = align_up(before, align);
    align = larger(align, before);
    set(n, align_up(n->value_offset + size, align), align, 1 + least);
}

int schema_shape(struct schema_node *n, struct err *e)
{
    switch (n->type) {
    case SCHEMA_FIXED:
        set(n, sizeof(struct str), alignof(struct str), n->fixed_bytes);
        return 0;
    case SCHEMA_ENUM:
        set(n, sizeof(int32_t), alignof(int32_t), 1);
        return 0;
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        set(n, sizeof(struct schema_list), alignof(struct schema_list), 1);
        return 0;
    case SCHEMA_UNION:
        shape_union(n);
        return 0;
    default:
        return shape_record(n, e);
    }
}

void schema_shape_items(struct schema_node *n)
{
    const struct schema_node *items = n->items;
    n->item_size = items->size;
    if (n->type != SCHEMA_MAP)
        return;
    size_t align = larger(alignof(struct str), items->align);
    n->value_offset = align_up(sizeof(struct str), items->align);
    n->item_size = align_up(n->value_offset + items->size, align);
}
