/* Schema resolution: "Schema Resolution" of the Avro 1.11 specification. */
#include "base/table.h"
#include "serde/plan_steps.h"
#include "serde/reading.h"
#include "serde/resolution.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    MAX_STEPS = 200000,
    DEFAULTS_MAX_MEMORY = 16 * 1024 * 1024, /* of all fields together: a few bytes of a default */
    DEFAULTS_MAX_ITEMS = 100000,            /* may stand for records in records with defaults */
};

/* A pair of records whose program is to be made; reader NULL: the writer's is skipped. */
struct pair {
    const struct schema_node *writer, *reader;
    struct program *program;
};

struct compiler {
    struct plan *plan;
    struct table *programs; /* of the two nodes' addresses: place in pairs, as tag */
    struct buf pairs;       /* all of them, in the order they were met */
    size_t steps;
    size_t memory_left, items_left; /* for defaults */
    struct str field;               /* that is being resolved; data NULL: none */
    struct err *e;
};

static int resolve(struct compiler *c, struct step *s, const struct schema_node *w,
                   const struct schema_node *r);
static int skip(struct compiler *c, struct step *s, const struct schema_node *w);

static void *take(struct compiler *c, size_t n)
{
    void *p = arena_alloc(&c->plan->arena, n + 1);
    if (!p)
        err_nomem(c->e);
    return p;
}

static int steps_new(struct compiler *c, struct step **out, size_t count)
{
    c->steps += count;
    if (c->steps > MAX_STEPS)
        return err_set(c->e, ERR_TOO_LARGE, "the schemas take over %d steps to resolve", MAX_STEPS);
    *out = take(c, count * sizeof **out);
    if (!*out)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        (*out)[i] = (struct step){0};
    return 0;
}

/* That some value cannot be read. */
static int note_refusal(struct compiler *c, const char *reason)
{
    char text[400];
    if (c->plan->refusal)
        return 0;
    snprintf(text, sizeof text, "%s%.*s%s%s", c->field.len ? "field " : "",
             (int)(c->field.len < 100 ? c->field.len : 100), c->field.len ? c->field.data : "",
             c->field.len ? ": " : "", reason);
    c->plan->refusal = arena_copy(&c->plan->arena, str_of(text)).data;
    return c->plan->refusal ? 0 : err_nomem(c->e);
}

static int refuse(struct compiler *c, struct step *s, const char *reason)
{
    struct str copy = arena_copy(&c->plan->arena, str_of(reason));
    s->code = STEP_REFUSE;
    s->to.reason = copy.data;
    return copy.data ? note_refusal(c, reason) : err_nomem(c->e);
}

static int refuse_types(struct compiler *c, struct step *s, const struct schema_node *w,
                        const struct schema_node *r)
{
    char reason[256];
    struct str from = schema_type_name(w), to = schema_type_name(r);
    snprintf(reason, sizeof reason, "%.*s was written, and cannot be read as %.*s",
             (int)(from.len < 100 ? from.len : 100), from.data, (int)(to.len < 100 ? to.len : 100),
             to.data);
    return refuse(c, s, reason);
}

/* The program of a pair of records, made now or, if it was met for the first time, later. */
static int program_of(struct compiler *c, const struct program **out, const struct schema_node *w,
                      const struct schema_node *r)
{
    const void *key[] = {w, r};
    struct pair pair = {w, r, NULL};
    uint32_t id = table_find(c->programs, str_bytes(key, sizeof key));
    if (id != TABLE_NONE) {
        size_t place = (size_t)table_tag(table_get(c->programs, id));
        memcpy(&pair, c->pairs.data + place * sizeof pair, sizeof pair);
        *out = pair.program;
        return 0;
    }
    id = table_insert(c->programs, str_bytes(key, sizeof key));
    if (id == TABLE_NONE || !(pair.program = take(c, sizeof *pair.program)))
        return err_nomem(c->e);
    *pair.program = (struct program){0};
    table_set_tag(table_get(c->programs, id), (int64_t)(c->pairs.len / sizeof pair));
    buf_put(&c->pairs, &pair, sizeof pair);
    *out = pair.program;
    return buf_ok(&c->pairs) ? 0 : err_nomem(c->e);
}

