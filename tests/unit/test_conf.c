#include "base/conf.h"
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct conf *make(void)
{
    struct conf *c = NULL;
    assert_int_equal(conf_new(&c, NULL), 0);
    return c;
}

/* Loads a file with this text. */
static int load(struct conf *c, const char *text, struct err *e)
{
    char path[] = "/tmp/flotilla-test-conf-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    int rc = conf_load_file(c, path, e);
    unlink(path);
    return rc;
}

static void settings_have_their_defaults(void **state)
{
    (void)state;
    struct conf *c = make();
    assert_string_equal(conf_text(c, "kafka.brokers"), "127.0.0.1:9092");
    assert_int_equal(conf_int(c, "commit_interval_ms"), 100);
    assert_string_equal(conf_topic(c, "events"), "events");
    conf_free(c);
}

static void settings_nest_or_are_written_with_dots(void **state)
{
    (void)state;
    struct conf *c = make();
    struct err e = {0};
    assert_int_equal(load(c, "kafka:\n  brokers: a:1\n  partitions: 8\nhttp.port: 80\n", &e), 0);
    assert_string_equal(conf_text(c, "kafka.brokers"), "a:1");
    assert_int_equal(conf_int(c, "kafka.partitions"), 8);
    assert_int_equal(conf_int(c, "http.port"), 80);
    conf_free(c);
}

static void the_later_source_wins(void **state)
{
    (void)state;
    struct conf *c = make();
    char *const environment[] = {"PATH=/bin", "FLOTILLA_HTTP_PORT=2", "FLOTILLA_KAFKA_BROKERS=b:2",
                                 NULL};
    assert_int_equal(load(c, "http.port: 1\nlog.level: warn\n", NULL), 0);
    assert_int_equal(conf_load_environment(c, environment, NULL), 0);
    assert_int_equal(conf_set(c, "http.port=3", NULL), 0);
    assert_string_equal(conf_text(c, "log.level"), "warn");
    assert_string_equal(conf_text(c, "kafka.brokers"), "b:2");
    assert_int_equal(conf_int(c, "http.port"), 3);
    conf_free(c);
}

static void all_problems_of_a_file_are_told_at_once_with_their_lines(void **state)
{
    (void)state;
    struct conf *c = make();
    struct err e = {0};
    assert_int_equal(
        load(c, "http.port: many\nhttp:\n  prot: 1\nfeatures.file: [a]\nkafka.partitions: 0\n", &e),
        ERR_INVALID);
    assert_contains(e.msg, ":1: http.port is \"many\": give a whole number from 0 to 65535");
    assert_contains(e.msg, ":3: there is no setting \"http.prot\"");
    assert_contains(e.msg, ":4: features.file is a list");
    assert_contains(e.msg, ":5: kafka.partitions is \"0\"");
    conf_free(c);
}

static void numbers_are_whole_and_in_range(void **state)
{
    (void)state;
    struct conf *c = make();
    static const char *const wrong[] = {"http.port=",    "http.port=1x",
                                        "http.port=-1",  "http.port=65536",
                                        "http.port=1.0", "http.port=99999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(conf_set(c, wrong[i], NULL), ERR_INVALID);
    assert_int_equal(conf_int(c, "http.port"), 0);
    conf_free(c);
}

static void an_assignment_without_a_name_or_value_is_refused(void **state)
{
    (void)state;
    struct conf *c = make();
    struct err e = {0};
    assert_int_equal(conf_set(c, "http.port", &e), ERR_INVALID);
    assert_string_equal(e.msg, "--set http.port: write --set name=value");
    assert_int_equal(conf_set(c, "=1", &e), ERR_INVALID);
    assert_int_equal(conf_set(c, "nothing=1", &e), ERR_INVALID);
    assert_contains(e.msg, "there is no setting \"nothing\": see --help-settings");
    conf_free(c);
}

static void an_unknown_variable_of_ours_is_refused_by_name(void **state)
{
    (void)state;
    struct conf *c = make();
    struct err e = {0};
    char *const environment[] = {"FLOTILLA_HTTP_PROT=1", "FLOTILLA_HTTP_PORT=x", NULL};
    assert_int_equal(conf_load_environment(c, environment, &e), ERR_INVALID);
    assert_contains(e.msg, "FLOTILLA_HTTP_PROT names no setting");
    assert_contains(e.msg, "http.port is \"x\"");
    conf_free(c);
}

struct seen {
    char text[256];
};

static int see(void *arg, const char *name, const char *value)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);
    snprintf(s->text + n, sizeof s->text - n, "%s=%s;", name, value);
    return strcmp(name, "stop.here") == 0 ? 7 : 0;
}

