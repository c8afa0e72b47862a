/* The lines of a placement. */
#include "ranker/placement_parse.h"

#include "base/conf.h"
#include "base/duration.h"
#include "base/number.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void placement_refuse(struct placement_reader *r, int line, const char *format, ...)
{
    struct err one = {0};
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    err_set(&one, ERR_INVALID, "%s:%d: placement %s: %s", r->file, line, r->out->name, what);
    if (r->all->code != ERR_NOMEM)
        conf_add_problem(r->all, &one);
}

/* ------------------------------------------------------------ values */

/* Memory of the placements; NULL: r->all says that it was short. */
static void *take(struct placement_reader *r, size_t n)
{
    void *memory = arena_alloc(r->arena, n + 1);
    if (memory)
        memset(memory, 0, n);
    else
        err_nomem(r->all);
    return memory;
}

static const char *shown(const struct yaml_node *n)
{
    return n->type == YAML_TEXT ? n->text : "a list or map";
}

/* A copy of a text that is not empty; NULL: it is none. */
static const char *read_text(struct placement_reader *r, const char *name,
                             const struct yaml_node *n)
{
    if (n->type != YAML_TEXT || !*n->text) {
        placement_refuse(r, n->line, "%s must be one text that is not empty", name);
        return NULL;
    }
    const char *copy = arena_copy(r->arena, str_of(n->text)).data;
    if (!copy)
        err_nomem(r->all);
    return copy;
}

/* A number in a range; words say which would be right. */
static void read_number(struct placement_reader *r, const char *name, const struct yaml_node *n,
                        double least, double most, const char *words, double *out)
{
    double number;
    if (n->type != YAML_TEXT || !number_parse(&number, n->text) || number < least || number > most)
        placement_refuse(r, n->line, "%s is \"%s\": give %s", name, shown(n), words);
    else
        *out = number;
}

static void read_share(struct placement_reader *r, const char *name, const struct yaml_node *n,
                       double *out)
{
    read_number(r, name, n, 0, 1, "a number from 0 to 1", out);
}

static void read_whole(struct placement_reader *r, const char *name, const struct yaml_node *n,
                       size_t *out)
{
    double number = NAN;
    char words[80];
    snprintf(words, sizeof words, "a whole number from 1 to %d", MAX_PLACEMENT_CANDIDATES);
    read_number(r, name, n, 1, MAX_PLACEMENT_CANDIDATES, words, &number);
    if (number == floor(number))
        *out = (size_t)number;
    else if (!isnan(number))
        placement_refuse(r, n->line, "%s is \"%s\": give %s", name, n->text, words);
}

static void read_duration(struct placement_reader *r, const char *name, const struct yaml_node *n,
                          int64_t *out)
{
    if (!duration_parse(out, shown(n)))
        placement_refuse(r, n->line, "%s is \"%s\": give " DURATION_FORM, name, shown(n));
}

/* Whether the node is a map with the first `required` of these names, and no other than these. */
static bool check_map(struct placement_reader *r, const char *what, int line,
                      const struct yaml_node *map, const char *const *names, size_t required,
                      const char *example)
{
    if (map->type != YAML_MAP) {
        placement_refuse(r, line, "%s: write %s", what, example);
        return false;
    }
    bool is_right = true;
    for (size_t i = 0; i < required; i++) {
        if (yaml_tree_get(map, names[i]))
            continue;
        placement_refuse(r, line, "%s lacks \"%s\": write %s", what, names[i], example);
        is_right = false;
    }
    for (size_t i = 0; i < map->count; i++) {
        size_t k = 0;
        while (names[k] && strcmp(names[k], map->pairs[i].key) != 0)
            k++;
        if (names[k])
            continue;
        placement_refuse(r, map->pairs[i].line, "%s has no \"%s\": write %s", what,
                         map->pairs[i].key, example);
        is_right = false;
    }
    return is_right;
}

/* The items of a list; 0 where it is none. */
static size_t check_list(struct placement_reader *r, const char *what, const struct yaml_node *n,
                         const char *example)
{
    if (n->type == YAML_LIST)
        return n->count;
    placement_refuse(r, n->line, "%s must be a list: write %s", what, example);
    return 0;
}

/* ------------------------------------------------------------ filters and hide */

#define FILTER_EXAMPLE                                                                             \
    "{attribute: country, equals: de}, {attribute: genres, in: [drama, comedy]} or {attribute: "   \
    "price, from: 0, to: 20}"

static void read_values(struct placement_reader *r, const struct yaml_node *n, struct filter *f)
{
    size_t count = check_list(r, "in", n, "[drama, comedy]");
    if (n->type == YAML_LIST && count == 0)
        placement_refuse(r, n->line, "in is an empty list: nothing would pass");
    if (!(f->values = take(r, count * sizeof *f->values)))
        return;
    for (size_t i = 0; i < count; i++)
        if ((f->values[f->value_count] = read_text(r, "a value", n->items[i])))
            f->value_count++;
}

