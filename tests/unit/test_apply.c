#include "feature/apply.h"
#include "feature/ring.h"
#include "unit.h"

#include "support/fixture.h"

static const char *const SET =
    "features:\n"
    "  - {name: clicks, scope: user, count: {event: click, windows: [1h]}}\n"
    "  - {name: own, scope: user*proposition, sum: {event: click, windows: [1h]}}\n"
    "  - {name: tags, scope: proposition.tags, count: {event: click, windows: [1h]}}\n"
    "  - {name: ctr, scope: user*proposition.tags*proposition.more, rate: {of: click, per: view, "
    "windows: [1h], weight: 1, prior: global}}\n"
    "  - {name: seen, scope: global, distinct: {event: click, of: context.device, window: 1h}}\n"
    "  - {name: many, scope: proposition.tags*proposition.more, recency: {event: click}}\n";

struct fixture {
    struct feature_set *set;
    struct entities *users, *propositions;
    struct apply *apply;
    struct deltas *deltas;
    struct buf record;
};

static void start_with(struct fixture *x, const char *definition_text)
{
    struct err e = {0};
    *x = (struct fixture){.set = definitions(definition_text)};
    assert_int_equal(deltas_new(&x->deltas, x->set, &e), 0);
    assert_int_equal(entities_new(&x->users, x->set, SIDE_USER, &e), 0);
    assert_int_equal(entities_new(&x->propositions, x->set, SIDE_PROPOSITION, &e), 0);
    assert_int_equal(apply_new(&x->apply, x->set, x->users, x->propositions, 256, false, &e), 0);
}

static void start(struct fixture *x)
{
    start_with(x, SET);
}

static void stop(struct fixture *x)
{
    apply_free(x->apply);
    entities_free(x->users);
    entities_free(x->propositions);
    deltas_free(x->deltas);
    buf_free(&x->record);
    feature_set_free(x->set);
}

static int apply_one(struct fixture *x, const struct event *event, enum applied *outcome,
                     struct err *e)
{
    struct buf after = {0};
    int rc = apply_event(x->apply, event, event->timestamp, buf_str(&x->record), &after, x->deltas,
                         outcome, e);
    if (rc || *outcome == APPLY_REPEATED) {
        buf_free(&after);
        return rc;
    }
    buf_free(&x->record);
    x->record = after;
    return 0;
}

static int append(void *arg, struct str key, struct str cell, struct err *e)
{
    (void)e;
    buf_put_sized(arg, key);
    buf_put_sized(arg, cell);
    return 0;
}

/* Appends all that was told so far, key by key; it stays. */
static void tell(struct fixture *x, struct buf *out)
{
    struct err e = {0};
    assert_int_equal(deltas_each(x->deltas, append, out, &e), 0);
    assert_true(buf_ok(out));
}

static void assert_nothing_told(struct fixture *x)
{
    struct buf told = {0};
    tell(x, &told);
    assert_int_equal(told.len, 0);
    assert_int_equal(deltas_count(x->deltas), 0);
    assert_int_equal(deltas_contributions(x->deltas), 0);
}

/* A proposition with so many tags, and as many of another list. */
static void put_lists(struct fixture *x, const char *id, size_t tags, size_t more)
{
    size_t count = tags > more ? tags : more;
    struct str *items = malloc(count * sizeof *items);
    char(*texts)[12] = malloc(count * sizeof *texts);
    for (size_t i = 0; i < count; i++) {
        snprintf(texts[i], sizeof texts[i], "%zu", i);
        items[i] = str_of(texts[i]);
    }
    struct attribute lists[] = {list_attribute("tags", items, tags),
                                list_attribute("more", items, more)};
    struct entity record = {.id = str_of(id), .timestamp = 1, .attributes = {lists, 2}};
    struct err e = {0};
    assert_int_equal(entities_put(x->propositions, &record, &e), 0);
    free(items);
    free(texts);
}

