#include "net/http_server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { MAX_CONNECTIONS = 16, TIMEOUT_SECONDS = 5 };

struct http_server {
    struct MHD_Daemon *daemon;
    struct metrics *metrics;
    struct http_handlers handlers;
    int port;
};

/* What is to be answered. */
struct answer {
    unsigned status;
    const char *type;
    struct buf body;
};

static void ask(struct answer *a, bool (*handler)(void *arg, struct buf *reason), void *arg)
{
    a->status = handler(arg, &a->body) ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    buf_put_u8(&a->body, '\n');
}

static void route(struct answer *a, const struct http_server *s, const char *path,
                  const char *method)
{
    *a = (struct answer){.status = MHD_HTTP_OK, .type = "text/plain; charset=utf-8"};
    bool metrics = strcmp(path, "/metrics") == 0, healthy = strcmp(path, "/healthz") == 0;
    bool ready = strcmp(path, "/readyz") == 0, status = strcmp(path, "/status") == 0;
    if (!metrics && !healthy && !ready && !status) {
        a->status = MHD_HTTP_NOT_FOUND;
        buf_put_text(&a->body, "there is /metrics, /healthz, /readyz and /status\n");
    } else if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 &&
               strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        a->status = MHD_HTTP_METHOD_NOT_ALLOWED;
        buf_put_text(&a->body, "only GET and HEAD\n");
    } else if (healthy) {
        ask(a, s->handlers.healthy, s->handlers.arg);
    } else if (ready) {
        ask(a, s->handlers.ready, s->handlers.arg);
    } else if (metrics) {
        a->type = "text/plain; version=0.0.4; charset=utf-8";
        metrics_print(s->metrics, &a->body);
    } else {
        a->type = "application/json";
        s->handlers.status(s->handlers.arg, &a->body);
        buf_put_u8(&a->body, '\n');
    }
    if (!buf_ok(&a->body)) {
        /* Half an answer would be taken for a whole one. */
        buf_reset(&a->body);
        a->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
}

static enum MHD_Result serve(void *arg, struct MHD_Connection *connection, const char *path,
                             const char *method, const char *version, const char *upload,
                             size_t *upload_bytes, void **state)
{
    (void)version, (void)upload, (void)state;
    *upload_bytes = 0; /* Nothing that is sent along is read. */
    struct answer a;
    route(&a, arg, path, method);
    /* The library only reads it: the copy is its own. */
    struct MHD_Response *r =
        MHD_create_response_from_buffer(a.body.len, a.body.data, MHD_RESPMEM_MUST_COPY);
    buf_free(&a.body);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, a.type);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (a.status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result rc = MHD_queue_response(connection, a.status, r);
    MHD_destroy_response(r);
    return rc;
}

static int listen_on(struct http_server *s, const struct addrinfo *at)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO;
    if (at->ai_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    errno = 0;
    s->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, serve, s, MHD_OPTION_SOCK_ADDR, at->ai_addr,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
                         MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_SECONDS, MHD_OPTION_END);
    if (!s->daemon)
        return errno ? errno : EIO;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    s->port = info ? info->port : 0;
    return 0;
}

int http_server_start(struct http_server **out, const char *address, int port, struct metrics *m,
                      const struct http_handlers *handlers, struct err *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *at = NULL;
    struct http_server *s = NULL;
    char service[16];
    int rc = 0;
    snprintf(service, sizeof service, "%d", port);
    int why = getaddrinfo(address, service, &hints, &at);
    if (why) {
        rc = err_set(
            e, ERR_INVALID,
            "http.address is \"%s\": %s: give an address of this machine, such as 127.0.0.1",
            address, gai_strerror(why));
        goto out;
    }
    if (!(s = calloc(1, sizeof *s))) {
        rc = err_nomem(e);
        goto out;
    }
    s->metrics = m;
    s->handlers = *handlers;
    why = listen_on(s, at);
    if (why == EAGAIN || why == ENOMEM) {
        rc = err_set(e, ERR_NOMEM, "the thread of the HTTP server could not be started: %s",
                     strerror(why));
        goto out;
    }
    if (why) {
        rc =
            err_set(e, ERR_IO,
                    "cannot listen on %s port %d: %s: set http.port to a free one, or to 0 for any",
                    address, port, strerror(why));
        goto out;
    }
    *out = s;
    s = NULL;
out:
    free(s);
    if (at)
        freeaddrinfo(at);
    return rc;
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_stop(struct http_server *s)
{
    if (!s)
        return;
    MHD_stop_daemon(s->daemon);
    free(s);
}
