/* From when attributes count. In the texts, U:u@5 is a user's record of timestamp 5 that counts
 * from the beginning, U7:u@7 one that counts from 7, -U9:u a tombstone of 9. */
#include "unit.h"

#include "support/journals.h"

/* The journal of these records, which arrive in this order. */
static void assert_times(const struct entry *entries, size_t count, const char *text)
{
    char dir[TEMPORARY_BYTES];
    temporary_journal(dir);
    struct journal *j = open_journal(dir, 0);
    for (size_t i = 0; i < count; i++) {
        struct entry n = entries[i];
        n.arrival.number = (int64_t)i;
        add(j, &n);
    }
    seal(j);
    assert_journal(j, text);
    journal_free(j);
    remove_temporary(dir);
}

#define ASSERT_TIMES(text, ...)                                                                    \
    assert_times((const struct entry[]){__VA_ARGS__},                                              \
                 sizeof((const struct entry[]){__VA_ARGS__}) / sizeof(struct entry), text)

static void the_oldest_record_counts_from_the_beginning_others_from_their_timestamps(void **state)
{
    (void)state;
    ASSERT_TIMES("U:u@5 U7:u@7 U9:u@9", user_entry("u", 7, 0), user_entry("u", 5, 0),
                 user_entry("u", 9, 0));
    ASSERT_TIMES("U:u@5 U:v@9", user_entry("u", 5, 0), user_entry("v", 9, 0));
}

static void attributes_known_from_the_beginning_come_before_every_event(void **state)
{
    (void)state;
    ASSERT_TIMES("U:u@9 E-5:e E9:f", event_entry("e", -5, 0), event_entry("f", 9, 0),
                 user_entry("u", 9, 0));
}

static void of_equal_oldest_timestamps_the_later_arrival_counts(void **state)
{
    (void)state;
    struct entry first = user_entry("u", 5, 0), second = user_entry("u", 5, 0);
    first.entity.active = false;
    char dir[TEMPORARY_BYTES];
    temporary_journal(dir);
    struct journal *j = open_journal(dir, 0);
    struct journal_cursor *c = NULL;
    struct arena a = {0};
    struct err e = {0};
    struct entry got;
    bool more;
    second.arrival.number = 1;
    add(j, &second);
    add(j, &first);
    seal(j);
    assert_int_equal(journal_count(j, ENTRY_USER), 1);
    assert_int_equal(journal_read(&c, j, &e), 0);
    assert_int_equal(journal_next(c, &a, &got, &more, &e), 0);
    assert_true(more && got.entity.active);
    journal_cursor_free(c);
    arena_free(&a);
    journal_free(j);
    remove_temporary(dir);
}

static void a_tombstone_removes_from_its_time_on(void **state)
{
    (void)state;
    ASSERT_TIMES("U:u@5 -U8:u", user_entry("u", 5, 0), tombstone_entry("u", 8, 0));
}

/* Else it would be replaced before it was removed. */
static void what_arrives_behind_a_tombstone_counts_no_earlier(void **state)
{
    (void)state;
    ASSERT_TIMES("U:u@5 -U8:u U8:u@5 U9:u@9", user_entry("u", 5, 0), tombstone_entry("u", 8, 0),
                 user_entry("u", 5, 0), user_entry("u", 9, 0));
}

/* The compacted log has forgotten what was there before. */
static void a_tombstone_that_comes_first_is_no_beginning(void **state)
{
    (void)state;
    ASSERT_TIMES("-U8:u U9:u@9", tombstone_entry("u", 8, 0), user_entry("u", 9, 0));
}

/* A record's timestamp is the application's, a tombstone's Kafka's: the order of arrival is the
 * log's. */
static void a_tombstone_stays_behind_the_records_that_it_removes(void **state)
{
    (void)state;
    ASSERT_TIMES("U:u@5 U20:u@20 -U20:u", user_entry("u", 5, 0), user_entry("u", 20, 0),
                 tombstone_entry("u", 8, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_record_counts_from_the_beginning_others_from_their_timestamps),
        cmocka_unit_test(attributes_known_from_the_beginning_come_before_every_event),
        cmocka_unit_test(of_equal_oldest_timestamps_the_later_arrival_counts),
        cmocka_unit_test(a_tombstone_removes_from_its_time_on),
        cmocka_unit_test(what_arrives_behind_a_tombstone_counts_no_earlier),
        cmocka_unit_test(a_tombstone_that_comes_first_is_no_beginning),
        cmocka_unit_test(a_tombstone_stays_behind_the_records_that_it_removes),
    };
    return RUN(tests);
}
