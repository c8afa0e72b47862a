/*
 * Deltas beside what merging one cell after the other makes of the same contributions.
 *
 * Include after unit.h.
 */
#pragma once

#include "base/table.h"
#include "feature/apply.h"
#include "feature/deltas.h"
#include "support/cells.h"

/* Scopes whose contributions are put down, their total, and two whose cells are merged. */
static const char *const SET =
    "features:\n"
    "  - {name: clicks, scope: proposition, count: {event: click, windows: [5m, 1h]}}\n"
    "  - {name: ctr, scope: proposition, rate: {of: click, per: view, windows: [1h], weight: 1, "
    "prior: global}}\n"
    "  - {name: worth, scope: context.device, sum: {event: click, windows: [5m, 7s]}}\n"
    "  - {name: heat, scope: global, decay: {event: view, half_life: 1h}}\n"
    "  - {name: since, scope: global, recency: {event: click}}\n"
    "  - {name: variety, scope: proposition.tags, distinct: {event: click, of: proposition, "
    "window: 5m}}\n"
    "  - {name: count, scope: proposition.tags, count: {event: view, windows: [5m]}}\n"
    "  - {name: seen, scope: user.country, distinct: {event: view, of: context.device, window: "
    "1h}}\n";
enum { PUT_SCOPES = 3 }; /* the first of them; the total is the last scope */

/* Deltas, and the same as merging one cell after the other makes them. */
struct fixture {
    struct feature_set *set;
    struct deltas *deltas;
    struct table *expected;
    size_t contributions;
};

static inline void start(struct fixture *x)
{
    struct err e = {0};
    *x = (struct fixture){.set = definitions(SET), .expected = table_new()};
    assert_non_null(x->expected);
    assert_int_equal(deltas_new(&x->deltas, x->set, &e), 0);
    for (size_t i = 0; i < x->set->scope_count; i++)
        assert_int_equal(x->set->scopes[i].is_of_instances,
                         i < PUT_SCOPES || x->set->scopes[i].is_total);
}

static inline void stop(struct fixture *x)
{
    deltas_free(x->deltas);
    table_free(x->expected);
    feature_set_free(x->set);
}

/* One contribution to one key of one scope. */
struct gift {
    size_t scope;
    char name[16]; /* of the key */
    int event;
    int64_t time_ms;
    struct optional_double value;
    const char *proposition;
};

/* What every contribution to a scope that is merged stands for: the proposition, and a device. */
static inline struct contribution contribution_of(const struct gift *g, struct situation *place)
{
    static const struct text_entry device = {{"device", 6}, {"tv", 2}};
    static const struct text_map context = {(struct text_entry *)(uintptr_t)&device, 1};
    *place = (struct situation){
        .user_id = str_of("u"), .proposition_id = str_of(g->proposition), .context = &context};
    return (struct contribution){g->event, g->time_ms, g->value, place, 1};
}

static inline void put_key(struct buf *key, const struct gift *g)
{
    shared_key(key, g->scope, str_of(g->name));
    assert_true(buf_ok(key));
}

/* To the deltas alone. */
static inline int give_deltas(struct fixture *x, const struct gift *g, struct err *e)
{
    const struct scope *scope = &x->set->scopes[g->scope];
    struct situation place;
    struct contribution c = contribution_of(g, &place);
    struct buf key = {0}, cell = {0};
    struct arena arena = {0};
    shared_key(&key, g->scope, str_of(g->name));
    int rc = buf_ok(&key) ? 0 : err_nomem(e);
    if (!rc && scope->is_of_instances) {
        rc = deltas_put(x->deltas, buf_str(&key), &c, e);
    } else if (!rc) {
        cell_of(&cell, scope, &c, &arena);
        rc = buf_ok(&cell) ? deltas_merge(x->deltas, scope, buf_str(&key), buf_str(&cell), e)
                           : err_nomem(e);
    }
    buf_free(&key);
    buf_free(&cell);
    arena_free(&arena);
    return rc;
}

static inline void give_expected(struct fixture *x, const struct gift *g)
{
    struct situation place;
    struct contribution c = contribution_of(g, &place);
    struct buf key = {0}, cell = {0};
    put_key(&key, g);
    uint32_t id = table_insert(x->expected, buf_str(&key));
    assert_int_not_equal(id, TABLE_NONE);
    buf_put_str(&cell, table_value(table_get(x->expected, id)));
    add_cell_of(&cell, &x->set->scopes[g->scope], &c);
    assert_true(table_set(x->expected, id, buf_str(&cell)));
    x->contributions += x->set->scopes[g->scope].is_of_instances;
    buf_free(&key);
    buf_free(&cell);
}

static inline void give(struct fixture *x, const struct gift *g)
{
    struct err e = {0};
    assert_int_equal(give_deltas(x, g, &e), 0);
    give_expected(x, g);
}

static inline void any_gift(struct gift *g, const struct fixture *x, struct random *r)
{
    static const char *const names[] = {"p", "q", "r", "s"};
    *g = (struct gift){.scope = (size_t)random_below(r, (int64_t)x->set->scope_count),
                       .event = (int)random_below(r, 2),
                       .time_ms = random_below(r, 900000) - 300000,
                       .value = {random_below(r, 3) != 0, random_unit(r) - 0.5},
                       .proposition = names[random_below(r, 4)]};
    snprintf(g->name, sizeof g->name, "%d", (int)random_below(r, 1 + random_below(r, 30)));
}

/* ------------------------------------------------------------ what is told */

struct told {
    struct table *cells;
    size_t fails_at; /* the number of the key that is refused; 0: none is */
};

static inline int keep(void *arg, struct str key, struct str cell, struct err *e)
{
    struct told *t = arg;
    if (t->fails_at && --t->fails_at == 0)
        return err_set(e, ERR_IO, "refused");
    assert_int_equal(table_find(t->cells, key), TABLE_NONE); /* each key once */
    uint32_t id = table_insert(t->cells, key);
    assert_int_not_equal(id, TABLE_NONE);
    assert_true(cell.len > 0);
    assert_true(table_set(t->cells, id, cell));
    return 0;
}

static inline int tell(struct fixture *x, struct told *t, struct err *e)
{
    t->cells = table_new();
    assert_non_null(t->cells);
    return deltas_each(x->deltas, keep, t, e);
}

/* Every key with what merging makes, and no other. */
static inline void assert_tells_what_is_expected(struct fixture *x)
{
    struct told t = {0};
    struct err e = {0};
    assert_int_equal(deltas_count(x->deltas), table_count(x->expected));
    assert_int_equal(deltas_contributions(x->deltas), x->contributions);
    assert_int_equal(tell(x, &t, &e), 0);
    assert_int_equal(table_count(t.cells), table_count(x->expected));
    for (uint32_t i = table_first(t.cells); i != TABLE_NONE; i = table_next(t.cells, i)) {
        const struct table_entry *got = table_get(t.cells, i);
        uint32_t id = table_find(x->expected, table_key(got));
        size_t scope;
        struct str key;
        assert_int_not_equal(id, TABLE_NONE);
        assert_true(shared_key_parse(x->set, table_key(got), &scope, &key));
        assert_cells_near(&x->set->scopes[scope], table_value(got),
                          table_value(table_get(x->expected, id)));
    }
    table_free(t.cells);
}
