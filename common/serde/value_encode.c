/* Values to bytes: the binary encoding of the Avro 1.11 specification, written. */
#include "serde/value.h"

static void put_text(struct buf *out, const struct str *text)
{
    buf_put_zigzag(out, (int64_t)text->len);
    buf_put_str(out, *text);
}

/* One block, or none. */
static void put_items(struct buf *out, const struct schema_node *n, const struct schema_list *list)
{
    if (list->count)
        buf_put_zigzag(out, (int64_t)list->count);
    for (size_t i = 0; i < list->count; i++) {
        const char *item = list->items + i * n->item_size;
        if (n->type == SCHEMA_MAP)
            put_text(out, (const struct str *)(const void *)item);
        value_encode(out, n->items, item + n->value_offset);
    }
    buf_put_u8(out, 0);
}

static void put_union(struct buf *out, const struct schema_node *n, const char *value)
{
    size_t branch;
    const void *inner;
    value_branch(n, value, &branch, &inner);
    buf_put_zigzag(out, (int64_t)branch);
    value_encode(out, n->branches[branch], inner);
}

static void put_record(struct buf *out, const struct schema_node *n, const char *value)
{
    for (size_t i = 0; i < n->field_count; i++)
        value_encode(out, n->fields[i].type, value + n->fields[i].offset);
}

void value_branch(const struct schema_node *n, const void *value, size_t *branch,
                  const void **inner)
{
    const char *v = value;
    bool given = true;
    *inner = v + n->value_offset;
    if (n->shape == UNION_TAGGED) {
        int32_t tag;
        memcpy(&tag, v, sizeof tag);
        *branch = (size_t)tag;
        if (n->branches[tag]->type == SCHEMA_RECORD)
            memcpy(inner, *inner, sizeof *inner);
        return;
    }
    if (n->shape == UNION_TEXT) {
        given = ((const struct str *)value)->data;
    } else if (n->shape == UNION_POINTER) {
        memcpy(inner, v, sizeof *inner);
        given = *inner;
    } else {
        given = *(const bool *)value;
    }
    *branch = (n->branches[0]->type == SCHEMA_NULL) == given;
}

void value_encode(struct buf *out, const struct schema_node *n, const void *value)
{
    switch (n->type) {
    case SCHEMA_NULL:
        break;
    case SCHEMA_BOOLEAN:
        buf_put_u8(out, *(const bool *)value);
        break;
    case SCHEMA_INT:
    case SCHEMA_ENUM:
        buf_put_zigzag(out, *(const int32_t *)value);
        break;
    case SCHEMA_LONG:
        buf_put_zigzag(out, *(const int64_t *)value);
        break;
    case SCHEMA_FLOAT:
        buf_put(out, value, sizeof(float));
        break;
    case SCHEMA_DOUBLE:
        buf_put(out, value, sizeof(double));
        break;
    case SCHEMA_BYTES:
    case SCHEMA_STRING:
        put_text(out, value);
        break;
    case SCHEMA_FIXED:
        buf_put_str(out, *(const struct str *)value);
        break;
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        put_items(out, n, value);
        break;
    case SCHEMA_UNION:
        put_union(out, n, value);
        break;
    case SCHEMA_RECORD:
        put_record(out, n, value);
        break;
    }
}
