#include "backfill/backfill.h"
#include "backfill/backfill_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

/* Between two calls of progress. */
enum { PROGRESS_ENTRIES = 1024 };

const char *backfill_unused_name(enum backfill_unused reason)
{
    static const char *const names[UNUSED_REASONS] = {
        [UNUSED_OUT_OF_RANGE] = "out_of_range",   [UNUSED_KIND] = "kind_not_asked_for",
        [UNUSED_NO_CANDIDATES] = "no_candidates", [UNUSED_NOT_SHOWN] = "not_shown",
        [UNUSED_EARLY] = "shown_before_asked",    [UNUSED_INCOMPLETE] = "labels_not_complete",
        [UNUSED_SAMPLE] = "not_in_sample",
    };
    return names[reason];
}

void backfill_free(struct backfill *b)
{
    if (!b)
        return;
    set_writer_free(b->writer);
    journal_cursor_free(b->ahead);
    journal_cursor_free(b->ranked);
    journal_cursor_free(b->state);
    arena_free(&b->ahead_arena);
    arena_free(&b->ranked_arena);
    arena_free(&b->state_arena);
    arena_free(&b->arena);
    comparison_free(&b->comparison);
    replay_free(b->replay);
    seen_free(&b->seen);
    join_free(b->join);
    backfill_rows_free(&b->rows);
    buf_free(&b->segments);
    free(b);
}

int backfill_new(struct backfill **out, const struct backfill_opts *opts, struct err *e)
{
    struct backfill *b = calloc(1, sizeof *b);
    if (!b)
        return err_nomem(e);
    b->opts = *opts;
    struct replay_opts replay = {.set = opts->features,
                                 .max_clock_skew_ms = opts->max_clock_skew_ms,
                                 .max_keys_per_user = opts->max_keys_per_user};
    struct join_opts join = {.labels = &b->opts.labels,
                             .window_ms = opts->label_window_ms,
                             .log_end_ms = opts->log_end_ms};
    int rc = replay_new(&b->replay, &replay, e);
    if (!rc)
        rc = join_new(&b->join, &join, e);
    if (!rc)
        rc = comparison_init(&b->comparison, opts->features, e);
    if (!rc)
        rc = seen_init(&b->seen, e);
    if (!rc)
        rc = journal_read(&b->ahead, opts->journal, e);
    if (!rc)
        rc = journal_read(&b->ranked, opts->journal, e);
    if (!rc)
        rc = journal_read(&b->state, opts->journal, e);
    if (!rc)
        rc = backfill_next(b, e);
    if (rc)
        backfill_free(b);
    else
        *out = b;
    return rc;
}

/* ------------------------------------------------------------ ahead */

static int join_next(struct backfill *b, struct err *e)
{
    struct entry entry;
    bool more;
    arena_reset(&b->ahead_arena);
    int rc = journal_next(b->ahead, &b->ahead_arena, &entry, &more, e);
    if (rc)
        return rc;
    if (!more) {
        b->is_ahead_done = true;
        return join_end(b->join, e);
    }
    uint64_t number = b->ahead_number++;
    switch (entry.kind) {
    case ENTRY_REQUEST:
        return join_request(b->join, number, &entry.request, e);
    case ENTRY_SCORED:
        return join_scored(b->join, number, &entry.scored,
                           later_of(entry.scored.timestamp, entry.arrival.time_ms) + CLOSE_MS, e);
    case ENTRY_EVENT:
        return join_event(b->join, number, &entry.event, entry.time_ms, e);
    default:
        return 0;
    }
}

/* Now and then, by either count; `number` is one of them. */
static int tell_progress(const struct backfill *b, uint64_t number, struct err *e)
{
    const struct backfill_opts *o = &b->opts;
    uint64_t of = 0;
    if (number % PROGRESS_ENTRIES || !o->progress)
        return 0;
    for (int kind = 0; kind < ENTRY_KINDS; kind++)
        of += journal_count(o->journal, (enum entry_kind)kind);
    if (o->progress(o->arg, b->counts.computed, b->ranked_number, of))
        return 0;
    return err_set(e, ERR_ABORTED, "stopped; the same command goes on where this one ended");
}

/* What became of the ranking of this entry; NULL: it is none, or another stands for it. */
static int find_joined(struct backfill *b, uint64_t number, const struct joined **out,
                       struct err *e)
{
    int rc = 0;
    while (!(*out = join_first(b->join)) && !b->is_ahead_done && !rc) {
        rc = join_next(b, e);
        if (!rc)
            rc = tell_progress(b, b->ahead_number, e);
    }
    if (*out && (*out)->number != number)
        *out = NULL;
    return rc;
}

/* ------------------------------------------------------------ rankings */

