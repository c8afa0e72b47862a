#include "features/shard.h"
#include "unit.h"

#include "support/fixture.h"

enum { PUBLISH_MS = 1000, CHECKPOINT_MS = 30000 };

static struct shard *make(void)
{
    struct shard *s = NULL;
    struct err e = {0};
    struct shard_opts opts = {SHARD_USERS, 3, PUBLISH_MS, CHECKPOINT_MS};
    assert_int_equal(shard_new(&s, &opts, &e), 0);
    return s;
}

static void put(struct shard *s, const char *key, int64_t offset, int64_t now_ms)
{
    struct err e = {0};
    uint32_t id = shard_key(s, str_of(key));
    assert_int_not_equal(id, TABLE_NONE);
    assert_int_equal(shard_put(s, id, str_of("value"), offset, true, now_ms, &e), 0);
}

/* Keys that are due now, in order. */
static void publishes(struct shard *s, int64_t now_ms, const char *expected)
{
    struct buf out = {0};
    for (uint32_t id; (id = shard_next_due(s, now_ms)) != TABLE_NONE;)
        buf_printf(&out, "%s%.*s", out.len ? " " : "", STR_ARG(shard_name(s, id)));
    assert_buf_is(&out, expected);
    buf_free(&out);
}

static void checkpoints(struct shard *s, int64_t now_ms, const char *expected)
{
    struct buf out = {0};
    int64_t offset = -1;
    for (uint32_t id; (id = shard_next_checkpoint(s, now_ms, &offset)) != TABLE_NONE;)
        buf_printf(&out, "%s%.*s@%lld", out.len ? " " : "", STR_ARG(shard_name(s, id)),
                   (long long)offset);
    assert_buf_is(&out, expected);
    buf_free(&out);
}

static void a_key_is_due_at_once_and_then_not_before_the_interval_has_passed(void **state)
{
    (void)state;
    struct shard *s = make();
    put(s, "a", 1, 100);
    publishes(s, 100, "a");
    publishes(s, 100, "");
    put(s, "a", 2, 101);
    put(s, "a", 3, 500); /* combined with the one before */
    publishes(s, 1099, "");
    publishes(s, 1100, "a");
    publishes(s, 9999, "");
    put(s, "a", 4, 10000); /* long after: at once */
    publishes(s, 10000, "a");
    put(s, "a", 5, 10001);
    put(s, "b", 6, 10001);
    publishes(s, 10001, "b"); /* another key does not wait for it */
    publishes(s, 11000, "a");
    shard_free(s);
}

static void a_key_that_was_not_touched_since_is_not_published_again(void **state)
{
    (void)state;
    struct shard *s = make();
    put(s, "a", 1, 0);
    publishes(s, 0, "a");
    publishes(s, 1000, "");
    publishes(s, 5000, "");
    shard_free(s);
}

static void a_change_that_is_nothing_to_publish_waits_for_its_checkpoint_only(void **state)
{
    (void)state;
    struct shard *s = make();
    struct err e = {0};
    uint32_t id = shard_key(s, str_of("a"));
    assert_int_not_equal(id, TABLE_NONE);
    assert_int_equal(shard_put(s, id, str_of("v"), 7, false, 0, &e), 0);
    assert_false(shard_is_due(s, id));
    publishes(s, 60000, "");
    checkpoints(s, 60000, "a@7");
    shard_free(s);
}

static void whether_a_key_is_due_is_told_for_its_checkpoint(void **state)
{
    (void)state;
    struct shard *s = make();
    put(s, "a", 1, 0);
    uint32_t id = shard_find(s, str_of("a"));
    assert_true(shard_is_due(s, id));
    publishes(s, 0, "a");
    assert_false(shard_is_due(s, id));
    put(s, "a", 2, 1);
    assert_true(shard_is_due(s, id));
    shard_free(s);
}

