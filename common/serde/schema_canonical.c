/* Parsing canonical form, and its CRC-64-AVRO: "Transforming into Parsing Canonical Form" and
 * "Schema Fingerprints" of the Avro 1.11 specification. */
#include "base/json.h"
#include "base/table.h"
#include "serde/schema_tree.h"

/* Types of references may use each other in a row as long as they are many. */
enum { MAX_DEPTH = 1000 };

struct printer {
    struct buf *out;
    struct table *named; /* types that were printed in full */
    int depth;
    struct err *e;
};

static int print(struct printer *p, const struct schema_node *n);

static void put_name(struct printer *p, const struct schema_node *n, const char *type)
{
    buf_put_text(p->out, "{\"name\":");
    json_put_text(p->out, n->name);
    buf_printf(p->out, ",\"type\":\"%s\"", type);
}

static int print_record(struct printer *p, const struct schema_node *n)
{
    put_name(p, n, "record");
    buf_put_text(p->out, ",\"fields\":[");
    for (size_t i = 0; i < n->field_count; i++) {
        buf_put_text(p->out, i ? ",{\"name\":" : "{\"name\":");
        json_put_text(p->out, n->fields[i].name);
        buf_put_text(p->out, ",\"type\":");
        int rc = print(p, n->fields[i].type);
        if (rc)
            return rc;
        buf_put_u8(p->out, '}');
    }
    buf_put_text(p->out, "]}");
    return 0;
}

static void print_enum(struct printer *p, const struct schema_node *n)
{
    put_name(p, n, "enum");
    buf_put_text(p->out, ",\"symbols\":[");
    for (size_t i = 0; i < n->symbols.count; i++) {
        if (i)
            buf_put_u8(p->out, ',');
        json_put_text(p->out, n->symbols.items[i]);
    }
    buf_put_text(p->out, "]}");
}

static int print_named(struct printer *p, const struct schema_node *n)
{
    if (table_find(p->named, n->name) != TABLE_NONE) {
        json_put_text(p->out, n->name);
        return 0;
    }
    if (table_insert(p->named, n->name) == TABLE_NONE)
        return err_nomem(p->e);
    if (n->type == SCHEMA_RECORD)
        return print_record(p, n);
    if (n->type == SCHEMA_ENUM) {
        print_enum(p, n);
    } else {
        put_name(p, n, "fixed");
        buf_printf(p->out, ",\"size\":%zu}", n->fixed_bytes);
    }
    return 0;
}

static int print_union(struct printer *p, const struct schema_node *n)
{
    for (size_t i = 0; i < n->branch_count; i++) {
        buf_put_u8(p->out, i ? ',' : '[');
        int rc = print(p, n->branches[i]);
        if (rc)
            return rc;
    }
    buf_put_u8(p->out, ']');
    return 0;
}

static int print_type(struct printer *p, const struct schema_node *n)
{
    int rc;
    switch (n->type) {
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        buf_put_text(p->out, n->type == SCHEMA_ARRAY ? "{\"type\":\"array\",\"items\":"
                                                     : "{\"type\":\"map\",\"values\":");
        rc = print(p, n->items);
        buf_put_u8(p->out, '}');
        return rc;
    case SCHEMA_UNION:
        return print_union(p, n);
    case SCHEMA_RECORD:
    case SCHEMA_ENUM:
    case SCHEMA_FIXED:
        return print_named(p, n);
    default:
        json_put_text(p->out, schema_type_name(n));
        return 0;
    }
}

static int print(struct printer *p, const struct schema_node *n)
{
    if (p->depth == MAX_DEPTH)
        return err_set(p->e, ERR_TOO_LARGE, "the schema has types inside types over %d deep",
                       MAX_DEPTH);
    p->depth++;
    int rc = print_type(p, n);
    p->depth--;
    return rc;
}

int schema_print_canonical(struct buf *out, const struct schema_node *root, struct err *e)
{
    struct printer p = {.out = out, .named = table_new(), .e = e};
    int rc = p.named ? print(&p, root) : err_nomem(e);
    table_free(p.named);
    return rc ? rc : buf_ok(out) ? 0 : err_nomem(e);
}

uint64_t schema_crc64(struct str bytes)
{
    const uint64_t empty = 0xc15d213aa4d7a795;
    uint64_t crc = empty;
    for (size_t i = 0; i < bytes.len; i++) {
        uint64_t row = (crc ^ (uint8_t)bytes.data[i]) & 0xff;
        for (int bit = 0; bit < 8; bit++)
            row = (row >> 1) ^ (empty & (0 - (row & 1)));
        crc = (crc >> 8) ^ row;
    }
    return crc;
}