static bool is_in_sample(const struct backfill *b, const struct ranking_entry *r)
{
    uint64_t hash = XXH3_64bits(r->id.data, r->id.len);
    /* The id of an impression without a request hangs on what else was read. */
    if (!r->has_id)
        hash = XXH3_64bits_withSeed(r->user_id.data, r->user_id.len, (uint64_t)r->time_ms);
    return (double)(hash >> 11) * 0x1p-53 < b->opts.sample;
}

/* UNUSED_REASONS: it is used. */
static enum backfill_unused judge(const struct backfill *b, const struct ranking_entry *r,
                                  const struct joined *joined)
{
    const struct backfill_opts *o = &b->opts;
    return r->time_ms < o->from_ms || r->time_ms >= o->to_ms ? UNUSED_OUT_OF_RANGE
           : o->only == (r->is_impression ? BACKFILL_REQUESTS : BACKFILL_IMPRESSIONS) ? UNUSED_KIND
           : joined->count == 0                                         ? UNUSED_NO_CANDIDATES
           : joined->is_early && !joined->is_shown && !o->keeps_unshown ? UNUSED_EARLY
           : !joined->is_shown && !o->keeps_unshown                     ? UNUSED_NOT_SHOWN
           : !joined->is_complete && !o->keeps_incomplete               ? UNUSED_INCOMPLETE
           : !is_in_sample(b, r)                                        ? UNUSED_SAMPLE
                                                                        : UNUSED_REASONS;
}

static int meet_ranking(struct backfill *b, uint64_t number, const struct ranking_entry *r,
                        struct err *e)
{
    const struct joined *joined;
    int rc = find_joined(b, number, &joined, e);
    if (!rc && joined)
        rc = backfill_advance(b, r->time_ms, e);
    if (rc || !joined)
        return rc;
    enum backfill_unused unused = judge(b, r, joined);
    b->counts.rankings++;
    if (unused != UNUSED_REASONS) {
        b->counts.unused[unused]++;
        rc = r->scored ? comparison_note(&b->comparison, r->scored, e) : 0;
    } else {
        b->counts.used++;
        b->counts.used_impressions += r->is_impression;
        rc = backfill_put(b, r, joined, e);
    }
    join_take(b->join);
    return rc;
}

static int meet_request(struct backfill *b, uint64_t number, const struct rank_request *q,
                        struct err *e)
{
    struct ranking_entry r = {.id = q->request_id,
                              .user_id = q->user_id,
                              .placement = q->placement,
                              .time_ms = q->timestamp,
                              .context = &q->context,
                              .candidates = &q->candidates,
                              .has_id = true};
    return meet_ranking(b, number, &r, e);
}

static int meet_scored(struct backfill *b, uint64_t number, const struct score_log *s,
                       int64_t arrival_ms, struct err *e)
{
    struct ranking_entry r = {.id = s->request_id,
                              .user_id = s->user_id,
                              .placement = s->placement,
                              .time_ms = s->timestamp,
                              .context = &s->context,
                              .candidates = &s->candidates,
                              .scored = s,
                              .arrival_ms = arrival_ms,
                              .has_id = true};
    return meet_ranking(b, number, &r, e);
}

static int meet_impression(struct backfill *b, uint64_t number, const struct entry *entry,
                           struct err *e)
{
    const struct event *event = &entry->event;
    struct ranking_entry r = {.id = event->request_id.len ? event->request_id : event->event_id,
                              .user_id = event->user_id,
                              .placement = str_of(""),
                              .time_ms = entry->time_ms,
                              .context = &event->context,
                              .candidates = &event->propositions,
                              .has_id = event->request_id.len > 0,
                              .is_impression = true};
    return meet_ranking(b, number, &r, e);
}

static int meet(struct backfill *b, const struct entry *entry, struct err *e)
{
    uint64_t number = b->ranked_number++;
    switch (entry->kind) {
    case ENTRY_REQUEST:
        return meet_request(b, number, &entry->request, e);
    case ENTRY_SCORED:
        return meet_scored(b, number, &entry->scored, entry->arrival.time_ms, e);
    case ENTRY_EVENT:
        return labels_is_impression(&b->opts.labels, entry->event.event)
                   ? meet_impression(b, number, entry, e)
                   : 0;
    default:
        return 0;
    }
}

/* ------------------------------------------------------------ the whole */

static int go_through(struct backfill *b, struct err *e)
{
    struct entry entry;
    bool more = true;
    int rc = 0;
    while (!rc && more) {
        /* Records behind the last ranking are nobody's past. */
        if (b->is_ahead_done && !join_first(b->join))
            break;
        arena_reset(&b->ranked_arena);
        rc = journal_next(b->ranked, &b->ranked_arena, &entry, &more, e);
        if (!rc && more)
            rc = meet(b, &entry, e);
        if (!rc)
            rc = tell_progress(b, b->ranked_number, e);
    }
    b->counts.join = join_counts(b->join);
    return rc;
}

