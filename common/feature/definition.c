#include "feature/definition.h"

#include "feature/fingerprint.h"
#include "feature/parse.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int parse_refuse(struct parse *p, int line, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (p->f && p->f->name)
        return err_set(p->e, ERR_INVALID, "%s:%d: feature %s: %s", p->file, line, p->f->name, what);
    return err_set(p->e, ERR_INVALID, "%s:%d: %s", p->file, line, what);
}

void *parse_take(struct parse *p, size_t n)
{
    void *memory = arena_alloc(&p->set->memory->arena, n + 1);
    if (memory)
        memset(memory, 0, n);
    else
        err_nomem(p->e);
    return memory;
}

const char *parse_keep(struct parse *p, const char *text)
{
    const char *copy = arena_copy(&p->set->memory->arena, str_of(text)).data;
    if (!copy)
        err_nomem(p->e);
    return copy;
}

const char *parse_join(struct parse *p, const char *a, const char *b, const char *c)
{
    size_t n = strlen(a) + strlen(b) + strlen(c);
    char *text = parse_take(p, n);
    if (text)
        snprintf(text, n + 1, "%s%s%s", a, b, c);
    return text;
}

int parse_index(const char **list, size_t count, struct str text)
{
    for (size_t i = 0; i < count; i++)
        if (str_is(text, list[i]))
            return (int)i;
    return -1;
}

/* The list itself, or a longer one with what it holds, with room for one more. Lists double, so
 * that what they leave behind in the arena is no more than they are themselves. */
static void *grow(struct parse *p, void *list, size_t count, size_t size)
{
    bool is_full = (count & (count - 1)) == 0;
    void *longer = is_full ? parse_take(p, (count ? 2 * count : 1) * size) : list;
    if (longer && is_full && count)
        memcpy(longer, list, count * size);
    return longer;
}

int parse_intern(struct parse *p, const char ***list, size_t *count, const char *text)
{
    int at = parse_index(*list, *count, str_of(text));
    if (at >= 0)
        return at;
    const char **longer = grow(p, *list, *count, sizeof *longer);
    if (!longer)
        return -1;
    longer[*count] = text;
    *list = longer;
    return (int)(*count)++;
}

int feature_set_event(const struct feature_set *s, struct str name)
{
    return parse_index(s->events, s->event_count, name);
}

int feature_set_attribute(const struct feature_set *s, enum side side, struct str field)
{
    return side == SIDE_CONTEXT ? -1
                                : parse_index(s->attributes[side], s->attribute_count[side], field);
}

int feature_set_scope(const struct feature_set *s, struct str text)
{
    for (size_t i = 0; i < s->scope_count; i++)
        if (str_is(text, s->scopes[i].text))
            return (int)i;
    return -1;
}

/* ------------------------------------------------------------ scopes */

static int read_scope_dimensions(struct parse *p, int line, struct scope *s)
{
    if (strcmp(s->text, "global") == 0)
        return 0;
    size_t count = 1;
    for (const char *c = s->text; *c; c++)
        count += *c == '*';
    if (!(s->dimensions = parse_take(p, count * sizeof *s->dimensions)))
        return p->e->code;
    for (const char *at = s->text; at; s->dimension_count++) {
        const char *star = strchr(at, '*');
        struct dimension *d = &s->dimensions[s->dimension_count];
        int rc =
            parse_dimension(p, line, str_bytes(at, star ? (size_t)(star - at) : strlen(at)), d);
        if (rc)
            return rc;
        s->has_user |= d->side == SIDE_USER && !d->field;
        s->has_proposition |= d->side == SIDE_PROPOSITION;
        at = star ? star + 1 : NULL;
    }
    return 0;
}

/* The scope of an aggregate: the one with the same text, or a new one. */
static int find_scope(struct parse *p, int line, const char *text, int *out)
{
    struct feature_set *set = p->set;
    if ((*out = feature_set_scope(set, str_of(text))) >= 0)
        return 0;
    struct scope *longer = grow(p, set->scopes, set->scope_count, sizeof *longer);
    if (!longer)
        return p->e->code;
    set->scopes = longer;
    struct scope *s = &longer[set->scope_count];
    *s = (struct scope){.text = text, .total = -1};
    int rc = read_scope_dimensions(p, line, s);
    *out = (int)set->scope_count++;
    return rc;
}

/* ------------------------------------------------------------ features */

