#include "ranker/placement.h"

#include "ranker/placement_parse.h"

#include <stdlib.h>

struct placements {
    struct arena arena;
    size_t count;
    struct placement items[];
};

void placements_free(struct placements *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        rules_free(p->items[i].rules);
    arena_free(&p->arena);
    free(p);
}

int placement_init(struct placement_reader *r, const char *name)
{
    *r->out = (struct placement){.name = arena_copy(r->arena, str_of(name)).data,
                                 .candidates = 200,
                                 .temperature = 1,
                                 .logged_share = 1};
    int rc = r->out->name ? 0 : err_nomem(r->all);
    return rc ? rc : rules_new(&r->out->rules, r->set, r->all);
}

static int add(struct placements *p, struct placement_reader *r, const char *name, int line,
               const struct yaml_node *map)
{
    r->out = &p->items[p->count];
    p->count++;
    int rc = placement_init(r, name);
    if (!rc && map)
        placement_read(r, line, map);
    if (!rc && r->all->code != ERR_NOMEM)
        rc = rules_add_rest(r->out->rules, r->all);
    return r->all->code == ERR_NOMEM ? ERR_NOMEM : 0;
}

/* Whether the section is a map of not too many. */
static int check_section(const struct yaml_node *section, const char *file, struct err *e)
{
    if (!section)
        return 0;
    if (section->type != YAML_MAP)
        return err_set(e, ERR_INVALID,
                       "%s:%d: placements are a map: write `placements: {default: {candidates: "
                       "200}}`",
                       file, section->line);
    if (section->count >= MAX_PLACEMENTS)
        return err_set(e, ERR_INVALID, "%s:%d: %zu placements: at most %d can be declared", file,
                       section->line, section->count, MAX_PLACEMENTS - 1);
    return 0;
}

int placements_parse(struct placements **out, const struct yaml_node *section, const char *file,
                     const struct feature_set *set, struct err *e)
{
    int rc = check_section(section, file, e);
    if (rc)
        return rc;
    size_t declared = section ? section->count : 0;
    struct placements *p = calloc(1, sizeof *p + (declared + 1) * sizeof *p->items);
    if (!p)
        return err_nomem(e);
    struct err all = {0};
    struct placement_reader r = {&p->arena, file, set, NULL, &all};
    rc = add(p, &r, "", 0, NULL);
    for (size_t i = 0; i < declared && !rc; i++)
        rc = add(p, &r, section->pairs[i].key, section->pairs[i].line, section->pairs[i].value);
    if (all.code) {
        placements_free(p);
        return err_set(e, all.code, "%s", all.msg);
    }
    *out = p;
    return 0;
}

size_t placements_count(const struct placements *p)
{
    return p->count;
}

const struct placement *placements_at(const struct placements *p, size_t place)
{
    return &p->items[place];
}

size_t placements_find(const struct placements *p, struct str name)
{
    for (size_t i = 1; i < p->count; i++)
        if (str_is(name, p->items[i].name))
            return i;
    return 0;
}

bool placement_hides(const struct placement *p, const double *vector)
{
    for (size_t i = 0; i < p->hide_count; i++)
        if (vector[p->hides[i].output] * 1000 <= (double)p->hides[i].within_ms)
            return true;
    return false;
}
