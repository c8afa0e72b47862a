/*
 * A server of HTTP or HTTPS on the loopback that answers what a test gives it, and remembers what
 * it was asked: the other end for a client of a schema registry.
 *
 * What has no answer is 404 with the registry's error for an unknown schema. Its own thread; all
 * functions may be called from the test's.
 */
#pragma once

#include "unit.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERVER_ANSWERS = 128, SERVER_HELD = 64 };

struct server_answer {
    char path[256]; /* as it came, escapes and all; without the query */
    unsigned status;
    char *body;
    int asked;
};

struct server_request {
    char authorization[256], body[4096], content_type[128], last[320];
    bool client_shown; /* it came with a certificate of client_signer */
};

struct registry_server {
    struct MHD_Daemon *daemon;
    int port;
    const char *certificate, *key; /* PEM; NULL: plain HTTP */
    const char *client_signer;     /* clients are asked for a certificate of this one */
    pthread_mutex_t lock;
    struct server_answer answers[SERVER_ANSWERS];
    size_t count;
    int asked;        /* in all */
    unsigned status;  /* everything is answered so; 0: as given */
    bool cuts, holds; /* connections are closed, or nothing is answered until server_go_on() */
    struct MHD_Connection *held[SERVER_HELD];
    size_t held_count;
    struct server_request seen; /* the last one */
};

/* A copy of what it remembers of the last request. */
static inline struct server_request server_seen(struct registry_server *s)
{
    pthread_mutex_lock(&s->lock);
    struct server_request seen = s->seen;
    pthread_mutex_unlock(&s->lock);
    return seen;
}

struct server_upload {
    struct buf body;
    bool was_held;
};

static inline struct server_answer *server_find(struct registry_server *s, const char *path)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->answers[i].path, path) == 0)
            return &s->answers[i];
    return NULL;
}

/* The server's library uses GnuTLS and brings it along. */
static inline bool server_knows_client(struct MHD_Connection *c)
{
    unsigned (*verify)(gnutls_session_t, unsigned *) = NULL;
    *(void **)&verify = dlsym(RTLD_DEFAULT, "gnutls_certificate_verify_peers2");
    unsigned status = 1;
    gnutls_session_t session =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION)->tls_session;
    return verify && verify(session, &status) == 0 && status == 0;
}

static inline void server_remember(struct registry_server *s, struct MHD_Connection *c,
                                   const char *method, const char *path, const struct buf *body)
{
    struct server_request *seen = &s->seen;
    const char *authorization = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
    const char *type = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Content-Type");
    snprintf(seen->authorization, sizeof seen->authorization, "%s",
             authorization ? authorization : "");
    snprintf(seen->content_type, sizeof seen->content_type, "%s", type ? type : "");
    snprintf(seen->body, sizeof seen->body, "%.*s", STR_ARG(buf_str(body)));
    snprintf(seen->last, sizeof seen->last, "%s %s", method, path);
    seen->client_shown = s->client_signer && server_knows_client(c);
    s->asked++;
}

