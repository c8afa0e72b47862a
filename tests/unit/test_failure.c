#include "db/connection.h"
#include "db/failure.h"
#include "unit.h"

/* By appendix A of PostgreSQL's documentation. */
static void what_passes_is_tried_again_and_the_rest_is_not(void **state)
{
    (void)state;
    static const char *const passes[] = {"",      "08006", "53100", "53200", "53300",
                                         "57P01", "57P02", "57P03", "57014", "55P03",
                                         "40001", "40P01", "25006", "58030"};
    static const char *const stays[] = {"42P01", "42501", "22021", "23505",
                                        "54000", "42601", "25P02", "28P01"};
    for (size_t i = 0; i < sizeof passes / sizeof *passes; i++)
        assert_int_equal(failure_class(passes[i]), ERR_UNAVAILABLE);
    for (size_t i = 0; i < sizeof stays / sizeof *stays; i++)
        assert_int_equal(failure_class(stays[i]), ERR_FATAL);
}

static void a_url_that_cannot_be_read_is_refused_without_showing_it(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(db_check_url("postgresql://me:se%zzcret@host/db", &e), ERR_INVALID);
    assert_contains(e.msg, "postgres.url cannot be read");
    assert_null(strstr(e.msg, "cret"));
    assert_int_equal(db_check_url("postgresql://me@host:5432/db", &e), 0);
    assert_int_equal(db_check_url("host=h dbname=d", &e), 0);
}

/* What of it libpq would take for host, port or database, and quote. */
static void a_password_that_libpq_would_cut_is_refused_without_showing_it(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "postgresql://me:a@hush7@host/db",
        "postgresql://me:a/hush7@host/db",
        "postgresql://me:12/hush7@host/db",
        "postgresql://me@host:hush7/db",
        "host=h port=hush7",
    };
    static const char *const right[] = {
        "postgresql://me:a%40hush7@host/db",         "postgresql://me:a?hush7@host/db",
        "postgresql://h1:5432,h2:5433/db",           "postgresql:///db?host=/run/postgresql",
        "postgresql://host/db?application_name=a@b", "host=h dbname='a@b'",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = {0};
        assert_int_equal(db_check_url(wrong[i], &e), ERR_INVALID);
        assert_contains(e.msg, "write %40 for @, %3A for :, %2F for /");
        assert_null(strstr(e.msg, "hush7"));
    }
    for (size_t i = 0; i < sizeof right / sizeof *right; i++)
        assert_int_equal(db_check_url(right[i], NULL), 0);
}

static struct db *make(const char *url)
{
    struct db *d = NULL;
    struct db_opts opts = {.url = url, .application = "test", .timeout_ms = 1000};
    assert_int_equal(db_new(&d, &opts, NULL), 0);
    return d;
}

/* Nobody listens on port 1. */
static void a_refused_connection_names_the_server_but_not_the_password(void **state)
{
    (void)state;
    struct db *d = make("postgresql://me:secret@127.0.0.1:1/shop");
    struct err e = {0}, again = {0};
    assert_int_equal(db_connect(d, &e), ERR_UNAVAILABLE);
    assert_contains(e.msg, "PostgreSQL at 127.0.0.1:1, database shop: ");
    assert_contains(e.msg, "Connection refused");
    assert_null(strstr(e.msg, "secret"));
    /* The next attempt is not due yet: the reason is that of the last one. */
    assert_int_equal(db_connect(d, &again), ERR_UNAVAILABLE);
    assert_string_equal(again.msg, e.msg);
    assert_int_equal(db_session(d), 0);
    db_free(d);
}

static void without_a_connection_statements_are_unavailable(void **state)
{
    (void)state;
    struct db *d = make("postgresql://127.0.0.1:1/shop");
    struct err e = {0};
    assert_int_equal(db_run(d, "SELECT 1", &e), ERR_UNAVAILABLE);
    assert_int_equal(db_query(d, NULL, "SELECT 1", 0, NULL, &e), ERR_UNAVAILABLE);
    assert_int_equal(db_copy(d, "COPY t FROM STDIN", str_of(""), &e), ERR_UNAVAILABLE);
    assert_contains(e.msg, "not connected");
    db_rollback(d);
    db_free(d);
}

static bool at_once(void)
{
    return true;
}

static void a_wait_ends_when_asked_to(void **state)
{
    (void)state;
    struct db *d = NULL;
    struct db_opts opts = {.url = "host=127.0.0.1 port=1",
                           .application = "test",
                           .timeout_ms = 1000,
                           .stopping = at_once};
    assert_int_equal(db_new(&d, &opts, NULL), 0);
    assert_int_equal(db_wait(d, 3600000, NULL), ERR_UNAVAILABLE);
    db_free(d);
}

static void without_memory_there_is_no_connection(void **state)
{
    (void)state;
    for (int n = 1;; n++) {
        struct db *d = NULL;
        struct db_opts opts = {.url = "host=h", .application = "test"};
        fail_alloc_at(n);
        int rc = db_new(&d, &opts, NULL);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        db_free(d);
        if (!failed)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_passes_is_tried_again_and_the_rest_is_not),
        cmocka_unit_test(a_url_that_cannot_be_read_is_refused_without_showing_it),
        cmocka_unit_test(a_password_that_libpq_would_cut_is_refused_without_showing_it),
        cmocka_unit_test(a_refused_connection_names_the_server_but_not_the_password),
        cmocka_unit_test(without_a_connection_statements_are_unavailable),
        cmocka_unit_test(a_wait_ends_when_asked_to),
        cmocka_unit_test(without_memory_there_is_no_connection),
    };
    return RUN(tests);
}
