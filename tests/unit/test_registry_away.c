/* The client of a schema registry that is away, fails, or answers what no registry would. */
#include "registry_client.h"

#include <unistd.h>

/* ------------------------------------------------------------------ registries that are away */

static void assert_waits_and_goes_on(struct fixture *f, unsigned status, const char *why)
{
    const struct schema *schema;
    server_answer(&f->server, "/schemas/ids/1", 200, RECORD_R);
    server_misbehave(&f->server, status, !status, false);
    connect_client(f);
    assert_contains(wait_for_reason(f, 1), why);
    server_misbehave(&f->server, 0, false, false);
    assert_int_equal(look_up_later(f, 1, &schema, NULL), 0);
    assert_is_record_r(schema);
    assert_string_equal(registry_waiting(f->registry), "");
}

static void registry_that_fails_is_waited_for(void **state)
{
    assert_waits_and_goes_on(*state, 503, "fails (503): Error in the backend data store");
}

static void registry_that_is_asked_too_much_is_waited_for(void **state)
{
    assert_waits_and_goes_on(*state, 429, "is asked too much (429)");
}

static void registry_that_does_not_know_us_is_waited_for(void **state)
{
    struct fixture *f = *state;
    char why[512];
    snprintf(why, sizeof why,
             "the schema registry %s does not know us (401): check schema_registry.user and "
             "schema_registry.password; schema id 1 is waited for",
             f->url);
    assert_waits_and_goes_on(f, 401, why);
}

static void registry_that_closes_connections_is_waited_for(void **state)
{
    assert_waits_and_goes_on(*state, 0, "cannot be reached");
}

static void redirect_is_not_followed(void **state)
{
    struct fixture *f = *state;
    server_answer(&f->server, "/elsewhere", 200, RECORD_R);
    assert_waits_and_goes_on(f, 302, "answers with a redirect (302), which is not followed");
    assert_int_equal(server_asked(&f->server, "/elsewhere"), 0);
}

static void slow_registry_counts_as_away(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    set(f, "timeout_ms", "100");
    server_answer(&f->server, "/schemas/ids/1", 200, RECORD_R);
    server_misbehave(&f->server, 0, false, true);
    connect_client(f);
    assert_contains(wait_for_reason(f, 1), "timed out");
    server_go_on(&f->server);
    assert_int_equal(look_up_later(f, 1, &schema, NULL), 0);
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        n++;
    return n;
}

static void outage_is_logged_once_and_what_is_known_stays_known(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema, *other;
    static char logged[65536];
    int before = dup(STDERR_FILENO);
    FILE *log = tmpfile();
    server_answer(&f->server, "/schemas/ids/1", 200, RECORD_R);
    server_answer(&f->server, "/schemas/ids/2", 200, RECORD_R);
    connect_client(f);
    assert_int_equal(look_up(f, 1, &schema, NULL), 0);
    dup2(fileno(log), STDERR_FILENO);
    server_stop(&f->server);
    assert_contains(wait_for_reason(f, 2), "cannot be reached");
    for (int i = 0; i < 20; i++) {
        clock_us += 10000000;
        registry_turn(f->registry, 0);
        assert_int_equal(registry_schema(f->registry, 1, &other, NULL), 0);
        assert_ptr_equal(other, schema);
    }
    server_start(&f->server);
    assert_int_equal(look_up_later(f, 2, &other, NULL), 0);
    dup2(before, STDERR_FILENO);
    close(before);
    rewind(log);
    logged[fread(logged, 1, sizeof logged - 1, log)] = 0;
    fclose(log);
    assert_int_equal(count(logged, "schema_registry_away"), 1);
    assert_int_equal(count(logged, "schema_registry_back"), 1);
}

