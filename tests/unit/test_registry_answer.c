/* What a schema registry answers, without a registry: bodies, references, requests, memory. */
#include "serde/registry_questions.h"
#include "serde/registry_rest.h"
#include "serde/registry_servers.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------ bodies */

static void assert_schema(const char *body, int code, const char *message)
{
    struct registry_answer answer;
    struct arena a = {0};
    struct err e = {0};
    assert_int_equal(registry_answer_schema(&answer, str_of(body), &a, &e), code);
    if (message)
        assert_string_equal(e.msg, message);
    arena_free(&a);
}

static void schema_comes_with_its_type_and_references(void **state)
{
    struct registry_answer answer;
    struct arena a = {0};
    (void)state;
    /* From the documentation of the registry's API, with everything that newer ones add. */
    const char *body =
        "{\"subject\":\"s\",\"version\":1,\"id\":7,\"guid\":\"x\",\"schemaType\":\"PROTOBUF\","
        "\"references\":[{\"name\":\"a.B\",\"subject\":\"b \xc3\xa9\",\"version\":3},"
        "{\"name\":\"a.C\",\"subject\":\"c\",\"version\":-1}],"
        "\"metadata\":{\"properties\":{\"owner\":\"x\"}},\"ruleSet\":null,"
        "\"schema\":\"\\\"str\\u00e9\\n\\\"\"}";
    assert_int_equal(registry_answer_schema(&answer, str_of(body), &a, NULL), 0);
    assert_true(str_is(answer.type, "PROTOBUF"));
    assert_true(str_is(answer.text, "\"str\xc3\xa9\n\""));
    assert_int_equal(answer.reference_count, 2);
    assert_true(str_is(answer.references[0].subject, "b \xc3\xa9"));
    assert_int_equal(answer.references[0].version, 3);
    assert_int_equal(answer.references[1].version, -1);
    assert_int_equal(
        registry_answer_schema(&answer, str_of("{\"schema\":\"\\\"int\\\"\"}"), &a, NULL), 0);
    assert_true(str_is(answer.type, "AVRO"));
    assert_int_equal(answer.reference_count, 0);
    assert_schema("{\"schema\":\"x\",\"schemaType\":null,\"references\":null}", 0, NULL);
    arena_free(&a);
}

static void answer_that_has_no_schema_is_corrupt(void **state)
{
    (void)state;
    assert_schema("", ERR_CORRUPT, NULL);
    assert_schema("<html>", ERR_CORRUPT, NULL);
    assert_schema("[]", ERR_CORRUPT, "the answer is no JSON object");
    assert_schema("{}", ERR_CORRUPT, "the answer has no schema");
    assert_schema("{\"schema\":{}}", ERR_CORRUPT, "the answer has no schema");
    assert_schema("{\"schema\":\"a\\u0000b\"}", ERR_CORRUPT, NULL);
    assert_schema("{\"schema\":\"\xff\"}", ERR_CORRUPT, NULL);
    assert_schema("{\"schema\":\"x\"} and more", ERR_CORRUPT, NULL);
    assert_schema("{\"schema\":\"x\",\"schemaType\":1}", ERR_CORRUPT,
                  "schemaType in the answer is no text");
    assert_schema("{\"schema\":\"x\",\"references\":{}}", ERR_CORRUPT,
                  "references in the answer are no list");
    assert_schema("{\"schema\":\"x\",\"references\":[1]}", ERR_CORRUPT,
                  "a reference in the answer has no subject");
    assert_schema("{\"schema\":\"x\",\"references\":[{\"subject\":\"\",\"version\":1}]}",
                  ERR_CORRUPT, "a reference in the answer has no subject");
    assert_schema("{\"schema\":\"x\",\"references\":[{\"subject\":\"s\",\"version\":0}]}",
                  ERR_CORRUPT, "the reference to subject s has no version");
    assert_schema("{\"schema\":\"x\",\"references\":[{\"subject\":\"s\",\"version\":4294967297}]}",
                  ERR_CORRUPT, "the reference to subject s has no version");
    assert_int_equal(registry_answer_schema(&(struct registry_answer){0}, (struct str){0},
                                            &(struct arena){0}, NULL),
                     ERR_CORRUPT);
}

