#include "plan_change.h"

#include "models.h"
#include "sender.h"
#include "shelf.h"

#include "base/clock.h"
#include "db/model_registry.h"
#include "model/model_columns.h"
#include "model/rollout.h"
#include "stream/topics.h"

#include <stdio.h>
#include <stdlib.h>

/* What salts the first plan of a model; `models plan --salt` gives another one. */
static const char FIRST_SALT[] = "1";

int plan_change_begin(struct plan_change *x, const struct ctl *c, const char *model, struct err *e)
{
    *x = (struct plan_change){.ctl = c, .model = model};
    int rc = plans_read(&x->plans, c, e);
    if (rc)
        return rc;
    x->before = plans_find(&x->plans, model);
    if (x->before)
        x->after = *x->before;
    else
        x->after = (struct rollout_plan){.model = str_of(model), .salt = str_of(FIRST_SALT)};
    /* The list of before stays as it is. */
    size_t n = x->after.challengers.count;
    struct challenger *own = arena_alloc(&x->plans.arena, (n + 1) * sizeof *own);
    if (!own)
        return err_nomem(e);
    if (n)
        memcpy(own, x->after.challengers.items, n * sizeof *own);
    x->after.challengers.items = own;
    return rollout_check(&x->after, e);
}

void plan_change_free(struct plan_change *x)
{
    plans_free(&x->plans);
}

static struct challenger *find(const struct rollout_plan *p, struct str name)
{
    for (size_t i = 0; p && i < p->challengers.count; i++)
        if (str_equal(p->challengers.items[i].name, name))
            return &p->challengers.items[i];
    return NULL;
}

int plan_change_challenge(struct plan_change *x, const struct challenger *c, struct err *e)
{
    struct challenger *known = find(&x->after, c->name);
    size_t n = x->after.challengers.count;
    if (known) {
        *known = *c;
        return 0;
    }
    struct challenger *longer = arena_alloc(&x->plans.arena, (n + 1) * sizeof *longer);
    if (!longer)
        return err_nomem(e);
    if (n)
        memcpy(longer, x->after.challengers.items, n * sizeof *longer);
    longer[n] = *c;
    x->after.challengers.items = longer;
    x->after.challengers.count = n + 1;
    return 0;
}

bool plan_change_remove(struct plan_change *x, struct str name)
{
    struct challenger_list *l = &x->after.challengers;
    struct challenger *c = find(&x->after, name);
    if (!c)
        return false;
    memmove(c, c + 1, (size_t)(l->items + l->count - c - 1) * sizeof *c);
    l->count--;
    return true;
}

/* ---- What has changed ---- */

static bool same_challenger(const struct challenger *a, const struct challenger *b)
{
    return str_equal(a->name, b->name) && a->version == b->version && str_equal(a->mode, b->mode) &&
           a->share >= b->share && a->share <= b->share;
}

/* Also the order of challengers counts: it says who takes users first. */
static bool same_plan(const struct rollout_plan *a, const struct rollout_plan *b)
{
    bool same = str_equal(a->salt, b->salt) && a->champion == b->champion &&
                a->previous == b->previous && a->pinned == b->pinned &&
                a->challengers.count == b->challengers.count;
    for (size_t i = 0; same && i < a->challengers.count; i++)
        same = same_challenger(&a->challengers.items[i], &b->challengers.items[i]);
    return same;
}

static void put_challenger(struct buf *b, const struct challenger *c)
{
    buf_printf(b, "  challenger %.*s: version %lld, %.*s", STR_ARG(c->name), (long long)c->version,
               STR_ARG(c->mode));
    if (c->share > 0)
        buf_printf(b, ", share %g", c->share);
    buf_put_text(b, "\n");
}

static void put_changes(struct buf *b, const struct rollout_plan *before,
                        const struct rollout_plan *after)
{
    char from[32], to[32];
    if (before->champion != after->champion)
        buf_printf(b, "  champion: %s -> %s\n", model_version_text(from, before->champion),
                   model_version_text(to, after->champion));
    if (before->previous != after->previous)
        buf_printf(b, "  previous: %s -> %s\n", model_version_text(from, before->previous),
                   model_version_text(to, after->previous));
    if (before->pinned != after->pinned)
        buf_printf(b, "  pinned: %s\n", after->pinned ? "yes" : "no");
    if (!str_equal(before->salt, after->salt))
        buf_printf(b, "  salt: %.*s -> %.*s: users are shuffled\n", STR_ARG(before->salt),
                   STR_ARG(after->salt));
    for (size_t i = 0; i < before->challengers.count; i++)
        if (!find(after, before->challengers.items[i].name))
            buf_printf(b, "  challenger %.*s: removed\n",
                       STR_ARG(before->challengers.items[i].name));
    for (size_t i = 0; i < after->challengers.count; i++) {
        const struct challenger *c = &after->challengers.items[i], *was = find(before, c->name);
        if (!was || !same_challenger(was, c))
            put_challenger(b, c);
    }
}

/* ---- Putting it in force ---- */

/* A commit under way. */
struct commit {
    struct plan_change *change;
    struct shelf shelf;
    struct sender *sender;
    struct db *db;
    int64_t versions[ROLLOUT_MAX_VERSIONS];
    size_t version_count;
    struct buf said;
};

static int open_sender(struct commit *k, struct err *e)
{
    const struct ctl *c = k->change->ctl;
    int rc = sender_new_prompt(&k->sender, c, e);
    if (!rc)
        rc = sender_open(k->sender, topics_find(c->conf, "models"), e);
    if (!rc)
        rc = sender_open(k->sender, topics_find(c->conf, "model.artifacts"), e);
    return rc;
}

