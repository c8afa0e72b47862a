#include "ranker/hidden.h"

#include <stdlib.h>

void hidden_free(struct hidden *h)
{
    free(h->ids);
    *h = (struct hidden){0};
}

static int add(struct hidden *h, struct str id, struct err *e)
{
    if (h->count == h->cap) {
        size_t cap = h->cap ? 2 * h->cap : 64;
        struct str *longer = realloc(h->ids, cap * sizeof *longer);
        if (!longer)
            return err_nomem(e);
        h->ids = longer;
        h->cap = cap;
    }
    h->ids[h->count++] = id;
    return 0;
}

/* The newest such event of this cell is not longer ago than the placement says. */
static bool is_recent(const struct hidden *h, const struct placement_hide *hide, struct str cell)
{
    const struct feature *f = h->set->outputs[hide->output].feature;
    if ((size_t)f->scope != h->scope)
        return false;
    struct part p = cell_part(cell, f->slot);
    return p.seen && time_minus(h->as_of_ms, p.newest_ms) <= hide->within_ms;
}

static int check_key(void *arg, const struct user_key_view *k, struct err *e)
{
    struct hidden *h = arg;
    bool recent = false;
    for (size_t i = 0; i < h->placement->hide_count && !recent; i++)
        recent = !(*k->flags & KEY_IS_GONE) && is_recent(h, &h->placement->hides[i], k->cell);
    if (!recent)
        return 0;
    struct cursor c = cursor_of(k->key.data, k->key.len);
    struct str id = cursor_sized(&c);
    return c.bad ? err_set(e, ERR_CORRUPT, "a key in a user's record is damaged") : add(h, id, e);
}

static int check_scope(void *arg, size_t scope, struct str section, struct err *e)
{
    struct hidden *h = arg;
    h->scope = scope;
    for (size_t i = 0; i < h->placement->hide_count; i++)
        if ((size_t)h->set->outputs[h->placement->hides[i].output].feature->scope == scope)
            return user_section_each(section, check_key, h, e);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

int hidden_read(struct hidden *h, const struct feature_set *set, const struct placement *p,
                struct str record, int64_t as_of_ms, struct err *e)
{
    h->set = set;
    h->placement = p;
    h->as_of_ms = as_of_ms;
    h->count = 0;
    if (!p->hide_count)
        return 0;
    int rc = user_record_each(set, record, check_scope, h, e);
    if (!rc && h->count)
        qsort(h->ids, h->count, sizeof *h->ids, compare);
    return rc;
}

bool hidden_has(const struct hidden *h, struct str id)
{
    return h->count && bsearch(&id, h->ids, h->count, sizeof *h->ids, compare);
}
