#include "net/http_client.h"

#include "base/buf.h"
#include "base/clock.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

struct exchange {
    struct exchange *next, **at; /* in the client's list */
    struct http_client *client;
    CURL *curl;
    struct curl_slist *headers;
    struct buf body;
    bool too_large;
    char why[CURL_ERROR_SIZE];
    http_done *done;
    void *arg;
};

struct http_client {
    CURLM *multi;
    char *ca_file, *certificate_file, *key_file; /* NULL: not given */
    int64_t timeout_ms;
    size_t max_answer_bytes;
    struct exchange *exchanges;
};

/* NULL for what is not given; false if memory could not be had. */
static bool copy_given(char **out, const char *text)
{
    *out = text && *text ? strdup(text) : NULL;
    return *out || !text || !*text;
}

int http_client_new(struct http_client **out, const struct http_client_options *options,
                    struct err *e)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        return err_nomem(e);
    struct http_client *c = calloc(1, sizeof *c);
    if (!c) {
        curl_global_cleanup();
        return err_nomem(e);
    }
    c->timeout_ms = options->timeout_ms;
    c->max_answer_bytes = options->max_answer_bytes;
    c->multi = curl_multi_init();
    if (!c->multi || !copy_given(&c->ca_file, options->ca_file) ||
        !copy_given(&c->certificate_file, options->certificate_file) ||
        !copy_given(&c->key_file, options->key_file) ||
        curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                          (long)options->max_connections)) {
        http_client_free(c);
        return err_nomem(e);
    }
    *out = c;
    return 0;
}

static void end(struct exchange *x)
{
    if (x->at) {
        *x->at = x->next;
        if (x->next)
            x->next->at = x->at;
    }
    if (x->curl) {
        curl_multi_remove_handle(x->client->multi, x->curl);
        curl_easy_cleanup(x->curl);
    }
    curl_slist_free_all(x->headers);
    buf_free(&x->body);
    free(x);
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    while (c->exchanges)
        end(c->exchanges);
    curl_multi_cleanup(c->multi);
    free(c->ca_file);
    free(c->certificate_file);
    free(c->key_file);
    free(c);
    curl_global_cleanup();
}

/* libcurl gives the next piece of the body; to take less than all of it ends the request. */
static size_t take(char *bytes, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    x->too_large = size * n > x->client->max_answer_bytes - x->body.len;
    if (x->too_large)
        return 0;
    buf_put(&x->body, bytes, size * n);
    return buf_ok(&x->body) ? size * n : 0;
}

static bool add_header(struct exchange *x, const char *name, const char *value)
{
    char line[256];
    snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(x->headers, line);
    if (longer)
        x->headers = longer;
    return longer;
}

static bool set_security(const struct http_client *c, CURL *curl)
{
    unsigned bad = 0;
    bad |= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    bad |= curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    bad |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    bad |= curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    bad |= curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (c->ca_file) {
        bad |= curl_easy_setopt(curl, CURLOPT_CAINFO, c->ca_file);
        bad |= curl_easy_setopt(curl, CURLOPT_CAPATH, NULL); /* not the system's as well */
    }
    if (c->certificate_file) {
        bad |= curl_easy_setopt(curl, CURLOPT_SSLCERT, c->certificate_file);
        /* A key that is locked is an error: nobody is asked for its password on a terminal. */
        bad |= curl_easy_setopt(curl, CURLOPT_KEYPASSWD, "");
        bad |=
            curl_easy_setopt(curl, CURLOPT_SSLKEY, c->key_file ? c->key_file : c->certificate_file);
    }
    return !bad;
}

