/* flotilla models promote | rollback | pin | unpin | plan: who is served by which version. */
#include "grid.h"
#include "models.h"
#include "plan_change.h"

#include "base/json.h"
#include "base/number.h"
#include "model/rollout.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#define REASON                                                                                     \
    {                                                                                              \
        "reason", "TEXT", "why, for the record"                                                    \
    }

static enum ctl_status status_of(int rc)
{
    return rc == ERR_INVALID ? CTL_USAGE : rc ? CTL_FAILED : CTL_OK;
}

/* A command that changes the plan of the model it names. */
static enum ctl_status change(const struct ctl *c,
                              int (*what)(struct plan_change *x, struct err *e), struct err *e)
{
    struct plan_change x;
    int rc = plan_change_begin(&x, c, c->args[0], e);
    if (!rc)
        rc = what(&x, e);
    if (!rc)
        rc = plan_change_commit(&x, e);
    plan_change_free(&x);
    return status_of(rc);
}

/* ---- promote, rollback ---- */

static int promote(struct plan_change *x, struct err *e)
{
    struct rollout_plan *p = &x->after;
    int64_t version;
    int rc = model_version_parse(&version, x->ctl->args[1], 0, e);
    if (rc || version == p->champion)
        return rc;
    p->previous = p->champion;
    p->champion = version;
    /* A challenger of the same version has nothing left to win. */
    for (size_t i = p->challengers.count; i-- > 0;)
        if (p->challengers.items[i].version == version)
            plan_change_remove(x, p->challengers.items[i].name);
    return 0;
}

static enum ctl_status promote_command(const struct ctl *c, struct err *e)
{
    return change(c, promote, e);
}

const struct command models_promote_command = {
    .name = "models promote",
    .arguments = "NAME VERSION",
    .least = 2,
    .most = 2,
    .purpose = "make a version the champion of its model (0: rules rank); the champion before "
               "stays loaded",
    .example = "flotilla models promote shop 3 --reason 'better on last week'",
    .options = {REASON},
    .run = promote_command,
};

static int roll_back(struct plan_change *x, struct err *e)
{
    int64_t champion = x->after.champion;
    if (champion == 0 && x->after.previous == 0)
        return err_set(e, ERR_NOT_FOUND, "model %.*s has no champion, and had none",
                       STR_ARG(x->after.model));
    x->after.champion = x->after.previous;
    x->after.previous = champion;
    return 0;
}

static enum ctl_status roll_back_command(const struct ctl *c, struct err *e)
{
    return change(c, roll_back, e);
}

const struct command models_rollback_command = {
    .name = "models rollback",
    .arguments = "NAME",
    .least = 1,
    .most = 1,
    .purpose = "exchange champion and previous champion (none before: rules rank); needs no "
               "PostgreSQL",
    .example = "flotilla models rollback shop --reason 'fewer clicks'",
    .options = {REASON},
    .run = roll_back_command,
};

/* ---- pin, unpin ---- */

static int set_pinned(struct plan_change *x, bool pinned, struct err *e)
{
    if (!x->before)
        return err_set(e, ERR_NOT_FOUND,
                       "model %s has no plan: `flotilla models promote %s VERSION` makes one",
                       x->model, x->model);
    x->after.pinned = pinned;
    return 0;
}

static int pin(struct plan_change *x, struct err *e)
{
    return set_pinned(x, true, e);
}

static int unpin(struct plan_change *x, struct err *e)
{
    return set_pinned(x, false, e);
}

static enum ctl_status pin_command(const struct ctl *c, struct err *e)
{
    return change(c, pin, e);
}

static enum ctl_status unpin_command(const struct ctl *c, struct err *e)
{
    return change(c, unpin, e);
}

const struct command models_pin_command = {
    .name = "models pin",
    .arguments = "NAME",
    .least = 1,
    .most = 1,
    .purpose = "let only people change the champion of a model",
    .example = "flotilla models pin shop --reason 'sale until Sunday'",
    .options = {REASON},
    .run = pin_command,
};

