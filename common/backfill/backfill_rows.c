#include "backfill/backfill_parts.h"

#include "stats/place_probability.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void backfill_rows_free(struct backfill_rows *rows)
{
    free(rows->values);
    free(rows->positions);
    free(rows->propensities);
    free(rows->vectors);
    free(rows->labels);
    free(rows->scores);
    free(rows->propositions);
    free(rows->segments);
    free(rows->seen);
    *rows = (struct backfill_rows){0};
}

static int grow_rows(struct backfill_rows *rows, size_t count, size_t columns, struct err *e)
{
    if (count <= rows->cap)
        return 0;
    backfill_rows_free(rows);
    count = count < 64 ? 64 : count;
    rows->values = malloc(count * (columns + 1) * sizeof *rows->values);
    rows->vectors = malloc(count * (columns + 1) * sizeof *rows->vectors);
    rows->positions = malloc(count * sizeof *rows->positions);
    rows->propensities = malloc(count * sizeof *rows->propensities);
    rows->labels = malloc(count * sizeof *rows->labels);
    rows->scores = malloc(count * sizeof *rows->scores);
    rows->propositions = malloc(count * sizeof *rows->propositions);
    rows->segments = malloc(count * sizeof *rows->segments);
    rows->seen = malloc(count * sizeof *rows->seen);
    if (!rows->values || !rows->vectors || !rows->positions || !rows->propensities ||
        !rows->labels || !rows->scores || !rows->propositions || !rows->segments || !rows->seen) {
        backfill_rows_free(rows);
        return err_nomem(e);
    }
    rows->cap = count;
    return 0;
}

/* ------------------------------------------------------------ vectors */

/* What ranked it need not have known what the user had done by the time of the request, or may have
 * known more: events that came late, or happened about then; or it said itself that it was behind.
 */
static bool may_differ(const struct backfill *b, const struct ranking_entry *r,
                       const struct joined *joined, uint32_t user)
{
    int64_t about_ms = r->time_ms;
    if (r->arrival_ms > 0 && r->arrival_ms < about_ms)
        about_ms = r->arrival_ms;
    return joined->is_early || joined->is_close || str_is(r->scored->degraded, "stale_state") ||
           seen_count(&b->seen, SIDE_USER, user)->newest_ms > about_ms - CLOSE_MS;
}

/* The rows stay, with nothing known of them: so the set has the same rankings whenever it is made.
 */
static void leave_unknown(struct backfill *b, size_t count, const struct err *why)
{
    for (size_t i = 0; i < count * b->opts.features->output_count; i++)
        b->rows.vectors[i] = NAN;
    for (size_t i = 0; i < count; i++)
        b->rows.labels[i] = NAN;
    if (!b->counts.unreadable++)
        snprintf(b->counts.why_unreadable, sizeof b->counts.why_unreadable, "%.*s",
                 (int)sizeof b->counts.why_unreadable - 1, why->msg);
}

/* What was read at the time of a request that was shown before it knows what is to be learned: only
 * what was logged does not. */
static void check_early(struct backfill *b, size_t count, bool is_logged)
{
    struct err why = {0};
    if (is_logged && comparison_is_whole(&b->comparison))
        return;
    err_set(&why, ERR_SCHEMA,
            "they were shown before they were asked for, since clocks differ, and score.log does "
            "not have all their values");
    leave_unknown(b, count, &why);
}

/* Fails as replay_request(), but for what makes a single request unreadable. */
static int read_vectors(struct backfill *b, const struct ranking_entry *r, size_t count,
                        bool *readable, struct err *e)
{
    struct backfill_rows *rows = &b->rows;
    struct rank_request q = {.request_id = r->id,
                             .user_id = r->user_id,
                             .timestamp = r->time_ms,
                             .candidates = {rows->propositions, count},
                             .context = *r->context};
    struct err why = {0};
    int rc = replay_request(b->replay, &q, rows->positions, rows->values, &why);
    *readable = !rc;
    if (rc == ERR_SCHEMA || rc == ERR_TOO_LARGE) {
        leave_unknown(b, count, &why);
        return 0;
    }
    if (rc)
        return err_set(e, rc, "%s", why.msg);
    b->counts.computed += count;
    for (size_t i = 0; i < count * b->opts.features->output_count; i++)
        rows->vectors[i] = (float)rows->values[i];
    return 0;
}

