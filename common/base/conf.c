#include "base/conf.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/yaml_tree.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum setting_type { TEXT, INTEGER };

struct setting {
    const char *name;
    enum setting_type type;
    const char *standard;
    int64_t least, most;
    const char *help;
};

#define MINUTE_MS 60000
#define DAY_MS    (24 * 60 * (int64_t)MINUTE_MS)

static const struct setting settings[] = {
    {"instance", TEXT, "", 0, 0,
     "name of this copy, unique in its worker and the same after a restart: a static member of its "
     "group, so that a "
     "restart moves no partitions. Empty: a new name at each start"},
    {"kafka.brokers", TEXT, "127.0.0.1:9092", 0, 0,
     "host:port of one or more brokers, comma-separated"},
    {"kafka.prefix", TEXT, "", 0, 0,
     "put before every topic, group and transaction name: several fleets, one cluster"},
    {"kafka.partitions", INTEGER, "4", 1, 10000,
     "of the topics that `flotilla topics create` makes"},
    {"kafka.replication", INTEGER, "1", 1, 100,
     "copies of each partition, for `flotilla topics create`"},
    {"postgres.url", TEXT, "postgresql://127.0.0.1:5432/flotilla", 0, 0,
     "connection URI or key=value string of libpq"},
    {"postgres.timeout_ms", INTEGER, "15000", 1000, 600000,
     "a PostgreSQL that answers nothing for so long counts as away"},
    {"features.file", TEXT, "features.yaml", 0, 0, "feature definitions"},
    {"http.address", TEXT, "127.0.0.1", 0, 0,
     "where /metrics, /healthz, /readyz and /status listen"},
    {"http.port", INTEGER, "0", 0, 65535, "0: any free one, logged at start"},
    {"log.level", TEXT, "info", 0, 0, "debug, info, warn or error"},
    {"commit_interval_ms", INTEGER, "100", 1, MINUTE_MS, "time between transactions"},
    {"max_commit_interval_ms", INTEGER, "1000", 1, MINUTE_MS,
     "time between transactions while far behind"},
    {"publish_interval_ms", INTEGER, "1000", 0, DAY_MS,
     "a touched key is published so long after it was first touched, however often it was touched "
     "since"},
    {"checkpoint_interval_ms", INTEGER, "30000", 0, DAY_MS,
     "a user's state is written so long after it first changed"},
    {"shared_checkpoint_interval_ms", INTEGER, "1000", 0, DAY_MS,
     "the same for the keys of shared scopes"},
    {"max_clock_skew_ms", INTEGER, "300000", 0, DAY_MS,
     "an event further ahead of its Kafka timestamp is a dead letter"},
    {"max_keys_per_user", INTEGER, "256", 1, 65535, "keys that a user keeps in one scope"},
    {"recorder.batch_rows", INTEGER, "20000", 1, 1000000,
     "rows in one PostgreSQL transaction, at most"},
    {"recorder.batch_interval_ms", INTEGER, "200", 1, MINUTE_MS,
     "time that rows wait for others, at most"},
    {"topics.events", TEXT, "events", 0, 0, "names of the topics, after the prefix"},
    {"topics.users", TEXT, "users", 0, 0, ""},
    {"topics.propositions", TEXT, "propositions", 0, 0, ""},
    {"topics.feature.deltas", TEXT, "feature.deltas", 0, 0, ""},
    {"topics.feature.totals", TEXT, "feature.totals", 0, 0, ""},
    {"topics.state.user", TEXT, "state.user", 0, 0, ""},
    {"topics.state.shared", TEXT, "state.shared", 0, 0, ""},
    {"topics.features", TEXT, "features", 0, 0, ""},
    {"topics.dead-letters", TEXT, "dead-letters", 0, 0, ""},
};

enum { SETTINGS = sizeof settings / sizeof *settings };

struct passed {
    struct passed *next;
    const char *name; /* without "kafka." */
    const char *value;
};

struct conf {
    struct arena arena;
    const char *values[SETTINGS];
    const char *topics[SETTINGS]; /* with prefix; NULL where the setting is no topic */
    struct passed *kafka;
};

static int find(const char *name)
{
    for (int i = 0; i < SETTINGS; i++)
        if (strcmp(settings[i].name, name) == 0)
            return i;
    return -1;
}

static const char *keep(struct conf *c, const char *text)
{
    return arena_copy(&c->arena, str_of(text)).data;
}

