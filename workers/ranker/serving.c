#include "ranker/serving.h"

#include "base/arena.h"
#include "base/json.h"
#include "base/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Kept of versions whose plan was not read yet. */
#define SPARE_BYTES ((size_t)256 << 20)

/* A trial that comes to no verdict (no process could be started, it was killed, it took too long on
 * a busy machine) is made again, so often in all. */
enum { ATTEMPTS = 5 };

enum version_state { VERSION_WAITED_FOR, VERSION_LOADED, VERSION_MISMATCH, VERSION_BROKEN };

struct version {
    int64_t number;
    enum version_state state;
    struct model *model;
    int attempts; /* to try it, that came to no verdict */
    char why[256];
};

/* One model: its plan, and the versions that it names. */
struct served {
    struct rollout *plan;
    struct version *versions;
    size_t count;
};

/* An artifact that could not be used, which may have come before the plan that names it. */
struct refusal {
    char model[MODEL_NAME_BYTES + 1];
    int64_t version;
    char why[256];
};

enum { REFUSALS = 32 };

struct serving {
    struct codec *codec;
    struct refusal refusals[REFUSALS]; /* the last ones, turn about */
    size_t refusal_count;
    struct artifacts *artifacts;
    struct loader *loader;
    struct served *items;
    size_t count;
    struct arena arena;
    struct metrics *metrics;
    struct metric *loaded, *broken, *swaps;
    pthread_mutex_t lock; /* of `shown` alone */
    struct buf shown;     /* for serving_print() */
};

int serving_new(struct serving **out, const struct feature_set *set, struct codec *codec,
                struct metrics *m, const struct loader_opts *opts, struct err *e)
{
    struct serving *s = calloc(1, sizeof *s);
    if (!s)
        return err_nomem(e);
    pthread_mutex_init(&s->lock, NULL);
    s->codec = codec;
    s->metrics = m;
    s->loaded = metric_get(m, METRIC_GAUGE, "flotilla_ranker_models_loaded",
                           "Model versions that can serve.", NULL, NULL);
    s->broken = metric_get(m, METRIC_GAUGE, "flotilla_ranker_models_unusable",
                           "Model versions that a plan names and that cannot serve.", NULL, NULL);
    s->swaps = metric_get(m, METRIC_COUNTER, "flotilla_ranker_plans_total",
                          "Rollout plans that came into effect.", NULL, NULL);
    buf_put_text(&s->shown, "[]");
    int rc = artifacts_new(&s->artifacts, SPARE_BYTES, e);
    if (!rc)
        rc = loader_new(&s->loader, set, opts, e);
    if (rc)
        serving_free(s);
    else
        *out = s;
    return rc;
}

static void free_versions(struct version *versions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        model_free(versions[i].model);
    free(versions);
}

static void free_served(struct served *m)
{
    free_versions(m->versions, m->count);
    rollout_free(m->plan);
}

void serving_free(struct serving *s)
{
    if (!s)
        return;
    loader_free(s->loader);
    artifacts_free(s->artifacts);
    for (size_t i = 0; i < s->count; i++)
        free_served(&s->items[i]);
    free(s->items);
    arena_free(&s->arena);
    buf_free(&s->shown);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct served *find(const struct serving *s, struct str model)
{
    for (size_t i = 0; i < s->count; i++)
        if (str_is(model, s->items[i].plan->model))
            return &s->items[i];
    return NULL;
}

static struct version *find_version(const struct served *m, int64_t number)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->versions[i].number == number)
            return &m->versions[i];
    return NULL;
}

/* ------------------------------------------------------------ what others see */