const struct command models_unpin_command = {
    .name = "models unpin",
    .arguments = "NAME",
    .least = 1,
    .most = 1,
    .purpose = "let programs change the champion of a model again",
    .example = "flotilla models unpin shop",
    .options = {REASON},
    .run = unpin_command,
};

/* ---- plan ---- */

/* One field of --challenger: name=VALUE. */
static int read_field(struct challenger *c, struct str name, struct str value, struct err *e)
{
    char text[NUMBER_TEXT_BYTES];
    snprintf(text, sizeof text, "%.*s", STR_ARG(value));
    if (str_is(name, "name"))
        c->name = value;
    else if (str_is(name, "mode"))
        c->mode = value;
    else if (str_is(name, "version"))
        return model_version_parse(&c->version, text, 1, e);
    else if (!str_is(name, "share"))
        return err_set(
            e, ERR_INVALID,
            "--challenger has no \"%.*s\": give name=,version=,mode=,share=", STR_ARG(name));
    else if (!number_parse(&c->share, text))
        return err_set(e, ERR_INVALID, "--challenger: share \"%.*s\" is no number from 0 to 1",
                       STR_ARG(value));
    return 0;
}

static const struct challenger *find_challenger(const struct rollout_plan *p, struct str name)
{
    for (size_t i = 0; i < p->challengers.count; i++)
        if (str_equal(p->challengers.items[i].name, name))
            return &p->challengers.items[i];
    return NULL;
}

/* What is not given stays as it is in the plan. */
static int read_challenger(struct plan_change *x, const char *text, struct err *e)
{
    struct challenger c = {.share = NAN};
    int rc = 0;
    for (const char *at = text; *at && !rc;) {
        size_t n = strcspn(at, ","), name = strcspn(at, "=,");
        struct str value = name < n ? str_bytes(at + name + 1, n - name - 1) : str_of("");
        rc = read_field(&c, str_bytes(at, name), value, e);
        at += n + (at[n] == ',');
    }
    if (rc)
        return rc;
    const struct challenger *known = find_challenger(&x->after, c.name);
    if (isnan(c.share))
        c.share = known ? known->share : 0;
    if (known && !c.version)
        c.version = known->version;
    if (known && !c.mode.data)
        c.mode = known->mode;
    if (!c.name.data || !c.version || !c.mode.data)
        return err_set(e, ERR_INVALID, "--challenger %s: name, version and mode are needed", text);
    return plan_change_challenge(x, &c, e);
}

static int change_plan(struct plan_change *x, struct err *e)
{
    const char *text, *salt = ctl_option(x->ctl, "salt");
    int at = 0, rc = 0;
    while (!rc && (text = ctl_next(x->ctl, "remove", &at)))
        if (!plan_change_remove(x, str_of(text)))
            rc = err_set(e, ERR_INVALID, "--remove: there is no challenger %s", text);
    at = 0;
    while (!rc && (text = ctl_next(x->ctl, "challenger", &at)))
        rc = read_challenger(x, text, e);
    if (salt)
        x->after.salt = str_of(salt);
    return rc;
}

static void put_row(struct grid *g, const char *variant, int64_t version, const char *mode,
                    double share)
{
    grid_put(g, "%s", variant);
    if (version)
        grid_put(g, "%lld", (long long)version);
    else
        grid_put(g, "rules");
    grid_put(g, "%s", mode);
    if (share >= 0)
        grid_put(g, "%.4g %%", 100 * share);
    else
        grid_put(g, "-");
}

