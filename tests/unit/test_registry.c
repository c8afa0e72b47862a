/* The client of a schema registry against a server over a real socket: what it looks up and
 * registers. */
#include "registry_client.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ------------------------------------------------------------------ schemas by id */

static void without_a_url_there_is_no_registry(void **state)
{
    struct fixture *f = *state;
    struct registry *r = (struct registry *)f;
    assert_int_equal(registry_new(&r, f->conf, f->metrics, NULL), 0);
    assert_null(r);
}

static void without_metrics_it_works_as_well(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    set(f, "url", f->url);
    server_answer(&f->server, "/schemas/ids/17", 200, RECORD_R);
    assert_int_equal(registry_new(&f->registry, f->conf, NULL, NULL), 0);
    registry_set_clock(f->registry, read_clock);
    assert_int_equal(look_up(f, 17, &schema, NULL), 0);
    assert_int_equal(look_up(f, 18, &schema, NULL), ERR_NOT_FOUND);
    server_misbehave(&f->server, 500, false, false);
    wait_for_reason(f, 19);
}

static void schema_of_an_id_is_asked_for_once(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema = NULL, *again = NULL;
    server_answer(&f->server, "/schemas/ids/17", 200, RECORD_R);
    connect_client(f);
    assert_int_equal(look_up(f, 17, &schema, NULL), 0);
    assert_is_record_r(schema);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(look_up(f, 17, &again, NULL), 0);
        assert_ptr_equal(again, schema);
        registry_turn(f->registry, 0);
    }
    assert_int_equal(server_asked(&f->server, "/schemas/ids/17"), 1);
    assert_string_equal(server_seen(&f->server).last, "GET /schemas/ids/17");
    assert_float_equal(requests(f, "answered"), 1, 0);
}

static void base_path_of_the_url_is_kept(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    char url[128];
    snprintf(url, sizeof url, "%s/apis/ccompat/v7/", f->url);
    set(f, "url", url);
    server_answer(&f->server, "/apis/ccompat/v7/schemas/ids/1", 200, RECORD_R);
    connect_client(f);
    assert_int_equal(look_up(f, 1, &schema, NULL), 0);
}

static void questions_do_not_wait_for_answers(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    server_answer(&f->server, "/schemas/ids/1", 200, RECORD_R);
    server_misbehave(&f->server, 0, false, true);
    connect_client(f);
    assert_int_equal(registry_schema(f->registry, 1, &schema, NULL), ERR_UNAVAILABLE);
    while (!server_held(&f->server))
        registry_turn(f->registry, 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(registry_schema(f->registry, 1, &schema, NULL), ERR_UNAVAILABLE);
        registry_turn(f->registry, 0);
    }
    assert_int_equal(server_asked_in_all(&f->server), 1);
    assert_string_equal(registry_waiting(f->registry), "");
    server_go_on(&f->server);
    assert_int_equal(look_up(f, 1, &schema, NULL), 0);
}

static void unknown_id_is_asked_again_after_a_while_that_doubles(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    struct err e;
    static const int seconds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    connect_client(f);
    for (int i = 0; i < (int)(sizeof seconds / sizeof *seconds); i++) {
        assert_int_equal(look_up(f, 5, &schema, &e), ERR_NOT_FOUND);
        assert_string_equal(e.msg, "the schema registry does not have it: Schema not found");
        assert_int_equal(server_asked_in_all(&f->server), i + 1);
        clock_us += seconds[i] * 1000000 - 1000;
        assert_int_equal(look_up(f, 5, &schema, &e), ERR_NOT_FOUND);
        assert_int_equal(server_asked_in_all(&f->server), i + 1);
        clock_us += 1000;
    }
    assert_float_equal(requests(f, "not_found"), 9, 0);
    server_answer(&f->server, "/schemas/ids/5", 200, RECORD_R);
    assert_int_equal(look_up(f, 5, &schema, &e), 0);
}