/* ------------------------------------------------------------ what ranked it */

static int place_propensities(struct backfill *b, const struct score_log *s, double *of_places,
                              struct err *e)
{
    struct place_ranking ranking = {.ids = s->candidates.items,
                                    .utilities = s->utilities.items,
                                    .count = s->candidates.count,
                                    .shown = s->shown.items,
                                    .shown_count = s->shown.count,
                                    .share = s->explored_share,
                                    .temperature = s->temperature};
    struct err why = {0};
    bool known = !s->diverse && s->utilities.count == s->candidates.count;
    for (size_t k = 0; k < s->shown.count; k++)
        of_places[k] = s->explored_share <= 0 ? 1 : NAN;
    if (s->explored_share <= 0 || !known || s->shown.count == 0)
        return 0;
    int rc = place_probabilities(of_places, &ranking, &b->arena, &why);
    if (rc == ERR_NOMEM)
        return err_nomem(e);
    for (size_t k = 0; rc && k < s->shown.count; k++)
        of_places[k] = NAN; /* A log that contradicts itself says nothing. */
    return 0;
}

/* Scores, and propensities of those that were shown where the ranking had put them. */
static int take_log(struct backfill *b, const struct score_log *s, const struct joined *joined,
                    struct err *e)
{
    struct backfill_rows *rows = &b->rows;
    double *of_places = arena_alloc(&b->arena, (s->shown.count + 1) * sizeof *of_places);
    int rc = of_places ? place_propensities(b, s, of_places, e) : err_nomem(e);
    if (rc)
        return rc;
    for (size_t i = 0; i < joined->count && s->scores.count == joined->count; i++)
        rows->scores[i] = s->scores.items[i];
    for (size_t k = 0; k < s->shown.count; k++) {
        int32_t i = s->shown.items[k];
        if (i >= 0 && (size_t)i < joined->count && joined->places[i] == (int32_t)k)
            rows->propensities[i] = of_places[k];
    }
    return 0;
}

/* ------------------------------------------------------------ rows */

static void label_rows(struct backfill *b, const struct joined *joined)
{
    struct backfill_rows *rows = &b->rows;
    for (size_t i = 0; i < joined->count; i++) {
        bool is_shown = joined->is_shown && joined->places[i] >= 0;
        rows->positions[i] = joined->places[i] >= 0 ? (double)joined->places[i] : NAN;
        rows->labels[i] = is_shown ? labels_value(&b->opts.labels, joined->happened[i]) : NAN;
        rows->propensities[i] = NAN;
        rows->scores[i] = NAN;
        b->counts.shown += is_shown;
        b->counts.positives += is_shown && rows->labels[i] > 0;
        for (size_t l = 0; l < b->opts.labels.count; l++)
            b->counts.happened[l] += is_shown && joined->happened[i] >> l & 1;
    }
    b->counts.rows += joined->count;
}

/* {"context.device":"tv","user.tier":"gold"}, and of each candidate what it is. */
static int put_segments(struct backfill *b, const struct ranking_entry *r, uint32_t user,
                        const uint32_t *numbers, size_t count, size_t *own, struct err *e)
{
    struct buf *s = &b->segments;
    buf_reset(s);
    buf_put_u8(s, '{');
    seen_put_context(s, r->context);
    struct str of_user = seen_segments(&b->seen, SIDE_USER, user);
    if (of_user.len && s->len > 1)
        buf_put_u8(s, ',');
    buf_put_str(s, of_user);
    buf_put_u8(s, '}');
    *own = s->len;
    for (size_t i = 0; i < count; i++) {
        struct str of_candidate = seen_segments(&b->seen, SIDE_PROPOSITION, numbers[i]);
        if (!of_candidate.len)
            continue;
        buf_put_u8(s, '{');
        buf_put_str(s, of_candidate);
        buf_put_u8(s, '}');
    }
    if (!buf_ok(s))
        return err_nomem(e);
    const char *at = (const char *)s->data + *own;
    for (size_t i = 0; i < count; i++) {
        size_t n = seen_segments(&b->seen, SIDE_PROPOSITION, numbers[i]).len;
        b->rows.segments[i] = (struct str){at, n ? n + 2 : 0};
        at += n ? n + 2 : 0;
    }
    return 0;
}

