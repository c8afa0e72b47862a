#include "base/conf.h"

#include "base/arena.h"
#include "base/number.h"
#include "base/secret.h"
#include "base/settings.h"
#include "base/yaml_text.h"
#include "base/yaml_tree.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct passed {
    struct passed *next;
    const char *name; /* without "kafka." */
    const char *value;
};

/* The part of a file that is not made of flat settings; kept as it stands. */
static const char section_name[] = "placements";

struct section {
    struct yaml_tree *tree; /* owned, holds node; NULL: no file has it */
    const struct yaml_node *node;
    const char *file;
};

struct conf {
    struct arena arena;
    struct section section;
    const char *values[SETTINGS];
    const char *topics[SETTINGS]; /* with prefix; NULL where the setting is no topic */
    struct passed *kafka;
    struct passed *open_files; /* secret settings and their files, which others may read */
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

/* Puts a value of this name into a list, in place of the one that was there. */
static int put(struct conf *c, struct passed **list, const char *name, const char *value,
               struct err *e)
{
    struct passed *p = *list;
    while (p && strcmp(p->name, name) != 0)
        p = p->next;
    if (!p) {
        if (!(p = arena_alloc(&c->arena, sizeof *p)))
            return err_nomem(e);
        *p = (struct passed){*list, keep(c, name), NULL};
        *list = p;
    }
    p->value = keep(c, value);
    return p->name && p->value ? 0 : err_nomem(e);
}

/* librdkafka's names have nothing else. What is none is not shown: it may be a value in the wrong
 * place. */
static bool is_name(const char *name)
{
    for (const char *at = name; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("._-", *at))
            return false;
    return *name;
}

static int set(struct conf *c, const char *name, const char *value, struct err *e);

/* NAME_file: the value of NAME is what the file holds. */
static int set_from_file(struct conf *c, const char *name, const char *path, struct err *e)
{
    struct buf value = {0};
    bool is_open = false;
    int rc = secret_read(&value, path, &is_open, e);
    buf_put_u8(&value, 0);
    if (!rc && !buf_ok(&value))
        rc = err_nomem(e);
    if (!rc)
        rc = set(c, name, (const char *)value.data, e);
    else
        err_wrap(e, "%s_file", name);
    if (!rc && is_open)
        rc = put(c, &c->open_files, name, path, e);
    buf_free(&value);
    return rc;
}

static int set(struct conf *c, const char *name, const char *value, struct err *e)
{
    char base[256];
    int i = find(name);
    if (i < 0 && secret_is_file_of(base, sizeof base, name))
        return set_from_file(c, base, value, e);
    if (!is_name(name))
        return err_set(e, ERR_INVALID,
                       "what stands for a name is none (it is not shown, since it may hold a "
                       "secret): see --help-settings");
    if (i < 0 && strncmp(name, "kafka.", 6) == 0 && name[6])
        return put(c, &c->kafka, name + 6, value, e);
    if (i < 0)
        return err_set(e, ERR_INVALID, "there is no setting \"%s\": see --help-settings", name);
    int rc = setting_check(&settings[i], value, e);
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
    yaml_tree_free(c->section.tree);
    arena_free(&c->arena);
    free(c);
}

void conf_add_problem(struct err *all, const struct err *one)
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
        if (!*prefix && strcmp(p->key, section_name) == 0)
            continue;
        size_t length =
            (size_t)snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", p->key);
        if (length >= sizeof name) {
            err_set(&one, ERR_INVALID, "%s:%d: no setting has so long a name", path, p->line);
            conf_add_problem(all, &one);
        } else if (p->value->type == YAML_MAP) {
            load_node(c, path, name, p->value, all);
        } else if (p->value->type == YAML_LIST) {
            err_set(&one, ERR_INVALID, "%s:%d: %s is a list: give one value", path, p->line, name);
            conf_add_problem(all, &one);
        } else if (set(c, name, p->value->text, &one)) {
            err_wrap(&one, "%s:%d", path, p->line);
            conf_add_problem(all, &one);
        }
    }
    return all->code;
}

static int load_root(struct conf *c, const char *path, const struct yaml_node *root, struct err *e)
{
    struct err all = {0};
    int rc = 0;
    if (root && root->type != YAML_MAP)
        rc = err_set(e, ERR_INVALID, "%s:%d: settings are a map: write `name: value`", path,
                     root->line);
    else if (root && (rc = load_node(c, path, "", root, &all)) && e)
        *e = all;
    return rc;
}

/* Takes the tree, which is kept where it has a section. A later source's section replaces the one
 * before. */
static int keep_section(struct conf *c, const char *path, struct yaml_tree *y, struct err *e)
{
    const struct yaml_node *root = yaml_tree_root(y);
    const struct yaml_node *node = root ? yaml_tree_get(root, section_name) : NULL;
    const char *file = node ? keep(c, path) : NULL;
    if (!file) {
        yaml_tree_free(y);
        return node ? err_nomem(e) : 0;
    }
    yaml_tree_free(c->section.tree);
    c->section = (struct section){y, node, file};
    return 0;
}

