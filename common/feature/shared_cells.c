#include "feature/shared_cells.h"

#include "feature/apply.h"

#include <malloc.h>
#include <stdlib.h>

struct shared_cells {
    const struct feature_set *set;
    struct table *table;          /* shared_key() to cell */
    struct key_contents **opened; /* by number; NULL: not read yet */
    uint32_t opened_cap;
    size_t opened_bytes;
    uint64_t *added;               /* keys, of each scope */
    uint64_t removed;              /* keys, of any scope */
    uint32_t *totals;              /* of each scope that is a total: its one key */
    struct key_contents **nothing; /* of each scope: contents where nothing was seen */
    struct key_contents *unkept;   /* room for the contents of any one key */
    struct buf key, merged;
};

static const struct content_range NEVER = {1, 0};

static int make_scopes(struct shared_cells *s, struct err *e)
{
    size_t largest = sizeof(struct key_contents);
    s->added = calloc(s->set->scope_count + 1, sizeof *s->added);
    s->nothing = calloc(s->set->scope_count + 1, sizeof *s->nothing);
    s->totals = malloc((s->set->scope_count + 1) * sizeof *s->totals);
    if (!s->added || !s->nothing || !s->totals)
        return err_nomem(e);
    for (size_t i = 0; i < s->set->scope_count; i++) {
        s->totals[i] = TABLE_NONE;
        const struct scope *scope = &s->set->scopes[i];
        size_t bytes = key_contents_bytes(scope);
        largest = bytes > largest ? bytes : largest;
        if (!(s->nothing[i] = malloc(bytes)))
            return err_nomem(e);
        key_contents_read(s->nothing[i], scope, str_of(""), 0);
    }
    s->unkept = malloc(largest);
    return s->unkept ? 0 : err_nomem(e);
}

int shared_cells_new(struct shared_cells **out, const struct feature_set *set, struct err *e)
{
    struct shared_cells *s = calloc(1, sizeof *s);
    if (!s)
        return err_nomem(e);
    s->set = set;
    s->table = table_new();
    int rc = s->table ? make_scopes(s, e) : err_nomem(e);
    if (rc)
        shared_cells_free(s);
    else
        *out = s;
    return rc;
}

void shared_cells_free(struct shared_cells *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < s->opened_cap; i++)
        free(s->opened[i]);
    for (size_t i = 0; s->nothing && i < s->set->scope_count; i++)
        free(s->nothing[i]);
    free(s->opened);
    free(s->added);
    free(s->nothing);
    free(s->totals);
    free(s->unkept);
    table_free(s->table);
    buf_free(&s->key);
    buf_free(&s->merged);
    free(s);
}

/* ------------------------------------------------------------ changes */

static bool room_for(struct shared_cells *s, uint32_t id)
{
    if (id < s->opened_cap)
        return true;
    uint32_t cap = id + id / 16 + 16;
    struct key_contents **opened = cap < id ? NULL : realloc(s->opened, cap * sizeof *s->opened);
    if (!opened)
        return false;
    memset(opened + s->opened_cap, 0, (cap - s->opened_cap) * sizeof *opened);
    s->opened = opened;
    s->opened_cap = cap;
    return true;
}

static size_t kept_bytes(struct key_contents *c)
{
    return malloc_usable_size(c) + sizeof(size_t);
}

static void remove_key(struct shared_cells *s, size_t scope, uint32_t id)
{
    if (s->opened[id])
        s->opened_bytes -= kept_bytes(s->opened[id]);
    free(s->opened[id]);
    s->opened[id] = NULL;
    table_remove(s->table, id);
    s->removed++;
    if (s->totals[scope] == id)
        s->totals[scope] = TABLE_NONE;
}

/* What was kept of the key's contents is no longer right; its memory is used again. */
static void forget(struct shared_cells *s, uint32_t id)
{
    if (s->opened[id])
        s->opened[id]->right = NEVER;
}

/* A total has one key, the empty one. */
static int scope_of(size_t *scope, const struct shared_cells *s, struct str shared_key,
                    struct err *e)
{
    struct str key;
    bool known = shared_key_parse(s->set, shared_key, scope, &key);
    return known && (!s->set->scopes[*scope].is_total || key.len == 0)
               ? 0
               : err_set(e, ERR_CORRUPT, "the key of a cell has a scope that is not defined");
}

