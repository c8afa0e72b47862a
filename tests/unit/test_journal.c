#include "unit.h"

#include "support/gifts.h"
#include "support/journals.h"

#include <signal.h>
#include <sys/wait.h>

enum { TINY = 4096, MANY = 30000 };

/* ---- Order ---- */

static void at_equal_times_requests_come_before_what_was_scored_before_events(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    temporary_journal(dir);
    struct journal *j = open_journal(dir, 0);
    add(j, &(struct entry){.kind = ENTRY_PROPOSITION,
                           .time_ms = 3,
                           .entity = {.id = str_of("p"), .timestamp = 3}});
    struct entry entries[] = {
        event_entry("a", 7, 1),   event_entry("b", 5, 2),   scored_entry("r", 7, 3),
        request_entry("r", 7, 4), request_entry("q", 9, 5), event_entry("c", 7, 0),
        user_entry("u", 7, 8),    user_entry("u", 6, 9),
    };
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        add(j, &entries[i]);
    seal(j);
    assert_journal(j, "P:p@3 U:u@6 E5:b U7:u@7 R7:r S7:r E7:c E7:a R9:q");
    assert_int_equal(journal_count(j, ENTRY_EVENT), 3);
    assert_int_equal(journal_count(j, ENTRY_USER), 2);
    assert_int_equal(journal_count(j, ENTRY_SCORED), 1);
    assert_int_equal(journal_newest_ms(j, ENTRY_REQUEST), 9);
    assert_int_equal(journal_newest_ms(j, ENTRY_PROPOSITION), 3);
    journal_free(j);
    remove_temporary(dir);
}

static void arrival_is_kafkas_time_then_the_partition_then_the_offset(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    temporary_journal(dir);
    struct journal *j = open_journal(dir, 0);
    static const struct {
        const char *id;
        struct arrival arrival;
    } events[] = {{"e", {9, 0, 0}},
                  {"d", {8, 1, 10}},
                  {"c", {8, 1, 9}},
                  {"b", {8, 0, 99}},
                  {"a", {-1, 5, 5}}};
    for (size_t i = 0; i < 5; i++) {
        struct entry n = event_entry(events[i].id, 4, 0);
        n.arrival = events[i].arrival;
        add(j, &n);
    }
    seal(j);
    assert_journal(j, "E4:a E4:b E4:c E4:d E4:e");
    journal_free(j);
    remove_temporary(dir);
}

static int64_t number_of(struct str text)
{
    char digits[24] = {0};
    memcpy(digits, text.data, text.len);
    return strtoll(digits, NULL, 10);
}

/* Thousands of runs' worth in tiny memory: more than can be open at once. Times are few, so that
 * arrival decides most of it; ids say when each was added. */
static void many_small_runs_are_read_in_the_order_of_one(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    struct random r = {7};
    struct arena a = {0};
    struct entry entry;
    struct err e = {0};
    struct journal_cursor *c = NULL;
    bool more = true, seen_event = false;
    int64_t time_ms = INT64_MIN, last = -1, count = 0;
    temporary_journal(dir);
    struct journal *j = open_journal(dir, TINY);
    for (int i = 0; i < MANY; i++) {
        char id[24];
        snprintf(id, sizeof id, "%d", i);
        int64_t at = random_below(&r, 500);
        entry = random_below(&r, 3) ? event_entry(id, at, i) : request_entry(id, at, i);
        add(j, &entry);
    }
    seal(j);
    assert_int_equal(journal_read(&c, j, &e), 0);
    for (; journal_next(c, &a, &entry, &more, &e) == 0 && more; count++) {
        bool is_event = entry.kind == ENTRY_EVENT;
        int64_t number = number_of(is_event ? entry.event.event_id : entry.request.request_id);
        assert_true(entry.time_ms >= time_ms);
        bool same = entry.time_ms == time_ms && is_event == seen_event;
        assert_true(!same || number > last);                             /* by arrival */
        assert_true(entry.time_ms > time_ms || is_event || !seen_event); /* requests first */
        time_ms = entry.time_ms;
        seen_event = is_event;
        last = number;
        arena_reset(&a);
    }
    assert_false(more);
    assert_int_equal(count, MANY);
    journal_cursor_free(c);
    arena_free(&a);
    journal_free(j);
    remove_temporary(dir);
}

static void two_cursors_read_at_different_places(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    struct journal_cursor *ahead = NULL, *behind = NULL;
    struct arena a = {0}, b = {0};
    struct entry first, second;
    struct err e = {0};
    bool more;
    temporary_journal(dir);
    struct journal *j = open_journal(dir, TINY);
    for (int i = 0; i < 1000; i++) {
        struct entry n = event_entry("x", i, i);
        add(j, &n);
    }
    seal(j);
    assert_int_equal(journal_read(&ahead, j, &e), 0);
    for (int i = 0; i < 600; i++)
        assert_int_equal(journal_next(ahead, &a, &first, &more, &e), 0);
    assert_int_equal(journal_read(&behind, j, &e), 0);
    for (int i = 0; i < 400; i++) {
        assert_int_equal(journal_next(ahead, &a, &first, &more, &e), 0);
        assert_int_equal(journal_next(behind, &b, &second, &more, &e), 0);
        assert_int_equal(first.time_ms, 600 + i);
        assert_int_equal(second.time_ms, i);
    }
    assert_int_equal(journal_next(ahead, &a, &first, &more, &e), 0);
    assert_false(more);
    journal_cursor_free(ahead);
    journal_cursor_free(behind);
    arena_free(&a);
    arena_free(&b);
    journal_free(j);
    remove_temporary(dir);
}

