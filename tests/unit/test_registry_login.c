/* Who the client of a schema registry says it is, and whom it believes. */
#include "certificates.h"
#include "registry_client.h"

#include <unistd.h>

/* ------------------------------------------------------------------ who asks */

static void user_and_password_are_sent_and_never_shown(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    set(f, "user", "me");
    set(f, "password", "se:cret");
    connect_client(f);
    look_up(f, 1, &schema, NULL);
    /* printf me:se:cret | base64 */
    assert_string_equal(server_seen(&f->server).authorization, "Basic bWU6c2U6Y3JldA==");
    server_misbehave(&f->server, 401, false, false);
    assert_null(strstr(wait_for_reason(f, 2), "cret"));
}

static void user_of_the_url_comes_first_and_is_not_shown(void **state)
{
    struct fixture *f = *state;
    const struct schema *schema;
    char url[128];
    set(f, "user", "me");
    set(f, "password", "secret");
    snprintf(url, sizeof url, "http://you:p%%40ss@127.0.0.1:%d", f->server.port);
    set(f, "url", url);
    connect_client(f);
    look_up(f, 1, &schema, NULL);
    /* printf you:p@ss | base64 */
    assert_string_equal(server_seen(&f->server).authorization, "Basic eW91OnBAc3M=");
    server_misbehave(&f->server, 401, false, false);
    const char *why = wait_for_reason(f, 2);
    assert_contains(why, f->url);
    assert_null(strstr(why, "ss@"));
}

static void assert_setting_refused(struct fixture *f, const char *name, const char *value,
                                   const char *why)
{
    struct err e = {0};
    set(f, "url", f->url);
    set(f, name, value);
    assert_int_equal(registry_new(&f->registry, f->conf, f->metrics, &e), ERR_INVALID);
    assert_contains(e.msg, why);
    assert_null(strstr(e.msg, "secret"));
    set(f, name, "");
}

static void settings_that_cannot_be_used_are_refused(void **state)
{
    struct fixture *f = *state;
    assert_setting_refused(f, "url", "registry:8081", "\"registry:8081\"");
    assert_setting_refused(f, "url", "ftp://host", "\"ftp://host\": it is not of http or https");
    assert_setting_refused(f, "url", "ftp://me:secret@host", "it is not shown");
    assert_setting_refused(f, "url", "http://me:1,secret@host:8081", "%2C for a comma");
    assert_setting_refused(f, "url", "http://host:8081/?a=b", "it has a query");
    assert_setting_refused(f, "url", " , ", "has no URL");
    assert_setting_refused(f, "url", "http://me:secret@:99", "schema_registry.url");
    assert_setting_refused(f, "ca_file", "/nowhere/ca.pem", "schema_registry.ca_file: ");
    assert_setting_refused(f, "certificate_file", FLOTILLA_SOURCE_DIR "/README.md",
                           "is no PEM file");
}

static void secrets_among_several_urls_are_not_printed(void **state)
{
    struct fixture *f = *state;
    struct buf b = {0};
    set(f, "url", "http://a:first@h1:1,http://h2:2,http://b:second@h3:3");
    set(f, "password", "third");
    conf_print(f->conf, &b);
    buf_put_u8(&b, 0);
    assert_null(strstr((char *)b.data, "first"));
    assert_null(strstr((char *)b.data, "second"));
    assert_null(strstr((char *)b.data, "third"));
    buf_free(&b);
}

/* ------------------------------------------------------------------ TLS */

struct secured {
    struct certificate signer, stranger, host, other_host, client;
    char signer_file[64], stranger_file[64], client_file[64], key_file[64];
};

static void write_file(char *path, const char *pem)
{
    strcpy(path, "/tmp/flotilla-test-ca.XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, pem, strlen(pem)), strlen(pem));
    close(fd);
}

static void make_certificates(struct secured *s)
{
    certificate_make(&s->signer, "signer", NULL, NULL, 1);
    certificate_make(&s->stranger, "stranger", NULL, NULL, 2);
    certificate_make(&s->host, "host", "IP:127.0.0.1", &s->signer, 3);
    certificate_make(&s->other_host, "other", "DNS:registry.example", &s->signer, 4);
    certificate_make(&s->client, "client", "DNS:client.example", &s->signer, 5);
    write_file(s->signer_file, s->signer.pem);
    write_file(s->stranger_file, s->stranger.pem);
    write_file(s->client_file, s->client.pem);
    write_file(s->key_file, s->client.key_pem);
}

static void free_certificates(struct secured *s)
{
    unlink(s->signer_file);
    unlink(s->stranger_file);
    unlink(s->client_file);
    unlink(s->key_file);
    certificate_free(&s->signer);
    certificate_free(&s->stranger);
    certificate_free(&s->host);
    certificate_free(&s->other_host);
    certificate_free(&s->client);
}

/* A server that shows this certificate, and a client that trusts in a file. */
static void set_up_secured(struct fixture *f, const struct certificate *shown, const char *trusted)
{
    clock_us = 1000000000;
    f->server.certificate = shown->pem;
    f->server.key = shown->key_pem;
    set_up_server(f);
    set(f, "ca_file", trusted);
    server_answer(&f->server, "/schemas/ids/1", 200, RECORD_R);
}

static void tear_down_secured(struct fixture *f)
{
    registry_free(f->registry);
    conf_free(f->conf);
    metrics_free(f->metrics);
    server_free(&f->server);
}

static void certificate_is_shown_to_the_registry(void **state)
{
    struct secured s = {0};
    const struct schema *schema;
    (void)state;
    make_certificates(&s);
    for (int shown = 0; shown < 2; shown++) {
        struct fixture f = {.server.client_signer = s.signer.pem};
        set_up_secured(&f, &s.host, s.signer_file);
        set(&f, "certificate_file", shown ? s.client_file : "");
        set(&f, "key_file", shown ? s.key_file : "");
        connect_client(&f);
        assert_int_equal(look_up(&f, 1, &schema, NULL), 0);
        assert_int_equal(server_seen(&f.server).client_shown, shown);
        tear_down_secured(&f);
    }
    free_certificates(&s);
}

static void certificate_is_checked_against_signer_and_host(void **state)
{
    struct secured s = {0};
    const struct schema *schema;
    (void)state;
    make_certificates(&s);
    const struct {
        const struct certificate *shown;
        const char *trusted, *why;
    } cases[] = {
        {&s.host, s.signer_file, NULL},
        {&s.host, s.stranger_file, "certificate"},
        {&s.host, "", "certificate"}, /* Those of the system do not know the signer. */
        {&s.other_host, s.signer_file, "127.0.0.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f = {0};
        set_up_secured(&f, cases[i].shown, cases[i].trusted);
        connect_client(&f);
        if (cases[i].why)
            assert_contains(wait_for_reason(&f, 1), cases[i].why);
        else
            assert_int_equal(look_up(&f, 1, &schema, NULL), 0);
        assert_int_equal(server_asked_in_all(&f.server), cases[i].why ? 0 : 1);
        tear_down_secured(&f);
    }
    free_certificates(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(user_and_password_are_sent_and_never_shown),
        WITH_SERVER(user_of_the_url_comes_first_and_is_not_shown),
        WITH_SERVER(settings_that_cannot_be_used_are_refused),
        WITH_SERVER(secrets_among_several_urls_are_not_printed),
        cmocka_unit_test(certificate_is_checked_against_signer_and_host),
        cmocka_unit_test(certificate_is_shown_to_the_registry),
    };
    setenv("no_proxy", "127.0.0.1", 1);
    return RUN(tests);
}
