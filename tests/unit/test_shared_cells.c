#include "feature/shared_cells.h"
#include "unit.h"

#include "support/fixture.h"

static const char *const SET =
    "features:\n"
    "  - {name: pc, scope: proposition, count: {event: click, windows: [1m, 1h]}}\n"
    "  - {name: pr, scope: proposition, rate: {of: click, per: show, windows: [1h], weight: 8, "
    "prior: global}}\n"
    "  - {name: sc, scope: user, count: {event: click, windows: [1m]}}\n";

enum { PC_1M, PC_1H, PR };

struct cells {
    struct feature_set *set;
    struct shared_cells *s;
};

static void set_up(struct cells *c)
{
    struct err e;
    c->set = definitions(SET);
    assert_int_equal(shared_cells_new(&c->s, c->set, &e), 0);
}

static void tear_down(struct cells *c)
{
    shared_cells_free(c->s);
    feature_set_free(c->set);
}

/* The key of a proposition in shared form; of the total where it is NULL. */
static struct str key_of(struct buf *key, const struct cells *c, const char *proposition)
{
    struct buf part = {0};
    int scope = feature_set_scope(c->set, str_of("proposition"));
    buf_reset(key);
    if (proposition)
        buf_put_sized(&part, str_of(proposition));
    shared_key(key, (size_t)(proposition ? scope : c->set->scopes[scope].total),
               buf_ok(&part) ? buf_str(&part) : str_of(""));
    buf_free(&part);
    return buf_str(key);
}

/* Adds one event to a proposition's cell, or to the total. */
static void add(struct cells *c, const char *proposition, const char *event, int64_t time_ms)
{
    struct buf key = {0}, cell = {0};
    struct arena arena = {0};
    struct err e = {0};
    struct str k = key_of(&key, c, proposition);
    struct situation s = {.proposition_id = str_of(proposition)};
    struct contribution one = {
        feature_set_event(c->set, str_of(event)), time_ms, {false, 0}, &s, 1};
    int scope = feature_set_scope(c->set, str_of("proposition"));
    cell_of(&cell, &c->set->scopes[proposition ? scope : c->set->scopes[scope].total], &one,
            &arena);
    assert_int_equal(shared_cells_merge(c->s, k, buf_str(&cell), &e), 0);
    buf_free(&key);
    buf_free(&cell);
    arena_free(&arena);
}

static uint32_t find(const struct cells *c, const char *proposition)
{
    struct buf key = {0};
    uint32_t id = shared_cells_find(c->s, key_of(&key, c, proposition));
    buf_free(&key);
    return id;
}

static void remove_key(struct cells *c, const char *proposition)
{
    struct buf key = {0};
    struct err e;
    assert_int_equal(shared_cells_put(c->s, key_of(&key, c, proposition), str_of(""), &e), 0);
    buf_free(&key);
}

/* Buckets of 1 s and of 60 s: from 60 s on the minute's window begins after the first second. */
static void a_value_follows_the_time_and_the_cell(void **state)
{
    (void)state;
    struct cells c;
    set_up(&c);
    add(&c, "p", "click", 500);
    add(&c, "p", "click", 30000);
    uint32_t p = find(&c, "p");
    assert_value(shared_cells_value(c.s, p, PC_1M, 30000), 2);
    assert_value(shared_cells_value(c.s, p, PC_1M, 59999), 2);
    assert_value(shared_cells_value(c.s, p, PC_1M, 60000), 1);
    assert_value(shared_cells_value(c.s, p, PC_1H, 60000), 2);
    assert_value(shared_cells_value(c.s, p, PC_1M, 29999), 1);
    assert_value(shared_cells_value(c.s, p, PC_1M, 90000), 0);
    add(&c, "p", "click", 60000);
    assert_value(shared_cells_value(c.s, p, PC_1M, 60000), 2);
    assert_value(shared_cells_value(c.s, TABLE_NONE, PC_1M, 60000), 0);
    tear_down(&c);
}

/* Without totals 1/(3 + 8); with 2 of 4 in all (1 + 8 · 1/2) / (3 + 8), and 1/2 of nothing seen. */
static void a_global_prior_is_that_of_the_totals_here(void **state)
{
    (void)state;
    struct cells c;
    set_up(&c);
    add(&c, "p", "click", 0);
    for (int i = 0; i < 3; i++)
        add(&c, "p", "show", 0);
    uint32_t p = find(&c, "p");
    assert_value(shared_cells_value(c.s, p, PR, 0), 1.0 / 11);
    for (int i = 0; i < 6; i++)
        add(&c, NULL, i < 2 ? "click" : "show", 0);
    assert_value(shared_cells_value(c.s, p, PR, 0), 5.0 / 11);
    assert_value(shared_cells_value(c.s, TABLE_NONE, PR, 0), 0.5);
    remove_key(&c, NULL);
    assert_value(shared_cells_value(c.s, p, PR, 0), 1.0 / 11);
    tear_down(&c);
}