static void refusal_is_told_even_when_it_is_asked_for_late(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    connect_client(f);
    assert_int_equal(registry_schema(f->registry, 5, &schema, NULL), ERR_UNAVAILABLE);
    while (requests(f, "not_found") < 1)
        registry_turn(f->registry, TURN_MS);
    clock_us += 3600 * (int64_t)1000000;
    assert_int_equal(registry_schema(f->registry, 5, &schema, NULL), ERR_NOT_FOUND);
    assert_int_equal(registry_schema(f->registry, 5, &schema, NULL), ERR_UNAVAILABLE);
}

static void id_that_no_registry_gives_is_not_asked_for(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    connect_client(f);
    assert_int_equal(registry_schema(f->registry, 0x80000000, &schema, NULL), ERR_NOT_FOUND);
    registry_turn(f->registry, TURN_MS);
    assert_int_equal(server_asked_in_all(&f->server), 0);
}

static void flood_of_ids_is_asked_for_eight_at_a_time(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    server_misbehave(&f->server, 0, false, true);
    connect_client(f);
    for (uint32_t id = 1; id <= 50000; id++)
        assert_int_equal(registry_schema(f->registry, id, &schema, NULL), ERR_UNAVAILABLE);
    while (server_held(&f->server) < 8)
        registry_turn(f->registry, TURN_MS);
    registry_turn(f->registry, TURN_MS);
    assert_int_equal(server_asked_in_all(&f->server), 8);
    server_go_on(&f->server);
    /* 1,000 stood in line, the others were not kept. */
    while (requests(f, "not_found") < 1000)
        registry_turn(f->registry, TURN_MS);
    registry_turn(f->registry, TURN_MS);
    assert_int_equal(server_asked_in_all(&f->server), 1000);
    assert_int_equal(registry_schema(f->registry, 1000, &schema, NULL), ERR_NOT_FOUND);
    assert_int_equal(registry_schema(f->registry, 1001, &schema, NULL), ERR_UNAVAILABLE);
}

/* ------------------------------------------------------------------ references */

static void references_are_fetched_once_each_however_often_they_are_named(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    server_answer(
        &f->server, "/schemas/ids/1", 200,
        "{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"n.Top\\\","
        "\\\"fields\\\":[{\\\"name\\\":\\\"l\\\",\\\"type\\\":\\\"n.Left\\\"},{"
        "\\\"name\\\":\\\"r\\\",\\\"type\\\":\\\"n.Right\\\"}]}\",\"references\":[" REFERENCE(
            "left", 3) "," REFERENCE("right", 1) "]}");
    server_answer(&f->server, "/subjects/left/versions/3", 200,
                  SCHEMA_WITH("n.Left", "b", "n.Base", REFERENCE("base/of \xc3\xa9", 2)));
    server_answer(&f->server, "/subjects/right/versions/1", 200,
                  SCHEMA_WITH("n.Right", "b", "n.Base", REFERENCE("base/of \xc3\xa9", 2)));
    server_answer(&f->server, "/subjects/base%2Fof%20%C3%A9/versions/2", 200,
                  SCHEMA_WITH("n.Base", "x", "long", ""));
    connect_client(f);
    struct err e = {0};
    if (look_up(f, 1, &schema, &e))
        fail_msg("%s", e.msg);
    const struct schema_node *top = schema_root(schema);
    assert_true(str_is(top->name, "n.Top"));
    assert_ptr_equal(top->fields[0].type->fields[0].type, top->fields[1].type->fields[0].type);
    assert_true(str_is(top->fields[1].type->fields[0].type->name, "n.Base"));
    assert_int_equal(server_asked(&f->server, "/subjects/base%2Fof%20%C3%A9/versions/2"), 1);
    assert_int_equal(server_asked_in_all(&f->server), 4);
}

static void references_in_a_circle_are_refused(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    struct err e;
    server_answer(&f->server, "/schemas/ids/1", 200,
                  SCHEMA_WITH("n.A", "b", "n.B", REFERENCE("b", 1)));
    server_answer(&f->server, "/subjects/b/versions/1", 200,
                  SCHEMA_WITH("n.B", "c", "n.C", REFERENCE("c", 1)));
    server_answer(&f->server, "/subjects/c/versions/1", 200,
                  SCHEMA_WITH("n.C", "b", "n.B", REFERENCE("b", 1)));
    connect_client(f);
    assert_int_equal(look_up(f, 1, &schema, &e), ERR_SCHEMA);
    assert_string_equal(e.msg, "subject b version 1 refers to itself, over others");
    clock_us += 3600 * (int64_t)1000000;
    assert_int_equal(registry_schema(f->registry, 1, &schema, &e), ERR_SCHEMA);
    assert_int_equal(server_asked_in_all(&f->server), 3);
}