static void a_repeat_changes_nothing(void **state)
{
    (void)state;
    struct fixture x;
    struct str place;
    enum applied outcome;
    struct err e = {0};
    start(&x);
    struct event click = event_of(&place, "id", "click", "u", 1000, "p");
    assert_int_equal(apply_one(&x, &click, &outcome, &e), 0);
    assert_int_equal(outcome, APPLY_DONE);
    size_t deltas = deltas_count(x.deltas);
    struct buf before = {0};
    buf_put_str(&before, buf_str(&x.record));
    deltas_clear(x.deltas);
    click.timestamp = 2000;
    assert_int_equal(apply_one(&x, &click, &outcome, &e), 0);
    assert_int_equal(outcome, APPLY_REPEATED);
    assert_nothing_told(&x);
    assert_true(deltas > 0);
    assert_bytes(&x.record, before.data, before.len);
    buf_free(&before);
    stop(&x);
}

static void an_event_of_no_feature_leaves_its_id_alone(void **state)
{
    (void)state;
    struct fixture x;
    struct str place;
    enum applied outcome;
    struct err e = {0};
    start(&x);
    struct event other = event_of(&place, "id", "scroll", "u", 1000, "p");
    assert_int_equal(apply_one(&x, &other, &outcome, &e), 0);
    assert_int_equal(outcome, APPLY_DONE);
    assert_nothing_told(&x);
    assert_int_equal(x.record.len,
                     1 + 6 + 3); /* one id, three scopes of the user without anything */
    other.event = str_of("click");
    assert_int_equal(apply_one(&x, &other, &outcome, &e), 0);
    assert_int_equal(outcome, APPLY_REPEATED);
    stop(&x);
}

static void more_keys_than_a_million_are_refused_and_nothing_changes(void **state)
{
    (void)state;
    struct fixture x;
    struct str place;
    enum applied outcome;
    struct err e = {0};
    start(&x);
    put_lists(&x, "small", 2, 3);
    put_lists(&x, "huge", 1001, 1000);
    struct event click = event_of(&place, "a", "click", "u", 1000, "small");
    assert_int_equal(apply_one(&x, &click, &outcome, &e), 0);
    /* tags 2, tags x more 6, global 1, total 1; the user's own are in the record. */
    assert_int_equal(deltas_count(x.deltas), 10);
    /* tags 2, tags x more 6, and the total once for each of the user's 6 keys; global is merged. */
    assert_int_equal(deltas_contributions(x.deltas), 14);
    struct buf before = {0}, told = {0}, told_after = {0};
    tell(&x, &told);
    buf_put_str(&before, buf_str(&x.record));
    struct event large = event_of(&place, "b", "click", "u", 1000, "huge");
    assert_int_equal(apply_one(&x, &large, &outcome, &e), ERR_TOO_LARGE);
    assert_contains(e.msg, "more than 1000000 keys");
    tell(&x, &told_after);
    assert_bytes(&told_after, told.data, told.len);
    assert_bytes(&x.record, before.data, before.len);
    /* Its id is not taken. */
    large.propositions.items[0] = str_of("small");
    assert_int_equal(apply_one(&x, &large, &outcome, &e), 0);
    assert_int_equal(outcome, APPLY_DONE);
    buf_free(&before);
    buf_free(&told);
    buf_free(&told_after);
    stop(&x);
}

/* What the total's cell holds. */
struct total {
    const struct feature_set *set;
    struct ring ring;
};

static int read_total(void *arg, struct str shared, struct str cell, struct err *e)
{
    struct total *t = arg;
    size_t scope;
    struct str key;
    (void)e;
    assert_true(shared_key_parse(t->set, shared, &scope, &key));
    if (!t->set->scopes[scope].is_total)
        return 0;
    struct part p = cell_part(cell, 0);
    struct cursor c = cursor_of(p.body.data, p.body.len);
    ring_decode(&t->ring, &c, FEATURE_RATE);
    return 0;
}

