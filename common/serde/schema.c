#include "base/table.h"
#include "serde/schema_name.h"
#include "serde/schema_tree.h"

#include <jansson.h>
#include <stdlib.h>

/* The types that have no parts: one node of each is enough. */
#define PRIMITIVE(t, structure, least)                                                             \
    {                                                                                              \
        .type = t, .size = sizeof(structure), .align = _Alignof(structure), .least_bytes = least,  \
        .parts = 1                                                                                 \
    }
static const struct schema_node primitives[] = {
    {.type = SCHEMA_NULL, .align = 1, .parts = 1},
    PRIMITIVE(SCHEMA_BOOLEAN, bool, 1),
    PRIMITIVE(SCHEMA_INT, int32_t, 1),
    PRIMITIVE(SCHEMA_LONG, int64_t, 1),
    PRIMITIVE(SCHEMA_FLOAT, float, 4),
    PRIMITIVE(SCHEMA_DOUBLE, double, 8),
    PRIMITIVE(SCHEMA_BYTES, struct str, 1),
    PRIMITIVE(SCHEMA_STRING, struct str, 1),
};

/* ------------------------------------------------------------ parsing */

struct parser {
    struct arena *arena;
    struct table *named;  /* full name to the pointer to its node */
    struct buf items;     /* pointers to arrays and maps, to be laid out at the end */
    struct buf full_name; /* of what is looked for */
    size_t nodes;
    int depth;
    struct err *e;
};

static int parse(struct parser *p, const struct schema_node **out, const json_t *j,
                 struct str space);

static struct str text_of(const json_t *j)
{
    return str_bytes(json_string_value(j), json_string_length(j));
}

/* A type or an alias more. */
static int count_name(struct parser *p)
{
    return ++p->nodes > SCHEMA_MAX_NODES
               ? err_set(p->e, ERR_TOO_LARGE, "the schema has over %d types and aliases",
                         SCHEMA_MAX_NODES)
               : 0;
}

static int node_new(struct parser *p, struct schema_node **out, enum schema_type type)
{
    if (count_name(p))
        return p->e->code;
    struct schema_node *n = arena_alloc(p->arena, sizeof *n);
    if (!n)
        return err_nomem(p->e);
    *n = (struct schema_node){.type = type, .standard_symbol = -1};
    *out = n;
    return 0;
}

static int list_new(struct parser *p, void *out, size_t count, size_t size)
{
    void **list = out;
    *list = arena_alloc(p->arena, count * size + 1);
    return *list ? 0 : err_nomem(p->e);
}

static int copy_name(struct parser *p, struct str *out, const json_t *j, bool qualified,
                     const char *what)
{
    if (!json_is_string(j))
        return err_set(p->e, ERR_SCHEMA, "the schema has %s without a name", what);
    return schema_name_copy(p->arena, out, text_of(j), qualified, what, p->e);
}

/* space: data NULL where the names are not to be qualified. */
static int parse_aliases(struct parser *p, struct schema_names *out, const json_t *j,
                         struct str space, bool qualified)
{
    if (!json_is_array(j))
        return 0;
    int rc = list_new(p, &out->items, json_array_size(j), sizeof *out->items);
    for (size_t i = 0; i < json_array_size(j) && !rc; i++) {
        rc = count_name(p);
        if (!rc)
            rc = copy_name(p, &out->items[i], json_array_get(j, i), qualified, "an alias");
        if (!rc && qualified)
            rc = schema_name_qualify(p->arena, &out->items[i], space, p->e);
        out->count += !rc;
    }
    return rc;
}

/* ------------------------------------------------------------ named types */

static bool is_primitive(struct str name)
{
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++)
        if (str_is(name, schema_type_word((enum schema_type)i)))
            return true;
    return false;
}

static int declare(struct parser *p, struct schema_node *n)
{
    if (is_primitive(n->name))
        return err_set(p->e, ERR_SCHEMA, "the schema gives a type of its own the name %.*s",
                       STR_ARG(n->name));
    if (table_find(p->named, n->name) != TABLE_NONE)
        return err_set(p->e, ERR_SCHEMA, "the schema defines %.*s twice", STR_ARG(n->name));
    uint32_t id = table_insert(p->named, n->name);
    if (id == TABLE_NONE || !table_set(p->named, id, str_bytes(&n, sizeof n)))
        return err_nomem(p->e);
    return 0;
}

static const struct schema_node *find_named(const struct parser *p, struct str name)
{
    const struct schema_node *n = NULL;
    uint32_t id = table_find(p->named, name);
    if (id != TABLE_NONE)
        memcpy(&n, table_value(table_get(p->named, id)).data, sizeof n);
    return n;
}

