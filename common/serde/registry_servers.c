#include "serde/registry_servers.h"

#include "base/clock.h"
#include "base/log.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <unistd.h>

struct servers {
    struct server all[SERVERS_MAX];
    size_t count, current;
    size_t failed; /* in a row */
    uint64_t epoch;
    int64_t pause_ms, again_ms;
    uint64_t random;
};

/* A part of a URL; *out stays NULL where it has none. */
static int url_part(char **out, CURLU *u, CURLUPart part, unsigned flags, struct err *e)
{
    char *text = NULL;
    CURLUcode code = curl_url_get(u, part, &text, flags);
    if (code == CURLUE_OUT_OF_MEMORY)
        return err_nomem(e);
    if (code)
        return 0;
    *out = strdup(text);
    curl_free(text);
    return *out ? 0 : err_nomem(e);
}

static int refuse(const char *url, const char *why, struct err *e)
{
    return err_set(e, ERR_INVALID,
                   "schema_registry.url has \"%.200s\": %s: write http://host:port or "
                   "https://host:port",
                   url, why);
}

static int check_url(CURLU *u, const char *url, struct err *e)
{
    char *scheme = NULL, *query = NULL, *fragment = NULL;
    int rc = url_part(&scheme, u, CURLUPART_SCHEME, 0, e);
    if (!rc)
        rc = url_part(&query, u, CURLUPART_QUERY, 0, e);
    if (!rc)
        rc = url_part(&fragment, u, CURLUPART_FRAGMENT, 0, e);
    if (!rc && (!scheme || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)))
        rc = refuse(url, "it is not of http or https", e);
    if (!rc && (query || fragment))
        rc = refuse(url, "it has a query or a fragment", e);
    free(scheme);
    free(query);
    free(fragment);
    return rc;
}

static int copy_given(char **out, const char *text, struct err *e)
{
    if (!text || !*text)
        return 0;
    *out = strdup(text);
    return *out ? 0 : err_nomem(e);
}

/* Takes user and password out of the URL, and the slashes at its end. */
static int read_url(struct server *s, CURLU *u, const char *user, const char *password,
                    struct err *e)
{
    int rc = url_part(&s->user, u, CURLUPART_USER, CURLU_URLDECODE, e);
    if (!rc && s->user)
        rc = url_part(&s->password, u, CURLUPART_PASSWORD, CURLU_URLDECODE, e);
    else if (!rc && !(rc = copy_given(&s->user, user, e)))
        rc = copy_given(&s->password, password, e);
    if (rc)
        return rc;
    if (curl_url_set(u, CURLUPART_USER, NULL, 0) || curl_url_set(u, CURLUPART_PASSWORD, NULL, 0))
        return err_nomem(e);
    rc = url_part(&s->url, u, CURLUPART_URL, 0, e);
    if (rc || !s->url)
        return rc ? rc : err_nomem(e);
    for (size_t n = strlen(s->url); n && s->url[n - 1] == '/'; n--)
        s->url[n - 1] = 0;
    return 0;
}

static int add(struct servers *s, const char *url, const char *user, const char *password,
               struct err *e)
{
    if (s->count == SERVERS_MAX)
        return err_set(e, ERR_INVALID, "schema_registry.url has more than %d URLs", SERVERS_MAX);
    CURLU *u = curl_url();
    if (!u)
        return err_nomem(e);
    CURLUcode code = curl_url_set(u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    int rc = code == CURLUE_OUT_OF_MEMORY ? err_nomem(e)
             : code                       ? refuse(url, curl_url_strerror(code), e)
                                          : check_url(u, url, e);
    if (!rc)
        rc = read_url(&s->all[s->count++], u, user, password, e);
    curl_url_cleanup(u);
    return rc;
}

static int add_all(struct servers *s, char *urls, const char *user, const char *password,
                   struct err *e)
{
    char *state = NULL;
    int rc = 0;
    for (char *url = strtok_r(urls, ", ", &state); url && !rc; url = strtok_r(NULL, ", ", &state))
        rc = add(s, url, user, password, e);
    if (!rc && !s->count)
        rc = err_set(e, ERR_INVALID, "schema_registry.url has no URL: write http://host:port");
    return rc;
}

int servers_new(struct servers **out, const char *urls, const char *user, const char *password,
                struct err *e)
{
    struct servers *s = calloc(1, sizeof *s);
    char *copy = strdup(urls);
    int rc = s && copy ? add_all(s, copy, user, password, e) : err_nomem(e);
    free(copy);
    /* A comma in a password parts it, and what is refused may be the half of one. */
    if (rc == ERR_INVALID && strchr(urls, '@'))
        err_set(e, rc,
                "schema_registry.url cannot be used (it is not shown, since it may hold a "
                "password): write https://user:password@host:port, with %%2C for a comma and "
                "%%40 for an @ in the password");
    if (rc) {
        servers_free(s);
        return rc;
    }
    s->random = (uint64_t)clock_monotonic_us() ^ (uint64_t)getpid() << 32;
    *out = s;
    return 0;
}

void servers_free(struct servers *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++) {
        free(s->all[i].url);
        free(s->all[i].user);
        free(s->all[i].password);
    }
    free(s);
}

const struct server *servers_current(const struct servers *s)
{
    return &s->all[s->current];
}

int64_t servers_pause_ms(const struct servers *s, int64_t now_ms)
{
    return s->failed && s->again_ms > now_ms ? s->again_ms - now_ms : 0;
}

bool servers_are_away(const struct servers *s)
{
    return s->failed;
}

size_t servers_count(const struct servers *s)
{
    return s->count;
}

uint64_t servers_epoch(const struct servers *s)
{
    return s->epoch;
}

void servers_succeeded(struct servers *s)
{
    if (!s->failed)
        return;
    LOG_INFO("schema_registry_back", LOG_TEXT("url", servers_current(s)->url));
    s->failed = 0;
    s->pause_ms = s->again_ms = 0;
}

void servers_failed(struct servers *s, uint64_t epoch, int64_t now_ms, const char *why)
{
    if (epoch != s->epoch)
        return;
    if (!s->failed)
        LOG_WARN("schema_registry_away", LOG_TEXT("url", servers_current(s)->url),
                 LOG_TEXT("error", why));
    s->epoch++;
    s->failed++;
    s->current = (s->current + 1) % s->count;
    if (s->failed % s->count)
        return; /* There is one that was not asked yet. */
    int64_t longer = 2 * s->pause_ms;
    s->pause_ms = longer < SERVER_LEAST_PAUSE_MS  ? SERVER_LEAST_PAUSE_MS
                  : longer > SERVER_MOST_PAUSE_MS ? SERVER_MOST_PAUSE_MS
                                                  : longer;
    s->again_ms = now_ms + servers_jitter(s, s->pause_ms);
}

int64_t servers_jitter(struct servers *s, int64_t ms)
{
    s->random = s->random * 6364136223846793005u + 1442695040888963407u;
    return ms - (int64_t)((s->random >> 33) % (uint64_t)(ms / 2 + 1));
}