static void read_range(struct placement_reader *r, const struct yaml_node *map, struct filter *f)
{
    const struct yaml_node *from = yaml_tree_get(map, "from"), *to = yaml_tree_get(map, "to");
    f->kind = FILTER_RANGE;
    f->from = -INFINITY;
    f->to = INFINITY;
    if (from)
        read_number(r, "from", from, -INFINITY, INFINITY, "a number", &f->from);
    if (to)
        read_number(r, "to", to, -INFINITY, INFINITY, "a number", &f->to);
    if (f->from > f->to)
        placement_refuse(r, from->line, "from is above to: nothing would pass");
}

static void read_filter(struct placement_reader *r, const struct yaml_node *map, struct filter *f)
{
    static const char *const names[] = {"attribute", "equals", "in", "from", "to", NULL};
    if (!check_map(r, "a filter", map->line, map, names, 1, FILTER_EXAMPLE))
        return;
    const struct yaml_node *equals = yaml_tree_get(map, "equals"), *in = yaml_tree_get(map, "in");
    bool has_range = yaml_tree_get(map, "from") || yaml_tree_get(map, "to");
    f->attribute = read_text(r, "attribute", yaml_tree_get(map, "attribute"));
    if ((equals != NULL) + (in != NULL) + has_range != 1) {
        placement_refuse(r, map->line, "a filter has one condition: write " FILTER_EXAMPLE);
    } else if (has_range) {
        read_range(r, map, f);
    } else if (in) {
        read_values(r, in, f);
    } else if ((f->values = take(r, sizeof *f->values))) {
        f->values[0] = read_text(r, "equals", equals);
        f->value_count = 1;
    }
}

static void read_filters(struct placement_reader *r, const struct yaml_node *n)
{
    struct placement *p = r->out;
    size_t count = check_list(r, "filters", n, "[" FILTER_EXAMPLE "]");
    if (!(p->filters = take(r, count * sizeof *p->filters)))
        return;
    for (size_t i = 0; i < count; i++)
        read_filter(r, n->items[i], &p->filters[p->filter_count++]);
}

/* A scope of the user and the proposition, in either order. */
static bool is_of_pair(const struct feature_set *set, const struct feature *f)
{
    const struct scope *s = f->scope >= 0 ? &set->scopes[f->scope] : NULL;
    if (!s || s->dimension_count != 2 || s->dimensions[0].field || s->dimensions[1].field)
        return false;
    return s->has_user && s->has_proposition;
}

static const struct feature *find_recency(const struct feature_set *set, const char *event)
{
    for (size_t i = 0; i < set->feature_count; i++) {
        const struct feature *f = &set->features[i];
        if (f->kind == FEATURE_RECENCY && is_of_pair(set, f) && strcmp(f->event_name, event) == 0)
            return f;
    }
    return NULL;
}

static void read_hide(struct placement_reader *r, const struct yaml_node *map,
                      struct placement_hide *h)
{
    static const char *const names[] = {"event", "within", NULL};
    if (!check_map(r, "hide", map->line, map, names, 2, "{event: dismiss, within: 30d}"))
        return;
    read_duration(r, "within", yaml_tree_get(map, "within"), &h->within_ms);
    h->event = read_text(r, "event", yaml_tree_get(map, "event"));
    const struct feature *f = h->event ? find_recency(r->set, h->event) : NULL;
    if (f)
        h->output = f->first_output;
    else if (h->event)
        placement_refuse(r, map->line,
                         "hide: no feature knows when a user last did \"%s\" with a proposition: "
                         "add to the feature definitions - {name: since_%s, scope: "
                         "user*proposition, recency: {event: %s}}",
                         h->event, h->event, h->event);
}

static void read_hides(struct placement_reader *r, const struct yaml_node *n)
{
    struct placement *p = r->out;
    size_t count = check_list(r, "hide", n, "[{event: dismiss, within: 30d}]");
    if (!(p->hides = take(r, count * sizeof *p->hides)))
        return;
    for (size_t i = 0; i < count; i++)
        read_hide(r, n->items[i], &p->hides[p->hide_count++]);
}

/* ------------------------------------------------------------ the others */

static void read_diversity(struct placement_reader *r, int line, const struct yaml_node *map)
{
    static const char *const names[] = {"attribute", "most", "first", NULL};
    struct placement *p = r->out;
    if (!check_map(r, "diversity", line, map, names, 3, "{attribute: genres, most: 2, first: 10}"))
        return;
    p->diversity = read_text(r, "attribute", yaml_tree_get(map, "attribute"));
    read_whole(r, "most", yaml_tree_get(map, "most"), &p->most);
    read_whole(r, "first", yaml_tree_get(map, "first"), &p->first);
    if (p->most && p->first && p->most > p->first)
        placement_refuse(r, line, "diversity: most is %zu of the first %zu: give fewer than those",
                         p->most, p->first);
}