static void put_plan(struct buf *b, const struct rollout_plan *p)
{
    struct grid g;
    char when[32] = "";
    time_t at = (time_t)(p->timestamp / 1000);
    struct tm utc;
    double left = 1;
    if (gmtime_r(&at, &utc))
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &utc);
    buf_printf(b, "%.*s, since %s UTC by %.*s%s%.*s%s\n\n", STR_ARG(p->model), when,
               STR_ARG(p->actor), p->reason.len ? ": " : "", STR_ARG(p->reason),
               p->pinned ? " (pinned)" : "");
    grid_start(&g, "VARIANT,>VERSION,MODE,>USERS");
    for (size_t i = 0; i < p->challengers.count; i++)
        left -= p->challengers.items[i].share;
    put_row(&g, "champion", p->champion, "", left > 0 ? left : 0);
    for (size_t i = 0; i < p->challengers.count; i++) {
        const struct challenger *c = &p->challengers.items[i];
        char name[ROLLOUT_NAME_BYTES + 1], mode[16];
        snprintf(name, sizeof name, "%.*s", STR_ARG(c->name));
        snprintf(mode, sizeof mode, "%.*s", STR_ARG(c->mode));
        put_row(&g, name, c->version, mode, str_is(c->mode, "shadow") ? -1 : c->share);
    }
    if (p->previous)
        put_row(&g, "previous", p->previous, "", -1);
    grid_end(&g, b);
    buf_printf(b, "\nsalt %.*s\n", STR_ARG(p->salt));
}

static void put_field(struct buf *b, const char *name, struct str text)
{
    buf_printf(b, ",\"%s\":", name);
    json_put_text(b, text);
}

static void put_json(struct buf *b, const struct rollout_plan *p)
{
    buf_put_text(b, "{\"model\":");
    json_put_text(b, p->model);
    buf_printf(b, ",\"timestamp\":%lld", (long long)p->timestamp);
    put_field(b, "actor", p->actor);
    put_field(b, "reason", p->reason);
    put_field(b, "salt", p->salt);
    buf_printf(b, ",\"champion\":%lld,\"previous\":%lld,\"pinned\":%s,\"challengers\":[",
               (long long)p->champion, (long long)p->previous, p->pinned ? "true" : "false");
    for (size_t i = 0; i < p->challengers.count; i++) {
        const struct challenger *c = &p->challengers.items[i];
        buf_printf(b, "%s{\"name\":", i ? "," : "");
        json_put_text(b, c->name);
        buf_printf(b, ",\"version\":%lld", (long long)c->version);
        put_field(b, "mode", c->mode);
        buf_put_text(b, ",\"share\":");
        json_put_number(b, c->share);
        buf_put_u8(b, '}');
    }
    buf_put_text(b, "]}\n");
}

static enum ctl_status show_plan(const struct ctl *c, struct err *e)
{
    struct plans plans;
    struct buf b = {0};
    int rc = plans_read(&plans, c, e);
    const struct rollout_plan *p = rc ? NULL : plans_find(&plans, c->args[0]);
    if (!rc && !p)
        rc = err_set(e, ERR_NOT_FOUND, "model %s has no plan: rules rank", c->args[0]);
    if (!rc && ctl_option(c, "json"))
        put_json(&b, p);
    else if (!rc)
        put_plan(&b, p);
    if (!rc)
        rc = ctl_print(&b, e);
    plans_free(&plans);
    buf_free(&b);
    return status_of(rc);
}

static enum ctl_status plan(const struct ctl *c, struct err *e)
{
    bool is_change =
        ctl_option(c, "challenger") || ctl_option(c, "remove") || ctl_option(c, "salt");
    return is_change ? change(c, change_plan, e) : show_plan(c, e);
}

const struct command models_plan_command = {
    .name = "models plan",
    .arguments = "NAME",
    .least = 1,
    .most = 1,
    .purpose = "show who is served by which version of a model, or change its challengers",
    .example = "flotilla models plan shop --challenger "
               "name=c1,version=7,mode=canary,share=0.05",
    .options = {{"challenger", "FIELDS",
                 "name=,version=,mode=shadow|canary|ab,share= of all users; what is not given "
                 "of a known name stays; may be given several times"},
                {"remove", "NAME", "end a challenger; may be given several times"},
                {"salt", "TEXT", "shuffle the users"},
                REASON,
                {"json", NULL, "show it as one line of JSON"}},
    .run = plan,
};