static void an_empty_journal_has_nothing(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    temporary_journal(dir);
    struct journal *j = open_journal(dir, 0);
    seal(j);
    assert_journal(j, "");
    assert_int_equal(journal_newest_ms(j, ENTRY_EVENT), INT64_MIN);
    journal_free(j);
    remove_temporary(dir);
}

/* ---- Sealed or not ---- */

/* A process of its own that fills a journal, seals it or not, and is killed where it stands. */
static void run_killed(const char *dir, bool seals)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct journal *j = NULL;
        struct err e = {0};
        bool sealed;
        if (try_open(&j, dir, "a", TINY, &sealed, &e))
            _exit(1);
        fill(j, 200);
        if (seals && journal_seal(j, str_of("{\"n\":1}"), &e))
            _exit(1);
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
}

static void one_that_was_killed_while_it_was_filled_begins_anew(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    temporary_journal(dir);
    run_killed(dir, false);
    struct journal *j = open_journal(dir, TINY);
    assert_int_equal(journal_bytes(j), 0);
    struct entry n = event_entry("x", 1, 1);
    add(j, &n);
    seal(j);
    assert_journal(j, "E1:x");
    journal_free(j);
    remove_temporary(dir);
}

static void one_that_was_killed_behind_its_seal_is_there(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    struct journal *j = NULL;
    struct err e = {0};
    struct buf first = {0}, second = {0};
    bool sealed = false;
    temporary_journal(dir);
    struct journal *other = open_journal(dir, TINY);
    fill(other, 200);
    seal(other);
    assert_int_equal(try_text(&first, other, &e), 0);
    uint64_t bytes = journal_bytes(other);
    journal_free(other);
    assert_int_equal(journal_remove(dir, &e), 0);
    run_killed(dir, true);
    assert_int_equal(try_open(&j, dir, "a", 0, &sealed, &e), 0);
    assert_true(sealed);
    assert_true(str_is(journal_counts(j), "{\"n\":1}"));
    assert_int_equal(try_text(&second, j, &e), 0);
    assert_bytes(&second, first.data, first.len);
    assert_int_equal(journal_count(j, ENTRY_EVENT), 200);
    assert_int_equal(journal_count(j, ENTRY_USER), 200);
    assert_int_equal(journal_newest_ms(j, ENTRY_EVENT), 200);
    assert_int_equal(journal_bytes(j), bytes);
    struct entry n = event_entry("x", 1, 1);
    assert_int_equal(journal_add(j, &n, &e), ERR_INVALID);
    assert_int_equal(journal_seal(j, str_of("{}"), &e), ERR_INVALID);
    journal_free(j);
    buf_free(&first);
    buf_free(&second);
    remove_temporary(dir);
}

static void a_sealed_one_of_another_identity_is_made_anew(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    struct journal *j = open_journal((temporary_journal(dir), dir), 0);
    struct err e = {0};
    bool sealed = true;
    fill(j, 3);
    seal(j);
    journal_free(j);
    assert_int_equal(try_open(&j, dir, "b", 0, &sealed, &e), 0);
    assert_false(sealed);
    assert_int_equal(journal_read(&(struct journal_cursor *){NULL}, j, &e), ERR_INVALID);
    assert_contains(e.msg, "is not sealed");
    seal(j);
    assert_journal(j, "");
    journal_free(j);
    remove_temporary(dir);
}

static void two_processes_do_not_work_in_one(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    temporary_journal(dir);
    struct journal *j = open_journal(dir, 0), *second = NULL;
    struct err e = {0};
    bool sealed;
    assert_int_equal(try_open(&second, dir, "a", 0, &sealed, &e), ERR_INVALID);
    assert_contains(e.msg, "another process works in");
    assert_int_equal(journal_remove(dir, &e), ERR_INVALID);
    journal_free(j);
    remove_temporary(dir);
}

static void a_directory_with_other_files_is_not_touched(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES], file[TEMPORARY_BYTES + 16];
    temporary_journal(dir);
    journal_free(open_journal(dir, 0));
    snprintf(file, sizeof file, "%s/thesis.tex", dir);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    fclose(f);
    struct journal *j = NULL;
    struct err e = {0};
    bool sealed;
    assert_int_equal(try_open(&j, dir, "a", 0, &sealed, &e), ERR_INVALID);
    assert_contains(e.msg, "has a file thesis.tex");
    assert_int_equal(journal_remove(dir, &e), ERR_INVALID);
    assert_int_equal(unlink(file), 0);
    remove_temporary(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_equal_times_requests_come_before_what_was_scored_before_events),
        cmocka_unit_test(arrival_is_kafkas_time_then_the_partition_then_the_offset),
        cmocka_unit_test(many_small_runs_are_read_in_the_order_of_one),
        cmocka_unit_test(two_cursors_read_at_different_places),
        cmocka_unit_test(an_empty_journal_has_nothing),
        cmocka_unit_test(one_that_was_killed_while_it_was_filled_begins_anew),
        cmocka_unit_test(one_that_was_killed_behind_its_seal_is_there),
        cmocka_unit_test(a_sealed_one_of_another_identity_is_made_anew),
        cmocka_unit_test(two_processes_do_not_work_in_one),
        cmocka_unit_test(a_directory_with_other_files_is_not_touched),
    };
    return RUN(tests);
}