/* ------------------------------------------------------------ types */

static int resolve_enum(struct compiler *c, struct step *s, const struct schema_node *w,
                        const struct schema_node *r)
{
    struct table *places = table_new();
    int32_t *symbols = take(c, w->symbols.count * sizeof *symbols);
    int rc = places && symbols ? 0 : err_nomem(c->e);
    for (size_t i = 0; i < r->symbols.count && !rc; i++) {
        uint32_t id = table_insert(places, r->symbols.items[i]);
        if (id == TABLE_NONE)
            rc = err_nomem(c->e);
        else
            table_set_tag(table_get(places, id), (int64_t)i);
    }
    for (size_t i = 0; i < w->symbols.count && !rc; i++) {
        uint32_t id = table_find(places, w->symbols.items[i]);
        symbols[i] =
            id == TABLE_NONE ? r->standard_symbol : (int32_t)table_tag(table_get(places, id));
        if (symbols[i] < 0)
            rc =
                note_refusal(c, "it may have a symbol that the reader's enum does not have, and no "
                                "default");
    }
    table_free(places);
    s->code = STEP_ENUM;
    s->number = (uint32_t)w->symbols.count;
    s->to.symbols = symbols;
    return rc;
}

/* What an item takes, at the least and of what is limited. */
static void set_bounds(struct step *s, const struct schema_node *w)
{
    s->least_bytes = w->items->least_bytes + (w->type == SCHEMA_MAP);
    s->cost = w->items->parts > s->least_bytes ? w->items->parts - s->least_bytes : 1;
}

static int resolve_items(struct compiler *c, struct step *s, const struct schema_node *w,
                         const struct schema_node *r)
{
    struct step *inner;
    int rc = steps_new(c, &inner, 1);
    if (rc)
        return rc;
    s->code = w->type == SCHEMA_ARRAY ? STEP_ARRAY : STEP_MAP;
    s->size = r->item_size;
    s->value_offset = r->value_offset;
    set_bounds(s, w);
    s->to.inner = inner;
    return resolve(c, inner, w->items, r->items);
}

/* Into branch number i of a union: first what says so, then the value. */
static int resolve_into(struct compiler *c, struct step *s, const struct schema_node *w,
                        const struct schema_node *r, size_t i)
{
    const struct schema_node *branch = r->branches[i];
    struct step *inner = s;
    size_t offset = s->offset;
    if (r->shape != UNION_TAGGED && branch->type == SCHEMA_NULL) {
        s->code = STEP_NONE;
        s->size = r->size;
        return 0;
    }
    if (r->shape == UNION_TAGGED || r->shape == UNION_OPTIONAL) {
        int rc = steps_new(c, &inner, 1);
        if (rc)
            return rc;
        s->code = r->shape == UNION_TAGGED ? STEP_BRANCH : STEP_GIVEN;
        s->number = (uint32_t)i;
        s->to.inner = inner;
        offset += r->value_offset;
    }
    inner->offset = offset;
    int rc = resolve(c, inner, w, branch);
    if (inner->code == STEP_RECORD)
        inner->code = STEP_POINTER;
    return rc;
}

/* The writer's union: a step for each branch. */
static int resolve_branches(struct compiler *c, struct step *s, const struct schema_node *w,
                            const struct schema_node *r)
{
    struct step *inner;
    int rc = steps_new(c, &inner, w->branch_count);
    if (rc)
        return rc;
    s->code = STEP_UNION;
    s->number = (uint32_t)w->branch_count;
    s->to.inner = inner;
    for (size_t i = 0; i < w->branch_count && !rc; i++) {
        inner[i].offset = s->offset;
        rc = r ? resolve(c, &inner[i], w->branches[i], r) : skip(c, &inner[i], w->branches[i]);
    }
    return rc;
}