static void a_total_sees_a_contribution_once_for_each_key_that_it_went_to(void **state)
{
    (void)state;
    struct fixture x;
    struct str shown[4] = {str_of("small"), str_of("large"), str_of("small"), str_of("unknown")};
    enum applied outcome;
    struct err e = {0};
    start_with(&x, "features:\n  - {name: r, scope: proposition.tags*proposition.more, rate: {of: "
                   "click, per: view, windows: [1h], weight: 1, prior: global}}\n");
    put_lists(&x, "small", 2, 1);
    put_lists(&x, "large", 10, 3);
    static const char *const names[] = {"click", "view", "view"};
    for (size_t i = 0; i < 3; i++) {
        struct event event = {.event_id = str_of(i == 2 ? "c"
                                                 : i    ? "b"
                                                        : "a"),
                              .event = str_of(names[i]),
                              .user_id = str_of("u"),
                              .timestamp = 5,
                              .propositions = list_of(shown, 4 - i)};
        assert_int_equal(apply_one(&x, &event, &outcome, &e), 0);
    }
    struct total total = {.set = x.set};
    assert_int_equal(deltas_each(x.deltas, read_total, &total, &e), 0);
    assert_int_equal(total.ring.count, 1);
    assert_int_equal(total.ring.buckets[0].n, 34);        /* 2 + 30 + 2 + 0 */
    assert_int_equal(total.ring.buckets[0].per, 34 + 32); /* and without the last two, 2 + 30 */
    assert_int_equal(deltas_contributions(x.deltas), 2 * (34 + 34 + 32));
    stop(&x);
}

static int check(const struct event *event, int64_t kafka_ms, int64_t *time_ms, const char **reason,
                 struct err *e)
{
    *e = (struct err){0};
    return apply_check(event, kafka_ms, 300000, time_ms, reason, e);
}

static void the_time_of_an_event_is_the_earlier_of_its_two(void **state)
{
    (void)state;
    struct str place;
    struct event event = event_of(&place, "id", "click", "u", 10000, "p");
    int64_t time_ms;
    const char *reason;
    struct err e;
    assert_int_equal(check(&event, 6000, &time_ms, &reason, &e), 0);
    assert_int_equal(time_ms, 6000);
    assert_int_equal(check(&event, 20000, &time_ms, &reason, &e), 0);
    assert_int_equal(time_ms, 10000);
    assert_int_equal(check(&event, APPLY_NO_TIME, &time_ms, &reason, &e), 0);
    assert_int_equal(time_ms, 10000);
    event.timestamp = 306000; /* 5 minutes ahead exactly */
    assert_int_equal(check(&event, 6000, &time_ms, &reason, &e), 0);
    assert_int_equal(time_ms, 6000);
    event.timestamp = 306001;
    assert_int_equal(check(&event, 6000, &time_ms, &reason, &e), ERR_SCHEMA);
    assert_string_equal(reason, "future_timestamp");
    assert_contains(e.msg, "300001 ms ahead");
}

static void events_that_make_no_sense_are_refused_with_reason(void **state)
{
    (void)state;
    struct str place;
    int64_t time_ms;
    const char *reason;
    struct err e;
    struct event event = event_of(&place, "id", "click", "", 10000, "p");
    assert_int_equal(check(&event, 10000, &time_ms, &reason, &e), ERR_SCHEMA);
    assert_string_equal(reason, "invalid_value");
    assert_contains(e.msg, "user_id is empty");
    event.user_id = str_of("u");
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        event.value = (struct optional_double){true, bad[i]};
        assert_int_equal(check(&event, 10000, &time_ms, &reason, &e), ERR_SCHEMA);
        assert_string_equal(reason, "invalid_value");
        assert_contains(e.msg, "value is not a finite number");
    }
    event.value = (struct optional_double){false, NAN};
    assert_int_equal(check(&event, 10000, &time_ms, &reason, &e), 0);
    static const int64_t no_times[] = {INT64_MAX, INT64_MIN, ((int64_t)1 << 53) + 1,
                                       -((int64_t)1 << 53) - 1};
    for (size_t i = 0; i < 4; i++) {
        event.timestamp = no_times[i];
        assert_int_equal(check(&event, no_times[i], &time_ms, &reason, &e), ERR_SCHEMA);
        assert_string_equal(reason, "invalid_value");
        assert_contains(e.msg, "is no time");
    }
}