int shared_cells_put(struct shared_cells *s, struct str shared_key, struct str cell, struct err *e)
{
    size_t scope;
    int rc = scope_of(&scope, s, shared_key, e);
    if (rc)
        return rc;
    uint32_t id = table_find(s->table, shared_key);
    bool is_new = id == TABLE_NONE;
    if (cell.len == 0) {
        if (!is_new)
            remove_key(s, scope, id);
        return 0;
    }
    if (is_new && (id = table_insert(s->table, shared_key)) == TABLE_NONE)
        return err_nomem(e);
    if (!room_for(s, id) || !table_set(s->table, id, cell)) {
        if (is_new)
            table_remove(s->table, id);
        return err_nomem(e);
    }
    s->added[scope] += is_new;
    if (s->set->scopes[scope].is_total)
        s->totals[scope] = id;
    forget(s, id);
    return 0;
}

int shared_cells_merge(struct shared_cells *s, struct str shared_key, struct str cell,
                       struct err *e)
{
    size_t scope;
    int rc = scope_of(&scope, s, shared_key, e);
    if (rc)
        return rc;
    buf_reset(&s->merged);
    cell_merge(&s->merged, &s->set->scopes[scope],
               shared_cells_get(s, table_find(s->table, shared_key)), cell);
    return buf_ok(&s->merged) ? shared_cells_put(s, shared_key, buf_str(&s->merged), e)
                              : err_nomem(e);
}

/* ------------------------------------------------------------ finding */

uint32_t shared_cells_find(const struct shared_cells *s, struct str shared_key)
{
    return table_find(s->table, shared_key);
}

int shared_cells_find_in(uint32_t *id, struct shared_cells *s, size_t scope, struct str key,
                         struct err *e)
{
    buf_reset(&s->key);
    shared_key(&s->key, scope, key);
    if (!buf_ok(&s->key))
        return err_nomem(e);
    *id = table_find(s->table, buf_str(&s->key));
    return 0;
}

struct str shared_cells_get(const struct shared_cells *s, uint32_t id)
{
    return id == TABLE_NONE ? str_of("") : table_value(table_get(s->table, id));
}

struct shared_cells_changes shared_cells_changes(const struct shared_cells *s, size_t scope)
{
    return (struct shared_cells_changes){s->added[scope], s->removed};
}

/* ------------------------------------------------------------ reading */

/* The contents of a key that is there. Where memory for them is short they are in unkept, or NULL
 * if that must not be. */
static const struct key_contents *open_key(struct shared_cells *s, size_t scope, uint32_t id,
                                           int64_t as_of_ms, struct key_contents *unkept)
{
    struct key_contents *c = s->opened[id];
    if (c && c->right.from_ms <= as_of_ms && as_of_ms <= c->right.until_ms)
        return c;
    if (!c && (c = malloc(key_contents_bytes(&s->set->scopes[scope])))) {
        s->opened[id] = c;
        s->opened_bytes += kept_bytes(c);
    }
    if (!c && !(c = unkept))
        return NULL;
    key_contents_read(c, &s->set->scopes[scope], table_value(table_get(s->table, id)), as_of_ms);
    return c;
}

int shared_cells_read(const struct key_contents **out, struct shared_cells *s, size_t scope,
                      uint32_t id, int64_t as_of_ms, struct err *e)
{
    *out = id == TABLE_NONE ? s->nothing[scope] : open_key(s, scope, id, as_of_ms, NULL);
    return *out ? 0 : err_nomem(e);
}

static const struct content *contents_of(struct shared_cells *s, int scope, uint32_t id,
                                         int64_t as_of_ms)
{
    return id == TABLE_NONE ? s->nothing[scope]->contents
                            : open_key(s, (size_t)scope, id, as_of_ms, s->unkept)->contents;
}

double shared_cells_prior(struct shared_cells *s, const struct feature *f, size_t window,
                          int64_t as_of_ms)
{
    if (f->total < 0)
        return f->prior;
    const struct content *c = contents_of(s, f->total, s->totals[f->total], as_of_ms);
    const struct content *total = &c[f->total_content + window];
    return total->b > 0 ? total->a / total->b : 0;
}

double shared_cells_value(struct shared_cells *s, uint32_t id, size_t output, int64_t as_of_ms)
{
    const struct output *o = &s->set->outputs[output];
    const struct feature *f = o->feature;
    double prior = shared_cells_prior(s, f, o->window, as_of_ms);
    const struct content *c = contents_of(s, f->scope, id, as_of_ms);
    return content_value(&c[f->content + o->window], f, prior, as_of_ms);
}

size_t shared_cells_count(const struct shared_cells *s)
{
    return table_count(s->table);
}

size_t shared_cells_bytes(const struct shared_cells *s)
{
    return sizeof *s + table_bytes(s->table) + s->opened_cap * sizeof *s->opened + s->opened_bytes;
}

const struct table *shared_cells_table(const struct shared_cells *s)
{
    return s->table;
}