static void print_model(struct buf *b, const struct served *m)
{
    const char *comma = "";
    buf_put_text(b, "{\"model\":");
    json_put_text(b, str_of(m->plan->model));
    buf_printf(b, ",\"champion\":%lld,\"previous\":%lld,\"challengers\":%zu,\"loaded\":[",
               (long long)m->plan->champion, (long long)m->plan->previous,
               m->plan->challenger_count);
    for (size_t i = 0; i < m->count; i++) {
        if (m->versions[i].state != VERSION_LOADED)
            continue;
        buf_printf(b, "%s%lld", comma, (long long)m->versions[i].number);
        comma = ",";
    }
    buf_put_text(b, "],\"problem\":");
    const struct version *bad = NULL;
    for (size_t i = 0; i < m->count && !bad; i++)
        bad = m->versions[i].state != VERSION_LOADED ? &m->versions[i] : NULL;
    char text[320];
    if (bad)
        snprintf(text, sizeof text, "version %lld: %s", (long long)bad->number, bad->why);
    json_put_text(b, str_of(bad ? text : ""));
    buf_put_u8(b, '}');
}

/* What serving_print() appends, made anew. */
static void show(struct serving *s)
{
    int loaded = 0, broken = 0;
    struct buf b = {0};
    buf_put_u8(&b, '[');
    for (size_t i = 0; i < s->count; i++) {
        const struct served *m = &s->items[i];
        if (i)
            buf_put_u8(&b, ',');
        print_model(&b, m);
        for (size_t v = 0; v < m->count; v++) {
            loaded += m->versions[v].state == VERSION_LOADED;
            broken +=
                m->versions[v].state == VERSION_MISMATCH || m->versions[v].state == VERSION_BROKEN;
        }
    }
    buf_put_u8(&b, ']');
    metric_set(s->loaded, loaded);
    metric_set(s->broken, broken);
    pthread_mutex_lock(&s->lock);
    if (buf_ok(&b)) {
        struct buf old = s->shown;
        s->shown = b;
        b = old;
    }
    pthread_mutex_unlock(&s->lock);
    buf_free(&b);
}

void serving_print(struct serving *s, struct buf *json)
{
    pthread_mutex_lock(&s->lock);
    buf_put_str(json, buf_str(&s->shown));
    pthread_mutex_unlock(&s->lock);
}

/* ------------------------------------------------------------ plans */

/* Why a version of a plan is not there. */
static void say_why(const struct serving *s, const char *model, struct version *v)
{
    snprintf(v->why, sizeof v->why, "it is not on the topic of artifacts yet");
    for (size_t i = 0; i < s->refusal_count && i < REFUSALS; i++)
        if (s->refusals[i].version == v->number && strcmp(s->refusals[i].model, model) == 0)
            snprintf(v->why, sizeof v->why, "%s", s->refusals[i].why);
}

/* The versions of a plan, those that are there already taken over from the plan before. */
static int make_versions(const struct serving *s, struct served *made, struct served *before,
                         struct err *e)
{
    int64_t numbers[ROLLOUT_MAX_VERSIONS];
    size_t count = rollout_versions(made->plan, numbers);
    made->versions = calloc(count + 1, sizeof *made->versions);
    if (!made->versions)
        return err_nomem(e);
    made->count = count;
    for (size_t i = 0; i < count; i++) {
        struct version *v = &made->versions[i],
                       *old = before ? find_version(before, numbers[i]) : NULL;
        *v = (struct version){.number = numbers[i]};
        say_why(s, made->plan->model, v);
        if (old) {
            *v = *old;
            old->model = NULL;
        }
    }
    return 0;
}

static void tell_plan(const struct rollout *plan, const struct rollout_plan *record)
{
    LOG_INFO("plan", LOG_TEXT("model", plan->model), LOG_INT("champion", plan->champion),
             LOG_INT("previous", plan->previous), LOG_INT("challengers", plan->challenger_count),
             LOG_STR("actor", record->actor), LOG_STR("reason", record->reason));
}

