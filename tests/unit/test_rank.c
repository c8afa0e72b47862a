/* flotilla rank: its command line, and what a person is shown. */
#include "ctl/rank_print.h"
#include "ctl/rank_request.h"
#include "unit.h"

#include <stdio.h>

enum { MOST_GIVEN = 16 };

/* A command line: option and value in turn, NULL behind the last. */
struct line {
    struct ctl ctl;
    struct given_option given[MOST_GIVEN];
    struct arena arena;
    struct rank_request request;
    struct err e;
};

static int read_line(struct line *l, const char *const *words)
{
    *l = (struct line){.ctl = {.command = &rank_command, .given = l->given}};
    for (; *words; words += 2) {
        int option = command_option(&rank_command, words[0]);
        assert_true(option >= 0);
        l->ctl.values[option] = words[1];
        l->ctl.given[l->ctl.given_count++] = (struct given_option){option, words[1]};
    }
    return rank_request_read(&l->request, &l->ctl, &l->arena, &l->e);
}

#define READ(l, ...) read_line(l, (const char *const[]){__VA_ARGS__, NULL})

static void assert_text(struct str text, const char *expected)
{
    assert_int_equal(text.len, strlen(expected));
    assert_memory_equal(text.data, expected, text.len);
}

static void a_user_is_enough_and_the_rest_has_defaults(void **state)
{
    (void)state;
    struct line l;
    assert_int_equal(READ(&l, "user", "u1"), 0);
    rank_request_stamp(&l.request, &l.ctl, 1700000000000);
    assert_text(l.request.user_id, "u1");
    assert_text(l.request.placement, "default");
    assert_int_equal(l.request.limit, 10);
    assert_int_equal(l.request.timestamp, 1700000000000);
    assert_int_equal(l.request.candidates.count, 0);
    assert_int_equal(l.request.context.count, 0);
    assert_false(l.request.deadline.given);
    assert_false(l.request.explain);
    arena_free(&l.arena);
}

static void every_request_has_an_id_of_its_own(void **state)
{
    (void)state;
    struct line a, b;
    assert_int_equal(READ(&a, "user", "u1"), 0);
    assert_int_equal(READ(&b, "user", "u1"), 0);
    assert_int_equal(a.request.request_id.len, 32);
    assert_false(str_equal(a.request.request_id, b.request.request_id));
    arena_free(&a.arena);
    arena_free(&b.arena);
}

static void candidates_and_context_may_be_given_again_and_keep_their_order(void **state)
{
    (void)state;
    struct line l;
    assert_int_equal(READ(&l, "user", "u1", "candidates", "b,a", "context", "device=tv",
                          "candidates", "c", "context", "query=a=b", "context", "mood="),
                     0);
    assert_int_equal(l.request.candidates.count, 3);
    assert_text(l.request.candidates.items[0], "b");
    assert_text(l.request.candidates.items[1], "a");
    assert_text(l.request.candidates.items[2], "c");
    assert_int_equal(l.request.context.count, 3);
    assert_text(l.request.context.items[0].name, "device");
    assert_text(l.request.context.items[0].value, "tv");
    assert_text(l.request.context.items[1].name, "query");
    assert_text(l.request.context.items[1].value, "a=b");
    assert_text(l.request.context.items[2].value, "");
    arena_free(&l.arena);
}

static void a_deadline_counts_from_when_the_request_is_sent(void **state)
{
    (void)state;
    struct line l;
    assert_int_equal(READ(&l, "user", "u1", "deadline", "50", "explain", "", "limit", "0"), 0);
    rank_request_stamp(&l.request, &l.ctl, 1000);
    assert_true(l.request.deadline.given);
    assert_int_equal(l.request.deadline.value, 1050);
    assert_true(l.request.explain);
    assert_int_equal(l.request.limit, 0);
    arena_free(&l.arena);
}

static void as_of_is_milliseconds_or_a_date_and_stays_when_it_is_sent(void **state)
{
    (void)state;
    struct line l;
    assert_int_equal(READ(&l, "user", "u1", "as-of", "1704067200123"), 0);
    rank_request_stamp(&l.request, &l.ctl, 1);
    assert_int_equal(l.request.timestamp, 1704067200123);
    arena_free(&l.arena);
    assert_int_equal(READ(&l, "user", "u1", "as-of", "2024-01-01T00:00:00.123Z"), 0);
    rank_request_stamp(&l.request, &l.ctl, 1);
    assert_int_equal(l.request.timestamp, 1704067200123);
    arena_free(&l.arena);
}

static void assert_refused(const char *why, const char *const *words)
{
    struct line l;
    assert_int_equal(read_line(&l, words), ERR_INVALID);
    assert_contains(l.e.msg, why);
    arena_free(&l.arena);
}

#define REFUSED(why, ...) assert_refused(why, (const char *const[]){__VA_ARGS__, NULL})

static void what_cannot_be_asked_is_refused_with_what_to_give(void **state)
{
    (void)state;
    REFUSED("give --user ID", "limit", "5");
    REFUSED("--user is empty", "user", "");
    REFUSED("--candidates has an empty id", "user", "u", "candidates", "a,,b");
    REFUSED("--candidates has an empty id", "user", "u", "candidates", "a,");
    REFUSED("--candidates has an empty id", "user", "u", "candidates", "");
    REFUSED("--context is \"tv\": give NAME=VALUE", "user", "u", "context", "tv");
    REFUSED("--context is \"=tv\": give NAME=VALUE", "user", "u", "context", "=tv");
    REFUSED("--limit is \"-1\": give a whole number", "user", "u", "limit", "-1");
    REFUSED("--limit is \"2147483648\"", "user", "u", "limit", "2147483648");
    REFUSED("--deadline is \"soon\"", "user", "u", "deadline", "soon");
    REFUSED("--as-of is \"yesterday\": give a time as", "user", "u", "as-of", "yesterday");
    REFUSED("--as-of is \"\": give a time as", "user", "u", "as-of", "");
    REFUSED("no feature is read so far from now", "user", "u", "as-of", "9223372036854775807");
}