static void reference_that_is_not_there_is_named(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    struct err e;
    server_answer(&f->server, "/schemas/ids/1", 200,
                  SCHEMA_WITH("n.A", "b", "n.B", REFERENCE("b", 7)));
    server_answer(&f->server, "/subjects/b/versions/7", 404,
                  "{\"error_code\":40402,\"message\":\"Version 7 not found.\"}");
    connect_client(f);
    assert_int_equal(look_up(f, 1, &schema, &e), ERR_NOT_FOUND);
    assert_string_equal(e.msg, "the schema refers to subject b version 7: the schema "
                               "registry does not have it: Version 7 not found.");
}

/* ------------------------------------------------------------------ what is of no use */

static void assert_refused(struct fixture *f, const char *body, const char *why)
{
    const struct schema *schema;
    struct err e = {0};
    server_answer(&f->server, "/schemas/ids/1", 200, body);
    connect_client(f);
    assert_int_equal(look_up(f, 1, &schema, &e), ERR_SCHEMA);
    assert_contains(e.msg, why);
    clock_us += 3600 * (int64_t)1000000;
    assert_int_equal(registry_schema(f->registry, 1, &schema, &e), ERR_SCHEMA);
}

static void schema_of_another_type_is_refused_by_name(void **state)
{
    assert_refused(*state, "{\"schema\":\"{}\",\"schemaType\":\"JSON\"}",
                   "the schema is of type JSON: only AVRO can be read");
}

static void schema_that_is_no_avro_is_refused(void **state)
{
    assert_refused(*state, "{\"schema\":\"{\\\"type\\\":\\\"nope\\\"}\"}", "nope");
}

static void answer_over_the_limit_is_refused(void **state)
{
    size_t n = 4 * 1024 * 1024 + 1;
    char *body = malloc(n + 1);
    memset(body, ' ', n);
    body[n] = 0;
    assert_refused(*state, body, "the answer has more than 4194304 bytes");
    free(body);
}

static void page_of_something_else_is_no_answer_of_a_registry(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    server_answer(&f->server, "/schemas/ids/1", 200, "<html>Sign in</html>");
    connect_client(f);
    const char *why = wait_for_reason(f, 1);
    assert_contains(why, f->url);
    assert_contains(why, "gives no answer of a schema registry: check schema_registry.url");
    assert_contains(why, "schema id 1 is waited for");
    server_answer(&f->server, "/schemas/ids/1", 200, RECORD_R);
    assert_int_equal(look_up_later(f, 1, &schema, NULL), 0);
    assert_string_equal(registry_waiting(f->registry), "");
}

/* ------------------------------------------------------------------ registering */

static void schema_is_registered_once_for_a_subject(void **state)
{
    struct fixture *f = *state;
    uint32_t id = 0;
    server_answer(&f->server, "/subjects/my.events-value/versions", 200, "{\"id\":42}");
    connect_client(f);
    assert_int_equal(declare(f, "my.events-value", "{\"type\": \"string\"}", &id, NULL), 0);
    assert_int_equal(id, 42);
    assert_string_equal(server_seen(&f->server).last, "POST /subjects/my.events-value/versions");
    assert_string_equal(server_seen(&f->server).body,
                        "{\"schema\":\"{\\\"type\\\": \\\"string\\\"}\"}");
    assert_string_equal(server_seen(&f->server).content_type,
                        "application/vnd.schemaregistry.v1+json");
    assert_int_equal(declare(f, "my.events-value", "{\"type\": \"string\"}", &id, NULL), 0);
    assert_int_equal(server_asked_in_all(&f->server), 1);
    assert_int_equal(declare(f, "my.events-value", "{\"type\": \"bytes\"}", &id, NULL), 0);
    assert_int_equal(server_asked_in_all(&f->server), 2);
}

