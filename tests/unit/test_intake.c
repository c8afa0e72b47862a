#include "unit.h"

#include "backfill/intake.h"
#include "backfill/intake_line.h"
#include "backfill/intake_repeats.h"
#include "support/codec.h"
#include "support/journals.h"

#include <sys/stat.h>
#include <utime.h>

enum { SKEW_MS = 1000, TO_MS = 1000, WINDOW_MS = 100 };

/* A journal that lines are put into. */
struct filling {
    char dir[TEMPORARY_BYTES];
    struct journal *journal;
    struct intake *intake;
    int64_t line;
};

static void start(struct filling *f)
{
    struct err e = {0};
    struct intake_opts opts = {.codec = test_codec(),
                               .to_ms = TO_MS,
                               .label_window_ms = WINDOW_MS,
                               .max_clock_skew_ms = SKEW_MS};
    *f = (struct filling){0};
    temporary_journal(f->dir);
    f->journal = open_journal(f->dir, 0);
    assert_int_equal(intake_new(&f->intake, f->journal, &opts, &e), 0);
}

static void put(struct filling *f, enum entry_kind kind, const char *line)
{
    struct err e = {0};
    if (intake_line(f->intake, kind, str_of(line), "f.jsonl", ++f->line, &e))
        fail_msg("%s", e.msg);
}

static void put_event(struct filling *f, const char *id, const char *user, int64_t time_ms)
{
    char line[256];
    snprintf(line, sizeof line,
             "{\"event\":{\"event_id\":\"%s\",\"event\":\"click\",\"user_id\":\"%s\","
             "\"timestamp\":%lld}}",
             id, user, (long long)time_ms);
    put(f, ENTRY_KINDS, line);
}

static void put_request(struct filling *f, const char *id, int64_t time_ms)
{
    char line[256];
    snprintf(line, sizeof line,
             "{\"request_id\":\"%s\",\"user_id\":\"u\",\"timestamp\":%lld,\"placement\":\"home\"}",
             id, (long long)time_ms);
    put(f, ENTRY_REQUEST, line);
}

static void stop(struct filling *f)
{
    intake_free(f->intake);
    journal_free(f->journal);
    remove_temporary(f->dir);
}

static void assert_sealed(struct filling *f, const char *text)
{
    struct err e = {0};
    assert_int_equal(intake_seal(f->intake, &e), 0);
    assert_journal(f->journal, text);
}

static void assert_left_out(struct filling *f, const char *part)
{
    struct buf b = {0};
    intake_counts(f->intake, &b);
    buf_put_u8(&b, 0);
    assert_true(buf_ok(&b));
    assert_contains((const char *)b.data, part);
    buf_free(&b);
}

static void lines_become_entries_in_order_of_time(void **state)
{
    (void)state;
    struct filling f;
    start(&f);
    put_event(&f, "x", "u", 20);
    put_event(&f, "y", "u", 10);
    put(&f, ENTRY_KINDS,
        "{\"request\":{\"request_id\":\"r\",\"user_id\":\"u\",\"timestamp\":20,\"placement\":"
        "\"\"}}");
    put(&f, ENTRY_KINDS, "{\"user\":{\"id\":\"u\",\"timestamp\":500}}");
    put(&f, ENTRY_PROPOSITION, "{\"id\":\"p\",\"timestamp\":500}");
    assert_sealed(&f, "U:u@500 P:p@500 E10:0-1 R20:r E20:0-0");
    assert_true(str_is(journal_counts(f.journal),
                       "{\"read\":{\"users\":1,\"propositions\":1,\"requests\":1,\"scored\":0,"
                       "\"events\":2},\"kept\":{\"users\":1,\"propositions\":1,\"requests\":1,"
                       "\"scored\":0,\"events\":2},\"left_out\":[],\"partitions\":[]}"));
    stop(&f);
}

/* The repeat stands before the first one in order of time. */
static void a_repeat_is_told_in_order_of_arrival(void **state)
{
    (void)state;
    struct filling f;
    start(&f);
    put_event(&f, "x", "u", 20);
    put_event(&f, "x", "u", 10);
    put_event(&f, "x", "v", 5);
    assert_left_out(&f, "{\"kind\":\"events\",\"reason\":\"repeated_event_id\",\"count\":1,"
                        "\"example\":\"f.jsonl:2\"");
    assert_sealed(&f, "E5:0-2 E20:0-0");
    stop(&f);
}