static void answer_of_very_many_values_is_not_parsed(void **state)
{
    struct buf b = {0};
    (void)state;
    buf_put_text(&b, "{\"schema\":\"");
    for (int i = 0; i < 20000; i++)
        buf_put_text(&b, ",[{\\\""); /* within a text they count for nothing */
    buf_put_text(&b, "\"}");
    buf_put_u8(&b, 0);
    assert_schema((char *)b.data, 0, NULL);
    buf_reset(&b);
    buf_put_text(&b, "{\"schema\":\"x\",\"more\":[0");
    for (int i = 0; i < 10000; i++)
        buf_put_text(&b, ",{}");
    buf_put_text(&b, "]}");
    buf_put_u8(&b, 0);
    assert_schema((char *)b.data, ERR_TOO_LARGE, "the answer has more than 10000 values");
    buf_free(&b);
}

static void schema_of_more_than_64_references_is_too_large(void **state)
{
    struct buf b = {0};
    (void)state;
    for (int count = 64; count <= 65; count++) {
        buf_reset(&b);
        buf_put_text(&b, "{\"schema\":\"x\",\"references\":[");
        for (int i = 0; i < count; i++)
            buf_printf(&b, "%s{\"subject\":\"s%d\",\"version\":1}", i ? "," : "", i);
        buf_put_text(&b, "]}");
        buf_put_u8(&b, 0);
        assert_schema((char *)b.data, count > 64 ? ERR_TOO_LARGE : 0, NULL);
    }
    buf_free(&b);
}

