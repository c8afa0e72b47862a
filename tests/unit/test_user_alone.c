/* The scope that is the user alone, which is not opened, held against opening it. */
#include "feature/apply.h"
#include "feature/user_record.h"
#include "unit.h"

#include "support/fixture.h"

/* ------------------------------------------------------------ the section */

/* Appends the section with the user's one key touched and its cell another. */
static void put_by_opening(struct buf *out, struct str section, struct str cell)
{
    struct user_keys keys = {0};
    struct err e = {0};
    assert_int_equal(user_keys_open(&keys, section, &e), 0);
    uint32_t i = user_keys_touch(&keys, str_of(""), 256);
    assert_int_equal(i, 0);
    keys.keys[i].cell = cell;
    keys.keys[i].flags |= KEY_IS_DUE;
    user_keys_close(&keys, out);
    assert_true(buf_ok(out));
    user_keys_free(&keys);
}

static int publish_key(void *arg, const struct user_key_view *k, struct err *e)
{
    (void)arg;
    (void)e;
    *(uint8_t *)(uintptr_t)k->flags &= (uint8_t)~KEY_IS_DUE;
    return 0;
}

static void a_section_is_read_and_written_as_by_opening_it(void **state)
{
    (void)state;
    char bytes[300];
    struct buf section = {0};
    struct str cell;
    memset(bytes, 'c', sizeof bytes);
    assert_true(user_section_alone(str_of(""), &cell));
    assert_int_equal(cell.len, 0);
    for (size_t n = 0; n < sizeof bytes; n++) {
        struct buf opened = {0}, expected = {0}, got = {0};
        struct err e = {0};
        put_by_opening(&opened, buf_str(&section), str_bytes(bytes, n));
        buf_put_sized(&expected, buf_str(&opened));
        user_section_put_alone(&got, str_bytes(bytes, n));
        assert_bytes(&got, expected.data, expected.len);
        buf_free(&section);
        section = opened;
        for (int published = 0; published < 2; published++) {
            assert_true(user_section_alone(buf_str(&section), &cell));
            assert_true(str_equal(cell, str_bytes(bytes, n)));
            assert_int_equal(user_section_each(buf_str(&section), publish_key, NULL, &e), 0);
        }
        buf_free(&expected);
        buf_free(&got);
    }
    buf_free(&section);
}