/* Fills in a step whose offset is known. */
static int resolve(struct compiler *c, struct step *s, const struct schema_node *w,
                   const struct schema_node *r)
{
    if (w->type == SCHEMA_UNION)
        return resolve_branches(c, s, w, r);
    if (r->type == SCHEMA_UNION) {
        size_t branch = resolution_branch(w, r);
        return branch == r->branch_count ? refuse_types(c, s, w, r)
                                         : resolve_into(c, s, w, r, branch);
    }
    if (!resolution_matches(w, r))
        return refuse_types(c, s, w, r);
    switch (w->type) {
    case SCHEMA_RECORD:
        s->code = STEP_RECORD;
        s->size = r->size;
        return program_of(c, &s->to.program, w, r);
    case SCHEMA_ENUM:
        return resolve_enum(c, s, w, r);
    case SCHEMA_FIXED:
        s->code = STEP_FIXED;
        s->size = w->fixed_bytes;
        return 0;
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        return resolve_items(c, s, w, r);
    default:
        s->code = resolution_step(w->type, r->type);
        return 0;
    }
}

static int skip_items(struct compiler *c, struct step *s, const struct schema_node *w)
{
    struct step *inner;
    int rc = steps_new(c, &inner, 1);
    s->code = w->type == SCHEMA_ARRAY ? STEP_SKIP_BLOCKS : STEP_SKIP_ENTRIES;
    set_bounds(s, w);
    s->to.inner = inner;
    return rc ? rc : skip(c, inner, w->items);
}

static int skip(struct compiler *c, struct step *s, const struct schema_node *w)
{
    static const size_t sizes[] = {
        [SCHEMA_NULL] = 0, [SCHEMA_BOOLEAN] = 1, [SCHEMA_FLOAT] = 4, [SCHEMA_DOUBLE] = 8};
    switch (w->type) {
    case SCHEMA_INT:
    case SCHEMA_LONG:
    case SCHEMA_ENUM:
        s->code = STEP_SKIP_VARINT;
        return 0;
    case SCHEMA_BYTES:
    case SCHEMA_STRING:
        s->code = STEP_SKIP_SIZED;
        return 0;
    case SCHEMA_ARRAY:
    case SCHEMA_MAP:
        return skip_items(c, s, w);
    case SCHEMA_UNION:
        return resolve_branches(c, s, w, NULL);
    case SCHEMA_RECORD:
        s->code = STEP_RECORD;
        return program_of(c, &s->to.program, w, NULL);
    default:
        s->code = STEP_SKIP_BYTES;
        s->size = w->type == SCHEMA_FIXED ? w->fixed_bytes : sizes[w->type];
        return 0;
    }
}

/* ------------------------------------------------------------ records */

static size_t field_named(const struct schema_node *n, struct str name)
{
    size_t i = 0;
    while (i < n->field_count && !str_equal(n->fields[i].name, name))
        i++;
    return i;
}

static bool has_alias(const struct schema_field *f, struct str name)
{
    for (size_t i = 0; i < f->aliases.count; i++)
        if (str_equal(f->aliases.items[i], name))
            return true;
    return false;
}

/* For each field of the writer's the place of the reader's, and which of those have one. A field of
 * the reader's with an alias takes what no field has the name of. */
static void pair_fields(const struct schema_node *w, const struct schema_node *r, size_t *to,
                        bool *found)
{
    for (size_t i = 0; i < w->field_count; i++) {
        to[i] = field_named(r, w->fields[i].name);
        if (to[i] < r->field_count)
            found[to[i]] = true;
    }
    for (size_t i = 0; i < w->field_count; i++) {
        if (to[i] < r->field_count)
            continue;
        to[i] = 0;
        while (to[i] < r->field_count &&
               (found[to[i]] || !has_alias(&r->fields[to[i]], w->fields[i].name)))
            to[i]++;
        if (to[i] < r->field_count)
            found[to[i]] = true;
    }
}