static bool set_transfer(struct exchange *x)
{
    unsigned bad = 0;
    bad |= curl_easy_setopt(x->curl, CURLOPT_NOSIGNAL, 1L);
    /* A name that is being resolved holds nobody up when its request is given up. */
    bad |= curl_easy_setopt(x->curl, CURLOPT_QUICK_EXIT, 1L);
    bad |= curl_easy_setopt(x->curl, CURLOPT_TIMEOUT_MS, (long)x->client->timeout_ms);
    bad |= curl_easy_setopt(x->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)x->client->timeout_ms);
    bad |= curl_easy_setopt(x->curl, CURLOPT_USERAGENT, "flotilla/" FLOTILLA_VERSION);
    bad |= curl_easy_setopt(x->curl, CURLOPT_ERRORBUFFER, x->why);
    bad |= curl_easy_setopt(x->curl, CURLOPT_WRITEFUNCTION, take);
    bad |= curl_easy_setopt(x->curl, CURLOPT_WRITEDATA, x);
    bad |= curl_easy_setopt(x->curl, CURLOPT_PRIVATE, x);
    return !bad;
}

static bool set_request(struct exchange *x, const struct http_request *request)
{
    unsigned bad = curl_easy_setopt(x->curl, CURLOPT_URL, request->url);
    if (request->user && *request->user) {
        bad |= curl_easy_setopt(x->curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        bad |= curl_easy_setopt(x->curl, CURLOPT_USERNAME, request->user);
        bad |=
            curl_easy_setopt(x->curl, CURLOPT_PASSWORD, request->password ? request->password : "");
    }
    if (request->accept)
        bad |= !add_header(x, "Accept", request->accept);
    if (request->body.data) {
        bad |=
            curl_easy_setopt(x->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        bad |= curl_easy_setopt(x->curl, CURLOPT_COPYPOSTFIELDS, request->body.data);
        bad |= !add_header(x, "Content-Type", request->content_type);
        /* Else libcurl waits a second for leave to send a body of some size. */
        bad |= !add_header(x, "Expect", "");
    }
    return !(bad | curl_easy_setopt(x->curl, CURLOPT_HTTPHEADER, x->headers));
}

int http_client_send(struct http_client *c, const struct http_request *request, http_done *done,
                     void *arg, struct err *e)
{
    struct exchange *x = calloc(1, sizeof *x);
    if (!x)
        return err_nomem(e);
    x->client = c;
    x->done = done;
    x->arg = arg;
    x->curl = curl_easy_init();
    if (!x->curl || !set_security(c, x->curl) || !set_transfer(x) || !set_request(x, request)) {
        end(x);
        return err_nomem(e);
    }
    if (curl_multi_add_handle(c->multi, x->curl)) {
        end(x);
        return err_set(e, ERR_INVALID, "%s cannot be asked", request->url);
    }
    x->at = &c->exchanges;
    x->next = c->exchanges;
    if (x->next)
        x->next->at = &x->next;
    c->exchanges = x;
    return 0;
}

static void say_why(const struct exchange *x, CURLcode code, struct err *e)
{
    if (x->too_large)
        err_set(e, ERR_TOO_LARGE, "the answer has more than %zu bytes",
                x->client->max_answer_bytes);
    else if (code == CURLE_OUT_OF_MEMORY || !buf_ok(&x->body))
        err_nomem(e);
    else
        err_set(e, ERR_UNAVAILABLE, "%s", *x->why ? x->why : curl_easy_strerror(code));
}

/* Hands over what has ended. */
static int collect(struct http_client *c)
{
    int ended = 0, left;
    for (CURLMsg *m; (m = curl_multi_info_read(c->multi, &left));) {
        if (m->msg != CURLMSG_DONE)
            continue;
        struct exchange *x = NULL;
        struct err e = {0};
        long status = 0;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
        curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        if (code || !status) {
            say_why(x, code, &e);
            status = 0;
        }
        x->done(x->arg, (int)status, buf_str(&x->body), &e);
        end(x);
        ended++;
    }
    return ended;
}

int http_client_turn(struct http_client *c, int wait_ms)
{
    int64_t until_us = clock_monotonic_us() + (int64_t)wait_ms * 1000;
    for (;;) {
        int running;
        curl_multi_perform(c->multi, &running);
        int ended = collect(c);
        int64_t left_us = until_us - clock_monotonic_us();
        if (ended || left_us <= 0)
            return ended;
        curl_multi_poll(c->multi, NULL, 0, (int)((left_us + 999) / 1000), NULL);
    }
}