/* Rankers with other definitions than the model's do without it: better said before than found out.
 * Whoever has no definitions at hand is told nothing. */
static void warn_of_definitions(const struct commit *k, const struct model_parts *parts)
{
    const char *path = conf_text(k->change->ctl->conf, "features.file");
    struct feature_set *set = NULL;
    struct model_columns columns;
    struct arena a = {0};
    struct err why = {0};
    if (feature_set_load(&set, path, &why))
        return;
    if (model_find_columns(&columns, set, parts, &a, &why))
        fprintf(stderr, "version %lld cannot be used by rankers with the definitions of %s: %s\n",
                (long long)parts->version, path, why.msg);
    arena_free(&a);
    feature_set_free(set);
}

static int put_version(struct commit *k, int64_t version, struct err *e)
{
    struct model_entries found = {0};
    int rc = k->db ? 0 : ctl_open_db(&k->db, k->change->ctl, e);
    if (rc)
        return err_wrap(e, "version %lld is not on topic %s and must come from the registry",
                        (long long)version, conf_topic(k->change->ctl->conf, "model.artifacts"));
    rc = model_registry_find(&found, k->db, k->change->model, version, e);
    if (!rc) {
        warn_of_definitions(k, &found.items[0].parts);
        rc = shelf_put(&k->shelf, k->sender, &found.items[0].parts, e);
    }
    if (!rc)
        buf_printf(&k->said, "  version %lld: given to rankers to load\n", (long long)version);
    model_entries_free(&found);
    return rc;
}

/* Whether the plan in force names all of these versions already: then they are on the topic, or the
 * rankers do without them as it is, and a rollback waits for nothing. */
static bool is_within(const struct commit *k)
{
    struct buf duties = {0};
    bool within = true;
    for (size_t i = 0; i < k->version_count && within; i++) {
        buf_reset(&duties);
        model_put_duties(&duties, k->change->before, k->versions[i]);
        within = duties.len > 0;
    }
    buf_free(&duties);
    return within;
}

static bool is_named(const struct commit *k, int64_t version)
{
    for (size_t i = 0; i < k->version_count; i++)
        if (k->versions[i] == version)
            return true;
    return false;
}

static int put_plan(struct commit *k, struct err *e)
{
    const struct ctl *c = k->change->ctl;
    const struct rollout_plan none = {.salt = str_of(FIRST_SALT)};
    const struct rollout_plan *before = k->change->before ? k->change->before : &none;
    struct buf value = {0};
    if (k->change->before && same_plan(before, &k->change->after)) {
        buf_put_text(&k->said, "  the plan is in force already\n");
        return 0;
    }
    k->change->after.timestamp = clock_now_ms();
    k->change->after.actor = str_of(ctl_user());
    codec_encode(c->codec, &value, conf_topic(c->conf, "models"), &rollout_plan_type,
                 &k->change->after);
    int rc = buf_ok(&value) ? 0 : err_nomem(e);
    if (!rc)
        rc = sender_put(k->sender,
                        &(struct sender_record){.topic = topics_find(c->conf, "models"),
                                                .key = k->change->after.model,
                                                .value = buf_str(&value),
                                                .timestamp_ms = k->change->after.timestamp},
                        e);
    if (!rc)
        rc = sender_flush(k->sender, e);
    put_changes(&k->said, before, &k->change->after);
    buf_free(&value);
    return rc;
}

static int remove_rest(struct commit *k, struct err *e)
{
    int rc = 0;
    for (size_t i = 0; i < k->shelf.count && !rc; i++) {
        const struct shelved *v = &k->shelf.items[i];
        if (is_named(k, v->version) || !shelf_has_some(v))
            continue;
        rc = shelf_remove(&k->shelf, k->sender, v, e);
        buf_printf(&k->said, "  version %lld: no ranker needs to load it any more\n",
                   (long long)v->version);
    }
    return rc ? rc : sender_flush(k->sender, e);
}

/* Every version of the plan is on the topic then. */
static int put_versions(struct commit *k, struct err *e)
{
    int rc = shelf_read(&k->shelf, k->change->ctl, k->change->model, e);
    for (size_t i = 0; i < k->version_count && !rc; i++)
        if (!shelf_has(&k->shelf, k->versions[i]))
            rc = put_version(k, k->versions[i], e);
    return rc ? rc : sender_flush(k->sender, e);
}

static int do_commit(struct commit *k, struct err *e)
{
    bool plan_first = is_within(k);
    int rc = open_sender(k, e);
    if (!rc && plan_first)
        rc = put_plan(k, e);
    if (!rc)
        rc = put_versions(k, e);
    if (!rc && !plan_first)
        rc = put_plan(k, e);
    return rc ? rc : remove_rest(k, e);
}

int plan_change_commit(struct plan_change *x, struct err *e)
{
    struct commit k = {.change = x};
    struct rollout *r = NULL;
    const char *reason = ctl_option(x->ctl, "reason");
    x->after.reason = str_of(reason ? reason : "");
    int rc = rollout_new(&r, &x->after, e);
    if (rc)
        return rc;
    k.version_count = rollout_versions(r, k.versions);
    rollout_free(r);
    buf_printf(&k.said, "%.*s:\n", STR_ARG(x->after.model));
    rc = do_commit(&k, e);
    /* What was done before a failure is done. */
    int unsaid = ctl_print(&k.said, rc ? NULL : e);
    rc = rc ? rc : unsaid;
    db_free(k.db);
    sender_free(k.sender);
    shelf_free(&k.shelf);
    buf_free(&k.said);
    return rc;
}