static int parse_name(struct parser *p, struct schema_node *n, const json_t *j, struct str space,
                      struct str *inner)
{
    const json_t *own = json_object_get(j, "namespace");
    if (json_is_string(own))
        space = text_of(own);
    if (space.len && !schema_name_is(space, true))
        return err_set(p->e, ERR_SCHEMA, "the schema has a namespace that is no name: \"%.*s\"",
                       (int)(space.len < 200 ? space.len : 200), space.data);
    int rc = copy_name(p, &n->name, json_object_get(j, "name"), true, schema_type_word(n->type));
    if (!rc)
        rc = schema_name_qualify(p->arena, &n->name, space, p->e);
    if (rc)
        return rc;
    *inner = schema_name_space(n->name);
    rc = parse_aliases(p, &n->aliases, json_object_get(j, "aliases"), *inner, true);
    return rc ? rc : declare(p, n);
}

static int keep_default(struct parser *p, struct schema_field *f, const json_t *j)
{
    if (!j)
        return 0;
    char *text = json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        return err_nomem(p->e);
    f->standard = arena_copy(p->arena, str_of(text));
    free(text);
    return f->standard.data ? 0 : err_nomem(p->e);
}

static int parse_field(struct parser *p, struct schema_field *f, const json_t *j, struct str space)
{
    *f = (struct schema_field){0};
    if (!json_is_object(j))
        return err_set(p->e, ERR_SCHEMA, "a field of the schema is no object");
    int rc = copy_name(p, &f->name, json_object_get(j, "name"), false, "a field");
    if (!rc)
        rc = parse_aliases(p, &f->aliases, json_object_get(j, "aliases"), space, false);
    if (!rc && !json_object_get(j, "type"))
        return err_set(p->e, ERR_SCHEMA, "field %.*s of the schema has no type", STR_ARG(f->name));
    if (!rc)
        rc = keep_default(p, f, json_object_get(j, "default"));
    return rc ? rc : parse(p, &f->type, json_object_get(j, "type"), space);
}

/* Fails where two of the names are the same. */
static int check_distinct(struct parser *p, const struct schema_node *n, const char *what)
{
    struct table *seen = table_new();
    size_t count = n->type == SCHEMA_RECORD ? n->field_count : n->symbols.count;
    int rc = seen ? 0 : err_nomem(p->e);
    for (size_t i = 0; i < count && !rc; i++) {
        struct str name = n->type == SCHEMA_RECORD ? n->fields[i].name : n->symbols.items[i];
        if (table_find(seen, name) != TABLE_NONE)
            rc = err_set(p->e, ERR_SCHEMA, "%.*s has %s %.*s twice", STR_ARG(n->name), what,
                         STR_ARG(name));
        else if (table_insert(seen, name) == TABLE_NONE)
            rc = err_nomem(p->e);
    }
    table_free(seen);
    return rc;
}

static int parse_record(struct parser *p, struct schema_node *n, const json_t *j, struct str space)
{
    const json_t *fields = json_object_get(j, "fields");
    if (!json_is_array(fields))
        return err_set(p->e, ERR_SCHEMA, "record %.*s has no list of fields", STR_ARG(n->name));
    struct schema_field *list;
    int rc = list_new(p, &list, json_array_size(fields), sizeof *list);
    n->fields = list;
    for (size_t i = 0; i < json_array_size(fields) && !rc; i++) {
        rc = parse_field(p, &list[i], json_array_get(fields, i), space);
        n->field_count += !rc;
    }
    return rc ? rc : check_distinct(p, n, "field");
}

static int parse_enum(struct parser *p, struct schema_node *n, const json_t *j)
{
    const json_t *symbols = json_object_get(j, "symbols"),
                 *standard = json_object_get(j, "default");
    if (!json_is_array(symbols) || !json_array_size(symbols))
        return err_set(p->e, ERR_SCHEMA, "enum %.*s has no symbols", STR_ARG(n->name));
    int rc = list_new(p, &n->symbols.items, json_array_size(symbols), sizeof *n->symbols.items);
    for (size_t i = 0; i < json_array_size(symbols) && !rc; i++) {
        rc = copy_name(p, &n->symbols.items[i], json_array_get(symbols, i), false, "a symbol");
        n->symbols.count += !rc;
        if (!rc && json_is_string(standard) && str_equal(n->symbols.items[i], text_of(standard)))
            n->standard_symbol = (int)i;
    }
    if (!rc && standard && n->standard_symbol < 0)
        rc = err_set(p->e, ERR_SCHEMA, "the default of enum %.*s is none of its symbols",
                     STR_ARG(n->name));
    return rc ? rc : check_distinct(p, n, "symbol");
}

