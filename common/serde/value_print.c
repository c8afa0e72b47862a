/* Values as JSON. */
#include "base/json.h"
#include "serde/value.h"

static void print_items(struct buf *out, const struct schema_node *n,
                        const struct schema_list *list)
{
    bool map = n->type == SCHEMA_MAP;
    buf_put_u8(out, map ? '{' : '[');
    for (size_t i = 0; i < list->count; i++) {
        const char *item = list->items + i * n->item_size;
        if (i)
            buf_put_u8(out, ',');
        if (map) {
            json_put_text(out, *(const struct str *)(const void *)item);
            buf_put_u8(out, ':');
        }
        value_print_json(out, n->items, item + n->value_offset);
    }
    buf_put_u8(out, map ? '}' : ']');
}

static void print_record(struct buf *out, const struct schema_node *n, const char *value)
{
    buf_put_u8(out, '{');
    for (size_t i = 0; i < n->field_count; i++) {
        if (i)
            buf_put_u8(out, ',');
        json_put_text(out, n->fields[i].name);
        buf_put_u8(out, ':');
        value_print_json(out, n->fields[i].type, value + n->fields[i].offset);
    }
    buf_put_u8(out, '}');
}

static void print_union(struct buf *out, const struct schema_node *n, const void *value)
{
    size_t branch;
    const void *inner;
    value_branch(n, value, &branch, &inner);
    value_print_json(out, n->branches[branch], inner);
}

void value_print_json(struct buf *out, const struct schema_node *n, const void *value)
{
    switch (n->type) {
    case SCHEMA_NULL:
        buf_put_text(out, "null");
        break;
    case SCHEMA_BOOLEAN:
        buf_put_text(out, *(const bool *)value ? "true" : "false");
        break;
    case SCHEMA_INT:
        buf_printf(out, "%d", *(const int32_t *)value);
        break;
    case SCHEMA_LONG:
        buf_printf(out, "%lld", (long long)*(const int64_t *)value);
        break;
    case SCHEMA_FLOAT:
        json_put_number(out, (double)*(const float *)value);
        break;
    case SCHEMA_DOUBLE:
        json_put_number(out, *(const double *)value);
        break;
    case SCHEMA_STRING:
        json_put_text(out, *(const struct str *)value);
        break;
    case SCHEMA_BYTES:
    case SCHEMA_FIXED:
        json_put_bytes(out, *(const struct str *)value);
        break;
    case SCHEMA_ENUM:
        json_put_text(out, n->symbols.items[*(const int32_t *)value]);
        break;
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        print_items(out, n, value);
        break;
    case SCHEMA_UNION:
        print_union(out, n, value);
        break;
    case SCHEMA_RECORD:
        print_record(out, n, value);
        break;
    }
}