/* A producer writes what it likes into a record's timestamp. */
static void a_kafka_timestamp_at_the_end_of_time_is_just_late(void **state)
{
    (void)state;
    struct str place;
    struct event event = event_of(&place, "id", "click", "u", 10000, "p");
    int64_t time_ms;
    const char *reason;
    struct err e;
    assert_int_equal(check(&event, INT64_MAX, &time_ms, &reason, &e), 0);
    assert_int_equal(time_ms, 10000);
    assert_int_equal(check(&event, INT64_MIN + 1, &time_ms, &reason, &e), ERR_SCHEMA);
    assert_string_equal(reason, "future_timestamp");
}

/* What failed is either said, or is as if it had not failed: no contribution may be lost in
 * silence. */
static void without_memory_it_fails_or_does_all(void **state)
{
    (void)state;
    struct buf expected = {0}, expected_deltas = {0};
    for (int n = 0;; n++) {
        struct fixture x;
        struct str list[3] = {str_of("small"), str_of("other"), str_of("small")};
        struct text_entry device = {str_of("device"), str_of("tv")};
        struct buf after = {0}, told = {0};
        enum applied outcome;
        struct err e = {0};
        start(&x);
        put_lists(&x, "small", 2, 3);
        put_lists(&x, "other", 30, 2);
        struct event click = {.event_id = str_of("id"),
                              .event = str_of("click"),
                              .user_id = str_of("u"),
                              .timestamp = 5,
                              .propositions = list_of(list, 3),
                              .context = {&device, 1},
                              .value = {true, 2}};
        if (n)
            fail_alloc_at(n);
        int rc = apply_event(x.apply, &click, 5, str_of(""), &after, x.deltas, &outcome, &e);
        bool failed = fail_alloc_end();
        if (n == 0) {
            assert_int_equal(rc, 0);
            buf_put_str(&expected, buf_str(&after));
            tell(&x, &expected_deltas);
        } else if (rc == 0) {
            assert_bytes(&after, expected.data, expected.len);
            tell(&x, &told);
            if (!str_equal(buf_str(&told), buf_str(&expected_deltas)))
                fail_msg("allocation %d failed in silence: the deltas are others", n);
        } else {
            assert_int_equal(rc, ERR_NOMEM);
        }
        buf_free(&after);
        buf_free(&told);
        stop(&x);
        if (n && !failed)
            break;
    }
    buf_free(&expected);
    buf_free(&expected_deltas);
}

/* The device is a value of its own, held in memory that may be short. */
static void without_memory_no_value_of_a_distinct_is_lost(void **state)
{
    (void)state;
    struct feature_set *set =
        definition("scope: global, distinct: {event: a, of: context.d, window: 1h}");
    struct text_entry d = {str_of("d"), str_of("tv")};
    struct text_map context = {&d, 1};
    struct situation s = {.user_id = str_of("u"), .context = &context};
    struct contribution c = {0, 5, {false, 0}, &s, 1};
    /* Wherever a block of the arena, of 64 KiB, ends. */
    for (size_t filled = 65536 - 160; filled <= 65536; filled += 16)
        for (int n = 1; n < 5; n++) {
            struct arena arena = {0};
            struct buf body = {0};
            assert_non_null(arena_alloc(&arena, filled));
            fail_alloc_at(n);
            bool seen = aggregate_of(&body, &set->features[0], &c, &arena);
            bool failed = fail_alloc_end();
            if (buf_ok(&body) && !(seen && body.len == 6)) /* age, hash */
                fail_msg("allocation %d failed in silence: the body has %zu bytes", n, body.len);
            assert_true(buf_ok(&body) || failed);
            buf_free(&body);
            arena_free(&arena);
        }
    feature_set_free(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_repeat_changes_nothing),
        cmocka_unit_test(an_event_of_no_feature_leaves_its_id_alone),
        cmocka_unit_test(more_keys_than_a_million_are_refused_and_nothing_changes),
        cmocka_unit_test(a_total_sees_a_contribution_once_for_each_key_that_it_went_to),
        cmocka_unit_test(the_time_of_an_event_is_the_earlier_of_its_two),
        cmocka_unit_test(events_that_make_no_sense_are_refused_with_reason),
        cmocka_unit_test(without_memory_it_fails_or_does_all),
        cmocka_unit_test(without_memory_no_value_of_a_distinct_is_lost),
        cmocka_unit_test(a_kafka_timestamp_at_the_end_of_time_is_just_late),
    };
    return RUN(tests);
}