static int parse_fixed(struct parser *p, struct schema_node *n, const json_t *j)
{
    const json_t *size = json_object_get(j, "size");
    if (!json_is_integer(size) || json_integer_value(size) < 0 ||
        json_integer_value(size) > INT32_MAX)
        return err_set(p->e, ERR_SCHEMA, "fixed %.*s has no size from 0 to %d", STR_ARG(n->name),
                       INT32_MAX);
    n->fixed_bytes = (size_t)json_integer_value(size);
    return 0;
}

static int parse_named(struct parser *p, const struct schema_node **out, enum schema_type type,
                       const json_t *j, struct str space)
{
    struct schema_node *n;
    struct str inner = {0};
    int rc = node_new(p, &n, type);
    if (!rc)
        rc = parse_name(p, n, j, space, &inner);
    if (!rc)
        rc = type == SCHEMA_RECORD ? parse_record(p, n, j, inner)
             : type == SCHEMA_ENUM ? parse_enum(p, n, j)
                                   : parse_fixed(p, n, j);
    *out = n;
    return rc ? rc : schema_shape(n, p->e);
}

/* ------------------------------------------------------------ other types */

/* A primitive type, or one that was defined before: in this namespace or in none. */
static int parse_reference(struct parser *p, const struct schema_node **out, struct str name,
                           struct str space)
{
    for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++) {
        if (str_is(name, schema_type_word((enum schema_type)i))) {
            *out = &primitives[i];
            return 0;
        }
    }
    if (name.len > SCHEMA_NAME_MAX_BYTES)
        return err_set(p->e, ERR_SCHEMA, "the schema uses a name of %zu bytes", name.len);
    buf_reset(&p->full_name);
    buf_printf(&p->full_name, "%.*s.", STR_ARG(space));
    buf_put_str(&p->full_name, name);
    if (!buf_ok(&p->full_name))
        return err_nomem(p->e);
    bool qualified = !space.len || (name.len && memchr(name.data, '.', name.len));
    *out = qualified ? NULL : find_named(p, buf_str(&p->full_name));
    if (!*out)
        *out = find_named(p, name);
    return *out ? 0
                : err_set(p->e, ERR_SCHEMA, "the schema uses %.*s, which it does not define",
                          STR_ARG(name));
}

static int parse_items(struct parser *p, const struct schema_node **out, enum schema_type type,
                       const json_t *j, struct str space)
{
    const char *member = type == SCHEMA_ARRAY ? "items" : "values";
    struct schema_node *n;
    if (!json_object_get(j, member))
        return err_set(p->e, ERR_SCHEMA, "the schema has %s without \"%s\"",
                       type == SCHEMA_ARRAY ? "an array" : "a map", member);
    int rc = node_new(p, &n, type);
    if (!rc)
        rc = parse(p, &n->items, json_object_get(j, member), space);
    if (rc)
        return rc;
    *out = n;
    buf_put(&p->items, &n, sizeof n);
    return buf_ok(&p->items) ? schema_shape(n, p->e) : err_nomem(p->e);
}

static bool is_named(const struct schema_node *n)
{
    return n->type == SCHEMA_RECORD || n->type == SCHEMA_ENUM || n->type == SCHEMA_FIXED;
}

static int add_branch(struct parser *p, struct schema_node *u, const struct schema_node *b)
{
    if (b->type == SCHEMA_UNION)
        return err_set(p->e, ERR_SCHEMA, "the schema has a union directly inside a union");
    /* Of unnamed types there are ten, and a named one is one node: but for those the list is short.
     */
    for (size_t i = 0; i < u->branch_count; i++) {
        const struct schema_node *other = u->branches[i];
        if (other == b || (other->type == b->type && !is_named(b)))
            return err_set(p->e, ERR_SCHEMA, "the schema has a union with %.*s twice",
                           STR_ARG(schema_type_name(b)));
    }
    u->branches[u->branch_count++] = b;
    return 0;
}

static int parse_union(struct parser *p, const struct schema_node **out, const json_t *j,
                       struct str space)
{
    struct schema_node *n;
    int rc = node_new(p, &n, SCHEMA_UNION);
    if (!rc && !json_array_size(j))
        rc = err_set(p->e, ERR_SCHEMA, "the schema has a union without branches");
    if (!rc)
        rc = list_new(p, &n->branches, json_array_size(j), sizeof *n->branches);
    for (size_t i = 0; i < json_array_size(j) && !rc; i++) {
        const struct schema_node *branch = NULL;
        rc = parse(p, &branch, json_array_get(j, i), space);
        if (!rc)
            rc = add_branch(p, n, branch);
    }
    *out = n;
    return rc ? rc : schema_shape(n, p->e);
}