static void id_is_a_number_that_a_registry_gives(void **state)
{
    uint32_t id = 5;
    (void)state;
    assert_int_equal(registry_answer_id(&id, str_of("{\"id\":2147483647}"), NULL), 0);
    assert_int_equal(id, 2147483647);
    static const char *const bad[] = {
        "{}", "{\"id\":\"1\"}", "{\"id\":-1}", "{\"id\":2147483648}", "{\"id\":1.5}", "1", ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(registry_answer_id(&id, str_of(bad[i]), NULL), ERR_CORRUPT);
    assert_int_equal(id, 2147483647);
}

static void refusal_is_the_registrys_own_words_on_one_line(void **state)
{
    struct registry_refusal said;
    struct buf b = {0};
    (void)state;
    registry_answer_refusal(
        &said,
        str_of("{\"error_code\":40403,\"message\":\"Schema 1\\n\\u001b[2Jnot \\u007ffound\"}"));
    assert_int_equal(said.code, 40403);
    assert_string_equal(said.message, "Schema 1  [2Jnot  found");
    registry_answer_refusal(&said, str_of("<html>"));
    assert_int_equal(said.code, 0);
    assert_string_equal(said.message, "");
    registry_answer_refusal(&said, str_of("{\"error_code\":\"40403\",\"message\":7}"));
    assert_int_equal(said.code, 0);
    /* Cut at 255 bytes, but not within a character: each of these has two. */
    buf_put_text(&b, "{\"error_code\":409,\"message\":\"");
    for (int i = 0; i < 500; i++)
        buf_put_text(&b, "\xc3\xa9");
    buf_put_text(&b, "\"}");
    registry_answer_refusal(&said, buf_str(&b));
    assert_int_equal(strlen(said.message), 254);
    buf_free(&b);
}

/* ------------------------------------------------------------------ references */

/* The answer for schema `name`, which refers to subjects of one letter each, in version 1. */
static void add(struct references *r, const char *name, const char *to)
{
    struct buf b = {0};
    buf_printf(&b, "{\"schema\":\"%s\",\"references\":[", name);
    for (const char *c = to; *c; c++)
        buf_printf(&b, "%s{\"subject\":\"%c\",\"version\":1}", c == to ? "" : ",", *c);
    buf_put_text(&b, "]}");
    assert_int_equal(references_add(r, buf_str(&b), NULL), 0);
    buf_free(&b);
}

static void assert_next(const struct references *r, const char *subject)
{
    const struct registry_reference *next = references_next(r);
    if (!subject) {
        assert_null(next);
        return;
    }
    assert_non_null(next);
    assert_true(str_is(next->subject, subject));
}

static void assert_order(struct references *r, const char *order)
{
    const struct str *texts;
    size_t count;
    struct err e = {0};
    if (references_order(r, &texts, &count, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(count, strlen(order));
    for (size_t i = 0; i < count; i++)
        assert_int_equal(*texts[i].data, order[i]);
}

static void texts_stand_behind_those_they_refer_to(void **state)
{
    struct references *r = references_new();
    (void)state;
    assert_non_null(r);
    assert_next(r, NULL);
    add(r, "m", "ab");
    assert_next(r, "a");
    add(r, "a", "cd");
    assert_next(r, "b");
    add(r, "b", "d");
    assert_next(r, "c");
    add(r, "c", "");
    assert_next(r, "d");
    add(r, "d", "c");
    assert_next(r, NULL);
    assert_order(r, "cdabm");
    assert_int_equal(references_bytes(r), 5);
    references_free(r);
}

static void same_subject_in_two_versions_is_two_schemas(void **state)
{
    struct references *r = references_new();
    (void)state;
    assert_non_null(r);
    const char *body = "{\"schema\":\"m\",\"references\":[{\"subject\":\"a\",\"version\":1},"
                       "{\"subject\":\"a\",\"version\":2},{\"subject\":\"a\",\"version\":1}]}";
    assert_int_equal(references_add(r, str_of(body), NULL), 0);
    add(r, "1", "");
    assert_int_equal(references_next(r)->version, 2);
    add(r, "2", "");
    assert_order(r, "12m");
    references_free(r);
}

static void references_may_go_sixteen_deep(void **state)
{
    (void)state;
    for (int depth = 16; depth <= 17; depth++) {
        struct references *r = references_new();
        assert_non_null(r);
        const struct str *texts;
        size_t count;
        struct err e = {0};
        for (int i = 0; i <= depth; i++) {
            char name[2] = {(char)('a' + i), 0}, to[2] = {(char)(i < depth ? 'b' + i : 0), 0};
            add(r, name, to);
        }
        assert_int_equal(references_order(r, &texts, &count, &e), depth > 16 ? ERR_SCHEMA : 0);
        assert_string_equal(e.msg, depth > 16 ? "references of the schema go deeper than 16" : "");
        references_free(r);
    }
}

static void references_may_be_64_with_theirs(void **state)
{
    struct references *r = references_new();
    assert_non_null(r);
    struct buf b = {0};
    struct err e;
    (void)state;
    for (int schema = 0; schema < 2; schema++) {
        buf_reset(&b);
        buf_put_text(&b, "{\"schema\":\"x\",\"references\":[");
        for (int i = 0; i < 64; i++)
            buf_printf(&b, "%s{\"subject\":\"s%d\",\"version\":1}", i ? "," : "", i + schema);
        buf_put_text(&b, "]}");
        assert_int_equal(references_add(r, buf_str(&b), &e), schema ? ERR_SCHEMA : 0);
    }
    assert_string_equal(e.msg, "the schema has more than 64 references, with theirs");
    buf_free(&b);
    references_free(r);
}

static void texts_may_be_four_mebibytes_together(void **state)
{
    struct references *r = references_new();
    assert_non_null(r);
    struct buf b = {0};
    struct err e;
    (void)state;
    add(r, "m", "abcd");
    buf_put_text(&b, "{\"schema\":\"");
    for (int i = 0; i < 1400000; i++)
        buf_put_u8(&b, 'x');
    buf_put_text(&b, "\"}");
    assert_int_equal(references_add(r, buf_str(&b), &e), 0);
    assert_int_equal(references_add(r, buf_str(&b), &e), 0);
    assert_int_equal(references_add(r, buf_str(&b), &e), ERR_TOO_LARGE);
    assert_string_equal(e.msg, "the schema has more than 4194304 bytes, with its references");
    buf_free(&b);
    references_free(r);
}

/* ------------------------------------------------------------------ requests */

static void subjects_are_escaped_in_paths(void **state)
{
    struct buf b = {0};
    struct registry_request q = {
        .verb = REGISTRY_REFERENCE, .subject = str_of("a/b c%?#\xc3\xa9.-_~"), .version = 2};
    (void)state;
    registry_request_url(&b, &q, "http://h/base");
    assert_buf_is(&b,
                  "http://h/base/subjects/a%2Fb%20c%25%3F%23%C3%A9.-_~/versions/2?deleted=true");
    buf_reset(&b);
    q.version = -1;
    q.subject = str_of("s");
    registry_request_url(&b, &q, "http://h");
    assert_buf_is(&b, "http://h/subjects/s/versions/latest?deleted=true");
    buf_free(&b);
}

static void assert_end(enum registry_verb verb, int status, const char *body, int code,
                       const char *message)
{
    struct registry_request q = {.verb = verb};
    struct err e = {0};
    assert_int_equal(registry_request_end(&q, status, str_of(body), "http://h:1", &e), code);
    assert_string_equal(e.msg, message);
}

static void only_the_registry_itself_says_that_something_is_not_there(void **state)
{
    (void)state;
    assert_end(REGISTRY_SCHEMA, 200, "", 0, "");
    assert_end(REGISTRY_SCHEMA, 404, "{\"error_code\":40403,\"message\":\"Schema 1 not found\"}",
               ERR_NOT_FOUND, "the schema registry does not have it: Schema 1 not found");
    assert_end(REGISTRY_SCHEMA, 404, "{\"error_code\":404,\"message\":\"HTTP 404 Not Found\"}",
               ERR_UNAVAILABLE,
               "http://h:1 answers 404: HTTP 404 Not Found, as no schema registry would: check "
               "schema_registry.url");
    assert_end(REGISTRY_SCHEMA, 404, "<html>", ERR_UNAVAILABLE,
               "http://h:1 answers 404, as no schema registry would: check schema_registry.url");
    assert_end(REGISTRY_SCHEMA, 204, "", ERR_UNAVAILABLE,
               "http://h:1 answers 204, as no schema registry would: check schema_registry.url");
    assert_end(REGISTRY_REGISTER, 422, "{\"error_code\":42201,\"message\":\"Invalid schema\"}",
               ERR_INVALID, "the schema registry refuses it: Invalid schema");
    assert_end(REGISTRY_REGISTER, 409, "<html>", ERR_UNAVAILABLE,
               "http://h:1 answers 409, as no schema registry would: check schema_registry.url");
    assert_end(REGISTRY_REGISTER, 403, "{\"error_code\":40301,\"message\":\"No\"}", ERR_UNAVAILABLE,
               "the schema registry http://h:1 does not let us (403): No: check the rights of "
               "schema_registry.user");
}

/* ------------------------------------------------------------------ servers */

static void pause_grows_only_when_all_servers_have_failed(void **state)
{
    struct servers *s = NULL;
    (void)state;
    assert_int_equal(servers_new(&s, "http://a:1/,https://u:p%20w@[::1]:2/x", "me", "pw", NULL), 0);
    assert_int_equal(servers_count(s), 2);
    assert_string_equal(servers_current(s)->url, "http://a:1");
    assert_string_equal(servers_current(s)->user, "me");
    servers_failed(s, servers_epoch(s), 1000, "away");
    assert_string_equal(servers_current(s)->url, "https://[::1]:2/x");
    assert_string_equal(servers_current(s)->user, "u");
    assert_string_equal(servers_current(s)->password, "p w");
    assert_int_equal(servers_pause_ms(s, 1000), 0);
    uint64_t old = servers_epoch(s);
    servers_failed(s, old, 1000, "away");
    assert_in_range(servers_pause_ms(s, 1000), 50, 100);
    /* What was asked before says nothing new. */
    servers_failed(s, old, 1000, "away");
    assert_string_equal(servers_current(s)->url, "http://a:1");
    assert_in_range(servers_pause_ms(s, 1000), 50, 100);
    for (int i = 0; i < 40; i++)
        servers_failed(s, servers_epoch(s), 1000, "away");
    assert_in_range(servers_pause_ms(s, 1000), 5000, 10000);
    assert_int_equal(servers_pause_ms(s, 11000), 0);
    servers_succeeded(s);
    assert_false(servers_are_away(s));
    servers_free(s);
}

/* ------------------------------------------------------------------ memory */

static void of_50000_refused_ids_the_newest_10000_are_remembered(void **state)
{
    struct questions *q = questions_new();
    struct question *x;
    (void)state;
    for (uint32_t id = 1; id <= 50000; id++) {
        assert_int_equal(questions_find(q, &x, id, NULL, (struct str){0}, NULL), 0);
        assert_int_equal(x->state, QUESTION_OPEN);
        assert_true(questions_move(q, x, QUESTION_ASKED));
        assert_true(questions_move(q, x, QUESTION_REFUSED));
    }
    assert_int_equal(questions_in(q, QUESTION_REFUSED)->count, 10000);
    assert_int_equal(questions_in(q, QUESTION_OPEN)->count, 0);
    assert_int_equal(questions_find(q, &x, 40001, NULL, (struct str){0}, NULL), 0);
    assert_int_equal(x->state, QUESTION_REFUSED);
    assert_int_equal(questions_find(q, &x, 40000, NULL, (struct str){0}, NULL), 0);
    assert_int_equal(x->state, QUESTION_OPEN);
    for (uint32_t id = 60001; id < 61000; id++)
        assert_int_equal(questions_find(q, &x, id, NULL, (struct str){0}, NULL), 0);
    assert_non_null(x);
    assert_int_equal(questions_find(q, &x, 61000, NULL, (struct str){0}, NULL), 0);
    assert_null(x);
    questions_free(q);
}

/* What each call does with its n-th allocation failing. */
static int read_everything(void)
{
    static const char body[] = "{\"schema\":\"s\",\"schemaType\":\"AVRO\",\"references\":["
                               "{\"subject\":\"a\",\"version\":1}]}";
    struct servers *s = NULL;
    struct questions *q = NULL;
    struct question *x;
    const struct str *texts;
    size_t count;
    struct err e = {0};
    struct references *r = references_new();
    int rc = r ? references_add(r, str_of(body), &e) : err_nomem(&e);
    if (!rc)
        rc = references_add(r, str_of("{\"schema\":\"t\"}"), &e);
    if (!rc)
        rc = references_order(r, &texts, &count, &e);
    if (!rc)
        rc = servers_new(&s, "http://u:p@a,http://b", "me", "pw", &e);
    if (!rc && !(q = questions_new()))
        rc = err_nomem(&e);
    if (!rc)
        rc = questions_find(q, &x, 1, NULL, (struct str){0}, &e);
    if (!rc)
        rc = questions_find(q, &x, 0, "subject", str_of("text"), &e);
    if (!rc)
        assert_true(str_is(x->text, "text") && strcmp(x->subject, "subject") == 0);
    questions_free(q);
    servers_free(s);
    references_free(r);
    assert_int_equal(rc, e.code);
    return rc;
}

static void memory_that_is_short_is_an_error_and_nothing_is_lost(void **state)
{
    int n = 1;
    (void)state;
    for (;; n++) {
        fail_alloc_at(n);
        int rc = read_everything();
        if (!fail_alloc_end()) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, ERR_NOMEM);
    }
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema_comes_with_its_type_and_references),
        cmocka_unit_test(answer_that_has_no_schema_is_corrupt),
        cmocka_unit_test(answer_of_very_many_values_is_not_parsed),
        cmocka_unit_test(schema_of_more_than_64_references_is_too_large),
        cmocka_unit_test(id_is_a_number_that_a_registry_gives),
        cmocka_unit_test(refusal_is_the_registrys_own_words_on_one_line),
        cmocka_unit_test(texts_stand_behind_those_they_refer_to),
        cmocka_unit_test(same_subject_in_two_versions_is_two_schemas),
        cmocka_unit_test(references_may_go_sixteen_deep),
        cmocka_unit_test(references_may_be_64_with_theirs),
        cmocka_unit_test(texts_may_be_four_mebibytes_together),
        cmocka_unit_test(subjects_are_escaped_in_paths),
        cmocka_unit_test(only_the_registry_itself_says_that_something_is_not_there),
        cmocka_unit_test(pause_grows_only_when_all_servers_have_failed),
        cmocka_unit_test(of_50000_refused_ids_the_newest_10000_are_remembered),
        cmocka_unit_test(memory_that_is_short_is_an_error_and_nothing_is_lost),
    };
    return RUN(tests);
}