/* Names with the prefix are made when prefix or name change, so that readers need no memory. */
static int name_topics(struct conf *c, struct err *e)
{
    struct buf b = {0};
    const char *prefix = conf_text(c, "kafka.prefix");
    int rc = 0;
    for (int i = 0; i < SETTINGS && !rc; i++) {
        if (strncmp(settings[i].name, "topics.", 7) != 0 || !c->values[i])
            continue;
        buf_reset(&b);
        buf_printf(&b, "%s%s", prefix, c->values[i]);
        buf_put_u8(&b, 0);
        c->topics[i] = buf_ok(&b) ? keep(c, (const char *)b.data) : NULL;
        if (!c->topics[i])
            rc = err_nomem(e);
    }
    buf_free(&b);
    return rc;
}

static int check(const struct setting *s, const char *value, struct err *e)
{
    if (s->type != INTEGER)
        return 0;
    char *end;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (!*value || *end || errno || number < s->least || number > s->most)
        return err_set(e, ERR_INVALID, "%s is \"%s\": give a whole number from %lld to %lld",
                       s->name, value, (long long)s->least, (long long)s->most);
    return 0;
}

static int pass_to_kafka(struct conf *c, const char *name, const char *value, struct err *e)
{
    struct passed *p = c->kafka;
    while (p && strcmp(p->name, name) != 0)
        p = p->next;
    if (!p) {
        if (!(p = arena_alloc(&c->arena, sizeof *p)))
            return err_nomem(e);
        *p = (struct passed){c->kafka, keep(c, name), NULL};
        c->kafka = p;
    }
    p->value = keep(c, value);
    return p->name && p->value ? 0 : err_nomem(e);
}

static int set(struct conf *c, const char *name, const char *value, struct err *e)
{
    int i = find(name);
    if (i < 0 && strncmp(name, "kafka.", 6) == 0 && name[6])
        return pass_to_kafka(c, name + 6, value, e);
    if (i < 0)
        return err_set(e, ERR_INVALID, "there is no setting \"%s\": see --help-settings", name);
    int rc = check(&settings[i], value, e);
    if (rc)
        return rc;
    c->values[i] = keep(c, value);
    return c->values[i] ? name_topics(c, e) : err_nomem(e);
}