/* ---- What is shown ---- */

static struct ranking ranking(struct ranked *items, size_t count)
{
    return (struct ranking){.request_id = str_of("r1"),
                            .user_id = str_of("u1"),
                            .timestamp = 1704067200123,
                            .placement = str_of("home"),
                            .model = str_of("rules"),
                            .variant = str_of("rules"),
                            .items = {items, count}};
}

static void assert_shown(bool explain, struct ranking r, const char *expected)
{
    struct buf b = {0};
    struct rank_request q = {.explain = explain};
    rank_print(&b, &q, &r, 4250);
    assert_buf_is(&b, expected);
    buf_free(&b);
}

#define HEAD "u1, placement home, as of 2024-01-01 00:00:00.123 UTC, request r1\n\n"

static void places_stand_with_scores_propensities_and_who_ranked_them(void **state)
{
    (void)state;
    struct ranked items[] = {{str_of("p7"), 0.5, 1, {0}}, {str_of("p10"), 0.125, 0.75, {0}}};
    assert_shown(false, ranking(items, 2),
                 HEAD "PLACE  PROPOSITION  SCORE  PROPENSITY\n"
                      "    1  p7             0.5           1\n"
                      "    2  p10          0.125        0.75\n"
                      "\nRanked by rules, answered in 4.2 ms.\n");
}

static void contributions_stand_largest_first_with_their_sum(void **state)
{
    (void)state;
    struct double_entry why[] = {{str_of("clicks"), 0.25},
                                 {str_of("bias"), -0.5},
                                 {str_of("age"), 0.125},
                                 {str_of("brand"), 0.25}};
    struct ranked items[] = {{str_of("p7"), 0.5, 1, {why, 4}}};
    struct ranking r = ranking(items, 1);
    r.model = str_of("shop");
    r.version = 3;
    r.variant = str_of("champion");
    assert_shown(true, r,
                 HEAD "PLACE  PROPOSITION  SCORE  PROPENSITY\n"
                      "    1  p7             0.5           1\n"
                      "\n"
                      "PLACE  PROPOSITION  CONTRIBUTION  OF\n"
                      "    1  p7                   -0.5  bias\n"
                      "                           +0.25  brand\n"
                      "                           +0.25  clicks\n"
                      "                          +0.125  age\n"
                      "                          +0.125  sum: the margin\n"
                      "\nRanked by version 3 of model shop as its champion, answered in 4.2 ms.\n");
}

static void an_answer_without_vectors_says_that_it_cannot_be_explained(void **state)
{
    (void)state;
    struct ranked items[] = {{str_of("p7"), 0.5, 1, {0}}};
    struct ranking r = ranking(items, 1);
    struct buf b = {0};
    struct rank_request q = {.explain = true};
    rank_print(&b, &q, &r, 0);
    buf_put_u8(&b, 0);
    assert_contains((const char *)b.data, "ranked without vectors, so there are no contributions");
    buf_free(&b);
}

static void what_is_amiss_is_said_with_what_to_do(void **state)
{
    (void)state;
    struct str unknown[] = {str_of("x"), str_of("y")};
    struct ranking r = ranking(NULL, 0);
    r.degraded = str_of("overload");
    r.unknown = (struct str_list){unknown, 2};
    assert_shown(true, r,
                 HEAD "No propositions.\n"
                      "\nRanked by rules, answered in 4.2 ms.\n"
                      "Degraded (overload): requests wait longer than their budget allows: start "
                      "more rankers; `flotilla status` shows the lag.\n"
                      "Not among the propositions, so ranked with what is known: x, y.\n");
}

static void every_reason_of_a_ranker_is_known(void **state)
{
    (void)state;
    static const char *const reasons[] = {"no_model", "fingerprint", "loading",  "deadline",
                                          "overload", "stale_state", "too_large"};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        assert_string_not_equal(rank_reason(str_of(reasons[i])), rank_reason(str_of("other")));
}

static void without_memory_reading_says_so(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct line l;
        fail_alloc_at(n);
        int rc = READ(&l, "user", "u1", "candidates", "a,b", "context", "a=b");
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        arena_free(&l.arena);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user_is_enough_and_the_rest_has_defaults),
        cmocka_unit_test(every_request_has_an_id_of_its_own),
        cmocka_unit_test(candidates_and_context_may_be_given_again_and_keep_their_order),
        cmocka_unit_test(a_deadline_counts_from_when_the_request_is_sent),
        cmocka_unit_test(as_of_is_milliseconds_or_a_date_and_stays_when_it_is_sent),
        cmocka_unit_test(what_cannot_be_asked_is_refused_with_what_to_give),
        cmocka_unit_test(places_stand_with_scores_propensities_and_who_ranked_them),
        cmocka_unit_test(contributions_stand_largest_first_with_their_sum),
        cmocka_unit_test(an_answer_without_vectors_says_that_it_cannot_be_explained),
        cmocka_unit_test(what_is_amiss_is_said_with_what_to_do),
        cmocka_unit_test(every_reason_of_a_ranker_is_known),
        cmocka_unit_test(without_memory_reading_says_so),
    };
    return RUN(tests);
}