/* The value or values of a feature in the vector. */
static int add_outputs(struct parse *p)
{
    struct feature_set *set = p->set;
    struct feature *f = p->f;
    bool named_by_window = f->window_count && f->kind != FEATURE_DISTINCT;
    size_t count = named_by_window ? f->window_count : 1;
    f->first_output = set->output_count;
    for (size_t i = 0; i < count; i++) {
        struct output *longer = grow(p, set->outputs, set->output_count, sizeof *longer);
        const char *name =
            named_by_window ? parse_join(p, f->name, "_", f->windows[i].text) : f->name;
        if (!longer || !name)
            return p->e->code;
        set->outputs = longer;
        for (size_t k = 0; k < set->output_count; k++)
            if (strcmp(longer[k].name, name) == 0)
                return parse_refuse(
                    p, f->line,
                    "its value %s has the name of a value of feature %s (line %d): rename one",
                    name, longer[k].feature->name, longer[k].feature->line);
        longer[set->output_count++] = (struct output){name, f, i};
    }
    return 0;
}

static int add_slot(struct parse *p, struct scope *s, const struct feature *f)
{
    const struct feature **longer = grow(p, s->slots, s->slot_count, sizeof *longer);
    if (!longer)
        return p->e->code;
    longer[s->slot_count++] = f;
    s->slots = longer;
    s->content_count += feature_contents(f);
    s->events[f->event] = true;
    if (f->kind == FEATURE_RATE)
        s->events[f->per] = true;
    s->is_published |= !feature_needs_candidate(f->kind);
    s->is_of_instances =
        (s->slot_count == 1 || s->is_of_instances) && feature_is_of_instances(f->kind);
    return 0;
}

static int read_kind(struct parse *p, const struct yaml_node *n, const struct yaml_pair **kind_pair)
{
    *kind_pair = NULL;
    for (size_t i = 0; i < n->count; i++) {
        const struct yaml_pair *pair = &n->pairs[i];
        if (strcmp(pair->key, "name") == 0 || strcmp(pair->key, "scope") == 0)
            continue;
        int kind = parse_kind(pair->key);
        if (kind < 0)
            return parse_refuse(
                p, pair->line,
                "there is no kind \"%s\": there are count, sum, mean, min, max, rate, recency, "
                "decay, "
                "distinct, overlap, gap, attribute, age, time, match, standing, position",
                pair->key);
        if (*kind_pair)
            return parse_refuse(p, pair->line, "has two kinds, %s and %s: make it two features",
                                (*kind_pair)->key, pair->key);
        *kind_pair = pair;
        p->f->kind = (enum feature_kind)kind;
    }
    return *kind_pair
               ? 0
               : parse_refuse(p, n->line,
                              "has no kind: add one, as count: {event: click, windows: [1h]}");
}

static int read_name(struct parse *p, const struct yaml_node *n)
{
    const struct yaml_node *name = yaml_tree_get(n, "name");
    if (!name || name->type != YAML_TEXT || !*name->text)
        return parse_refuse(p, name ? name->line : n->line,
                            "a feature needs a name: {name: user_clicks, scope: user, …}");
    for (const char *c = name->text; *c; c++)
        if ((unsigned char)*c < 0x20 || strlen(name->text) > 200)
            return parse_refuse(p, name->line,
                                "a name has at most 200 bytes and no control characters");
    for (size_t i = 0; i < p->set->feature_count; i++)
        if (strcmp(p->set->features[i].name, name->text) == 0)
            return parse_refuse(p, name->line,
                                "the name %s is taken by the feature of line %d: rename one",
                                name->text, p->set->features[i].line);
    p->f->name = parse_keep(p, name->text);
    return p->f->name ? 0 : p->e->code;
}

static int check_new(struct parse *p)
{
    for (size_t i = 0; i < p->set->feature_count; i++) {
        const struct feature *other = &p->set->features[i];
        if (memcmp(other->fingerprint, p->f->fingerprint, FINGERPRINT_BYTES) == 0)
            return parse_refuse(p, p->f->line,
                                "is defined as feature %s (line %d) is: keep one of them",
                                other->name, other->line);
    }
    return 0;
}

