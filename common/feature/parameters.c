/* The parameters of each kind of feature. */
#include "feature/parse.h"

#include "base/duration.h"
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const struct kind {
    const char *name;
    const char *parameters[6]; /* required, NULL behind the last */
    const char *example;
} kinds[FEATURE_KINDS] = {
    [FEATURE_COUNT] = {"count", {"event", "windows"}, "{event: click, windows: [5m, 1h]}"},
    [FEATURE_SUM] = {"sum", {"event", "windows"}, "{event: convert, windows: [1d]}"},
    [FEATURE_MEAN] = {"mean", {"event", "windows"}, "{event: convert, windows: [1d]}"},
    [FEATURE_MIN] = {"min", {"event", "windows"}, "{event: convert, windows: [1d]}"},
    [FEATURE_MAX] = {"max", {"event", "windows"}, "{event: convert, windows: [1d]}"},
    [FEATURE_RATE] = {"rate",
                      {"of", "per", "windows", "weight", "prior"},
                      "{of: click, per: impression, windows: [7d], weight: 10, prior: global}"},
    [FEATURE_GAP] = {"gap",
                     {"event", "attribute", "windows"},
                     "{event: click, attribute: price, windows: [30d]}"},
    [FEATURE_RECENCY] = {"recency", {"event"}, "{event: click}"},
    [FEATURE_DECAY] = {"decay", {"event", "half_life"}, "{event: click, half_life: 1h}"},
    [FEATURE_DISTINCT] = {"distinct",
                          {"event", "of", "window"},
                          "{event: click, of: proposition, window: 7d}"},
    [FEATURE_OVERLAP] = {"overlap",
                         {"event", "attribute", "last", "within"},
                         "{event: click, attribute: genres, last: 100, within: 30d}"},
    [FEATURE_ATTRIBUTE] = {"attribute",
                           {"field"},
                           "{field: price} or {field: tier, values: [basic, gold]}"},
    [FEATURE_AGE] = {"age", {"field"}, "{field: released}"},
    [FEATURE_TIME] = {"time", {"part", "zone"}, "{part: hour_of_day, zone: Europe/Berlin}"},
    [FEATURE_MATCH] = {"match", {"context", "attribute"}, "{context: query, attribute: title}"},
    [FEATURE_STANDING] = {"standing", {"of"}, "{of: prop_ctr_7d}"},
    [FEATURE_POSITION] = {"position", {"at_serving"}, "{at_serving: 0}"},
};

const char *feature_kind_name(enum feature_kind kind)
{
    return kinds[kind].name;
}

