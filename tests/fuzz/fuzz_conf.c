#include "base/conf.h"
#include "fuzz.h"
#include "serde/registry_servers.h"

#include <stdio.h>
#include <stdlib.h>

enum { MEMORY_MOST = 4 * 1024 * 1024 };

/* Integers as they are read; reading a text that is none would be a broken invariant of conf. */
static void check_values(const struct conf *c)
{
    int64_t port = conf_int(c, "http.port"), partitions = conf_int(c, "kafka.partitions");
    assert(port >= 0 && port <= 65535);
    assert(partitions >= 1 && partitions <= 10000);
    assert(conf_int(c, "max_clock_skew_ms") >= 0);
    const char *prefix = conf_text(c, "kafka.prefix"), *topic = conf_topic(c, "feature.deltas");
    assert(strncmp(topic, prefix, strlen(prefix)) == 0);
    assert(strcmp(topic + strlen(prefix), conf_text(c, "topics.feature.deltas")) == 0);
}

static int check_passed(void *arg, const char *name, const char *value)
{
    size_t *passed = arg;
    assert(*name && strlen(name) < 250 && value);
    const char *password = strstr(name, "password");
    if (*value && password && !password[8]) {
        struct buf shown = {0};
        char full[256];
        snprintf(full, sizeof full, "kafka.%s", name);
        conf_mask(&shown, full, value);
        assert(str_is(buf_str(&shown), "***"));
        buf_free(&shown);
    }
    ++*passed;
    return 0;
}

/* What is printed is a file with the same settings. */
static void check_printed(const struct conf *c)
{
    struct buf once = {0}, twice = {0};
    struct conf *again = NULL;
    struct err e = {0};
    size_t passed = 0, passed_again = 0;
    conf_print(c, &once);
    assert(buf_ok(&once));
    assert(conf_new(&again, &e) == 0);
    int rc = conf_load_text(again, "printed", buf_str(&once), &e);
    if (rc)
        fprintf(stderr, "%s\n%.*s\n", e.msg, STR_ARG(buf_str(&once)));
    assert(rc == 0);
    conf_print(again, &twice);
    conf_each_kafka(c, check_passed, &passed);
    conf_each_kafka(again, check_passed, &passed_again);
    assert(passed == passed_again);
    /* Those of librdkafka stand in another order. */
    assert(once.len == twice.len);
    conf_free(again);
    buf_free(&once);
    buf_free(&twice);
}

/* Where the schema registry is: what can be asked has no password in its URL, and what is shown of
 * the setting has none either. */
static void check_registry(const struct conf *c)
{
    struct servers *s = NULL;
    struct err e = {0};
    struct buf shown = {0};
    const char *urls = conf_text(c, "schema_registry.url");
    int rc = servers_new(&s, urls, conf_text(c, "schema_registry.user"),
                         conf_text(c, "schema_registry.password"), &e);
    if (fuzz_succeeded(rc, &e)) {
        const struct server *first = servers_current(s);
        assert(servers_count(s) > 0 && servers_count(s) <= SERVERS_MAX);
        assert(strncmp(first->url, "http", 4) == 0 && first->url[strlen(first->url) - 1] != '/');
        size_t authority = strcspn(strstr(first->url, "://") + 3, "/");
        assert(!memchr(strstr(first->url, "://") + 3, '@', authority));
        conf_mask(&shown, "schema_registry.url", urls);
        assert(!first->user || !strchr(urls, '@') || !str_equal(buf_str(&shown), str_of(urls)));
    } else {
        assert(rc == ERR_INVALID);
    }
    servers_free(s);
    buf_free(&shown);
}

static void give(struct conf *c, struct str piece)
{
    struct err e = {0};
    char *text = fuzz_text(piece);
    char *environment[] = {text, NULL};
    int rc = strncmp(text, "FLOTILLA_", 9) == 0 ? conf_load_environment(c, environment, &e)
                                                : conf_set(c, text, &e);
    fuzz_succeeded(rc, &e);
    free(text);
}

void fuzz_conf(struct str input)
{
    struct conf *c = NULL;
    struct err e = {0};
    size_t before = fuzz_memory();
    struct str file = fuzz_piece(&input);
    char *exact = fuzz_exact(file);
    assert(conf_new(&c, &e) == 0);
    fuzz_succeeded(conf_load_text(c, "fuzz.yaml", str_bytes(exact, file.len), &e), &e);
    free(exact);
    for (struct str piece = fuzz_piece(&input); piece.data; piece = fuzz_piece(&input))
        give(c, piece);
    check_values(c);
    check_printed(c);
    check_registry(c);
    assert(fuzz_memory() < before + MEMORY_MOST);
    conf_free(c);
}