static int parse_object(struct parser *p, const struct schema_node **out, const json_t *j,
                        struct str space)
{
    const json_t *type = json_object_get(j, "type");
    if (!json_is_string(type))
        return type ? parse(p, out, type, space)
                    : err_set(p->e, ERR_SCHEMA, "the schema has a type that does not say which");
    struct str name = text_of(type);
    if (str_is(name, "record") || str_is(name, "error"))
        return parse_named(p, out, SCHEMA_RECORD, j, space);
    if (str_is(name, "enum"))
        return parse_named(p, out, SCHEMA_ENUM, j, space);
    if (str_is(name, "fixed"))
        return parse_named(p, out, SCHEMA_FIXED, j, space);
    if (str_is(name, "array"))
        return parse_items(p, out, SCHEMA_ARRAY, j, space);
    if (str_is(name, "map"))
        return parse_items(p, out, SCHEMA_MAP, j, space);
    return parse_reference(p, out, name, space);
}

static int parse(struct parser *p, const struct schema_node **out, const json_t *j,
                 struct str space)
{
    if (p->depth == SCHEMA_MAX_DEPTH)
        return err_set(p->e, ERR_TOO_LARGE, "the schema has types inside types over %d deep",
                       SCHEMA_MAX_DEPTH);
    p->depth++;
    int rc;
    if (json_is_string(j))
        rc = parse_reference(p, out, text_of(j), space);
    else if (json_is_array(j))
        rc = parse_union(p, out, j, space);
    else if (json_is_object(j))
        rc = parse_object(p, out, j, space);
    else
        rc = err_set(p->e, ERR_SCHEMA, "the schema has a type that is no text, list or object");
    p->depth--;
    return rc;
}

/* ------------------------------------------------------------ a schema */

static int parse_text(struct parser *p, const struct schema_node **out, struct str text)
{
    json_error_t why;
    if (text.len > SCHEMA_MAX_BYTES)
        return err_set(p->e, ERR_TOO_LARGE, "the schema has %zu bytes, at most %d are read",
                       text.len, SCHEMA_MAX_BYTES);
    json_t *j =
        json_loadb(text.len ? text.data : "", text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!j && json_error_code(&why) == json_error_out_of_memory)
        return err_nomem(p->e);
    if (!j)
        return err_set(p->e, ERR_SCHEMA, "the schema is no JSON: line %d, byte %d: %s", why.line,
                       why.position, why.text);
    int rc = parse(p, out, j, (struct str){0});
    json_decref(j);
    return rc;
}

static int parse_texts(struct schema *s, const struct str *texts, size_t count, struct err *e)
{
    struct parser p = {.arena = &s->arena, .named = table_new(), .e = e};
    struct buf canonical = {0};
    int rc = p.named ? 0 : err_nomem(e);
    for (size_t i = 0; i < count && !rc; i++) {
        rc = parse_text(&p, &s->root, texts[i]);
        if (rc && i + 1 < count && rc != ERR_NOMEM)
            err_wrap(e, "in reference %zu", i + 1);
    }
    for (size_t i = 0; i < p.items.len / sizeof(struct schema_node *) && !rc; i++) {
        struct schema_node *n;
        memcpy(&n, p.items.data + i * sizeof n, sizeof n);
        schema_shape_items(n);
    }
    if (!rc)
        rc = schema_canonical(&canonical, s, e);
    if (!rc)
        s->fingerprint = schema_crc64(buf_str(&canonical));
    buf_free(&canonical);
    buf_free(&p.items);
    buf_free(&p.full_name);
    table_free(p.named);
    return rc;
}

int schema_parse(struct schema **out, const struct str *texts, size_t count, struct err *e)
{
    struct err local = {0};
    struct schema *s = calloc(1, sizeof *s);
    if (!s)
        return err_nomem(e);
    int rc = parse_texts(s, texts, count, e ? e : &local);
    if (rc)
        schema_free(s);
    else
        *out = s;
    return rc;
}

void schema_free(struct schema *s)
{
    if (!s)
        return;
    arena_free(&s->arena);
    free(s);
}

const struct schema_node *schema_root(const struct schema *s)
{
    return s->root;
}

uint64_t schema_fingerprint(const struct schema *s)
{
    return s->fingerprint;
}

int schema_canonical(struct buf *out, const struct schema *s, struct err *e)
{
    return schema_print_canonical(out, s->root, e);
}