static void an_id_is_forgotten_behind_64_others(void **state)
{
    (void)state;
    struct filling f;
    char id[8];
    start(&f);
    put_event(&f, "first", "u", 1);
    for (int i = 0; i < 63; i++)
        put_event(&f, (snprintf(id, sizeof id, "%d", i), id), "u", 2);
    put_event(&f, "first", "u", 3);
    assert_left_out(&f, "\"events\":64},\"left_out\":[{\"kind\":\"events\","
                        "\"reason\":\"repeated_event_id\",\"count\":1,");
    put_event(&f, "last", "u", 2);
    put_event(&f, "first", "u", 3);
    assert_left_out(&f, "\"events\":66},\"left_out\":[{\"kind\":\"events\","
                        "\"reason\":\"repeated_event_id\",\"count\":1,");
    stop(&f);
}

/* Each partition has its worker and its state. */
static void a_user_of_another_partition_is_another_user(void **state)
{
    (void)state;
    struct repeats *r = NULL;
    struct err e = {0};
    bool is_repeat = true;
    assert_int_equal(repeats_new(&r, &e), 0);
    assert_int_equal(repeats_check(r, 0, str_of("u"), str_of("x"), &is_repeat, &e), 0);
    assert_false(is_repeat);
    assert_int_equal(repeats_check(r, 1, str_of("u"), str_of("x"), &is_repeat, &e), 0);
    assert_false(is_repeat);
    assert_int_equal(repeats_check(r, 0, str_of("u"), str_of("x"), &is_repeat, &e), 0);
    assert_true(is_repeat);
    repeats_free(r);
}

/* 1,000 is `to`, 100 the label window. */
static void what_is_behind_the_range_is_left_out_and_what_is_before_it_is_kept(void **state)
{
    (void)state;
    struct filling f;
    start(&f);
    put_request(&f, "early", -999999);
    put_request(&f, "in", 999);
    put_request(&f, "late", 1000);
    put_event(&f, "a", "u", -999999);
    put_event(&f, "b", "u", 1199);
    put_event(&f, "c", "u", 1200);
    assert_left_out(&f, "{\"kind\":\"requests\",\"reason\":\"after_range\",\"count\":1,\"example\":"
                        "\"f.jsonl:3\"");
    assert_left_out(&f, "{\"kind\":\"events\",\"reason\":\"after_range\",\"count\":1,\"example\":"
                        "\"f.jsonl:6\"");
    assert_sealed(&f, "R-999999:early E-999999:0-3 R999:in E1199:0-4");
    stop(&f);
}

static void an_entity_may_have_any_timestamp(void **state)
{
    (void)state;
    struct filling f;
    start(&f);
    put(&f, ENTRY_USER, "{\"id\":\"u\",\"timestamp\":5}");
    put(&f, ENTRY_USER, "{\"id\":\"u\",\"timestamp\":-9223372036854775808}");
    put(&f, ENTRY_USER, "{\"id\":\"u\",\"timestamp\":9223372036854775807}");
    assert_sealed(&f, "U:u@-9223372036854775808 U5:u@5 U9007199254740992:u@9223372036854775807");
    stop(&f);
}

static void an_event_happened_before_it_was_recorded(void **state)
{
    (void)state;
    struct filling f;
    start(&f);
    put(&f, ENTRY_KINDS,
        "{\"kafka_timestamp\":50,\"event\":{\"event_id\":\"a\",\"event\":\"click\",\"user_id\":"
        "\"u\",\"timestamp\":60}}");
    put(&f, ENTRY_KINDS,
        "{\"event\":{\"event_id\":\"b\",\"event\":\"click\",\"user_id\":\"u\",\"timestamp\":1060},"
        "\"kafka_timestamp\":59}");
    assert_left_out(&f, "{\"kind\":\"events\",\"reason\":\"future_timestamp\",\"count\":1,"
                        "\"example\":\"f.jsonl:2\"");
    assert_sealed(&f, "E50:0-0");
    stop(&f);
}

