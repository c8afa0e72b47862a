#include "rank_print.h"

#include "grid.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct {
    const char *degraded, *sentence;
} reasons[] = {
    {"no_model", "no version of the placement's model can be used: see `flotilla models list` for "
                 "what there is, and promote one"},
    {"fingerprint", "the model was made of features that are defined otherwise than here: register "
                    "a version that was trained on these, or take back the change of features.file "
                    "(`flotilla models status` says which features)"},
    {"loading", "the version is not loaded yet: ask again in a moment; `flotilla models status` "
                "says what it waits for"},
    {"deadline", "the deadline had passed, or left no time for vectors: give a later one"},
    {"overload", "requests wait longer than their budget allows: start more rankers; `flotilla "
                 "status` shows the lag"},
    {"stale_state", "the newest events could not be read in time, so features may lack them: see "
                    "`flotilla status`, and the ranker's log"},
    {"too_large", "more candidates than the setting ranker.max_candidates allows, or an answer "
                  "larger than a record may be: give fewer candidates, or a lower limit"},
};

const char *rank_reason(struct str degraded)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (str_is(degraded, reasons[i].degraded))
            return reasons[i].sentence;
    return "see the field degraded in the schema of rankings";
}

static void put_time(struct buf *out, int64_t ms)
{
    int64_t rest = ((ms % 1000) + 1000) % 1000;
    time_t seconds = (time_t)((ms - rest) / 1000);
    struct tm t;
    char text[64];
    if (gmtime_r(&seconds, &t) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &t))
        buf_printf(out, "%s.%03d UTC", text, (int)rest);
    else
        buf_printf(out, "%lld ms", (long long)ms);
}

static void put_places(struct buf *out, const struct ranking *r)
{
    struct grid g;
    grid_start(&g, ">PLACE,PROPOSITION,>SCORE,>PROPENSITY");
    for (size_t i = 0; i < r->items.count; i++) {
        const struct ranked *item = &r->items.items[i];
        grid_put(&g, "%zu", i + 1);
        grid_put(&g, "%.*s", STR_ARG(item->proposition_id));
        grid_put(&g, "%.6g", item->score);
        grid_put(&g, "%.6g", item->propensity);
    }
    grid_end(&g, out);
}

/* ---- Why ---- */

static int larger_first(const void *a, const void *b)
{
    const struct double_entry *x = a, *y = b;
    double p = fabs(x->value), q = fabs(y->value);
    return p != q ? (p < q ? 1 : -1) : str_compare(x->name, y->name);
}

static void put_contributions(struct grid *g, size_t place, struct ranked *item, bool by_rules)
{
    struct double_map *map = &item->contributions;
    double sum = 0;
    if (!map->count)
        return;
    qsort(map->items, map->count, sizeof *map->items, larger_first);
    for (size_t i = 0; i < map->count; i++) {
        if (i == 0) {
            grid_put(g, "%zu", place);
            grid_put(g, "%.*s", STR_ARG(item->proposition_id));
        } else {
            grid_put(g, "%s", "");
            grid_put(g, "%s", "");
        }
        grid_put(g, "%+.6g", map->items[i].value);
        grid_put(g, "%.*s", STR_ARG(map->items[i].name));
        sum += map->items[i].value;
    }
    grid_put(g, "%s", "");
    grid_put(g, "%s", "");
    grid_put(g, "%+.6g", sum);
    grid_put(g, "%s", by_rules ? "sum: the logarithm of the score" : "sum: the margin");
}

static void put_explanation(struct buf *out, struct ranking *r)
{
    struct grid g;
    bool explained = false;
    for (size_t i = 0; i < r->items.count; i++)
        explained |= r->items.items[i].contributions.count > 0;
    if (!explained && r->items.count) {
        buf_put_text(out, "\nIt was ranked without vectors, so there are no contributions.\n");
        return;
    }
    if (!explained)
        return;
    buf_put_u8(out, '\n');
    grid_start(&g, ">PLACE,PROPOSITION,>CONTRIBUTION,OF");
    for (size_t i = 0; i < r->items.count; i++)
        put_contributions(&g, i + 1, &r->items.items[i], str_is(r->model, "rules"));
    grid_end(&g, out);
}

/* ---- By whom ---- */

static void put_author(struct buf *out, const struct ranking *r, int64_t took_us)
{
    buf_put_text(out, "\nRanked by ");
    if (str_is(r->model, "rules"))
        buf_put_text(out, "rules");
    else
        buf_printf(out, "version %lld of model %.*s as its %.*s", (long long)r->version,
                   STR_ARG(r->model), STR_ARG(r->variant));
    buf_printf(out, ", answered in %.1f ms.\n", (double)took_us / 1000);
    if (r->degraded.data)
        buf_printf(out, "Degraded (%.*s): %s.\n", STR_ARG(r->degraded), rank_reason(r->degraded));
}

static void put_unknown(struct buf *out, const struct ranking *r)
{
    if (!r->unknown.count)
        return;
    buf_put_text(out, "Not among the propositions, so ranked with what is known: ");
    for (size_t i = 0; i < r->unknown.count; i++)
        buf_printf(out, "%s%.*s", i ? ", " : "", STR_ARG(r->unknown.items[i]));
    buf_put_text(out, ".\n");
}

void rank_print(struct buf *out, const struct rank_request *q, struct ranking *r, int64_t took_us)
{
    buf_printf(out, "%.*s, placement %.*s, as of ", STR_ARG(r->user_id), STR_ARG(r->placement));
    put_time(out, r->timestamp);
    buf_printf(out, ", request %.*s\n\n", STR_ARG(r->request_id));
    if (r->items.count)
        put_places(out, r);
    else
        buf_put_text(out, "No propositions.\n");
    if (q->explain)
        put_explanation(out, r);
    put_author(out, r, took_us);
    put_unknown(out, r);
}