static int put_plan(struct serving *s, const struct rollout_plan *record, struct err *e)
{
    struct served made = {0}, *place = find(s, record->model);
    int64_t numbers[ROLLOUT_MAX_VERSIONS];
    int rc = rollout_new(&made.plan, record, e);
    if (rc)
        return rc;
    if (!place) {
        struct served *longer = realloc(s->items, (s->count + 1) * sizeof *longer);
        if (!longer) {
            rollout_free(made.plan);
            return err_nomem(e);
        }
        s->items = longer;
    }
    rc = artifacts_want(s->artifacts, record->model, numbers, rollout_versions(made.plan, numbers),
                        e);
    if (!rc)
        rc = make_versions(s, &made, place, e);
    if (rc) {
        free_served(&made);
        return rc;
    }
    if (place)
        free_served(place);
    else
        place = &s->items[s->count++];
    *place = made;
    tell_plan(made.plan, record);
    metric_add(s->swaps, 1);
    return 0;
}

static int remove_plan(struct serving *s, struct str model, struct err *e)
{
    struct served *m = find(s, model);
    if (!m)
        return 0;
    LOG_INFO("plan_removed", LOG_STR("model", model));
    free_served(m);
    *m = s->items[--s->count];
    return artifacts_want(s->artifacts, model, NULL, 0, e);
}

/* Decodes what a record has; a tombstone has nothing. Fails as codec_decode(). */
static int decode(struct serving *s, const struct input *in, const struct record_type *type,
                  void *record, struct err *why)
{
    arena_reset(&s->arena);
    return in->value.data ? codec_decode(s->codec, record, type, in->value, &s->arena, why) : 0;
}

int serving_plan(struct serving *s, const struct input *in, struct err *e)
{
    struct rollout_plan record;
    struct err why = {0};
    if (!in->key.data)
        return 0;
    int rc = decode(s, in, &rollout_plan_type, &record, &why);
    if (!rc && in->value.data && !str_equal(in->key, record.model))
        rc = err_set(&why, ERR_SCHEMA, "the key is \"%.*s\", the model is \"%.*s\"",
                     STR_ARG(in->key), STR_ARG(record.model));
    if (!rc)
        rc = in->value.data ? put_plan(s, &record, &why) : remove_plan(s, in->key, &why);
    if (rc == ERR_NOMEM || rc == ERR_UNAVAILABLE)
        return err_set(e, rc, "%s", why.msg);
    if (rc)
        LOG_ERROR("plan_refused", LOG_STR("model", in->key), LOG_ERR(&why),
                  LOG_TEXT("meaning", "the plan before stays in effect"));
    show(s);
    return 0;
}

/* ------------------------------------------------------------ artifacts */

/* A version that is waited for says what is wrong with what came of it. */
static void tell_why(struct serving *s, struct str key, const struct err *why)
{
    struct refusal *r = &s->refusals[s->refusal_count % REFUSALS];
    struct str model;
    int part;
    if (!artifact_parse_key(key, &model, &r->version, &part) || model.len > MODEL_NAME_BYTES)
        return;
    snprintf(r->model, sizeof r->model, "%.*s", STR_ARG(model));
    snprintf(r->why, sizeof r->why, "%.255s", why->msg);
    s->refusal_count++;
    struct served *m = find(s, model);
    struct version *v = m ? find_version(m, r->version) : NULL;
    if (v && v->state == VERSION_WAITED_FOR) {
        snprintf(v->why, sizeof v->why, "%s", r->why);
        show(s);
    }
}

int serving_artifact(struct serving *s, const struct input *in, struct err *e)
{
    struct model_artifact record;
    struct err why = {0};
    if (!in->key.data)
        return 0;
    int rc = decode(s, in, &model_artifact_type, &record, &why);
    if (!rc)
        rc = artifacts_take(s->artifacts, in->key, in->value.data ? &record : NULL, &why);
    if (rc == ERR_NOMEM || rc == ERR_UNAVAILABLE)
        return err_set(e, rc, "%s", why.msg);
    if (rc) {
        LOG_ERROR("artifact_refused", LOG_INT("offset", in->offset), LOG_ERR(&why));
        tell_why(s, in->key, &why);
    }
    return 0;
}