static void registry_says_itself_why_it_refuses_a_schema(void **state)
{
    struct fixture *f = *state;
    uint32_t id;
    struct err e;
    server_answer(&f->server, "/subjects/s/versions", 409,
                  "{\"error_code\":409,\"message\":\"Schema being registered is incompatible with "
                  "an earlier schema\"}");
    connect_client(f);
    assert_int_equal(declare(f, "s", "\"string\"", &id, &e), ERR_INVALID);
    assert_string_equal(e.msg, "subject s: the schema registry refuses it: Schema being registered "
                               "is incompatible with an earlier schema");
    /* Somebody may change the level of compatibility. */
    server_answer(&f->server, "/subjects/s/versions", 200, "{\"id\":3}");
    assert_int_equal(declare(f, "s", "\"string\"", &id, &e), ERR_INVALID);
    clock_us += 1000000;
    assert_int_equal(declare(f, "s", "\"string\"", &id, &e), 0);
    assert_int_equal(id, 3);
}

static void schema_is_only_looked_up_where_nothing_may_be_registered(void **state)
{
    struct fixture *f = *state;
    uint32_t id;
    struct err e;
    set(f, "register", "0");
    server_answer(&f->server, "/subjects/there", 200,
                  "{\"subject\":\"there\",\"version\":1,\"id\":9,\"schema\":\"\\\"string\\\"\"}");
    connect_client(f);
    assert_int_equal(declare(f, "there", "\"string\"", &id, &e), 0);
    assert_int_equal(id, 9);
    assert_string_equal(server_seen(&f->server).last, "POST /subjects/there");
    assert_int_equal(declare(f, "absent", "\"string\"", &id, &e), ERR_INVALID);
    assert_string_equal(e.msg, "subject absent: the schema is not registered (Schema not found), "
                               "and schema_registry.register is 0");
}

/* ------------------------------------------------------------------ bounds */

struct eviction {
    uint32_t kept, gone[8];
    size_t count;
};

static bool evict(void *arg, uint32_t id)
{
    struct eviction *v = arg;
    if (id == v->kept)
        return false;
    assert_true(v->count < 8);
    v->gone[v->count++] = id;
    return true;
}

/* A schema of about a million bytes. */
static char *large_schema(void)
{
    enum { PADDING = 1000000 };
    char *body = malloc(PADDING + 200);
    int n = sprintf(body, "{\"schema\":\"{\\\"type\\\":\\\"string\\\",\\\"doc\\\":\\\"");
    memset(body + n, 'x', PADDING);
    strcpy(body + n + PADDING, "\\\"}\"}");
    return body;
}

static void schemas_over_the_bound_take_the_place_of_those_that_nobody_needs(void **state)
{
    struct fixture *f = *state;
    struct eviction v = {.kept = 2};
    const struct schema *schema, *first;
    struct err e = {0};
    char *body = large_schema(), path[64];
    for (uint32_t id = 1; id <= 36; id++) {
        snprintf(path, sizeof path, "/schemas/ids/%u", id);
        server_answer(&f->server, path, 200, body);
    }
    free(body);
    connect_client(f);
    for (uint32_t id = 1; id <= 33; id++)
        if (look_up(f, id, &schema, &e))
            fail_msg("%s", e.msg);
    /* 33 million bytes are in: a 34th is too much, and nobody lets one go. */
    assert_int_equal(look_up(f, 34, &schema, &e), ERR_SCHEMA);
    assert_contains(e.msg, "33 other schemas are in use");
    registry_on_evict(f->registry, evict, &v);
    assert_int_equal(registry_schema(f->registry, 1, &first, NULL), 0);
    assert_int_equal(look_up(f, 35, &schema, &e), 0);
    assert_int_equal(look_up(f, 36, &schema, &e), 0);
    /* 1 was asked for again, and 2 is needed. */
    assert_int_equal(v.count, 2);
    assert_int_equal(v.gone[0], 3);
    assert_int_equal(v.gone[1], 4);
    assert_int_equal(registry_schema(f->registry, 1, &schema, NULL), 0);
    assert_ptr_equal(schema, first);
    assert_int_equal(registry_schema(f->registry, 3, &schema, NULL), ERR_UNAVAILABLE);
}

