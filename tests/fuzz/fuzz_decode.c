#include "fuzz.h"
#include "schemas.h"
#include "serde/value.h"

#include <stdlib.h>

/* Behind the structures and the plan themselves, whose limits stand elsewhere: what an arena takes
 * above what is asked of it. */
enum { MEMORY_MOST = VALUE_MAX_MEMORY + 8 * 1024 * 1024, PLAN_MEMORY_MOST = 64 * 1024 * 1024 };

/* What a value has in parts, at most: one that its default makes large is not written and printed,
 * which has no limit. */
enum { PARTS_MOST = 20000 };

struct list {
    const char *items;
    size_t count;
};

/* Counts the parts of a value; all of its texts are there to be read. */
static void count_parts(const struct schema_node *n, const char *value, size_t *parts)
{
    const struct list *list = (const struct list *)(const void *)value;
    const void *inner;
    size_t branch;
    if (++*parts > PARTS_MOST)
        return;
    switch (n->type) {
    case SCHEMA_RECORD:
        for (size_t i = 0; i < n->field_count && *parts <= PARTS_MOST; i++)
            count_parts(n->fields[i].type, value + n->fields[i].offset, parts);
        break;
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        for (size_t i = 0; i < list->count && *parts <= PARTS_MOST; i++)
            count_parts(n->items, list->items + i * n->item_size + n->value_offset, parts);
        break;
    case SCHEMA_UNION:
        value_branch(n, value, &branch, &inner);
        assert(branch < n->branch_count);
        count_parts(n->branches[branch], inner, parts);
        break;
    case SCHEMA_ENUM:
        assert(*(const int32_t *)(const void *)value >= 0);
        assert((size_t) * (const int32_t *)(const void *)value < n->symbols.count);
        break;
    default:
        break;
    }
}

/* A structure with rubbish in it, as the stack has it: what is not set is seen. */
static void *structure_new(const struct schema_node *n)
{
    void *structure = malloc(n->size ? n->size : 1);
    assert(structure);
    memset(structure, 0xa5, n->size);
    return structure;
}

/* Whether plain JSON tells all branches of unions apart. It does not where there are several, or
 * where a record's first field may be called as a branch is. */
static bool reads_back(const struct schema_node *n, int depth)
{
    if (depth > 8)
        return false;
    switch (n->type) {
    case SCHEMA_UNION:
        return n->shape == UNION_TEXT || n->shape == UNION_OPTIONAL;
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        return reads_back(n->items, depth + 1);
    case SCHEMA_RECORD:
        for (size_t i = 0; i < n->field_count; i++)
            if (!reads_back(n->fields[i].type, depth + 1))
                return false;
        return true;
    default:
        return true;
    }
}

static void check_json(const struct schema_node *n, const void *value, struct arena *a)
{
    struct buf once = {0}, twice = {0};
    void *again = structure_new(n);
    struct err e = {0};
    value_print_json(&once, n, value);
    assert(buf_ok(&once));
    int rc = value_read_json(again, n, buf_str(&once), a, &e);
    if (fuzz_succeeded(rc, &e) && reads_back(n, 0)) {
        value_print_json(&twice, n, again);
        assert(str_equal(buf_str(&once), buf_str(&twice)));
    } else if (rc) {
        assert(!reads_back(n, 0));
        assert(rc == ERR_SCHEMA || rc == ERR_CORRUPT || rc == ERR_TOO_LARGE);
    }
    free(again);
    buf_free(&once);
    buf_free(&twice);
}

/* What was decoded, written with the reader's schema, is decoded to the same by it. */
static void check_encoded(const struct schema_node *n, const void *value, struct arena *a)
{
    struct buf once = {0}, twice = {0};
    struct plan *plan = NULL;
    void *again = structure_new(n);
    struct err e = {0};
    value_encode(&once, n, value);
    assert(buf_ok(&once) && once.len >= n->least_bytes);
    if (fuzz_succeeded(plan_new(&plan, n, n, &e), &e)) {
        char *exact = fuzz_exact(buf_str(&once));
        int rc = plan_decode(plan, again, str_bytes(exact, once.len), 0, a, &e);
        if (fuzz_succeeded(rc, &e)) {
            value_encode(&twice, n, again);
            assert(str_equal(buf_str(&once), buf_str(&twice)));
        } else {
            assert(rc == ERR_TOO_LARGE && once.len > VALUE_MAX_BYTES);
        }
        free(exact);
    }
    plan_free(plan);
    free(again);
    buf_free(&once);
    buf_free(&twice);
}

static void check_bytes(const struct plan *plan, const struct schema_node *reader, struct str bytes)
{
    struct arena a = {0};
    struct err e = {0};
    size_t before = fuzz_memory(), parts = 0;
    char *exact = fuzz_exact(bytes);
    void *value = structure_new(reader);
    int rc = plan_decode(plan, value, str_bytes(exact, bytes.len), 0, &a, &e);
    assert(fuzz_memory() < before + MEMORY_MOST);
    if (fuzz_succeeded(rc, &e)) {
        count_parts(reader, value, &parts);
        if (parts <= PARTS_MOST) {
            check_encoded(reader, value, &a);
            check_json(reader, value, &a);
        }
    } else {
        assert(rc == ERR_CORRUPT || rc == ERR_SCHEMA || rc == ERR_TOO_LARGE);
    }
    arena_free(&a);
    free(value);
    free(exact);
}

static void check_schemas(struct str writer_text, struct str reader_text, struct str bytes)
{
    struct schema *writer = NULL, *reader = NULL;
    struct plan *plan = NULL;
    struct err e = {0};
    if (!fuzz_succeeded(schema_parse(&writer, &writer_text, 1, &e), &e) ||
        !fuzz_succeeded(schema_parse(&reader, &reader_text, 1, &e), &e))
        goto out;
    size_t before = fuzz_memory();
    int rc = plan_new(&plan, schema_root(writer), schema_root(reader), &e);
    assert(fuzz_memory() < before + PLAN_MEMORY_MOST);
    if (fuzz_succeeded(rc, &e))
        check_bytes(plan, schema_root(reader), bytes);
    else
        assert(rc == ERR_TOO_LARGE);
out:
    plan_free(plan);
    schema_free(writer);
    schema_free(reader);
}

static struct str numbered(char number)
{
    return str_of(fuzz_schemas[(uint8_t)number % FUZZ_SCHEMAS]);
}

/* A text of one byte is no schema, but the number of one. */
static struct str schema_text(struct str piece)
{
    return piece.len == 1 ? numbered(*piece.data) : piece;
}

void fuzz_decode(struct str input)
{
    if (input.len && input.data[0] == 0) {
        struct str rest = str_bytes(input.data + 1, input.len - 1);
        struct str writer = schema_text(fuzz_piece(&rest)), reader = schema_text(fuzz_piece(&rest));
        check_schemas(writer, reader, rest);
    } else if (input.len > 1) {
        check_schemas(numbered(input.data[0]), numbered(input.data[1]),
                      str_bytes(input.data + 2, input.len - 2));
    }
}