static inline enum MHD_Result server_reply(struct registry_server *s, struct MHD_Connection *c,
                                           const char *path)
{
    struct server_answer *a = server_find(s, path);
    const char *text = a ? a->body : "{\"error_code\":40403,\"message\":\"Schema not found\"}";
    unsigned status = s->status ? s->status : a ? a->status : 404;
    if (s->status)
        text = "{\"error_code\":50001,\"message\":\"Error in the backend data store\"}";
    if (a)
        a->asked++;
    if (s->cuts)
        return MHD_NO;
    struct MHD_Response *r =
        MHD_create_response_from_buffer(strlen(text), (char *)text, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(r, "Content-Type", "application/vnd.schemaregistry.v1+json");
    if (status / 100 == 3)
        MHD_add_response_header(r, "Location", "/elsewhere");
    enum MHD_Result rc = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return rc;
}

static enum MHD_Result server_serve(void *arg, struct MHD_Connection *c, const char *path,
                                    const char *method, const char *version, const char *upload,
                                    size_t *upload_bytes, void **state)
{
    (void)version;
    struct registry_server *s = arg;
    struct server_upload *u = *state;
    enum MHD_Result rc = MHD_YES;
    if (!u) {
        *state = calloc(1, sizeof *u);
        return MHD_YES;
    }
    if (*upload_bytes) {
        buf_put(&u->body, upload, *upload_bytes);
        *upload_bytes = 0;
        return MHD_YES;
    }
    pthread_mutex_lock(&s->lock);
    if (!u->was_held)
        server_remember(s, c, method, path, &u->body);
    if (s->holds && !u->was_held && s->held_count < SERVER_HELD) {
        u->was_held = true;
        s->held[s->held_count++] = c;
        MHD_suspend_connection(c);
    } else {
        rc = server_reply(s, c, path);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static void server_completed(void *arg, struct MHD_Connection *c, void **state,
                             enum MHD_RequestTerminationCode code)
{
    (void)arg, (void)c, (void)code;
    struct server_upload *u = *state;
    if (u)
        buf_free(&u->body);
    free(u);
}

/* Paths are looked at as they came. */
static size_t server_keep_escapes(void *arg, struct MHD_Connection *c, char *text)
{
    (void)arg, (void)c;
    return strlen(text);
}

/* On the port it had before, or on any. */
static inline void server_start(struct registry_server *s)
{
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_ALLOW_SUSPEND_RESUME;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct MHD_OptionItem security[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)s->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)s->key},
        {s->client_signer ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0,
         (void *)s->client_signer},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    s->daemon =
        MHD_start_daemon(s->certificate ? flags | MHD_USE_TLS : flags, 0, NULL, NULL, server_serve,
                         s, MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_NOTIFY_COMPLETED,
                         server_completed, NULL, MHD_OPTION_UNESCAPE_CALLBACK, server_keep_escapes,
                         NULL, MHD_OPTION_ARRAY, s->certificate ? security : none, MHD_OPTION_END);
    assert_non_null(s->daemon);
    s->port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
}

static inline void server_go_on(struct registry_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->holds = false;
    for (size_t i = 0; i < s->held_count; i++)
        MHD_resume_connection(s->held[i]);
    s->held_count = 0;
    pthread_mutex_unlock(&s->lock);
}

/* Nothing listens any more. */
static inline void server_stop(struct registry_server *s)
{
    if (!s->daemon)
        return;
    server_go_on(s);
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
}

/* Answers GET and POST of a path from now on. */
static inline void server_answer(struct registry_server *s, const char *path, unsigned status,
                                 const char *body)
{
    pthread_mutex_lock(&s->lock);
    struct server_answer *a = server_find(s, path);
    if (!a) {
        assert_true(s->count < SERVER_ANSWERS);
        a = &s->answers[s->count++];
        snprintf(a->path, sizeof a->path, "%s", path);
    }
    free(a->body);
    a->body = strdup(body);
    a->status = status;
    pthread_mutex_unlock(&s->lock);
}

/* How often a path was asked for that has an answer. */
static inline int server_asked(struct registry_server *s, const char *path)
{
    pthread_mutex_lock(&s->lock);
    struct server_answer *a = server_find(s, path);
    int n = a ? a->asked : 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static inline int server_asked_in_all(struct registry_server *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->asked;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static inline size_t server_held(struct registry_server *s)
{
    pthread_mutex_lock(&s->lock);
    size_t n = s->held_count;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static inline void server_misbehave(struct registry_server *s, unsigned status, bool cuts,
                                    bool holds)
{
    pthread_mutex_lock(&s->lock);
    s->status = status;
    s->cuts = cuts;
    s->holds = holds;
    pthread_mutex_unlock(&s->lock);
}

static inline void server_free(struct registry_server *s)
{
    server_stop(s);
    for (size_t i = 0; i < s->count; i++)
        free(s->answers[i].body);
    pthread_mutex_destroy(&s->lock);
}