int parse_kind(const char *name)
{
    for (int i = 0; i < FEATURE_KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return i;
    return -1;
}

static int read_text(struct parse *p, const struct yaml_node *map, const char *name,
                     const char **out)
{
    const struct yaml_node *n = yaml_tree_get(map, name);
    if (n->type != YAML_TEXT || !*n->text)
        return parse_refuse(p, n->line, "%s must be one text that is not empty", name);
    *out = parse_keep(p, n->text);
    return *out ? 0 : p->e->code;
}

static int read_event(struct parse *p, const struct yaml_node *map, const char *name,
                      const char **text, int *id)
{
    int rc = read_text(p, map, name, text);
    if (rc)
        return rc;
    *id = parse_intern(p, &p->set->events, &p->set->event_count, *text);
    if (*id < 0)
        return p->e->code;
    return *id < MAX_EVENTS ? 0
                            : parse_refuse(p, yaml_tree_get(map, name)->line,
                                           "more than %d different events", MAX_EVENTS);
}

static int read_number(struct parse *p, const struct yaml_node *map, const char *name, double least,
                       double *out)
{
    const struct yaml_node *n = yaml_tree_get(map, name);
    if (n->type != YAML_TEXT || !number_parse(out, n->text) || *out < least)
        return parse_refuse(p, n->line, "%s is \"%s\": give a number%s", name,
                            n->type == YAML_TEXT ? n->text : "a list or map",
                            least == 0 ? " that is not negative" : "");
    if (*out == 0)
        *out = 0; /* no -0 */
    return 0;
}

static int duration(struct parse *p, const struct yaml_node *n, const char *name, int64_t *out)
{
    const char *text = n->type == YAML_TEXT ? n->text : "a list or map";
    if (!duration_parse(out, text))
        return parse_refuse(p, n->line, "%s is \"%s\": give " DURATION_FORM, name, text);
    return 0;
}

static int read_duration(struct parse *p, const struct yaml_node *map, const char *name,
                         int64_t *out)
{
    return duration(p, yaml_tree_get(map, name), name, out);
}

static int read_window(struct parse *p, const struct yaml_node *n, const char *name,
                       struct window *w)
{
    int rc = duration(p, n, name, &w->ms);
    if (rc)
        return rc;
    w->text = parse_keep(p, n->text);
    w->bucket_ms = (w->ms + WINDOW_BUCKETS - 1) / WINDOW_BUCKETS;
    return w->text ? 0 : p->e->code;
}

static int read_windows(struct parse *p, const struct yaml_node *map)
{
    const struct yaml_node *n = yaml_tree_get(map, "windows");
    struct feature *f = p->f;
    if (n->type != YAML_LIST || n->count == 0)
        return parse_refuse(p, n->line,
                            "windows must be a list with at least one duration, as [5m, 1h]");
    if (!(f->windows = parse_take(p, n->count * sizeof *f->windows)))
        return p->e->code;
    for (size_t i = 0; i < n->count; i++) {
        int rc = read_window(p, n->items[i], "a window", &f->windows[i]);
        if (rc)
            return rc;
        for (size_t k = 0; k < i; k++)
            if (f->windows[k].ms == f->windows[i].ms)
                return parse_refuse(p, n->items[i]->line,
                                    "windows %s and %s are equally long: keep one",
                                    f->windows[k].text, f->windows[i].text);
        f->window_count++;
    }
    return 0;
}

/* A field of a side that some feature reads. */
static int place(struct parse *p, enum side side, const char *field, struct dimension *d)
{
    *d = (struct dimension){side, field, -1};
    if (side == SIDE_CONTEXT || !field)
        return 0;
    d->attribute =
        parse_intern(p, &p->set->attributes[side], &p->set->attribute_count[side], field);
    return d->attribute < 0 ? p->e->code : 0;
}

static const char *const side_names[] = {"user", "proposition", "context"};

int parse_dimension(struct parse *p, int line, struct str text, struct dimension *d)
{
    for (int side = SIDE_USER; side <= SIDE_CONTEXT; side++) {
        size_t n = strlen(side_names[side]);
        if (text.len < n || memcmp(text.data, side_names[side], n) != 0)
            continue;
        if (text.len == n && side != SIDE_CONTEXT)
            return place(p, (enum side)side, NULL, d);
        if (text.len > n + 1 && text.data[n] == '.') {
            const char *field =
                arena_copy(&p->set->memory->arena, str_bytes(text.data + n + 1, text.len - n - 1))
                    .data;
            return field ? place(p, (enum side)side, field, d) : err_nomem(p->e);
        }
    }
    return parse_refuse(p, line,
                        "\"%.*s\" is no dimension: there are user, proposition, user.FIELD, "
                        "proposition.FIELD, context.FIELD",
                        STR_ARG(text));
}

static int read_values(struct parse *p, const struct yaml_node *n)
{
    struct feature *f = p->f;
    if (n->type != YAML_LIST)
        return parse_refuse(p, n->line, "values must be a list of texts, as [basic, gold]");
    if (!(f->values = parse_take(p, n->count * sizeof *f->values)))
        return p->e->code;
    f->has_values = true;
    for (size_t i = 0; i < n->count; i++, f->value_count++) {
        if (n->items[i]->type != YAML_TEXT)
            return parse_refuse(p, n->items[i]->line,
                                "values must be a list of texts, as [basic, gold]");
        if (parse_index(f->values, i, str_of(n->items[i]->text)) >= 0)
            return parse_refuse(p, n->items[i]->line, "\"%s\" is listed twice in values: keep one",
                                n->items[i]->text);
        if (!(f->values[i] = parse_keep(p, n->items[i]->text)))
            return p->e->code;
    }
    return 0;
}

static int read_part(struct parse *p, const struct yaml_node *map)
{
    static const char *const names[] = {"hour_of_day", "day_of_week", "day_of_month", "month"};
    const struct yaml_node *n = yaml_tree_get(map, "part");
    for (int i = 0; i < 4; i++) {
        if (n->type == YAML_TEXT && strcmp(n->text, names[i]) == 0) {
            p->f->part = (enum time_part)i;
            return 0;
        }
    }
    return parse_refuse(p, n->line,
                        "part is \"%s\": there are hour_of_day, day_of_week, day_of_month, month",
                        n->type == YAML_TEXT ? n->text : "a list or map");
}

static int read_zone(struct parse *p, const struct yaml_node *map)
{
    int rc = read_text(p, map, "zone", &p->f->zone_name);
    struct err why = {0};
    if (!rc && zone_load(&p->f->zone, p->f->zone_name, &why))
        rc = why.code == ERR_NOMEM
                 ? err_nomem(p->e)
                 : parse_refuse(p, yaml_tree_get(map, "zone")->line, "%s", why.msg);
    return rc;
}

static int read_standing(struct parse *p, const struct yaml_node *map)
{
    const struct yaml_node *n = yaml_tree_get(map, "of");
    for (size_t i = 0; n->type == YAML_TEXT && i < p->set->output_count; i++) {
        if (strcmp(p->set->outputs[i].name, n->text) == 0) {
            p->f->standing_of = i;
            return 0;
        }
    }
    return parse_refuse(p, n->line,
                        "no value \"%s\" is declared before it: name one with its window, as "
                        "prop_ctr_7d, and put its feature "
                        "further up",
                        n->type == YAML_TEXT ? n->text : "a list or map");
}

/* The proposition's attribute of gap and overlap, or the place of attribute, age and match. */
static int read_place(struct parse *p, const struct yaml_node *map, const char *name,
                      enum side side)
{
    const char *field = NULL;
    int rc = read_text(p, map, name, &field);
    return rc ? rc : place(p, side, field, &p->f->dimension);
}

static int read_rate(struct parse *p, const struct yaml_node *map)
{
    struct feature *f = p->f;
    int rc = read_event(p, map, "of", &f->event_name, &f->event);
    if (!rc)
        rc = read_event(p, map, "per", &f->per_name, &f->per);
    if (!rc)
        rc = read_number(p, map, "weight", 0, &f->weight);
    const struct yaml_node *prior = yaml_tree_get(map, "prior");
    if (!rc && prior->type == YAML_TEXT && strcmp(prior->text, "global") == 0)
        f->prior = NAN;
    else if (!rc && (prior->type != YAML_TEXT || !number_parse(&f->prior, prior->text)))
        rc = parse_refuse(p, prior->line, "prior is \"%s\": give a number or global",
                          prior->type == YAML_TEXT ? prior->text : "a list or map");
    /* A global prior is a rate of counts. */
    const double most_global = 0x1p64;
    if (!rc && !isfinite(f->weight * (isnan(f->prior) ? most_global : f->prior)))
        rc = parse_refuse(p, prior->line,
                          "weight times prior is too large for a number: give smaller ones");
    return rc ? rc : read_windows(p, map);
}

static int read_overlap(struct parse *p, const struct yaml_node *map)
{
    double last = 0;
    int rc = read_place(p, map, "attribute", SIDE_PROPOSITION);
    if (!rc)
        rc = read_number(p, map, "last", 0, &last);
    if (!rc && (last < 1 || last > MAX_OVERLAP_LAST || last != floor(last)))
        rc = parse_refuse(p, yaml_tree_get(map, "last")->line,
                          "last must be a whole number from 1 to %d", MAX_OVERLAP_LAST);
    p->f->last = rc ? 0 : (size_t)last;
    return rc ? rc : read_duration(p, map, "within", &p->f->within_ms);
}

static int read_distinct(struct parse *p, const struct yaml_node *map)
{
    const char *of = NULL;
    int rc = read_text(p, map, "of", &of);
    if (!rc)
        rc = parse_dimension(p, yaml_tree_get(map, "of")->line, str_of(of), &p->f->dimension);
    if (!rc && !(p->f->windows = parse_take(p, sizeof *p->f->windows)))
        rc = p->e->code;
    p->f->window_count = 1;
    return rc ? rc : read_window(p, yaml_tree_get(map, "window"), "window", &p->f->windows[0]);
}

/* user, proposition or context, of a value that is read as it stands. */
static int read_side(struct parse *p, int line, enum side *side)
{
    for (int i = SIDE_USER; i <= SIDE_CONTEXT; i++) {
        if (strcmp(p->f->scope_text, side_names[i]) == 0) {
            *side = (enum side)i;
            return 0;
        }
    }
    return parse_refuse(p, line, "%s is of scope user, proposition or context, not \"%s\"",
                        kinds[p->f->kind].name, p->f->scope_text);
}

/* Kinds that have one scope only. */
static int check_scope(struct parse *p, int line)
{
    static const char *const only[FEATURE_KINDS] = {
        [FEATURE_GAP] = "user",           [FEATURE_OVERLAP] = "user",
        [FEATURE_TIME] = "context",       [FEATURE_STANDING] = "candidate",
        [FEATURE_POSITION] = "candidate",
    };
    const char *wanted = only[p->f->kind];
    if (wanted && strcmp(p->f->scope_text, wanted) != 0)
        return parse_refuse(p, line, "%s is of scope %s, not \"%s\"", kinds[p->f->kind].name,
                            wanted, p->f->scope_text);
    return 0;
}

static int check_parameters(struct parse *p, int line, const struct yaml_node *map)
{
    const struct kind *k = &kinds[p->f->kind];
    if (map->type != YAML_MAP)
        return parse_refuse(p, line, "%s needs its parameters: %s", k->name, k->example);
    for (const char *const *name = k->parameters; *name; name++)
        if (!yaml_tree_get(map, *name))
            return parse_refuse(p, line, "%s lacks \"%s\": write %s", k->name, *name, k->example);
    for (size_t i = 0; i < map->count; i++) {
        bool known = p->f->kind == FEATURE_ATTRIBUTE && strcmp(map->pairs[i].key, "values") == 0;
        for (const char *const *name = k->parameters; *name; name++)
            known |= strcmp(map->pairs[i].key, *name) == 0;
        if (!known)
            return parse_refuse(p, map->pairs[i].line, "%s has no parameter \"%s\": write %s",
                                k->name, map->pairs[i].key, k->example);
    }
    return 0;
}

static int read_parameters(struct parse *p, int scope_line, const struct yaml_node *map)
{
    struct feature *f = p->f;
    enum side side = SIDE_PROPOSITION;
    int rc = 0;
    switch (f->kind) {
    case FEATURE_RATE:
        return read_rate(p, map);
    case FEATURE_RECENCY:
        return read_event(p, map, "event", &f->event_name, &f->event);
    case FEATURE_DECAY:
        rc = read_event(p, map, "event", &f->event_name, &f->event);
        return rc ? rc : read_duration(p, map, "half_life", &f->half_life_ms);
    case FEATURE_DISTINCT:
        rc = read_event(p, map, "event", &f->event_name, &f->event);
        return rc ? rc : read_distinct(p, map);
    case FEATURE_OVERLAP:
        rc = read_event(p, map, "event", &f->event_name, &f->event);
        return rc ? rc : read_overlap(p, map);
    case FEATURE_ATTRIBUTE:
        if ((rc = read_side(p, scope_line, &side)) || (rc = read_place(p, map, "field", side)))
            return rc;
        return yaml_tree_get(map, "values") ? read_values(p, yaml_tree_get(map, "values")) : 0;
    case FEATURE_AGE:
        rc = read_side(p, scope_line, &side);
        return rc ? rc : read_place(p, map, "field", side);
    case FEATURE_MATCH:
        if ((rc = read_side(p, scope_line, &side)) || (rc = read_place(p, map, "attribute", side)))
            return rc;
        return read_text(p, map, "context", &f->context);
    case FEATURE_TIME:
        rc = read_part(p, map);
        return rc ? rc : read_zone(p, map);
    case FEATURE_STANDING:
        return read_standing(p, map);
    case FEATURE_POSITION:
        return read_number(p, map, "at_serving", -INFINITY, &f->at_serving);
    case FEATURE_GAP:
        rc = read_place(p, map, "attribute", SIDE_PROPOSITION);
        break;
    default:
        break;
    }
    if (!rc)
        rc = read_event(p, map, "event", &f->event_name, &f->event);
    return rc ? rc : read_windows(p, map);
}

int parse_parameters(struct parse *p, const struct yaml_pair *kind, int scope_line)
{
    int rc = check_parameters(p, kind->line, kind->value);
    if (!rc)
        rc = check_scope(p, scope_line);
    return rc ? rc : read_parameters(p, scope_line, kind->value);
}