static void a_section_of_other_keys_or_of_one_that_is_not_held_has_to_be_opened(void **state)
{
    (void)state;
    /* Each key: its length times 4 and its flags, the key, a cell of one byte. */
    static const struct {
        uint8_t bytes[8];
        size_t len;
    } cases[] = {
        {{1, 1 << 2, 'k', 1, 10}, 5},
        {{2, 0, 1, 10, 1 << 2, 'k', 1, 10}, 8},
        {{2, 0, 1, 10, 0, 1, 10}, 7},
        {{1, KEY_IS_GONE | KEY_IS_DUE, 1, 10}, 4},
        {{1, KEY_IS_GONE, 1, 10}, 4},
        {{1, 0, 1, 10, 0}, 5}, /* a byte too many */
        {{0, 0}, 2},
        {{1}, 1},
        {{1, 0, 2, 10}, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *exact = malloc(cases[i].len);
        struct str cell;
        assert_non_null(exact);
        memcpy(exact, cases[i].bytes, cases[i].len);
        if (user_section_alone(str_bytes(exact, cases[i].len), &cell))
            fail_msg("case %zu is no section of one key that is held", i);
        free(exact);
    }
}

/* What opening makes of a section that is said to have one key, or none. */
static void assert_alone_as_opened(struct str section, struct str cell)
{
    struct user_keys keys = {0};
    struct err e = {0};
    assert_int_equal(user_keys_open(&keys, section, &e), 0);
    assert_true(keys.held <= 1);
    assert_int_equal(keys.count, keys.held);
    assert_int_equal(keys.gone_count, 0);
    assert_int_equal(keys.held ? keys.keys[0].key.len : 0, 0);
    assert_true(str_equal(keys.held ? keys.keys[0].cell : str_of(""), cell));
    user_keys_free(&keys);
}

static void a_damaged_section_has_to_be_opened_or_reads_the_same(void **state)
{
    (void)state;
    struct random random = {21};
    struct str cell;
    size_t alone = 0, others = 0;
    for (int round = 0; round < 100000; round++) {
        struct buf good = {0};
        char text[150];
        memset(text, 'c', sizeof text);
        put_by_opening(&good, str_of(""), str_bytes(text, (size_t)random_below(&random, 150)));
        size_t len =
            random_below(&random, 2) ? good.len : (size_t)random_below(&random, (int64_t)good.len);
        uint8_t *bad = malloc(len + !len);
        assert_non_null(bad);
        memcpy(bad, good.data, len);
        for (int64_t i = random_below(&random, 3); i > 0 && len; i--)
            bad[random_below(&random, (int64_t)(len < 5 ? len : 5))] =
                (uint8_t)random_below(&random, random_below(&random, 2) ? 8 : 256);
        bool is_alone = user_section_alone(str_bytes(bad, len), &cell);
        if (is_alone)
            assert_alone_as_opened(str_bytes(bad, len), cell);
        alone += is_alone;
        others += !is_alone;
        buf_free(&good);
        free(bad);
    }
    assert_true(alone > 10000 && others > 10000);
}

/* ------------------------------------------------------------ events */

static const char *const SET =
    "features:\n"
    "  - {name: clicks, scope: user, count: {event: click, windows: [5m, 1h]}}\n"
    "  - {name: ctr, scope: user, rate: {of: click, per: view, windows: [1h], weight: 1, prior: "
    "global}}\n"
    "  - {name: variety, scope: user, distinct: {event: view, of: proposition, window: 5m}}\n"
    "  - {name: spend, scope: user, sum: {event: buy, windows: [5m]}}\n"
    "  - {name: taste, scope: user, overlap: {event: click, attribute: tags, last: 5, within: "
    "10m}}\n";

struct fixture {
    struct feature_set *set;
    struct entities *users, *propositions;
    struct apply *apply;
    struct deltas *deltas;
};

static void start(struct fixture *x)
{
    struct err e = {0};
    *x = (struct fixture){.set = definitions(SET)};
    assert_int_equal(entities_new(&x->users, x->set, SIDE_USER, &e), 0);
    assert_int_equal(entities_new(&x->propositions, x->set, SIDE_PROPOSITION, &e), 0);
    assert_int_equal(apply_new(&x->apply, x->set, x->users, x->propositions, 256, true, &e), 0);
    assert_int_equal(deltas_new(&x->deltas, x->set, &e), 0);
}

static void stop(struct fixture *x)
{
    apply_free(x->apply);
    entities_free(x->users);
    entities_free(x->propositions);
    deltas_free(x->deltas);
    feature_set_free(x->set);
}

/* The record after an event by opening the scope's section; nothing is known of anybody. */
static void apply_by_opening(struct buf *after, const struct fixture *x, const struct event *event,
                             struct str before)
{
    const struct scope *scope = &x->set->scopes[0];
    struct situation all[3] = {{.user_id = event->user_id}};
    struct contribution c = {.event = feature_set_event(x->set, event->event),
                             .time = event->timestamp,
                             .value = event->value,
                             .situations = all,
                             .count = event->propositions.count ? event->propositions.count : 1};
    struct buf single = {0}, merged = {0}, section = {0};
    struct arena arena = {0};
    struct user_keys keys = {0};
    struct user_record r;
    struct err e = {0};
    for (size_t i = 0; i < event->propositions.count; i++)
        all[i] = (struct situation){.user_id = event->user_id,
                                    .proposition_id = event->propositions.items[i]};
    assert_int_equal(user_record_open(&r, before, &e), 0);
    struct cursor cursor = cursor_of(r.scopes, r.scopes_bytes);
    struct str old = r.scopes ? cursor_sized(&cursor) : str_of("");
    assert_int_equal(user_keys_open(&keys, old, &e), 0);
    assert_true(cell_of(&single, scope, &c, &arena));
    cell_merge(&merged, scope, keys.count ? keys.keys[0].cell : str_of(""), buf_str(&single));
    put_by_opening(&section, old, buf_str(&merged));
    user_record_put_ids(after, &r, event->event_id);
    buf_put_sized(after, buf_str(&section));
    user_keys_free(&keys);
    buf_free(&single);
    buf_free(&merged);
    buf_free(&section);
    arena_free(&arena);
}

static int publish_scope(void *arg, size_t scope, struct str section, struct err *e)
{
    (void)scope;
    return user_section_each(section, publish_key, arg, e);
}

static void events_make_the_record_that_opening_its_section_makes(void **state)
{
    (void)state;
    struct fixture x;
    struct random random = {22};
    static const char *const names[] = {"click", "view", "buy"};
    start(&x);
    for (int round = 0; round < 20; round++) {
        struct buf record = {0};
        size_t rates = 0;
        deltas_clear(x.deltas);
        for (int i = 0; i < 150; i++) {
            struct str shown[3] = {str_of("p"), str_of("q"), str_of("p")};
            struct buf after = {0}, expected = {0};
            struct err e = {0};
            enum applied outcome;
            char id[16];
            snprintf(id, sizeof id, "e%d", i);
            int64_t name = random_below(&random, 3);
            struct event event = {.event_id = str_of(id),
                                  .event = str_of(names[name]),
                                  .user_id = str_of("u"),
                                  .timestamp = random_below(&random, 900000) - 300000,
                                  .propositions = {shown, (size_t)random_below(&random, 4)},
                                  .value = {random_below(&random, 2), random_unit(&random)}};
            apply_by_opening(&expected, &x, &event, buf_str(&record));
            assert_int_equal(apply_event(x.apply, &event, event.timestamp, buf_str(&record), &after,
                                         x.deltas, &outcome, &e),
                             0);
            assert_int_equal(outcome, APPLY_DONE);
            assert_bytes(&after, expected.data, expected.len);
            /* The total over all users sees each click and view once, however many are shown. */
            rates += name < 2;
            assert_int_equal(deltas_contributions(x.deltas), rates);
            buf_free(&record);
            buf_free(&expected);
            record = after;
            if (random_below(&random, 4) == 0)
                assert_int_equal(user_record_each(x.set, buf_str(&record), publish_scope, NULL, &e),
                                 0);
        }
        buf_free(&record);
    }
    stop(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_is_read_and_written_as_by_opening_it),
        cmocka_unit_test(a_section_of_other_keys_or_of_one_that_is_not_held_has_to_be_opened),
        cmocka_unit_test(a_damaged_section_has_to_be_opened_or_reads_the_same),
        cmocka_unit_test(events_make_the_record_that_opening_its_section_makes),
    };
    return RUN(tests);
}