int conf_new(struct conf **out, struct err *e)
{
    struct conf *c = calloc(1, sizeof *c);
    if (!c)
        return err_nomem(e);
    for (int i = 0; i < SETTINGS; i++)
        c->values[i] = settings[i].standard;
    int rc = name_topics(c, e);
    if (rc) {
        conf_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

void conf_free(struct conf *c)
{
    if (!c)
        return;
    arena_free(&c->arena);
    free(c);
}

/* Adds one problem to those that were found before. */
static void collect(struct err *all, const struct err *one)
{
    if (!all->code) {
        *all = *one;
        return;
    }
    size_t n = strlen(all->msg);
    snprintf(all->msg + n, sizeof all->msg - n, "; %.*s",
             (int)(sizeof all->msg - n > 3 ? sizeof all->msg - n - 3 : 0), one->msg);
}

static int load_node(struct conf *c, const char *path, const char *prefix,
                     const struct yaml_node *n, struct err *all)
{
    for (size_t i = 0; i < n->count; i++) {
        const struct yaml_pair *p = &n->pairs[i];
        char name[256];
        struct err one = {0};
        snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", p->key);
        if (p->value->type == YAML_MAP) {
            load_node(c, path, name, p->value, all);
        } else if (p->value->type == YAML_LIST) {
            err_set(&one, ERR_INVALID, "%s:%d: %s is a list: give one value", path, p->line, name);
            collect(all, &one);
        } else if (set(c, name, p->value->text, &one)) {
            err_wrap(&one, "%s:%d", path, p->line);
            collect(all, &one);
        }
    }
    return all->code;
}

int conf_load_file(struct conf *c, const char *path, struct err *e)
{
    struct yaml_tree *y = NULL;
    int rc = yaml_tree_load(&y, path, e);
    if (rc)
        return rc;
    const struct yaml_node *root = yaml_tree_root(y);
    struct err all = {0};
    if (root && root->type != YAML_MAP)
        rc = err_set(e, ERR_INVALID, "%s:%d: settings are a map: write `name: value`", path,
                     root->line);
    else if (root && (rc = load_node(c, path, "", root, &all)) && e)
        *e = all;
    yaml_tree_free(y);
    return rc;
}

/* FLOTILLA_KAFKA_BROKERS is kafka.brokers; other FLOTILLA_KAFKA_A_B are kafka.a.b. False: no
 * setting is named so. */
static bool name_of_variable(char *name, size_t size, const char *variable, size_t n)
{
    for (int i = 0; i < SETTINGS; i++) {
        const char *s = settings[i].name;
        size_t k = 0;
        while (k < n && s[k] &&
               (isalnum((unsigned char)s[k]) ? toupper((unsigned char)s[k]) : '_') == variable[k])
            k++;
        if (k == n && !s[k]) {
            snprintf(name, size, "%s", s);
            return true;
        }
    }
    snprintf(name, size, "%.*s", (int)n, variable);
    for (char *p = name; *p; p++)
        *p = *p == '_' ? '.' : (char)tolower((unsigned char)*p);
    return strncmp(name, "kafka.", 6) == 0;
}

int conf_load_environment(struct conf *c, char *const *environment, struct err *e)
{
    struct err all = {0};
    for (char *const *v = environment; *v; v++) {
        const char *equals = strchr(*v, '=');
        if (strncmp(*v, "FLOTILLA_", 9) != 0 || !equals)
            continue;
        char name[256];
        struct err one = {0};
        int n = (int)(equals - *v);
        if (!name_of_variable(name, sizeof name, *v + 9, (size_t)n - 9))
            err_set(&one, ERR_INVALID, "environment: %.*s names no setting: see --help-settings", n,
                    *v);
        else if (set(c, name, equals + 1, &one))
            err_wrap(&one, "environment: %.*s", n, *v);
        if (one.code)
            collect(&all, &one);
    }
    if (all.code && e)
        *e = all;
    return all.code;
}

int conf_set(struct conf *c, const char *assignment, struct err *e)
{
    const char *equals = strchr(assignment, '=');
    char name[256];
    if (!equals || (size_t)(equals - assignment) >= sizeof name)
        return err_set(e, ERR_INVALID, "--set %s: write --set name=value", assignment);
    snprintf(name, sizeof name, "%.*s", (int)(equals - assignment), assignment);
    int rc = set(c, name, equals + 1, e);
    if (rc)
        err_wrap(e, "--set");
    return rc;
}

const char *conf_text(const struct conf *c, const char *name)
{
    int i = find(name);
    assert(i >= 0);
    return c->values[i];
}

int64_t conf_int(const struct conf *c, const char *name)
{
    return strtoll(conf_text(c, name), NULL, 10);
}

int conf_each_kafka(const struct conf *c,
                    int (*each)(void *arg, const char *name, const char *value), void *arg)
{
    int rc = 0;
    for (const struct passed *p = c->kafka; p && !rc; p = p->next)
        rc = each(arg, p->name, p->value);
    return rc;
}

const char *conf_topic(const struct conf *c, const char *topic)
{
    char name[64];
    snprintf(name, sizeof name, "topics.%s", topic);
    int i = find(name);
    assert(i >= 0);
    return c->topics[i];
}

static bool is_secret(const char *name)
{
    return strstr(name, "password") || strstr(name, "secret") || strstr(name, ".pem") ||
           strstr(name, "url");
}

void conf_mask(struct buf *out, const char *name, const char *value)
{
    const char *scheme = strstr(value, "://"), *at = strrchr(value, '@');
    const char *colon = scheme && at ? memchr(scheme + 3, ':', (size_t)(at - scheme - 3)) : NULL;
    if (!*value || !is_secret(name) || (scheme && !colon && !strstr(value, "password")))
        buf_put_text(out, value);
    else if (colon && !strstr(value, "password"))
        buf_printf(out, "%.*s:***%s", (int)(colon - value), value, at);
    else
        buf_put_text(out, "***");
}

static void print_value(struct buf *out, const char *name, const char *value)
{
    struct buf masked = {0};
    conf_mask(&masked, name, value);
    buf_printf(out, "%s: ", name);
    json_put_text(out, buf_str(&masked)); /* a YAML scalar as well */
    buf_put_u8(out, '\n');
    buf_free(&masked);
}

void conf_print(const struct conf *c, struct buf *out)
{
    for (int i = 0; i < SETTINGS; i++) {
        if (settings[i].type == INTEGER)
            buf_printf(out, "%s: %s\n", settings[i].name, c->values[i]);
        else
            print_value(out, settings[i].name, c->values[i]);
    }
    for (const struct passed *p = c->kafka; p; p = p->next) {
        char name[256];
        snprintf(name, sizeof name, "kafka.%s", p->name);
        print_value(out, name, p->value);
    }
}

void conf_reference(struct buf *out)
{
    for (int i = 0; i < SETTINGS; i++)
        buf_printf(out, "  %-30s %s (%s)\n", settings[i].name, settings[i].help,
                   *settings[i].standard ? settings[i].standard : "empty");
    buf_put_text(out, "  kafka.ANYTHING                 passed to librdkafka as it is\n");
}