static void an_empty_cell_removes_its_key(void **state)
{
    (void)state;
    struct cells c;
    struct buf key = {0};
    struct err e;
    set_up(&c);
    add(&c, "p", "click", 0);
    add(&c, "q", "click", 0);
    size_t scope = (size_t)feature_set_scope(c.set, str_of("proposition"));
    uint32_t q = find(&c, "q"), found;
    struct shared_cells_changes before = shared_cells_changes(c.s, scope);
    assert_value(shared_cells_value(c.s, find(&c, "p"), PC_1M, 0), 1);
    remove_key(&c, "p");
    remove_key(&c, "p");
    struct shared_cells_changes after = shared_cells_changes(c.s, scope);
    assert_int_equal(find(&c, "p"), TABLE_NONE);
    assert_int_equal(find(&c, "q"), q);
    assert_int_equal(shared_cells_count(c.s), 1);
    assert_int_equal(before.added, 2);
    assert_int_equal(after.added, 2);
    assert_int_equal(after.removed - before.removed, 1);
    assert_int_equal(shared_cells_get(c.s, TABLE_NONE).len, 0);
    buf_put_sized(&key, str_of("q"));
    assert_int_equal(shared_cells_find_in(&found, c.s, scope, buf_str(&key), &e), 0);
    assert_int_equal(found, q);
    /* The number is given to another key, which has nothing of the one before. */
    add(&c, "r", "show", 0);
    assert_value(shared_cells_value(c.s, find(&c, "r"), PC_1M, 0), 0);
    buf_free(&key);
    tear_down(&c);
}

static void a_key_of_no_scope_is_corrupt(void **state)
{
    (void)state;
    struct cells c;
    struct buf key = {0};
    struct err e = {0};
    set_up(&c);
    buf_put_varint(&key, c.set->scope_count);
    assert_int_equal(shared_cells_put(c.s, buf_str(&key), str_of("x"), &e), ERR_CORRUPT);
    assert_contains(e.msg, "a scope that is not defined");
    /* A total has one key, the empty one. */
    key_of(&key, &c, NULL);
    buf_put_u8(&key, 0);
    assert_int_equal(shared_cells_merge(c.s, buf_str(&key), str_of("x"), &e), ERR_CORRUPT);
    assert_int_equal(shared_cells_count(c.s), 0);
    buf_free(&key);
    tear_down(&c);
}

static void without_memory_nothing_changes_and_values_are_still_read(void **state)
{
    (void)state;
    struct cells c;
    struct buf key = {0};
    struct err e = {0};
    set_up(&c);
    for (int i = 0; i < 40; i++) {
        char name[8];
        snprintf(name, sizeof name, "p%d", i);
        add(&c, name, "click", 0);
    }
    struct str cell = shared_cells_get(c.s, find(&c, "p0"));
    uint8_t copy[64];
    assert_true(cell.len <= sizeof copy);
    memcpy(copy, cell.data, cell.len);
    for (int n = 1;; n++) {
        struct str k = key_of(&key, &c, "fresh");
        fail_alloc_at(n);
        int rc = shared_cells_put(c.s, k, str_bytes(copy, cell.len), &e);
        if (!fail_alloc_end())
            break;
        assert_int_equal(rc, ERR_NOMEM);
        assert_int_equal(find(&c, "fresh"), TABLE_NONE);
        assert_int_equal(shared_cells_count(c.s), 40);
    }
    const struct key_contents *contents;
    uint32_t fresh = find(&c, "fresh");
    size_t scope = (size_t)feature_set_scope(c.set, str_of("proposition"));
    fail_alloc_at(1);
    assert_int_equal(shared_cells_read(&contents, c.s, scope, fresh, 0, &e), ERR_NOMEM);
    fail_alloc_at(1);
    assert_value(shared_cells_value(c.s, fresh, PC_1M, 0), 1);
    assert_true(fail_alloc_end());
    buf_free(&key);
    tear_down(&c);
}

/* What is promised of memory: a key that nobody reads costs no more than its place. */
static void keys_that_nobody_reads_cost_their_bytes_and_a_place(void **state)
{
    (void)state;
    enum { KEYS = 2000 };
    struct cells c;
    set_up(&c);
    size_t empty = shared_cells_bytes(c.s) - table_bytes(shared_cells_table(c.s));
    for (int i = 0; i < KEYS; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        add(&c, name, "click", 0);
    }
    size_t beside = shared_cells_bytes(c.s) - table_bytes(shared_cells_table(c.s)) - empty;
    assert_true(beside >= KEYS * sizeof(void *));
    assert_true(beside < KEYS * 10);
    assert_value(shared_cells_value(c.s, find(&c, "p7"), PC_1M, 0), 1);
    size_t read = shared_cells_bytes(c.s) - table_bytes(shared_cells_table(c.s)) - empty;
    assert_true(read > beside);
    remove_key(&c, "p7");
    assert_int_equal(shared_cells_bytes(c.s) - table_bytes(shared_cells_table(c.s)) - empty,
                     beside);
    tear_down(&c);
}

static void making_one_fails_cleanly_without_memory(void **state)
{
    (void)state;
    struct feature_set *set = definitions(SET);
    for (int n = 1;; n++) {
        struct shared_cells *s = NULL;
        struct err e = {0};
        fail_alloc_at(n);
        int rc = shared_cells_new(&s, set, &e);
        bool failed = fail_alloc_end();
        shared_cells_free(s);
        if (!failed)
            break;
        assert_int_equal(rc, ERR_NOMEM);
    }
    feature_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_follows_the_time_and_the_cell),
        cmocka_unit_test(a_global_prior_is_that_of_the_totals_here),
        cmocka_unit_test(an_empty_cell_removes_its_key),
        cmocka_unit_test(a_key_of_no_scope_is_corrupt),
        cmocka_unit_test(without_memory_nothing_changes_and_values_are_still_read),
        cmocka_unit_test(keys_that_nobody_reads_cost_their_bytes_and_a_place),
        cmocka_unit_test(making_one_fails_cleanly_without_memory),
    };
    return RUN(tests);
}