static void what_the_table_lacks_below_kafka_goes_to_librdkafka(void **state)
{
    (void)state;
    struct conf *c = make();
    struct seen s = {""};
    char *const environment[] = {"FLOTILLA_KAFKA_SASL_USERNAME=me", NULL};
    assert_int_equal(load(c, "kafka:\n  linger.ms: 1\n", NULL), 0);
    assert_int_equal(conf_load_environment(c, environment, NULL), 0);
    assert_int_equal(conf_set(c, "kafka.linger.ms=2", NULL), 0);
    assert_int_equal(conf_each_kafka(c, see, &s), 0);
    assert_string_equal(s.text, "sasl.username=me;linger.ms=2;");
    assert_int_equal(conf_set(c, "kafka.stop.here=1", NULL), 0);
    s = (struct seen){""};
    assert_int_equal(conf_each_kafka(c, see, &s), 7);
    assert_string_equal(s.text, "stop.here=1;");
    conf_free(c);
}

static void the_prefix_stands_before_every_topic_whichever_comes_first(void **state)
{
    (void)state;
    struct conf *c = make();
    assert_int_equal(conf_set(c, "topics.events=clicks", NULL), 0);
    assert_int_equal(conf_set(c, "kafka.prefix=blue.", NULL), 0);
    assert_string_equal(conf_topic(c, "events"), "blue.clicks");
    assert_string_equal(conf_topic(c, "state.user"), "blue.state.user");
    assert_int_equal(conf_set(c, "topics.events=views", NULL), 0);
    assert_string_equal(conf_topic(c, "events"), "blue.views");
    conf_free(c);
}

static void masked(const char *name, const char *value, const char *expected)
{
    struct buf b = {0};
    conf_mask(&b, name, value);
    assert_buf_is(&b, expected);
    buf_free(&b);
}

static void passwords_are_masked_and_the_rest_is_shown(void **state)
{
    (void)state;
    masked("postgres.url", "postgresql://me:secret@host/db", "postgresql://me:***@host/db");
    masked("postgres.url", "postgresql://me@host:5432/db", "postgresql://me@host:5432/db");
    masked("postgres.url", "postgresql://me:se:cr@et@host/db", "postgresql://me:***@host/db");
    masked("postgres.url", "host=h password=secret", "***");
    masked("postgres.url", "postgresql://host/db?password=secret", "***");
    masked("kafka.sasl.password", "secret", "***");
    masked("kafka.ssl.key.pem", "secret", "***");
    masked("kafka.sasl.password", "", "");
    masked("kafka.brokers", "a:1", "a:1");
}

static void a_private_key_is_masked_wherever_it_stands(void **state)
{
    (void)state;
    masked("kafka.ssl.certificate.pem", "-----BEGIN CERTIFICATE-----",
           "-----BEGIN CERTIFICATE-----");
    masked("kafka.ssl.certificate.pem",
           "-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----\nx", "***");
    masked("kafka.sasl.oauthbearer.config", "principal=x", "***");
    masked("kafka.sasl.oauthbearer.client.secret", "x", "***");
    masked("kafka.ssl.keystore.password", "x", "***");
    masked("kafka.sasl.jaas.config", "x", "***");
    masked("kafka.sasl.password_file", "/run/secrets/kafka", "/run/secrets/kafka");
    masked("kafka.sasl.oauthbearer.token.endpoint.url", "https://id/token", "https://id/token");
}

static void the_user_part_of_another_url_is_masked_whole(void **state)
{
    (void)state;
    masked("schema_registry.url", "https://token@host:8081", "https://***@host:8081");
    masked("schema_registry.url", "https://me:pass@host", "https://me:***@host");
    masked("schema_registry.url", "https:/me:pass@host", "https:/me:***@host");
    masked("schema_registry.url", "https://host:8081", "https://host:8081");
    masked("schema_registry.url", "https://t1@h1:8081,https://t2@h2:8081", "https://***@h2:8081");
    masked("schema_registry.url", "https://h1:8081,https://h2:8081",
           "https://h1:8081,https://h2:8081");
    masked("postgres.url", "postgresql://me@host/db?application_name=a@b",
           "postgresql://me@host/db?application_name=a@b");
    masked("postgres.url", "postgresql://me@sec:ret@host/db", "postgresql://***@host/db");
    masked("postgres.url", "postgresql://host/db?p%61ssword=secret", "***");
    masked("postgres.url", "postgresql://host/db?sslmode=verify-full&sslpassword=x", "***");
}