/* A field that the writer does not have. */
static int resolve_missing(struct compiler *c, struct step *s, const struct schema_field *f)
{
    struct err why = {0};
    if (!f->standard.data)
        return refuse(c, s, "the writer's schema has no such field, and it has no default");
    bool fits = f->type->size <= c->memory_left;
    c->memory_left -= fits ? f->type->size : 0;
    void *image = fits ? take(c, f->type->size) : NULL;
    if (fits && !image)
        return ERR_NOMEM;
    int rc = fits ? value_read_within(image, f->type, f->standard, &c->plan->arena, &c->memory_left,
                                      &c->items_left, &why)
                  : ERR_TOO_LARGE;
    if (rc == ERR_NOMEM)
        return err_nomem(c->e);
    if (rc == ERR_TOO_LARGE)
        return refuse(c, s,
                      "the writer's schema has no such field, and its default is too large, "
                      "together with those of other fields");
    if (rc)
        return refuse(c, s,
                      "the writer's schema has no such field, and its default is of another "
                      "type");
    s->code = STEP_DEFAULT;
    s->size = f->type->size;
    s->to.image = image;
    return 0;
}

static int fill_resolved(struct compiler *c, struct step *steps, size_t *count,
                         const struct pair *pair, const size_t *to, const bool *found)
{
    const struct schema_node *w = pair->writer, *r = pair->reader;
    struct step *s = steps;
    int rc = 0;
    /* Those without bytes go first: what cannot be read at all fails before anything is. */
    for (size_t i = 0; i < r->field_count && !rc; i++) {
        if (found[i])
            continue;
        s->field = c->field = r->fields[i].name;
        s->offset = r->fields[i].offset;
        rc = resolve_missing(c, s++, &r->fields[i]);
    }
    for (size_t i = 0; i < w->field_count && !rc; i++, s++) {
        const struct schema_field *f = to[i] < r->field_count ? &r->fields[to[i]] : NULL;
        s->field = c->field = f ? f->name : w->fields[i].name;
        s->offset = f ? f->offset : 0;
        rc = f ? resolve(c, s, w->fields[i].type, f->type) : skip(c, s, w->fields[i].type);
    }
    *count = (size_t)(s - steps);
    return rc;
}

static int compile_record(struct compiler *c, const struct pair *pair)
{
    const struct schema_node *w = pair->writer, *r = pair->reader;
    size_t *to = calloc(w->field_count + 1, sizeof *to);
    bool *found = calloc((r ? r->field_count : 0) + 1, sizeof *found);
    struct step *steps = NULL;
    size_t missing = 0;
    int rc = to && found ? 0 : err_nomem(c->e);
    if (!rc && r)
        pair_fields(w, r, to, found);
    for (size_t i = 0; !rc && r && i < r->field_count; i++)
        missing += !found[i];
    if (!rc)
        rc = steps_new(c, &steps, w->field_count + missing);
    pair->program->steps = steps;
    if (!rc && r)
        rc = fill_resolved(c, steps, &pair->program->count, pair, to, found);
    for (size_t i = 0; !rc && !r && i < w->field_count; i++) {
        steps[i].field = w->fields[i].name;
        rc = skip(c, &steps[i], w->fields[i].type);
        pair->program->count = i + 1;
    }
    free(to);
    free(found);
    return rc;
}

/* Records are compiled one after the other, not inside each other: however deep they are nested,
 * our own stack is not. */
static int compile(struct compiler *c, const struct schema_node *w, const struct schema_node *r)
{
    int rc = resolve(c, &c->plan->root, w, r);
    for (size_t i = 0; !rc && i < c->pairs.len / sizeof(struct pair); i++) {
        struct pair pair;
        memcpy(&pair, c->pairs.data + i * sizeof pair, sizeof pair);
        rc = compile_record(c, &pair);
    }
    return rc;
}

int plan_new(struct plan **out, const struct schema_node *writer, const struct schema_node *reader,
             struct err *e)
{
    struct err local = {0};
    struct plan *p = calloc(1, sizeof *p);
    struct compiler c = {.plan = p,
                         .programs = table_new(),
                         .memory_left = DEFAULTS_MAX_MEMORY,
                         .items_left = DEFAULTS_MAX_ITEMS,
                         .e = e ? e : &local};
    int rc = p && c.programs ? compile(&c, writer, reader) : err_nomem(c.e);
    table_free(c.programs);
    buf_free(&c.pairs);
    if (rc)
        plan_free(p);
    else
        *out = p;
    return rc;
}

const char *plan_refusal(const struct plan *p)
{
    return p->refusal;
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    arena_free(&p->arena);
    free(p);
}