static void registry_that_is_away_is_asked_one_question_with_growing_pauses(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    connect_client(f);
    server_misbehave(&f->server, 500, false, false);
    for (uint32_t id = 1; id <= 100; id++)
        registry_schema(f->registry, id, &schema, NULL);
    assert_contains(wait_for_reason(f, 1), "and 99 more");
    /* Those that were under way when it failed. */
    while (requests(f, "failed") < 8)
        registry_turn(f->registry, TURN_MS);
    int asked = server_asked_in_all(&f->server);
    assert_int_equal(asked, 8);
    for (int64_t pause_us = 100000; pause_us <= 10000000; pause_us *= 2) {
        clock_us += pause_us / 2 - 1000; /* a pause is at least half as long as it may be */
        for (int i = 0; i < 5; i++)
            registry_turn(f->registry, 2);
        assert_int_equal(server_asked_in_all(&f->server), asked);
        clock_us += pause_us / 2 + 1000;
        double failed = requests(f, "failed");
        while (requests(f, "failed") <= failed)
            registry_turn(f->registry, TURN_MS);
        assert_int_equal(server_asked_in_all(&f->server), ++asked);
    }
}

static void question_that_always_fails_holds_up_no_other(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    server_answer(&f->server, "/schemas/ids/1", 500,
                  "{\"error_code\":50001,\"message\":\"Error\"}");
    connect_client(f);
    wait_for_reason(f, 1);
    for (uint32_t id = 100; id < 150; id++)
        assert_int_equal(look_up_later(f, id, &schema, NULL), ERR_NOT_FOUND);
    double failed = requests(f, "failed");
    while (requests(f, "failed") <= failed) {
        clock_us += 10000000;
        registry_turn(f->registry, TURN_MS);
    }
    assert_contains(registry_waiting(f->registry), "schema id 1 is waited for");
    /* The registry's own pause is short again; that of the question has grown. */
    int asked = server_asked(&f->server, "/schemas/ids/1");
    clock_us += 100000;
    for (uint32_t id = 200; id < 250; id++)
        assert_int_equal(look_up(f, id, &schema, NULL), ERR_NOT_FOUND);
    assert_int_equal(server_asked(&f->server, "/schemas/ids/1"), asked);
    assert_contains(registry_waiting(f->registry), "schema id 1 is waited for");
}

static void second_url_is_asked_when_the_first_is_dead(void **state)
{
    struct fixture *f = *state;
    struct registry_server dead = {0};
    const struct schema *schema;
    char urls[160];
    pthread_mutex_init(&dead.lock, NULL);
    server_start(&dead);
    server_stop(&dead);
    snprintf(urls, sizeof urls, "http://127.0.0.1:%d, %s", dead.port, f->url);
    set(f, "url", urls);
    server_answer(&f->server, "/schemas/ids/1", 200, RECORD_R);
    connect_client(f);
    /* The clock stands still: there is no pause before the second one. */
    assert_int_equal(look_up(f, 1, &schema, NULL), 0);
    assert_int_equal(look_up(f, 2, &schema, NULL), ERR_NOT_FOUND);
    assert_float_equal(requests(f, "failed"), 1, 0);
    server_free(&dead);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: the log leaves lines out that repeat too often. */
        WITH_SERVER(outage_is_logged_once_and_what_is_known_stays_known),
        WITH_SERVER(registry_that_fails_is_waited_for),
        WITH_SERVER(registry_that_is_asked_too_much_is_waited_for),
        WITH_SERVER(registry_that_does_not_know_us_is_waited_for),
        WITH_SERVER(registry_that_closes_connections_is_waited_for),
        WITH_SERVER(redirect_is_not_followed),
        WITH_SERVER(slow_registry_counts_as_away),
        WITH_SERVER(registry_that_is_away_is_asked_one_question_with_growing_pauses),
        WITH_SERVER(question_that_always_fails_holds_up_no_other),
        WITH_SERVER(second_url_is_asked_when_the_first_is_dead),
    };
    setenv("no_proxy", "127.0.0.1", 1);
    return RUN(tests);
}