static void read_exploration(struct placement_reader *r, int line, const struct yaml_node *map)
{
    static const char *const names[] = {"share", "temperature", NULL};
    if (!check_map(r, "exploration", line, map, names, 1, "{share: 0.05, temperature: 1}"))
        return;
    read_share(r, "share", yaml_tree_get(map, "share"), &r->out->explored_share);
    const struct yaml_node *temperature = yaml_tree_get(map, "temperature");
    if (temperature)
        read_number(r, "temperature", temperature, 1e-9, 1e9, "a number from 1e-9 to 1e9",
                    &r->out->temperature);
}

static void read_rule(struct placement_reader *r, enum rule_kind kind, int line,
                      const struct yaml_node *map)
{
    static const char *const names[] = {"value", "weight", "missing", NULL}, *const of_recency[] = {
                                                                                 "value", "weight",
                                                                                 "missing",
                                                                                 "half_life", NULL};
    bool is_recency = kind == RULE_RECENCY;
    struct rule_opts opts = {.kind = kind, .weight = 1, .missing = NAN};
    struct err one = {0};
    if (!check_map(r, rule_kind_name(kind), line, map, is_recency ? of_recency : names, 0,
                   is_recency ? "{value: age, half_life: 30d, weight: 0.3}"
                              : "{value: prop_ctr_7d, weight: 1}"))
        return;
    const struct yaml_node *value = yaml_tree_get(map, "value"),
                           *weight = yaml_tree_get(map, "weight"),
                           *missing = yaml_tree_get(map, "missing"),
                           *half_life = yaml_tree_get(map, "half_life");
    if (value && !(opts.value = read_text(r, "value", value)))
        return;
    if (weight)
        read_number(r, "weight", weight, -1e6, 1e6, "a number from -1e6 to 1e6", &opts.weight);
    if (missing)
        read_number(r, "missing", missing, 0, INFINITY, "a number that is not negative",
                    &opts.missing);
    if (half_life)
        read_duration(r, "half_life", half_life, &opts.half_life_ms);
    int rc = rules_add(r->out->rules, &opts, &one);
    if (rc == ERR_NOMEM)
        err_nomem(r->all);
    else if (rc)
        placement_refuse(r, value ? value->line : line, "rules: %s", one.msg);
}

static int find_rule(const char *name)
{
    int kind = 0;
    while (kind < RULE_KINDS && strcmp(rule_kind_name((enum rule_kind)kind), name) != 0)
        kind++;
    return kind;
}

static void read_rules(struct placement_reader *r, int line, const struct yaml_node *map)
{
    static const char *const names[] = {"popularity", "recency", "taste", "match", NULL};
    if (!check_map(r, "rules", line, map, names, 0,
                   "popularity, recency, taste or match, as {popularity: {value: prop_ctr_7d}}"))
        return;
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_pair *pair = &map->pairs[i];
        enum rule_kind kind = (enum rule_kind)find_rule(pair->key);
        if (pair->value->type != YAML_LIST)
            read_rule(r, kind, pair->line, pair->value);
        for (size_t k = 0; pair->value->type == YAML_LIST && k < pair->value->count; k++)
            read_rule(r, kind, pair->value->items[k]->line, pair->value->items[k]);
    }
}

void placement_read(struct placement_reader *r, int line, const struct yaml_node *map)
{
    static const char *const names[] = {"model",       "candidates", "filters", "hide", "diversity",
                                        "exploration", "log",        "rules",   NULL};
    struct placement *p = r->out;
    if (map->type == YAML_TEXT && !*map->text)
        return; /* `default:` without a line */
    check_map(r, "it", line, map, names, 0,
              "model, candidates, filters, hide, diversity, exploration, log or rules");
    for (size_t i = 0; map->type == YAML_MAP && i < map->count; i++) {
        const struct yaml_pair *pair = &map->pairs[i];
        if (strcmp(pair->key, "model") == 0)
            p->model = read_text(r, "model", pair->value);
        else if (strcmp(pair->key, "candidates") == 0)
            read_whole(r, "candidates", pair->value, &p->candidates);
        else if (strcmp(pair->key, "filters") == 0)
            read_filters(r, pair->value);
        else if (strcmp(pair->key, "hide") == 0)
            read_hides(r, pair->value);
        else if (strcmp(pair->key, "diversity") == 0)
            read_diversity(r, pair->line, pair->value);
        else if (strcmp(pair->key, "exploration") == 0)
            read_exploration(r, pair->line, pair->value);
        else if (strcmp(pair->key, "log") == 0)
            read_share(r, "log", pair->value, &p->logged_share);
        else if (strcmp(pair->key, "rules") == 0)
            read_rules(r, pair->line, pair->value);
    }
}