static void a_secret_on_the_command_line_is_refused_and_not_repeated(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "kafka.sasl.password=hush7", "kafka.ssl.key.pem=hush7",
        "postgres.url=postgresql://me:hush7@host/db", "postgres.url=host=h password=hush7",
        "kafka.ssl.certificate.pem=-----BEGIN PRIVATE KEY----- hush7"};
    struct conf *c = make();
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct err e = {0};
        assert_int_equal(conf_set(c, refused[i], &e), ERR_INVALID);
        assert_contains(e.msg, "everybody on this machine can read a command line");
        assert_contains(e.msg, "_file=PATH");
        assert_null(strstr(e.msg, "hush7"));
    }
    assert_int_equal(conf_set(c, "postgres.url=postgresql://me@host/db", NULL), 0);
    assert_int_equal(conf_set(c, "kafka.sasl.username=me", NULL), 0);
    conf_free(c);
}

static void what_is_no_setting_is_not_repeated_where_it_may_be_a_secret(void **state)
{
    (void)state;
    static const char *const wrong[] = {"hush7", "kafka.sasl.password:hush7",
                                        "postgres.url postgresql://me:hush7@host?a=b",
                                        "postgres.password=hush7"};
    struct conf *c = make();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct err e = {0};
        assert_int_equal(conf_set(c, wrong[i], &e), ERR_INVALID);
        assert_null(strstr(e.msg, "hush7"));
    }
    struct err e = {0};
    assert_int_equal(load(c, "'postgresql://me:hush7@host': 1\n", &e), ERR_INVALID);
    assert_null(strstr(e.msg, "hush7"));
    conf_free(c);
}

