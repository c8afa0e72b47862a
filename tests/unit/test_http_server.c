#include "net/http_server.h"
#include "unit.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct worker_like {
    atomic_bool healthy;
    atomic_bool ready;
};

static bool healthy(void *arg, struct buf *reason)
{
    buf_put_text(reason, "turning");
    return ((struct worker_like *)arg)->healthy;
}

static bool ready(void *arg, struct buf *reason)
{
    buf_put_text(reason, "restoring partition 3");
    return ((struct worker_like *)arg)->ready;
}

static void status(void *arg, struct buf *json)
{
    (void)arg;
    buf_put_text(json, "{\"state\":\"run\"}");
}

struct fixture {
    struct worker_like worker;
    struct metrics *metrics;
    struct http_server *server;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct http_handlers handlers = {
        .healthy = healthy, .ready = ready, .status = status, .arg = &f->worker};
    assert_int_equal(metrics_new(&f->metrics, NULL), 0);
    assert_int_equal(http_server_start(&f->server, "127.0.0.1", 0, f->metrics, &handlers, NULL), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    http_server_stop(f->server);
    metrics_free(f->metrics);
    free(f);
    return 0;
}

/* The whole answer to a request of one line. */
static const char *ask(const struct fixture *f, const char *request)
{
    static char answer[65536];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)http_server_port(f->server))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    char text[256];
    int n =
        snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", request);
    assert_int_equal(send(fd, text, (size_t)n, 0), n);
    size_t have = 0;
    for (ssize_t got; (got = recv(fd, answer + have, sizeof answer - 1 - have, 0)) > 0;)
        have += (size_t)got;
    answer[have] = 0;
    close(fd);
    return answer;
}

static void metrics_are_served_in_prometheus_text_format(void **state)
{
    struct fixture *f = *state;
    metric_set(metric_get(f->metrics, METRIC_GAUGE, "g", "G.", NULL, NULL), 4);
    const char *answer = ask(f, "GET /metrics");
    assert_contains(answer, "HTTP/1.1 200");
    assert_contains(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8");
    assert_contains(answer, "\r\n\r\n# HELP g G.\n# TYPE g gauge\ng 4\n");
}

static void ready_and_healthy_are_503_with_the_reason_until_they_are(void **state)
{
    struct fixture *f = *state;
    assert_contains(ask(f, "GET /readyz"), "HTTP/1.1 503");
    assert_contains(ask(f, "GET /readyz"), "\r\n\r\nrestoring partition 3\n");
    assert_contains(ask(f, "GET /healthz"), "HTTP/1.1 503");
    f->worker.healthy = true;
    f->worker.ready = true;
    assert_contains(ask(f, "GET /readyz"), "HTTP/1.1 200");
    assert_contains(ask(f, "GET /healthz"), "HTTP/1.1 200");
}

static void status_is_json(void **state)
{
    const char *answer = ask(*state, "GET /status?pretty");
    assert_contains(answer, "Content-Type: application/json");
    assert_contains(answer, "\r\n\r\n{\"state\":\"run\"}\n");
}

static void head_is_answered_without_a_body(void **state)
{
    const char *answer = ask(*state, "HEAD /status");
    assert_contains(answer, "HTTP/1.1 200");
    assert_null(strstr(answer, "run"));
}

static void other_paths_are_404_and_other_methods_405(void **state)
{
    assert_contains(ask(*state, "GET /"), "HTTP/1.1 404");
    assert_contains(ask(*state, "GET /metrics/"), "HTTP/1.1 404");
    assert_contains(ask(*state, "DELETE /metrics"), "HTTP/1.1 405");
    assert_contains(ask(*state, "DELETE /metrics"), "Allow: GET, HEAD");
}

static void a_taken_port_is_named_with_what_to_set(void **state)
{
    struct fixture *f = *state;
    struct http_server *other = NULL;
    struct err e = {0};
    struct http_handlers none = {0};
    char part[64];
    snprintf(part, sizeof part, "port %d: Address already in use: set http.port",
             http_server_port(f->server));
    assert_int_equal(
        http_server_start(&other, "127.0.0.1", http_server_port(f->server), f->metrics, &none, &e),
        ERR_IO);
    assert_contains(e.msg, part);
    assert_null(other);
}

static void an_address_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    struct http_server *other = NULL;
    struct err e = {0};
    struct http_handlers none = {0};
    assert_int_equal(http_server_start(&other, "127.0.0.999", 0, f->metrics, &none, &e),
                     ERR_INVALID);
    assert_contains(e.msg, "http.address is \"127.0.0.999\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(metrics_are_served_in_prometheus_text_format, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ready_and_healthy_are_503_with_the_reason_until_they_are,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(status_is_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(head_is_answered_without_a_body, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_paths_are_404_and_other_methods_405, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_taken_port_is_named_with_what_to_set, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_address_that_is_none_is_refused, set_up, tear_down),
    };
    return RUN(tests);
}