/* What else a run that goes on must have in common with the one that began. */
static struct str put_options(struct buf *out, const struct backfill_opts *o)
{
    static const char *const kinds[] = {"both", "requests", "impressions"};
    buf_put_text(out, "impressions:");
    for (size_t i = 0; i < o->labels.impression_count; i++)
        buf_printf(out, " %.*s", STR_ARG(o->labels.impressions[i]));
    buf_printf(out, "\nonly: %s\nkeys: %u\nsample: %.17g\nunshown: %d\nincomplete: %d\n",
               kinds[o->only], o->max_keys_per_user, o->sample, o->keeps_unshown,
               o->keeps_incomplete);
    buf_put_str(out, o->source);
    /* Read again, it may be of more records, which may lie between those of before. */
    buf_put_str(out, journal_counts(o->journal));
    return buf_str(out);
}

/* Names and fingerprints of the columns. */
static int open_set(struct backfill *b, struct err *e)
{
    const struct feature_set *f = b->opts.features;
    struct buf options = {0};
    struct str *names = arena_alloc(&b->arena, (f->output_count + 1) * sizeof *names);
    char *fingerprints = arena_alloc(&b->arena, (f->output_count + 1) * FINGERPRINT_BYTES);
    if (!names || !fingerprints)
        return err_nomem(e);
    for (size_t i = 0; i < f->output_count; i++) {
        names[i] = str_of(f->outputs[i].name);
        memcpy(fingerprints + i * FINGERPRINT_BYTES, f->outputs[i].feature->fingerprint,
               FINGERPRINT_BYTES);
    }
    struct set_info info = {
        .columns = {names, f->output_count},
        .fingerprints = str_bytes(fingerprints, f->output_count * FINGERPRINT_BYTES),
        .definitions = b->opts.definitions,
        .labels = b->opts.labels_text,
        .options = put_options(&options, &b->opts),
        .label_window_ms = b->opts.label_window_ms,
        .from_ms = b->opts.from_ms,
        .to_ms = b->opts.to_ms,
        .counts = str_of("{}"),
    };
    int rc = buf_ok(&options) ? set_writer_new(&b->writer, b->opts.dir, &info, &b->to_keep, e)
                              : err_nomem(e);
    buf_free(&options);
    if (!rc && b->opts.part_rows)
        set_writer_limit(b->writer, b->opts.part_rows, 0);
    return rc;
}

static int nothing_used(const struct backfill *b, struct err *e)
{
    const struct backfill_counts *c = &b->counts;
    return err_set(e, ERR_INVALID,
                   "nothing to train on: of %llu requests and impressions none can be used "
                   "(%llu outside the range, %llu of another kind, %llu without candidates, %llu "
                   "never shown, %llu shown before they were asked for, %llu whose label window is "
                   "still open at the end of the log, %llu "
                   "not in the sample)%s",
                   (unsigned long long)c->rankings,
                   (unsigned long long)c->unused[UNUSED_OUT_OF_RANGE],
                   (unsigned long long)c->unused[UNUSED_KIND],
                   (unsigned long long)c->unused[UNUSED_NO_CANDIDATES],
                   (unsigned long long)c->unused[UNUSED_NOT_SHOWN],
                   (unsigned long long)c->unused[UNUSED_EARLY],
                   (unsigned long long)c->unused[UNUSED_INCOMPLETE],
                   (unsigned long long)c->unused[UNUSED_SAMPLE],
                   c->rankings ? ""
                               : ": were there requests, or events of the name that says what was "
                                 "shown?");
}

int backfill_make(struct backfill *b, struct err *e)
{
    struct buf counts = {0};
    int rc = open_set(b, e);
    if (!rc)
        rc = go_through(b, e);
    if (!rc && b->put < b->to_keep)
        rc = err_set(e, ERR_INVALID,
                     "%s has %llu requests, more than there are: it was begun on other data; "
                     "remove it",
                     b->opts.dir, (unsigned long long)b->to_keep);
    if (!rc && b->counts.used == 0)
        rc = nothing_used(b, e);
    if (!rc) {
        backfill_write_counts(b, &counts);
        rc = buf_ok(&counts) ? set_writer_finish(b->writer, buf_str(&counts), e) : err_nomem(e);
    }
    buf_free(&counts);
    return rc;
}

const struct backfill_counts *backfill_counts(const struct backfill *b)
{
    return &b->counts;
}

const struct comparison *backfill_comparison(const struct backfill *b)
{
    return &b->comparison;
}