/* A file of these bytes that only the owner may read; its path is in path. */
static void make_file(char *path, const void *bytes, size_t n)
{
    strcpy(path, "/tmp/flotilla-test-secret-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

static int count_open(void *arg, const char *name, const char *path)
{
    (void)name, (void)path;
    ++*(int *)arg;
    return 0;
}

static void a_secret_comes_from_a_file_in_every_source(void **state)
{
    (void)state;
    char path[64], text[128], variable[128], assignment[128];
    struct seen s = {""};
    make_file(path, "first line\nsecond\n", 18);
    snprintf(text, sizeof text, "kafka: {sasl.password_file: %s}\n", path);
    snprintf(variable, sizeof variable, "FLOTILLA_KAFKA_SSL_KEY_PASSWORD_FILE=%s", path);
    snprintf(assignment, sizeof assignment, "postgres.url_file=%s", path);
    char *const environment[] = {variable, NULL};
    struct conf *c = make();
    int open_files = 0;
    assert_int_equal(load(c, text, NULL), 0);
    assert_int_equal(conf_load_environment(c, environment, NULL), 0);
    assert_int_equal(conf_set(c, assignment, NULL), 0);
    conf_each_kafka(c, see, &s);
    assert_string_equal(s.text,
                        "ssl.key.password=first line\nsecond;sasl.password=first line\nsecond;");
    assert_string_equal(conf_text(c, "postgres.url"), "first line\nsecond");
    assert_int_equal(conf_each_open_file(c, count_open, &open_files), 0);
    assert_int_equal(open_files, 0);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(conf_set(c, assignment, NULL), 0);
    conf_each_open_file(c, count_open, &open_files);
    assert_int_equal(open_files, 1);
    unlink(path);
    conf_free(c);
}

static void refused_file(const void *bytes, size_t n, const char *why)
{
    char path[64], assignment[128];
    struct conf *c = make();
    struct err e = {0};
    make_file(path, bytes, n);
    snprintf(assignment, sizeof assignment, "kafka.sasl.password_file=%s", path);
    assert_int_not_equal(conf_set(c, assignment, &e), 0);
    assert_contains(e.msg, "--set: kafka.sasl.password_file: ");
    assert_contains(e.msg, path);
    assert_contains(e.msg, why);
    unlink(path);
    conf_free(c);
}

static void a_file_that_holds_no_secret_is_refused_and_said_why(void **state)
{
    (void)state;
    static char large[64 * 1024 + 1];
    memset(large, 'x', sizeof large);
    refused_file("", 0, "is empty");
    refused_file("\n", 1, "is empty");
    refused_file("\r\n", 2, "is empty");
    refused_file("a\0b", 3, "zero byte");
    refused_file(large, sizeof large, "is larger than 65536 bytes");
    struct conf *c = make();
    struct err e = {0};
    assert_int_equal(conf_set(c, "kafka.sasl.password_file=/tmp", &e), ERR_IO);
    assert_contains(e.msg, "Is a directory");
    assert_int_equal(conf_set(c, "kafka.sasl.password_file=/no/such/file", &e), ERR_IO);
    assert_contains(e.msg, "No such file or directory");
    assert_int_equal(conf_set(c, "kafka.brokers_file=/tmp", &e), 0); /* librdkafka refuses it */
    assert_int_equal(conf_set(c, "http.port_file=/tmp", &e), ERR_INVALID);
    conf_free(c);
}

static void a_secret_and_its_file_in_one_environment_are_refused(void **state)
{
    (void)state;
    struct conf *c = make();
    struct err e = {0};
    char *const environment[] = {"FLOTILLA_POSTGRES_URL=postgresql://a:hush7@b/c",
                                 "FLOTILLA_POSTGRES_URL_FILE=/no/such/file", NULL};
    assert_int_equal(conf_load_environment(c, environment, &e), ERR_INVALID);
    assert_contains(e.msg,
                    "FLOTILLA_POSTGRES_URL and FLOTILLA_POSTGRES_URL_FILE: give one of them");
    assert_null(strstr(e.msg, "hush7"));
    conf_free(c);
}

static void the_printed_configuration_can_be_loaded_again(void **state)
{
    (void)state;
    struct conf *c = make(), *again = make();
    struct buf first = {0}, second = {0};
    assert_int_equal(conf_set(c, "kafka.prefix=\"#: x", NULL), 0);
    assert_int_equal(conf_set(c, "kafka.linger.ms=5", NULL), 0);
    conf_print(c, &first);
    buf_put_u8(&first, 0);
    assert_int_equal(load(again, (const char *)first.data, NULL), 0);
    conf_print(again, &second);
    assert_buf_is(&second, (const char *)first.data);
    buf_free(&first);
    buf_free(&second);
    conf_free(c);
    conf_free(again);
}

static void the_reference_names_every_setting_with_its_default(void **state)
{
    (void)state;
    struct buf b = {0};
    conf_reference(&b);
    buf_put_u8(&b, 0);
    assert_contains((const char *)b.data, "kafka.brokers");
    assert_contains((const char *)b.data, "(127.0.0.1:9092)");
    assert_contains((const char *)b.data, "recorder.batch_rows");
    buf_free(&b);
}

static void without_memory_it_fails_and_keeps_what_was_set(void **state)
{
    (void)state;
    struct conf *c = NULL;
    char value[70000], path[64], secret[128];
    make_file(path, "secret", 6);
    chmod(path, 0644);
    snprintf(secret, sizeof secret, "kafka.sasl.password_file=%s", path);
    memset(value, 'x', sizeof value);
    memcpy(value, "kafka.prefix=", 13);
    value[sizeof value - 1] = 0;
    for (int n = 1;; n++) {
        struct err e = {0};
        fail_alloc_at(n);
        int rc = conf_new(&c, &e);
        if (!rc)
            rc = conf_set(c, value, &e); /* larger than a block: asks for memory each time */
        if (!rc)
            rc = conf_set(c, secret, &e);
        bool failed = fail_alloc_end();
        assert_int_equal(rc, failed ? ERR_NOMEM : 0);
        conf_free(c);
        c = NULL;
        if (!failed)
            break;
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_have_their_defaults),
        cmocka_unit_test(settings_nest_or_are_written_with_dots),
        cmocka_unit_test(the_later_source_wins),
        cmocka_unit_test(all_problems_of_a_file_are_told_at_once_with_their_lines),
        cmocka_unit_test(numbers_are_whole_and_in_range),
        cmocka_unit_test(an_assignment_without_a_name_or_value_is_refused),
        cmocka_unit_test(an_unknown_variable_of_ours_is_refused_by_name),
        cmocka_unit_test(what_the_table_lacks_below_kafka_goes_to_librdkafka),
        cmocka_unit_test(the_prefix_stands_before_every_topic_whichever_comes_first),
        cmocka_unit_test(passwords_are_masked_and_the_rest_is_shown),
        cmocka_unit_test(a_private_key_is_masked_wherever_it_stands),
        cmocka_unit_test(the_user_part_of_another_url_is_masked_whole),
        cmocka_unit_test(a_secret_on_the_command_line_is_refused_and_not_repeated),
        cmocka_unit_test(what_is_no_setting_is_not_repeated_where_it_may_be_a_secret),
        cmocka_unit_test(a_secret_comes_from_a_file_in_every_source),
        cmocka_unit_test(a_file_that_holds_no_secret_is_refused_and_said_why),
        cmocka_unit_test(a_secret_and_its_file_in_one_environment_are_refused),
        cmocka_unit_test(the_printed_configuration_can_be_loaded_again),
        cmocka_unit_test(the_reference_names_every_setting_with_its_default),
        cmocka_unit_test(without_memory_it_fails_and_keeps_what_was_set),
    };
    return RUN(tests);
}