static void
a_checkpoint_is_due_an_interval_after_the_first_change_with_the_newest_offset(void **state)
{
    (void)state;
    struct shard *s = make();
    put(s, "a", 10, 0);
    put(s, "b", 11, 5000);
    put(s, "a", 12, 20000);
    checkpoints(s, 29999, "");
    checkpoints(s, 30000, "a@12");
    checkpoints(s, 34999, "");
    checkpoints(s, 35000, "b@11");
    checkpoints(s, 999999, "");
    put(s, "a", 13, 40000);
    checkpoints(s, 69999, "");
    checkpoints(s, 70000, "a@13");
    shard_free(s);
}

static void the_low_water_mark_is_the_first_change_without_a_checkpoint(void **state)
{
    (void)state;
    struct shard *s = make();
    assert_int_equal(shard_low_water(s, 50), 50);
    put(s, "a", 10, 0);
    put(s, "b", 11, 1);
    put(s, "a", 12, 2);
    assert_int_equal(shard_low_water(s, 13), 10);
    checkpoints(s, 30000, "a@12");
    assert_int_equal(shard_low_water(s, 13), 11);
    put(s, "a", 13, 30000);
    assert_int_equal(shard_low_water(s, 14), 11);
    checkpoints(s, 30001, "b@11");
    assert_int_equal(shard_low_water(s, 14), 13);
    checkpoints(s, 60000, "a@13");
    assert_int_equal(shard_low_water(s, 14), 14);
    shard_free(s);
}

static void a_clock_set_back_makes_nobody_wait_for_it_to_come_round_again(void **state)
{
    (void)state;
    struct shard *s = make();
    put(s, "a", 1, 1000000);
    publishes(s, 1000000, "a");
    put(s, "a", 2, 1000001);
    publishes(s, 500, "a"); /* set back by much */
    put(s, "a", 3, 501);
    publishes(s, 1499, "");
    publishes(s, 1500, "a");
    checkpoints(s, 500, "a@3");
    put(s, "b", 4, 2000);
    checkpoints(s, 1999, "b@4");
    shard_free(s);
}

static void a_record_that_is_in_the_state_is_known_by_its_offset(void **state)
{
    (void)state;
    struct shard *s = make();
    uint32_t id = shard_key(s, str_of("a"));
    assert_int_not_equal(id, TABLE_NONE);
    assert_false(shard_includes(s, id, 0)); /* a key never seen has nothing, offset 0 neither */
    put(s, "a", 0, 0);
    assert_true(shard_includes(s, id, 0));
    assert_false(shard_includes(s, id, 1));
    put(s, "a", 9, 0);
    assert_true(shard_includes(s, id, 9));
    assert_true(shard_includes(s, id, 3));
    assert_false(shard_includes(s, id, 10));
    shard_free(s);
}

static void a_restored_key_is_due_if_it_was_and_needs_no_checkpoint(void **state)
{
    (void)state;
    struct shard *s = make();
    struct err e = {0};
    assert_int_equal(shard_restore(s, str_of("a"), str_of("x"), 5, true, 100, &e), 0);
    assert_int_equal(shard_restore(s, str_of("b"), str_of("y"), 6, false, 100, &e), 0);
    assert_int_equal(shard_keys(s), 2);
    assert_true(shard_includes(s, shard_find(s, str_of("a")), 5));
    assert_false(shard_includes(s, shard_find(s, str_of("a")), 6));
    assert_true(str_is(shard_value(s, shard_find(s, str_of("b"))), "y"));
    assert_int_equal(shard_low_water(s, 7), 7);
    checkpoints(s, 999999, "");
    publishes(s, 100, "a");
    publishes(s, 9999, "");
    /* A newer checkpoint of the same key. */
    assert_int_equal(shard_restore(s, str_of("b"), str_of("z"), 9, true, 10000, &e), 0);
    assert_true(str_is(shard_value(s, shard_find(s, str_of("b"))), "z"));
    publishes(s, 10000, "b");
    put(s, "a", 10, 10000);
    assert_int_equal(shard_low_water(s, 11), 10);
    shard_free(s);
}