static void what_cannot_be_used_is_counted_by_reason_with_its_first_line(void **state)
{
    (void)state;
    static const struct {
        enum entry_kind kind;
        const char *line, *counted;
    } cases[] = {
        {ENTRY_KINDS, "{\"event\":",
         "\"kind\":\"lines\",\"reason\":\"undecodable\",\"count\":1,"
         "\"example\":\"f.jsonl:1\""},
        {ENTRY_KINDS, "{\"evnt\":{}}", "\"kind\":\"lines\",\"reason\":\"schema_mismatch\""},
        {ENTRY_KINDS, "{\"event\":{}}",
         "\"kind\":\"events\",\"reason\":\"schema_mismatch\",\"count\":1"},
        {ENTRY_EVENT, "{\"event_id\":\"a\",\"event\":\"click\",\"user_id\":\"\",\"timestamp\":1}",
         "\"kind\":\"events\",\"reason\":\"invalid_value\""},
        {ENTRY_USER, "{\"id\":\"\",\"timestamp\":1}",
         "\"kind\":\"users\",\"reason\":\"invalid_value\""},
        {ENTRY_REQUEST,
         "{\"request_id\":\"\",\"user_id\":\"u\",\"timestamp\":1,\"placement\":\"\"}",
         "\"detail\":\"request_id is empty"},
        {ENTRY_REQUEST,
         "{\"request_id\":\"r\",\"user_id\":\"u\",\"timestamp\":9223372036854775807,"
         "\"placement\":\"\"}",
         "\"kind\":\"requests\",\"reason\":\"invalid_value\",\"count\":2"},
        {ENTRY_SCORED,
         "{\"request_id\":\"r\",\"user_id\":\"u\",\"timestamp\":1,\"placement\":\"\",\"model\":"
         "\"m\",\"version\":1,\"variant\":\"champion\",\"share\":1,\"features\":[\"a\"],"
         "\"fingerprints\":\"12345678\",\"candidates\":[\"p\"],\"vectors\":\"123\",\"scores\":[1],"
         "\"shown\":[],\"propensities\":[]}",
         "\"detail\":\"1 candidates with 1 features have 3 bytes of vectors and 1 scores\""},
    };
    struct filling f;
    start(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(&f, cases[i].kind, cases[i].line);
        assert_left_out(&f, cases[i].counted);
    }
    put(&f, ENTRY_KINDS, "nothing");
    assert_left_out(&f, "\"kind\":\"lines\",\"reason\":\"undecodable\",\"count\":2,"
                        "\"example\":\"f.jsonl:1\"");
    assert_sealed(&f, "");
    stop(&f);
}

static void what_was_scored_stands_behind_its_request(void **state)
{
    (void)state;
    struct filling f;
    start(&f);
    put(&f, ENTRY_KINDS,
        "{\"scored\":{\"request_id\":\"r\",\"user_id\":\"u\",\"timestamp\":7,\"placement\":\"\","
        "\"model\":\"m\",\"version\":1,\"variant\":\"champion\",\"share\":1,\"features\":[\"a\"],"
        "\"fingerprints\":\"12345678\",\"candidates\":[\"p\"],\"vectors\":\"1234\",\"scores\":[1],"
        "\"shown\":[0],\"propensities\":[1]}}");
    put_event(&f, "a", "u", 7);
    put_request(&f, "r", 7);
    assert_sealed(&f, "R7:r S7:r E7:0-1");
    stop(&f);
}

static void a_line_of_a_stream_is_json_to_its_end(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int code;
        const char *message;
    } cases[] = {
        {"{\"user\":{\"id\":\"u\",\"timestamp\":1}} x", ERR_CORRUPT, "behind the object"},
        {"{\"user\":{\"id\":\"u\",\"timestamp\":1}", ERR_CORRUPT, "byte 32"},
        {"[]", ERR_CORRUPT, "'{' is wanted"},
        {"{}", ERR_SCHEMA, "\"event\", \"request\", \"user\", \"proposition\" or \"scored\""},
        {"{\"user\":{\"id\":\"u\",\"timestamp\":1},\"kafka_timestamp\":1.5}", ERR_SCHEMA,
         "kafka_timestamp is no whole number"},
        {"{\"user\":{\"id\":7,\"timestamp\":1}}", ERR_SCHEMA, "field id"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct intake_record record;
        struct arena a = {0};
        struct err e = {0};
        assert_int_equal(
            intake_line_read(&record, ENTRY_KINDS, str_of(cases[i].line), test_codec(), &a, &e),
            cases[i].code);
        assert_contains(e.msg, cases[i].message);
        arena_free(&a);
    }
}

