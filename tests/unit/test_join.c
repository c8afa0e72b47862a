/* Whose an impression and a label are, where all clocks agree. */
#include "unit.h"

#include "support/joins.h"

#include <stdio.h>

/* ------------------------------------------------------------ impressions */

static void candidates_get_their_first_places_in_the_first_impression(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "a,b,c,a");
    happen(&s, "impression", "r", 10, "c,a,c");
    happen(&s, "impression", "r", 20, "a,b,c");
    end(&s);
    assert_next(&s, "a@1 b c@0 a@1");
    assert_next(&s, "nothing");
    assert_int_equal(join_counts(s.join).repeated_impressions, 1);
    join_free(s.join);
}

static void what_was_shown_but_never_asked_for_is_counted(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "a,b");
    happen(&s, "impression", "r", 10, "x,b,x");
    end(&s);
    assert_next(&s, "a b@1");
    assert_int_equal(join_counts(s.join).unknown_shown, 1);
    join_free(s.join);
}

static void a_request_without_candidates_has_those_that_were_shown(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "");
    happen(&s, "impression", "r", 10, "c,a,c");
    end(&s);
    assert_next(&s, "c@0 a@1");
    join_free(s.join);
}

static void an_impression_whose_request_is_not_known_is_one_itself(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    happen(&s, "impression", NULL, 0, "a,b,a");
    happen(&s, "impression", "gone", 1, "c");
    happen(&s, "click", "gone", 2, "c");
    happen(&s, "click", NULL, 2, "b");
    end(&s);
    assert_next(&s, "a@0 b@1=1 impression");
    assert_next(&s, "c@0=1 impression");
    assert_next(&s, "nothing");
    join_free(s.join);
}

static void an_impression_of_another_user_is_not_the_requests(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask_as(&s, "r", "u", 0, "a");
    event_of_user(&s, "impression", "v", "r", 1, "a");
    end(&s);
    assert_next(&s, "a");
    assert_next(&s, "a@0 impression");
    join_free(s.join);
}

/* An empty id is none: these are two impressions, not one and its repeat. */
static void an_empty_request_id_is_none(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    happen(&s, "impression", "", 0, "a");
    happen(&s, "impression", "", 1, "b");
    happen(&s, "click", "", 2, "a");
    end(&s);
    assert_next(&s, "a@0=1 impression");
    assert_next(&s, "b@0 impression");
    join_free(s.join);
}

/* ------------------------------------------------------------ labels */

static void labels_add_up_and_each_counts_once(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "a,b,c");
    happen(&s, "impression", "r", 10, "a,b,c");
    happen(&s, "click", "r", 11, "a");
    happen(&s, "click", "r", 12, "a");
    happen(&s, "convert", "r", 13, "a,b");
    happen(&s, "watch", "r", 14, "c");
    end(&s);
    assert_next(&s, "a@0=6 b@1=5 c@2");
    assert_int_equal(join_counts(s.join).labels, 4);
    assert_int_equal(join_counts(s.join).lost_labels, 0);
    join_free(s.join);
}

static void a_label_with_a_request_is_that_requests_alone(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "a");
    ask(&s, "q", 0, "a");
    happen(&s, "impression", "r", 1, "a");
    happen(&s, "impression", "q", 2, "a");
    happen(&s, "click", "r", 3, "a");
    end(&s);
    assert_next(&s, "a@0=1");
    assert_next(&s, "a@0");
    join_free(s.join);
}

static void a_label_without_a_request_is_the_newest_impressions_that_shows_it(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "a,b");
    ask(&s, "q", 0, "a,c");
    happen(&s, "impression", "q", 1, "a,c");
    happen(&s, "impression", "r", 2, "a,b");
    happen(&s, "click", NULL, 3, "a,c");
    happen(&s, "click", NULL, 102, "c");
    happen(&s, "convert", NULL, 102, "b");
    event_of_user(&s, "click", "v", NULL, 102, "b");
    end(&s);
    assert_next(&s, "a@0=1 b@1=5");
    assert_next(&s, "a@0 c@1=1");
    assert_int_equal(join_counts(s.join).lost_labels, 2);
    join_free(s.join);
}

static void what_was_not_shown_has_no_label(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "a,b");
    happen(&s, "impression", "r", 1, "a");
    happen(&s, "click", "r", 2, "b");
    happen(&s, "click", NULL, 2, "b");
    happen(&s, "click", "r", 2, "never heard of");
    end(&s);
    assert_next(&s, "a@0 b");
    assert_int_equal(join_counts(s.join).lost_labels, 3);
    join_free(s.join);
}

/* ------------------------------------------------------------ repeats, and score.log */

static void a_repeated_request_changes_nothing(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "a");
    ask(&s, "r", 1, "b");
    happen(&s, "impression", "r", 2, "a");
    end(&s);
    assert_next(&s, "a@0");
    assert_next(&s, "nothing");
    assert_int_equal(join_counts(s.join).repeated_requests, 1);
    join_free(s.join);
}

static void what_was_logged_stands_for_its_request(void **state)
{
    (void)state;
    struct story s;
    begin(&s, 1000);
    ask(&s, "r", 0, "");
    ask(&s, "q", 0, "x");
    log_scored(&s, "r", 0, "a,b");
    log_scored(&s, "r", 0, "c");
    happen(&s, "impression", "r", 2, "b");
    end(&s);
    const struct joined *first = join_first(s.join);
    assert_int_equal(first->number, 1);
    assert_next(&s, "x");
    first = join_first(s.join);
    assert_int_equal(first->number, 2);
    assert_next(&s, "a b@0");
    assert_next(&s, "nothing");
    join_free(s.join);
}

/* ------------------------------------------------------------ against a slow and plain one */