static void checkpoints_with_fewer_keys_than_their_mark_counts_are_not_whole(void **state)
{
    (void)state;
    struct shard *s = make();
    struct err e = {0};
    assert_true(shard_is_whole(s)); /* no mark, or one of before keys were counted */
    shard_promise(s, 3);
    assert_int_equal(shard_restore(s, str_of("a"), str_of("x"), 5, false, 100, &e), 0);
    assert_int_equal(shard_restore(s, str_of("a"), str_of("y"), 6, false, 100, &e), 0);
    assert_int_equal(shard_restore(s, str_of("b"), str_of("x"), 7, false, 100, &e), 0);
    assert_false(shard_is_whole(s));
    shard_pass_over(s); /* of a scope that the definitions have not any more */
    assert_true(shard_is_whole(s));
    shard_promise(s, 4);
    assert_false(shard_is_whole(s));
    shard_promise(s, -1);
    assert_true(shard_is_whole(s));
    shard_free(s);
}

static void a_key_counts_as_written_once_from_its_first_checkpoint_on(void **state)
{
    (void)state;
    struct shard *s = make();
    struct err e = {0};
    put(s, "a", 1, 0);
    put(s, "b", 2, 0);
    assert_int_equal(shard_written(s), 0);
    checkpoints(s, 999999, "a@1 b@2");
    assert_int_equal(shard_written(s), 2);
    put(s, "a", 3, 1000000);
    put(s, "c", 4, 1000000);
    assert_int_equal(shard_restore(s, str_of("d"), str_of("x"), 5, false, 1000000, &e), 0);
    assert_int_equal(shard_written(s), 3);
    checkpoints(s, 9999999, "a@3 c@4");
    assert_int_equal(shard_written(s), 4);
    shard_free(s);
}

/* What was restored as due and is not any more by a later checkpoint of it. */
static void the_last_checkpoint_of_a_key_says_whether_it_is_due(void **state)
{
    (void)state;
    struct shard *s = make();
    struct err e = {0};
    assert_int_equal(shard_restore(s, str_of("a"), str_of("x"), 5, true, 100, &e), 0);
    assert_int_equal(shard_restore(s, str_of("a"), str_of("y"), 6, false, 100, &e), 0);
    assert_true(str_is(shard_value(s, shard_find(s, str_of("a"))), "y"));
    /* Once too often is harmless, so either is right; but it comes once at most. */
    assert_true(shard_next_due(s, 100) == TABLE_NONE || shard_next_due(s, 100) == TABLE_NONE);
    shard_free(s);
}

/* Against plain lists: many keys, a clock that goes on by random steps. */
static void every_key_is_published_and_checkpointed_as_promised(void **state)
{
    (void)state;
    enum { KEYS = 300 };
    static struct {
        int64_t touched_ms, published_ms, dirty_ms, dirty_offset;
    } keys[KEYS];
    struct random random = {61};
    struct shard *s = make();
    int64_t now_ms = 0, checkpoint_offset = 0;
    for (size_t i = 0; i < KEYS; i++)
        keys[i].touched_ms = keys[i].published_ms = keys[i].dirty_ms = -1;
    for (int64_t offset = 0; offset < 20000; offset++) {
        char name[16];
        int64_t k = random_below(&random, 1 + random_below(&random, KEYS));
        now_ms += random_below(&random, 20);
        snprintf(name, sizeof name, "%d", (int)k);
        put(s, name, offset, now_ms);
        keys[k].touched_ms = keys[k].touched_ms < 0 ? now_ms : keys[k].touched_ms;
        if (keys[k].dirty_ms < 0) {
            keys[k].dirty_ms = now_ms;
            keys[k].dirty_offset = offset;
        }
        if (random_below(&random, 5))
            continue;
        for (uint32_t id; (id = shard_next_due(s, now_ms)) != TABLE_NONE;) {
            int at = atoi(shard_name(s, id).data);
            assert_true(keys[at].touched_ms >= 0);
            assert_true(keys[at].published_ms < 0 || now_ms - keys[at].published_ms >= PUBLISH_MS);
            keys[at].published_ms = now_ms;
            keys[at].touched_ms = -1;
        }
        for (uint32_t id;
             (id = shard_next_checkpoint(s, now_ms, &checkpoint_offset)) != TABLE_NONE;) {
            int at = atoi(shard_name(s, id).data);
            assert_true(now_ms - keys[at].dirty_ms >= CHECKPOINT_MS);
            keys[at].dirty_ms = -1;
        }
        int64_t low = offset + 1;
        for (size_t i = 0; i < KEYS; i++) {
            assert_true(keys[i].touched_ms < 0 || now_ms - keys[i].published_ms < PUBLISH_MS);
            assert_true(keys[i].dirty_ms < 0 || now_ms - keys[i].dirty_ms < CHECKPOINT_MS);
            if (keys[i].dirty_ms >= 0 && keys[i].dirty_offset < low)
                low = keys[i].dirty_offset;
        }
        assert_int_equal(shard_low_water(s, offset + 1), low);
    }
    assert_true(shard_memory_bytes(s) > 300 * 30);
    shard_free(s);
}

