#include "unit.h"

#include "backfill/journal_entry.h"
#include "support/codec.h"

static void *record_of(struct entry *n)
{
    return n->kind == ENTRY_EVENT     ? (void *)&n->event
           : n->kind == ENTRY_REQUEST ? (void *)&n->request
           : n->kind == ENTRY_SCORED  ? (void *)&n->scored
                                      : (void *)&n->entity;
}

static const struct record_type *type_of(enum entry_kind kind)
{
    return kind == ENTRY_EVENT     ? &event_type
           : kind == ENTRY_REQUEST ? &rank_request_type
           : kind == ENTRY_SCORED  ? &score_log_type
                                   : &entity_type;
}

/* What is read from the bytes of a record prints as the record did. */
static void assert_kept(enum entry_kind kind, const char *json)
{
    struct arena a = {0}, b = {0};
    struct buf bytes = {0}, text = {0};
    struct raw_entry raw;
    struct err e = {0};
    struct entry n = {.kind = kind, .time_ms = -5, .arrival = {1700000000000, 3, 1234567890123}};
    struct entry got = {0};
    if (record_decode(record_of(&n), type_of(kind), str_of(json), &a, &e))
        fail_msg("%s", e.msg);
    entry_write(&bytes, &n);
    assert_true(buf_ok(&bytes));
    assert_true(entry_place(&raw, buf_str(&bytes)));
    if (entry_read(&got, &raw, &b, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(got.kind, kind);
    assert_int_equal(got.time_ms, -5);
    assert_int_equal(got.arrival.time_ms, 1700000000000);
    assert_int_equal(got.arrival.source, 3);
    assert_int_equal(got.arrival.number, 1234567890123);
    record_print_json(&text, type_of(kind), record_of(&got));
    assert_buf_is(&text, json);
    arena_free(&a);
    arena_free(&b);
    buf_free(&bytes);
    buf_free(&text);
}

static void events_come_back_as_they_were(void **state)
{
    (void)state;
    assert_kept(
        ENTRY_EVENT,
        "{\"event_id\":\"e\",\"event\":\"convert\",\"user_id\":\"u\xc3\xa9\",\"timestamp\":-1,"
        "\"propositions\":[\"p\",\"\",\"q\"],\"request_id\":\"r\",\"value\":0.1,"
        "\"context\":{\"device\":\"tv\",\"page\":\"\"}}");
    /* A request id that is empty is not one that is missing. */
    assert_kept(ENTRY_EVENT, "{\"event_id\":\"\",\"event\":\"\",\"user_id\":\"u\",\"timestamp\":0,"
                             "\"propositions\":[],\"request_id\":\"\",\"value\":null,"
                             "\"context\":{}}");
    assert_kept(ENTRY_EVENT, "{\"event_id\":\"\",\"event\":\"\",\"user_id\":\"u\",\"timestamp\":0,"
                             "\"propositions\":[],\"request_id\":null,\"value\":-0.5,"
                             "\"context\":{}}");
}

static void requests_come_back_as_they_were(void **state)
{
    (void)state;
    assert_kept(ENTRY_REQUEST,
                "{\"request_id\":\"r\",\"user_id\":\"u\",\"timestamp\":9007199254740993,"
                "\"placement\":\"home\",\"candidates\":[\"a\",\"b\"],\"limit\":10,\"deadline\":7,"
                "\"context\":{\"query\":\"red shoes\"},\"explain\":true}");
    assert_kept(ENTRY_REQUEST, "{\"request_id\":\"r\",\"user_id\":\"u\",\"timestamp\":0,"
                               "\"placement\":\"\",\"candidates\":[],\"limit\":0,"
                               "\"deadline\":null,\"context\":{},\"explain\":false}");
}

static void attributes_of_every_type_come_back_as_they_were(void **state)
{
    (void)state;
    assert_kept(ENTRY_PROPOSITION,
                "{\"id\":\"p\",\"timestamp\":5,\"active\":false,\"valid_from\":-1,"
                "\"valid_until\":1,\"attributes\":{\"a\":null,\"b\":true,\"c\":-1.5,\"d\":\"x\","
                "\"e\":[\"x\",\"y\"],\"f\":[]}}");
    assert_kept(ENTRY_USER, "{\"id\":\"u\",\"timestamp\":5,\"active\":true,\"valid_from\":null,"
                            "\"valid_until\":null,\"attributes\":{}}");
}

static void what_was_scored_comes_back_as_it_was(void **state)
{
    (void)state;
    assert_kept(ENTRY_SCORED,
                "{\"request_id\":\"r\",\"user_id\":\"u\",\"timestamp\":5,\"placement\":\"home\","
                "\"context\":{\"device\":\"tv\"},\"model\":\"shop\",\"version\":7,"
                "\"variant\":\"champion\",\"degraded\":\"late\",\"share\":0.25,"
                "\"features\":[\"a\"],\"fingerprints\":\"\\u0001\\u00ff345678\","
                "\"candidates\":[\"p\",\"q\"],\"vectors\":\"\\u0000\\u0000\\u00c0\\u007f"
                "\\u0000\\u0000\\u0080?\",\"scores\":[0.5,0.25],\"shown\":[1,0],"
                "\"propensities\":[0.9,1],\"shadows\":[],\"explored_share\":0.1,"
                "\"temperature\":0.2,\"diverse\":true,\"utilities\":[0.3,0.4]}");
}

/* Every prefix of the bytes, and every list longer than they are, is refused or read within
 * them. */
static void bytes_that_are_cut_are_no_entry(void **state)
{
    (void)state;
    struct arena a = {0};
    struct buf bytes = {0};
    struct raw_entry raw;
    struct err e = {0};
    struct entry n = {.kind = ENTRY_EVENT}, got;
    assert_int_equal(record_decode(&n.event, &event_type,
                                   str_of("{\"event_id\":\"e\",\"event\":\"click\",\"user_id\":"
                                          "\"u\",\"timestamp\":5,\"propositions\":[\"p\",\"q\"],"
                                          "\"context\":{\"a\":\"b\"}}"),
                                   &a, &e),
                     0);
    entry_write(&bytes, &n);
    for (size_t len = 0; len < bytes.len; len++)
        if (entry_place(&raw, str_bytes(bytes.data, len)))
            assert_int_equal(entry_read(&got, &raw, &a, &e), ERR_CORRUPT);
    for (size_t at = 0; at < bytes.len; at++) { /* whatever they say, nothing is read behind them */
        uint8_t *copy = malloc(bytes.len);
        memcpy(copy, bytes.data, bytes.len);
        copy[at] = 0xff;
        if (entry_place(&raw, str_bytes(copy, bytes.len)))
            (void)entry_read(&got, &raw, &a, &e);
        free(copy);
    }
    arena_free(&a);
    buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_back_as_they_were),
        cmocka_unit_test(requests_come_back_as_they_were),
        cmocka_unit_test(attributes_of_every_type_come_back_as_they_were),
        cmocka_unit_test(what_was_scored_comes_back_as_it_was),
        cmocka_unit_test(bytes_that_are_cut_are_no_entry),
    };
    return RUN(tests);
}