enum { USERS = 3, PROPOSITIONS = 6, REQUESTS = 12, STEPS = 400 };

struct plain_request {
    char id[16];
    int user, shown_count;
    int64_t time_ms, shown_ms;
    int places[PROPOSITIONS];
    unsigned happened[PROPOSITIONS];
    bool is_shown;
};

static uint64_t dice_state;

static int dice(int n)
{
    uint64_t z = dice_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (int)((z ^ (z >> 31)) % (uint64_t)n);
}

/* All requests are asked in the beginning, for all propositions; then impressions and clicks of
 * growing times come, and what join.h says is done to a list. */
static void random_story(uint64_t seed)
{
    struct story s;
    struct plain_request plain[REQUESTS] = {0};
    int64_t now = 0;
    dice_state = seed;
    begin(&s, 1000000);
    for (int i = 0; i < REQUESTS; i++) {
        char user[2] = {(char)('u' + (plain[i].user = dice(USERS))), 0};
        snprintf(plain[i].id, sizeof plain[i].id, "r%d", i);
        ask_as(&s, plain[i].id, user, 0, "a,b,c,d,e,f");
        for (int p = 0; p < PROPOSITIONS; p++)
            plain[i].places[p] = -1;
    }
    for (int step = 0; step < STEPS; step++) {
        now += 1;
        int r = dice(REQUESTS), p = dice(PROPOSITIONS), q = dice(PROPOSITIONS);
        bool has_id = dice(2), is_impression = dice(4) == 0;
        int u = is_impression ? plain[r].user : dice(USERS);
        char user[2] = {(char)('u' + u), 0};
        char list[4] = {(char)('a' + p), ',', (char)('a' + q), 0};
        if (is_impression && now <= 100) {
            event_of_user(&s, "impression", user, plain[r].id, now, list);
            if (plain[r].is_shown)
                continue;
            plain[r].is_shown = true;
            plain[r].shown_ms = now;
            plain[r].places[q] = 1;
            plain[r].places[p] = 0;
        } else if (!is_impression) {
            list[1] = 0;
            event_of_user(&s, "click", user, has_id ? plain[r].id : NULL, now, list);
            int best = -1;
            for (int i = 0; i < REQUESTS; i++)
                if (plain[i].user == u && plain[i].is_shown && plain[i].places[p] >= 0 &&
                    now - plain[i].shown_ms <= 100 && (!has_id || i == r) &&
                    (best < 0 || plain[i].shown_ms > plain[best].shown_ms))
                    best = i;
            if (best >= 0)
                plain[best].happened[p] = 1;
        }
    }
    end(&s);
    for (int i = 0; i < REQUESTS; i++) {
        const struct joined *j = join_first(s.join);
        assert_non_null(j);
        assert_int_equal(j->number, i);
        for (int p = 0; p < PROPOSITIONS; p++) {
            assert_int_equal(j->places[p], plain[i].places[p]);
            assert_int_equal(j->happened[p], plain[i].happened[p]);
        }
        join_take(s.join);
    }
    assert_null(join_first(s.join));
    join_free(s.join);
}

static void random_stories_join_as_a_plain_list_does(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++)
        random_story(seed);
}

/* ------------------------------------------------------------ memory */

/* An impression before its request, what was logged of that, and a click, with allocations failing
 * when told; 0 or the code. */
static int short_story(void)
{
    struct err e = {0};
    struct labels labels;
    struct join *join = NULL;
    struct str_list list = list_of("a,b");
    struct rank_request q = {.request_id = str_of("r"), .user_id = str_of("u"), .timestamp = 5};
    struct event impression = {.event = str_of("impression"),
                               .user_id = str_of("u"),
                               .propositions = list,
                               .request_id = str_of("r")};
    struct score_log logged = {.request_id = q.request_id, .user_id = q.user_id, .timestamp = 5};
    struct event click = {.event = str_of("click"), .user_id = str_of("u"), .propositions = list};
    labels_parse(&labels, "click", &e);
    struct join_opts opts = {.labels = &labels, .window_ms = 100, .log_end_ms = 0};
    int rc = join_new(&join, &opts, &e);
    if (!rc)
        rc = join_event(join, 0, &impression, 4, &e);
    if (!rc)
        rc = join_request(join, 1, &q, &e);
    if (!rc)
        rc = join_scored(join, 2, &logged, 6, &e);
    if (!rc)
        rc = join_event(join, 3, &click, 6, &e);
    if (!rc)
        rc = join_end(join, &e);
    for (int i = 0; !rc && i < 1; i++)
        assert_non_null(join_first(join));
    join_free(join);
    return rc;
}

static void memory_that_cannot_be_had_is_an_error(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        fail_alloc_at(n);
        int rc = short_story();
        if (!fail_alloc_end())
            break;
        assert_int_equal(rc, ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(candidates_get_their_first_places_in_the_first_impression),
        cmocka_unit_test(what_was_shown_but_never_asked_for_is_counted),
        cmocka_unit_test(a_request_without_candidates_has_those_that_were_shown),
        cmocka_unit_test(an_impression_whose_request_is_not_known_is_one_itself),
        cmocka_unit_test(an_impression_of_another_user_is_not_the_requests),
        cmocka_unit_test(an_empty_request_id_is_none),
        cmocka_unit_test(labels_add_up_and_each_counts_once),
        cmocka_unit_test(a_label_with_a_request_is_that_requests_alone),
        cmocka_unit_test(a_label_without_a_request_is_the_newest_impressions_that_shows_it),
        cmocka_unit_test(what_was_not_shown_has_no_label),
        cmocka_unit_test(a_repeated_request_changes_nothing),
        cmocka_unit_test(what_was_logged_stands_for_its_request),
        cmocka_unit_test(random_stories_join_as_a_plain_list_does),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error),
    };
    return RUN(tests);
}