/* A server in a process of its own: allocations that fail are only the client's. */
static pid_t fork_server(struct fixture *f)
{
    server_stop(&f->server);
    pid_t server = fork();
    assert_true(server >= 0);
    if (!server) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* It ends with the test, however that ends. */
        server_start(&f->server);
        for (;;)
            pause();
    }
    return server;
}

static int use_everything(struct fixture *f)
{
    const struct schema *schema = NULL;
    uint32_t id = 0;
    int rc = registry_new(&f->registry, f->conf, f->metrics, NULL);
    if (rc)
        return rc;
    registry_set_clock(f->registry, read_clock);
    for (int turn = 0; turn < TURNS && (!schema || !id); turn++) {
        int found = registry_schema(f->registry, 1, &schema, NULL);
        int registered = registry_register(f->registry, "s", str_of("\"int\""), &id, NULL);
        assert_true(found == 0 || found == ERR_UNAVAILABLE || found == ERR_NOMEM);
        assert_true(registered == 0 || registered == ERR_UNAVAILABLE || registered == ERR_NOMEM);
        clock_us += 10000000;
        registry_turn(f->registry, TURN_MS);
    }
    assert_int_equal(id, 42);
    assert_true(str_is(schema_root(schema)->name, "n.A"));
    registry_free(f->registry);
    f->registry = NULL;
    return 0;
}

static void memory_that_is_short_once_changes_no_answer(void **state)
{
    struct fixture *f = *state;
    set(f, "url", f->url);
    set(f, "user", "me");
    server_answer(&f->server, "/subjects/s/versions", 200, "{\"id\":42}");
    server_answer(&f->server, "/schemas/ids/1", 200,
                  SCHEMA_WITH("n.A", "b", "n.B", REFERENCE("b", 1)));
    server_answer(&f->server, "/subjects/b/versions/1", 200, SCHEMA_WITH("n.B", "x", "int", ""));
    pid_t server = fork_server(f);
    int n = 1;
    for (;; n++) {
        fail_alloc_at(n);
        int rc = use_everything(f);
        if (!fail_alloc_end())
            break;
        assert_true(rc == 0 || rc == ERR_NOMEM);
    }
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    assert_true(n > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(without_a_url_there_is_no_registry),
        WITH_SERVER(without_metrics_it_works_as_well),
        WITH_SERVER(schema_of_an_id_is_asked_for_once),
        WITH_SERVER(base_path_of_the_url_is_kept),
        WITH_SERVER(questions_do_not_wait_for_answers),
        WITH_SERVER(unknown_id_is_asked_again_after_a_while_that_doubles),
        WITH_SERVER(refusal_is_told_even_when_it_is_asked_for_late),
        WITH_SERVER(id_that_no_registry_gives_is_not_asked_for),
        WITH_SERVER(flood_of_ids_is_asked_for_eight_at_a_time),
        WITH_SERVER(references_are_fetched_once_each_however_often_they_are_named),
        WITH_SERVER(references_in_a_circle_are_refused),
        WITH_SERVER(reference_that_is_not_there_is_named),
        WITH_SERVER(schema_of_another_type_is_refused_by_name),
        WITH_SERVER(schema_that_is_no_avro_is_refused),
        WITH_SERVER(answer_over_the_limit_is_refused),
        WITH_SERVER(page_of_something_else_is_no_answer_of_a_registry),
        WITH_SERVER(schema_is_registered_once_for_a_subject),
        WITH_SERVER(registry_says_itself_why_it_refuses_a_schema),
        WITH_SERVER(schema_is_only_looked_up_where_nothing_may_be_registered),
        WITH_SERVER(schemas_over_the_bound_take_the_place_of_those_that_nobody_needs),
        WITH_SERVER(memory_that_is_short_once_changes_no_answer),
    };
    setenv("no_proxy", "127.0.0.1", 1);
    return RUN(tests);
}