/* Takes the tree. */
static int load_tree(struct conf *c, const char *path, struct yaml_tree *y, struct err *e)
{
    int rc = load_root(c, path, yaml_tree_root(y), e);
    if (!rc)
        return keep_section(c, path, y, e);
    yaml_tree_free(y);
    return rc;
}

int conf_load_file(struct conf *c, const char *path, struct err *e)
{
    struct yaml_tree *y = NULL;
    int rc = yaml_tree_load(&y, path, e);
    return rc ? rc : load_tree(c, path, y, e);
}

int conf_load_text(struct conf *c, const char *name, struct str text, struct err *e)
{
    struct yaml_tree *y = NULL;
    int rc = yaml_tree_parse(&y, name, text, e);
    return rc ? rc : load_tree(c, name, y, e);
}

const struct yaml_node *conf_section(const struct conf *c, const char *name, const char **file)
{
    assert(strcmp(name, section_name) == 0);
    *file = c->section.file;
    return c->section.node;
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
    if (n > 5 && strncmp(variable + n - 5, "_FILE", 5) == 0 &&
        name_of_variable(name, size - 5, variable, n - 5) && secret_is_setting(name)) {
        snprintf(name + strlen(name), 6, "_file");
        return true;
    }
    if (n >= size)
        return false;
    snprintf(name, size, "%.*s", (int)n, variable);
    for (char *p = name; *p; p++)
        *p = *p == '_' ? '.' : (char)tolower((unsigned char)*p);
    return strncmp(name, "kafka.", 6) == 0;
}

/* Which of the two would win is nobody's choice: variables have no order. */
static bool has_value_too(char *const *environment, const char *variable, int n)
{
    for (; *environment; environment++)
        if (strncmp(*environment, variable, (size_t)n - 5) == 0 && (*environment)[n - 5] == '=')
            return true;
    return false;
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
        else if (strcmp(name + strlen(name) - 5, "_file") == 0 && has_value_too(environment, *v, n))
            err_set(&one, ERR_INVALID, "environment: %.*s and %.*s: give one of them", n - 5, *v, n,
                    *v);
        else if (set(c, name, equals + 1, &one))
            err_wrap(&one, "environment: %.*s", n, *v);
        if (one.code)
            conf_add_problem(&all, &one);
    }
    if (all.code && e)
        *e = all;
    return all.code;
}

int conf_set(struct conf *c, const char *assignment, struct err *e)
{
    const char *equals = strchr(assignment, '=');
    char name[256];
    size_t n = equals ? (size_t)(equals - assignment) : strlen(assignment);
    if (!equals || n >= sizeof name)
        return err_set(e, ERR_INVALID, "--set %s: write --set name=value",
                       find(assignment) >= 0 ? assignment : "...");
    snprintf(name, sizeof name, "%.*s", (int)n, assignment);
    if (secret_is_in(name, equals + 1) && is_name(name))
        return err_set(
            e, ERR_INVALID,
            "--set %s: everybody on this machine can read a command line, so a secret "
            "may not stand there: write --set %s_file=PATH, or set it in the environment "
            "or in the file of --config",
            name, name);
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

double conf_double(const struct conf *c, const char *name)
{
    double number = 0;
    number_parse(&number, conf_text(c, name));
    return number;
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

int conf_each_open_file(const struct conf *c,
                        int (*each)(void *arg, const char *name, const char *path), void *arg)
{
    int rc = 0;
    for (const struct passed *p = c->open_files; p && !rc; p = p->next)
        rc = each(arg, p->name, p->value);
    return rc;
}

void conf_mask(struct buf *out, const char *name, const char *value)
{
    secret_mask(out, name, value);
}

static void print_value(struct buf *out, const char *name, const char *value)
{
    struct buf masked = {0};
    conf_mask(&masked, name, value);
    buf_printf(out, "%s: ", name);
    yaml_put_text(out, buf_str(&masked));
    buf_put_u8(out, '\n');
    buf_free(&masked);
}

void conf_print(const struct conf *c, struct buf *out)
{
    for (int i = 0; i < SETTINGS; i++) {
        if (settings[i].type != SETTING_TEXT)
            buf_printf(out, "%s: %s\n", settings[i].name, c->values[i]);
        else
            print_value(out, settings[i].name, c->values[i]);
    }
    for (const struct passed *p = c->kafka; p; p = p->next) {
        char name[256];
        snprintf(name, sizeof name, "kafka.%s", p->name);
        print_value(out, name, p->value);
    }
    if (c->section.node)
        yaml_put_pair(out, section_name, c->section.node, 0);
}

void conf_reference(struct buf *out)
{
    for (int i = 0; i < SETTINGS; i++)
        buf_printf(out, "  %-30s %s (%s)\n", settings[i].name, settings[i].help,
                   *settings[i].standard ? settings[i].standard : "empty");
    buf_put_text(out, "  kafka.ANYTHING                 passed to librdkafka as it is\n"
                      "  NAME_file                      a file that holds a secret setting "
                      "(kafka.sasl.password_file, postgres.url_file)\n"
                      "  placements                     a section of the file: where rankings are "
                      "shown, and what is wanted there\n");
}