/* Where all requests are there, those that were logged weigh no more than others. */
static double share_of(const struct score_log *s, const struct joined *joined)
{
    bool counts = s && !joined->has_request && s->share > 0 && s->share <= 1;
    return counts ? s->share : 1;
}

static int put_rows(struct backfill *b, const struct ranking_entry *r, const struct joined *joined,
                    uint32_t user, bool is_logged, struct err *e)
{
    struct backfill_rows *rows = &b->rows;
    const struct score_log *s = r->scored;
    size_t own = 0;
    const uint32_t *numbers = seen_numbers(&b->seen, rows->propositions, joined->count, e);
    int rc = numbers ? put_segments(b, r, user, numbers, joined->count, &own, e) : ERR_NOMEM;
    if (rc)
        return rc;
    for (size_t i = 0; i < joined->count; i++)
        rows->seen[i] = seen_count(&b->seen, SIDE_PROPOSITION, numbers[i])->events;
    struct set_request q = {
        .id = r->id,
        .user_id = r->user_id,
        .placement = r->placement,
        .timestamp_ms = r->time_ms,
        .source = is_logged          ? SET_LOGGED
                  : r->is_impression ? SET_IMPRESSION
                                     : SET_REPLAYED,
        .model = s ? s->model : str_of(""),
        .variant = s ? s->variant : str_of(""),
        .version = s ? s->version : 0,
        .share = share_of(s, joined),
        .seen = seen_count(&b->seen, SIDE_USER, user)->events,
        .segments = {(const char *)b->segments.data, own},
        .count = joined->count,
        .propositions = rows->propositions,
        .proposition_segments = rows->segments,
        .vectors = rows->vectors,
        .labels = rows->labels,
        .places = joined->places,
        .propensities = rows->propensities,
        .scores = rows->scores,
        .proposition_seen = rows->seen,
    };
    return set_writer_put(b->writer, &q, e);
}

static void name_rows(struct backfill *b, const struct ranking_entry *r,
                      const struct joined *joined)
{
    for (size_t i = 0; i < joined->count; i++)
        b->rows.propositions[i] = r->candidates->count == joined->count
                                      ? r->candidates->items[i]
                                      : join_proposition(b->join, joined->propositions[i]);
}

int backfill_put(struct backfill *b, const struct ranking_entry *r, const struct joined *joined,
                 struct err *e)
{
    bool is_kept = b->put < b->to_keep, readable = true, is_logged = false;
    uint32_t user;
    int rc = grow_rows(&b->rows, joined->count, b->opts.features->output_count, e);
    if (!rc)
        rc = seen_user(&b->seen, r->user_id, &user, e);
    if (rc)
        return rc;
    arena_reset(&b->arena);
    name_rows(b, r, joined);
    label_rows(b, joined);
    b->put++;
    b->counts.kept += is_kept;
    /* What is in the set is not computed again, unless it is to be compared: so the comparison is
     * of all of it, however often it was interrupted. */
    if (!is_kept || r->scored)
        rc = read_vectors(b, r, joined->count, &readable, e);
    if (!rc && r->scored && readable)
        rc = comparison_take(&b->comparison, r->scored, may_differ(b, r, joined, user),
                             seen_count(&b->seen, SIDE_USER, user)->is_out_of_order,
                             b->rows.vectors, &is_logged, e);
    if (!rc && r->scored && !is_kept)
        rc = take_log(b, r->scored, joined, e);
    b->counts.used_logged += is_logged;
    if (!rc && joined->is_early && joined->is_shown && !is_kept)
        check_early(b, joined->count, is_logged);
    return rc || is_kept ? rc : put_rows(b, r, joined, user, is_logged, e);
}
