/* flotilla models status: what each running ranker has loaded. */
#include "ctl.h"
#include "fleet.h"
#include "grid.h"

#include "base/clock.h"
#include "base/json.h"

#include <jansson.h>
#include <stdio.h>

/* One model of one ranker. */
struct loading {
    const struct fleet_worker *worker;
    const char *model;
    int64_t champion;
    const json_t *loaded; /* versions */
    const char *problem;  /* "": none */
};

struct report {
    bool json;
    bool well;
    size_t lines;
    struct grid grid;
    struct buf out;
};

static bool has_loaded(const json_t *versions, int64_t version)
{
    for (size_t i = 0; i < json_array_size(versions); i++)
        if (json_integer_value(json_array_get(versions, i)) == version)
            return true;
    return version == 0;
}

static void put_versions(struct buf *b, const json_t *versions)
{
    for (size_t i = 0; i < json_array_size(versions); i++)
        buf_printf(b, "%s%lld", i ? ", " : "",
                   (long long)json_integer_value(json_array_get(versions, i)));
}

static void put_row(struct report *r, const struct loading *l, const struct buf *versions)
{
    grid_put(&r->grid, "%s", l->worker->instance);
    grid_put(&r->grid, "%s", l->model);
    if (l->champion)
        grid_put(&r->grid, "%lld", (long long)l->champion);
    else
        grid_put(&r->grid, "rules");
    grid_put(&r->grid, "%.*s", STR_ARG(buf_str(versions)));
    grid_put(&r->grid, "%s", l->problem);
}

static void put_json(struct report *r, const struct loading *l, const struct buf *versions)
{
    buf_put_text(&r->out, "{\"instance\":");
    json_put_text(&r->out, str_of(l->worker->instance));
    buf_put_text(&r->out, ",\"model\":");
    json_put_text(&r->out, str_of(l->model));
    buf_printf(&r->out, ",\"champion\":%lld,\"loaded\":[%.*s],\"problem\":", (long long)l->champion,
               STR_ARG(buf_str(versions)));
    json_put_text(&r->out, str_of(l->problem));
    buf_put_text(&r->out, "}\n");
}

static void put_loading(struct report *r, const struct loading *l)
{
    struct buf versions = {0};
    put_versions(&versions, l->loaded);
    if (r->json)
        put_json(r, l, &versions);
    else
        put_row(r, l, &versions);
    r->well &= !*l->problem && has_loaded(l->loaded, l->champion);
    r->lines++;
    r->out.failed |= versions.failed;
    buf_free(&versions);
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static void put_ranker(struct report *r, const struct fleet_worker *w)
{
    json_t *status = w->status ? json_loads(w->status, 0, NULL) : NULL;
    const json_t *models = json_object_get(status, "models");
    struct loading l = {.worker = w, .model = "", .problem = w->reason};
    if (!json_is_array(models)) {
        l.problem = *w->reason ? w->reason : "its status has no models";
        put_loading(r, &l);
    }
    for (size_t i = 0; i < json_array_size(models); i++) {
        const json_t *m = json_array_get(models, i);
        l.model = text_of(m, "model");
        l.champion = json_integer_value(json_object_get(m, "champion"));
        l.loaded = json_object_get(m, "loaded");
        l.problem = text_of(m, "problem");
        put_loading(r, &l);
    }
    json_decref(status);
}

static enum ctl_status status(const struct ctl *c, struct err *e)
{
    struct fleet f;
    struct report r = {.json = ctl_option(c, "json"), .well = true};
    size_t rankers = 0;
    int rc = fleet_read(&f, c->conf, clock_now_ms(), e);
    grid_start(&r.grid, "INSTANCE,MODEL,>CHAMPION,LOADED,PROBLEM");
    for (size_t i = 0; i < f.worker_count && !rc; i++) {
        if (strcmp(f.workers[i].group->name, "ranker") != 0)
            continue;
        put_ranker(&r, &f.workers[i]);
        rankers++;
    }
    if (!rc && !rankers)
        fprintf(stderr, "no ranker runs: start flotilla-ranker\n");
    else if (!rc && !r.lines)
        fprintf(stderr, "no model has a plan: rules rank\n");
    if (!r.json && r.lines)
        grid_end(&r.grid, &r.out);
    else
        buf_free(&r.grid.cells);
    if (!rc)
        rc = ctl_print(&r.out, e);
    buf_free(&r.out);
    fleet_free(&f);
    return rc ? CTL_FAILED : r.well && rankers ? CTL_OK : CTL_WRONG;
}

const struct command models_status_command = {
    .name = "models status",
    .arguments = "",
    .purpose = "show which versions each running ranker has loaded; exit status 3 if one has not "
               "loaded its champion, or has a problem",
    .example = "flotilla models status",
    .options = {{"json", NULL, "a line of JSON for each ranker and model"}},
    .run = status,
};