/* ---- Identities ---- */

static void a_file_that_changed_is_another_one(void **state)
{
    (void)state;
    char path[] = "/tmp/test_intake.XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    const char *paths[] = {path};
    struct intake_opts opts = {.to_ms = 5};
    struct buf first = {0}, same = {0}, touched = {0}, later = {0};
    struct err e = {0};
    struct utimbuf time = {1000, 1000};
    assert_int_equal(intake_files_identity(&first, paths, 1, &opts, &e), 0);
    assert_int_equal(intake_files_identity(&same, paths, 1, &opts, &e), 0);
    assert_int_equal(utime(path, &time), 0);
    assert_int_equal(intake_files_identity(&touched, paths, 1, &opts, &e), 0);
    opts.to_ms = 6;
    assert_int_equal(intake_files_identity(&later, paths, 1, &opts, &e), 0);
    assert_true(str_equal(buf_str(&first), buf_str(&same)));
    assert_false(str_equal(buf_str(&first), buf_str(&touched)));
    assert_false(str_equal(buf_str(&touched), buf_str(&later)));
    unlink(path);
    assert_int_equal(intake_files_identity(&later, paths, 1, &opts, &e), ERR_IO);
    assert_contains(e.msg, path);
    buf_free(&first);
    buf_free(&same);
    buf_free(&touched);
    buf_free(&later);
}

static int whole_intake(struct journal *j, struct err *e)
{
    struct intake *in = NULL;
    struct intake_opts opts = {.codec = test_codec(), .to_ms = TO_MS};
    int rc = intake_new(&in, j, &opts, e);
    for (int i = 0; i < 3 && !rc; i++)
        rc = intake_line(in, ENTRY_EVENT,
                         str_of("{\"event_id\":\"\\u0061\",\"event\":\"click\",\"user_id\":\"u\","
                                "\"timestamp\":1,\"propositions\":[\"p\"]}"),
                         "f", i, e);
    if (!rc)
        rc = intake_seal(in, e);
    intake_free(in);
    return rc;
}

static void memory_that_cannot_be_had_is_told_at_every_allocation(void **state)
{
    (void)state;
    char dir[TEMPORARY_BYTES];
    struct err e = {0};
    temporary_journal(dir);
    int n = 1;
    for (;; n++) {
        struct journal *j = open_journal(dir, 0);
        fail_alloc_at(n);
        int rc = whole_intake(j, &e);
        bool failed = fail_alloc_end();
        journal_free(j);
        assert_int_equal(journal_remove(dir, &e), 0);
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        if (!failed)
            break;
    }
    assert_true(n > 10);
    remove_temporary(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_become_entries_in_order_of_time),
        cmocka_unit_test(a_repeat_is_told_in_order_of_arrival),
        cmocka_unit_test(an_id_is_forgotten_behind_64_others),
        cmocka_unit_test(a_user_of_another_partition_is_another_user),
        cmocka_unit_test(what_is_behind_the_range_is_left_out_and_what_is_before_it_is_kept),
        cmocka_unit_test(an_entity_may_have_any_timestamp),
        cmocka_unit_test(an_event_happened_before_it_was_recorded),
        cmocka_unit_test(what_cannot_be_used_is_counted_by_reason_with_its_first_line),
        cmocka_unit_test(what_was_scored_stands_behind_its_request),
        cmocka_unit_test(a_line_of_a_stream_is_json_to_its_end),
        cmocka_unit_test(a_file_that_changed_is_another_one),
        cmocka_unit_test(memory_that_cannot_be_had_is_told_at_every_allocation),
    };
    return RUN(tests);
}