bool serving_lost(const struct serving *s)
{
    return artifacts_lost(s->artifacts);
}

void serving_reread(struct serving *s)
{
    artifacts_again(s->artifacts);
}

/* ------------------------------------------------------------ loading */

static void install(struct serving *s, struct loaded *done)
{
    struct served *m = find(s, str_of(done->name));
    struct version *v = m ? find_version(m, done->version) : NULL;
    if (!v) { /* no plan names it any more */
        model_free(done->model);
        return;
    }
    if (!done->model) {
        /* An artifact that was loaded before goes on: the same version is never another. */
        if (v->state == VERSION_LOADED)
            return;
        bool again = done->why.code == ERR_UNAVAILABLE && ++v->attempts < ATTEMPTS;
        if (again)
            artifacts_retry(s->artifacts, str_of(done->name), done->version);
        v->state = again                             ? VERSION_WAITED_FOR
                   : done->why.code == ERR_NOT_FOUND ? VERSION_MISMATCH
                                                     : VERSION_BROKEN;
        snprintf(v->why, sizeof v->why, "%.255s", done->why.msg);
        LOG_ERROR("model_refused", LOG_TEXT("model", done->name), LOG_INT("version", done->version),
                  LOG_ERR(&done->why));
        return;
    }
    model_free(v->model);
    v->model = done->model;
    v->state = VERSION_LOADED;
    v->why[0] = 0;
    LOG_INFO("model_loaded", LOG_TEXT("model", done->name), LOG_INT("version", done->version),
             LOG_INT("trees", done->model->ensemble->tree_count));
}

int serving_turn(struct serving *s, struct err *e)
{
    struct artifact *a;
    struct loaded done;
    bool changed = false;
    int rc = 0;
    while (!rc && (a = artifacts_next(s->artifacts)))
        rc = loader_give(s->loader, a, e);
    while (loader_take(s->loader, &done)) {
        install(s, &done);
        changed = true;
    }
    if (changed)
        show(s);
    return rc;
}

bool serving_is_settled(const struct serving *s)
{
    return loader_waiting(s->loader) == 0;
}

/* ------------------------------------------------------------ picking */

static const char *problem(const struct version *v)
{
    if (!v || v->state == VERSION_WAITED_FOR)
        return "loading";
    return v->state == VERSION_MISMATCH ? "fingerprint" : "no_model";
}

struct pick serving_pick(const struct serving *s, struct str model, struct str user_id)
{
    const struct served *m = find(s, model);
    struct rollout_step steps[ROLLOUT_STEPS];
    struct pick p = {.variant = "rules", .degraded = "no_model"};
    if (!m)
        return p;
    size_t count = rollout_steps(m->plan, rollout_assign(m->plan, user_id), steps);
    if (!count) /* as the plan says */
        p.degraded = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct version *v = find_version(m, steps[i].version);
        if (v && v->state == VERSION_LOADED) {
            p.model = v->model;
            p.variant = steps[i].variant;
            p.degraded = i ? p.degraded : NULL;
            return p;
        }
        if (i == 0)
            p.degraded = problem(v);
    }
    return p;
}

size_t serving_shadows(const struct serving *s, struct str model, struct pick *out, size_t most)
{
    const struct served *m = find(s, model);
    size_t count = 0;
    for (size_t i = 0; m && i < m->plan->challenger_count && count < most; i++) {
        const struct rollout_challenger *c = &m->plan->challengers[i];
        const struct version *v = find_version(m, c->version);
        if (c->mode == ROLLOUT_SHADOW && v && v->state == VERSION_LOADED)
            out[count++] = (struct pick){.model = v->model, .variant = c->name};
    }
    return count;
}