static int read_feature(struct parse *p, const struct yaml_node *n)
{
    const struct yaml_pair *kind = NULL;
    struct feature *f = p->f;
    *f = (struct feature){.line = n->line, .scope = -1, .total = -1};
    if (n->type != YAML_MAP)
        return parse_refuse(p, n->line,
                            "a feature is a map: {name: user_clicks, scope: user, count: {…}}");
    const struct yaml_node *scope = yaml_tree_get(n, "scope");
    int rc = read_name(p, n);
    if (!rc && (!scope || scope->type != YAML_TEXT || !*scope->text))
        rc = parse_refuse(p, scope ? scope->line : n->line,
                          "needs a scope, as user, proposition or user*proposition.genres");
    if (!rc)
        rc = read_kind(p, n, &kind);
    if (!rc && !(f->scope_text = parse_keep(p, scope->text)))
        rc = p->e->code;
    if (!rc)
        rc = parse_parameters(p, kind, scope->line);
    if (!rc && feature_is_aggregate(f->kind))
        rc = find_scope(p, scope->line, f->scope_text, &f->scope);
    if (!rc)
        rc = feature_fingerprint(f, p->set->outputs, p->e);
    if (!rc)
        rc = check_new(p);
    return rc ? rc : add_outputs(p);
}

static int add_total(struct parse *p, struct feature *f)
{
    struct feature_set *set = p->set;
    int own = f->scope;
    if (set->scopes[own].total < 0) {
        const char *text = parse_join(p, "total(", set->scopes[own].text, ")");
        struct scope *longer = text ? grow(p, set->scopes, set->scope_count, sizeof *longer) : NULL;
        if (!longer)
            return p->e->code;
        longer[set->scope_count] = (struct scope){.text = text, .is_total = true, .total = -1};
        longer[own].total = (int)set->scope_count++;
        set->scopes = longer;
    }
    f->total = set->scopes[own].total;
    f->total_slot = set->scopes[f->total].slot_count;
    f->total_content = set->scopes[f->total].content_count;
    return add_slot(p, &set->scopes[f->total], f);
}

/* Slots point into the list of features, so they are given out once that is complete. */
static int give_slots(struct parse *p)
{
    struct feature_set *set = p->set;
    int rc = 0;
    for (size_t i = 0; i < set->feature_count && !rc; i++) {
        struct feature *f = &set->features[i];
        if (f->scope < 0)
            continue;
        f->slot = set->scopes[f->scope].slot_count;
        f->content = set->scopes[f->scope].content_count;
        rc = add_slot(p, &set->scopes[f->scope], f);
    }
    for (size_t i = 0; i < set->feature_count && !rc; i++)
        if (set->features[i].kind == FEATURE_RATE && isnan(set->features[i].prior))
            rc = add_total(p, &set->features[i]);
    return rc;
}

static int read_root(struct parse *p, const struct yaml_node *root)
{
    const struct yaml_node *list = yaml_tree_get(root, "features");
    if (!list || list->type != YAML_LIST || list->count == 0)
        return parse_refuse(p, root ? root->line : 1,
                            "the file needs a list `features:` with at least one feature");
    for (size_t i = 0; i < root->count; i++)
        if (strcmp(root->pairs[i].key, "features") != 0)
            return parse_refuse(p, root->pairs[i].line,
                                "there is no section \"%s\": the file has one, features",
                                root->pairs[i].key);
    if (!(p->set->features = parse_take(p, list->count * sizeof *p->set->features)))
        return p->e->code;
    for (size_t i = 0; i < list->count; i++) {
        p->f = &p->set->features[i];
        int rc = read_feature(p, list->items[i]);
        if (rc) {
            zone_free(p->f->zone);
            return rc;
        }
        p->set->feature_count++;
    }
    p->f = NULL;
    return give_slots(p);
}

static int build(struct feature_set **out, const char *name, const struct yaml_node *root,
                 struct err *e)
{
    struct feature_set *set = calloc(1, sizeof *set);
    if (!set || !(set->memory = calloc(1, sizeof *set->memory))) {
        free(set);
        return err_nomem(e);
    }
    struct parse p = {.set = set, .file = name, .e = e};
    int rc = read_root(&p, root);
    if (rc)
        feature_set_free(set);
    else
        *out = set;
    return rc;
}

int feature_set_parse(struct feature_set **out, const char *name, struct str text, struct err *e)
{
    struct yaml_tree *y = NULL;
    struct err local;
    e = e ? e : &local;
    int rc = yaml_tree_parse(&y, name, text, e);
    if (!rc)
        rc = build(out, name, yaml_tree_root(y), e);
    yaml_tree_free(y);
    return rc;
}

int feature_set_load(struct feature_set **out, const char *path, struct err *e)
{
    struct yaml_tree *y = NULL;
    struct err local;
    e = e ? e : &local;
    int rc = yaml_tree_load(&y, path, e);
    if (!rc)
        rc = build(out, path, yaml_tree_root(y), e);
    yaml_tree_free(y);
    return rc;
}

void feature_set_free(struct feature_set *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->feature_count; i++)
        zone_free(s->features[i].zone);
    arena_free(&s->memory->arena);
    free(s->memory);
    free(s);
}