static void without_memory_a_change_can_be_tried_again(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct shard *s = make();
        struct err e = {0};
        int failures = 0;
        fail_alloc_at(n);
        for (int64_t i = 0; i < 70; i++) { /* queues begin with room for 64 */
            char name[16];
            snprintf(name, sizeof name, "%d", (int)i);
            uint32_t id = shard_key(s, str_of(name));
            int rc =
                id == TABLE_NONE ? ERR_NOMEM : shard_put(s, id, str_of("value"), i, true, 0, &e);
            if (rc) {
                assert_int_equal(rc, ERR_NOMEM);
                failures++;
                i--;
            }
        }
        int published = 0, written = 0;
        int64_t offset;
        for (int tries = 0; tries < 3; tries++)
            while (shard_next_due(s, 0) != TABLE_NONE)
                published++;
        bool failed = fail_alloc_end();
        while (shard_next_checkpoint(s, CHECKPOINT_MS, &offset) != TABLE_NONE)
            written++;
        if (published != 70 || written != 70)
            fail_msg("allocation %d: %d of 70 keys published, %d checkpointed", n, published,
                     written);
        shard_free(s);
        if (!failed)
            break;
        assert_true(failures <= 1);
    }
}

static void without_memory_no_shard_is_made(void **state)
{
    (void)state;
    for (int n = 1; n <= 2; n++) {
        struct shard *s = NULL;
        struct shard_opts opts = {SHARD_SHARED, 0, 1, 1};
        struct err e = {0};
        fail_alloc_at(n);
        int rc = shard_new(&s, &opts, &e);
        assert_true(fail_alloc_end());
        assert_int_equal(rc, ERR_NOMEM);
        assert_null(s);
    }
    shard_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_due_at_once_and_then_not_before_the_interval_has_passed),
        cmocka_unit_test(a_key_that_was_not_touched_since_is_not_published_again),
        cmocka_unit_test(a_change_that_is_nothing_to_publish_waits_for_its_checkpoint_only),
        cmocka_unit_test(whether_a_key_is_due_is_told_for_its_checkpoint),
        cmocka_unit_test(
            a_checkpoint_is_due_an_interval_after_the_first_change_with_the_newest_offset),
        cmocka_unit_test(the_low_water_mark_is_the_first_change_without_a_checkpoint),
        cmocka_unit_test(a_clock_set_back_makes_nobody_wait_for_it_to_come_round_again),
        cmocka_unit_test(a_record_that_is_in_the_state_is_known_by_its_offset),
        cmocka_unit_test(a_restored_key_is_due_if_it_was_and_needs_no_checkpoint),
        cmocka_unit_test(the_last_checkpoint_of_a_key_says_whether_it_is_due),
        cmocka_unit_test(checkpoints_with_fewer_keys_than_their_mark_counts_are_not_whole),
        cmocka_unit_test(a_key_counts_as_written_once_from_its_first_checkpoint_on),
        cmocka_unit_test(every_key_is_published_and_checkpointed_as_promised),
        cmocka_unit_test(without_memory_a_change_can_be_tried_again),
        cmocka_unit_test(without_memory_no_shard_is_made),
    };
    return RUN(tests);
}
