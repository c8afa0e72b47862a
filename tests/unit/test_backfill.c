#include "backfill/backfill.h"
#include "set/set.h"
#include "unit.h"

#include "support/fixture.h"
#include "support/journals.h"

#include <unistd.h>

/* A journal of a few records, and the set that is made of it. */
struct world {
    char journal_dir[TEMPORARY_BYTES], dir[TEMPORARY_BYTES + 8];
    struct journal *journal;
    struct feature_set *features;
    int64_t arrivals;
};

static const char DEFINITIONS[] =
    "features:\n"
    "  - {name: clicks, scope: user, count: {event: click, windows: [1h]}}\n"
    "  - {name: ctr, scope: proposition, rate: {of: click, per: impression, windows: [1h], "
    "weight: 1, prior: 0.5}}\n"
    "  - {name: place, scope: candidate, position: {at_serving: 0}}\n";

static struct str propositions[] = {{"a", 1}, {"b", 1}, {"c", 1}};

static void put(struct world *w, struct entry *entry)
{
    struct err e = {0};
    entry->arrival.number = ++w->arrivals;
    if (journal_add(w->journal, entry, &e))
        fail_msg("%s", e.msg);
}

static void put_event(struct world *w, const char *name, const char *request, int64_t time_ms,
                      size_t first, size_t count)
{
    char id[16];
    snprintf(id, sizeof id, "%s%d", name, (int)time_ms);
    struct entry entry = {.kind = ENTRY_EVENT,
                          .time_ms = time_ms,
                          .event = {.event_id = str_of(id),
                                    .event = str_of(name),
                                    .user_id = str_of("u"),
                                    .timestamp = time_ms,
                                    .propositions = {propositions + first, count},
                                    .request_id = str_of(request)}};
    put(w, &entry);
}

static void put_request(struct world *w, const char *id, int64_t time_ms)
{
    struct entry entry = {.kind = ENTRY_REQUEST,
                          .time_ms = time_ms,
                          .request = {.request_id = str_of(id),
                                      .user_id = str_of("u"),
                                      .timestamp = time_ms,
                                      .placement = str_of("home"),
                                      .candidates = {propositions, 2}}};
    put(w, &entry);
}

static void put_user(struct world *w, int64_t time_ms, const char *tier)
{
    struct attribute attribute = {
        .name = str_of("tier"), .type = ATTRIBUTE_TEXT, .text = str_of(tier ? tier : "")};
    struct entry entry = {.kind = ENTRY_USER,
                          .removed = !tier,
                          .time_ms = time_ms,
                          .entity = {.id = str_of("u"),
                                     .timestamp = time_ms,
                                     .active = true,
                                     .attributes = {&attribute, tier ? 1 : 0}}};
    put(w, &entry);
}

/* Two requests, each shown and followed by a click; the user is gold, then nobody knows what. */
static void begin_world(struct world *w)
{
    *w = (struct world){.features = definitions(DEFINITIONS)};
    temporary_journal(w->journal_dir);
    snprintf(w->dir, sizeof w->dir, "%s.set", w->journal_dir);
    w->journal = open_journal(w->journal_dir, 0);
    put_user(w, 0, "gold");
    put_request(w, "r", 1000);
    put_event(w, "impression", "r", 1000, 0, 2);
    put_event(w, "click", "r", 1500, 1, 1);
    put_user(w, 1800, NULL);
    put_request(w, "q", 2000);
    put_event(w, "impression", "q", 2001, 0, 1);
    put_event(w, "later", NULL, 99999, 0, 0);
}

static void seal_world(struct world *w)
{
    struct err e = {0};
    assert_int_equal(journal_seal(w->journal, str_of("{}"), &e), 0);
}

static void remove_set(const struct world *w)
{
    char command[TEMPORARY_BYTES + 32];
    snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
    assert_int_equal(system(command), 0);
}

static void end_world(struct world *w)
{
    journal_free(w->journal);
    feature_set_free(w->features);
    remove_set(w);
    remove_temporary(w->journal_dir);
}

static struct backfill_opts opts_of(const struct world *w)
{
    struct backfill_opts opts = {.features = w->features,
                                 .definitions = str_of(DEFINITIONS),
                                 .max_clock_skew_ms = 300000,
                                 .max_keys_per_user = 256,
                                 .journal = w->journal,
                                 .dir = w->dir,
                                 .labels_text = str_of("click=1"),
                                 .label_window_ms = 1000,
                                 .log_end_ms = 99999,
                                 .from_ms = INT64_MIN,
                                 .to_ms = INT64_MAX,
                                 .sample = 1};
    struct err e = {0};
    assert_int_equal(labels_parse(&opts.labels, "click=1", &e), 0);
    return opts;
}

static int make_set(const struct backfill_opts *opts, struct backfill_counts *counts, struct err *e)
{
    struct backfill *b = NULL;
    int rc = backfill_new(&b, opts, e);
    if (!rc)
        rc = backfill_make(b, e);
    if (b && counts)
        *counts = *backfill_counts(b);
    backfill_free(b);
    return rc;
}

/* ------------------------------------------------------------ tests */

/* ctr = (clicks + 0.5) / (impressions + 1): by the second request each of a and b was shown once,
 * and b was clicked. */
static void a_request_reads_what_was_before_it_and_is_labelled_by_what_came_after(void **state)
{
    (void)state;
    static const float expected[] = {0, 0.5F, 0, 0, 0.5F, 1, 1, 0.25F, 0, 1, 0.75F, NAN};
    struct world w;
    struct err e = {0};
    struct set *set = NULL;
    float vectors[12];
    size_t columns[] = {0, 1, 2};
    begin_world(&w);
    seal_world(&w);
    struct backfill_opts opts = opts_of(&w);
    if (make_set(&opts, NULL, &e) || set_open(&set, w.dir, &e) ||
        set_read(set, 0, 4, columns, 3, vectors, &e))
        fail_msg("%s", e.msg);
    const struct set_rows *rows = set_rows(set);
    assert_int_equal(rows->request_count, 2);
    assert_int_equal(rows->row_count, 4);
    for (int i = 0; i < 12; i++)
        assert_true(vectors[i] == expected[i] || (isnan(vectors[i]) && isnan(expected[i])));
    assert_true(rows->labels[0] == 0 && rows->labels[1] == 1 && rows->labels[2] == 0);
    assert_true(isnan(rows->labels[3])); /* b was not shown the second time */
    assert_int_equal(rows->user_seen[1], 2);
    assert_int_equal(rows->proposition_seen[3], 2);
    assert_true(str_is(rows->texts[rows->segments[0]], "{\"user.tier\":\"gold\"}"));
    assert_true(str_is(rows->texts[rows->segments[1]], "{}"));
    set_free(set);
    end_world(&w);
}

/* The features worker refuses an event without a user's id as well, and goes on. */
static void what_is_refused_becomes_no_state_and_is_counted(void **state)
{
    (void)state;
    struct world w;
    struct err e = {0};
    struct backfill_counts counts;
    begin_world(&w);
    struct entry entry = {.kind = ENTRY_EVENT,
                          .time_ms = 1200,
                          .event = {.event_id = str_of("x"),
                                    .event = str_of("click"),
                                    .user_id = str_of(""),
                                    .timestamp = 1200,
                                    .propositions = {propositions, 1}}};
    put(&w, &entry);
    seal_world(&w);
    struct backfill_opts opts = opts_of(&w);
    if (make_set(&opts, &counts, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(counts.refused_events, 1);
    assert_int_equal(counts.used, 2);
    end_world(&w);
}

static bool stop_at_once(void *arg, uint64_t vectors, uint64_t done, uint64_t of)
{
    (void)arg, (void)vectors, (void)done, (void)of;
    return false;
}

static void whoever_is_told_to_stop_leaves_what_another_goes_on_with(void **state)
{
    (void)state;
    struct world w;
    struct err e = {0};
    struct backfill_counts counts;
    begin_world(&w);
    for (int i = 0; i < 5000; i++)
        put_event(&w, "later", NULL, 3000 + i, 0, 0);
    put_request(&w, "last", 9000);
    put_event(&w, "impression", "last", 9000, 0, 2);
    seal_world(&w);
    struct backfill_opts opts = opts_of(&w);
    opts.part_rows = 1;
    opts.progress = stop_at_once;
    assert_int_equal(make_set(&opts, &counts, &e), ERR_ABORTED);
    assert_contains(e.msg, "goes on where this one ended");
    assert_int_equal(counts.used, 2);
    opts.progress = NULL;
    if (make_set(&opts, &counts, &e))
        fail_msg("%s", e.msg);
    assert_int_equal(counts.used, 3);
    assert_in_range(counts.kept, 1, 2);
    assert_int_equal(counts.computed, 2 * (3 - counts.kept));
    end_world(&w);
}

static void a_set_of_other_options_is_not_gone_on_with(void **state)
{
    (void)state;
    struct world w;
    struct err e = {0};
    begin_world(&w);
    for (int i = 0; i < 5000; i++)
        put_event(&w, "later", NULL, 3000 + i, 0, 0);
    put_request(&w, "last", 9000);
    put_event(&w, "impression", "last", 9000, 0, 2);
    seal_world(&w);
    struct backfill_opts opts = opts_of(&w);
    opts.part_rows = 1;
    opts.progress = stop_at_once;
    assert_int_equal(make_set(&opts, NULL, &e), ERR_ABORTED);
    opts.sample = 0.5;
    assert_int_equal(make_set(&opts, NULL, &e), ERR_INVALID);
    assert_contains(e.msg, "options");
    end_world(&w);
}

static void memory_that_cannot_be_had_is_an_error_and_the_next_run_goes_on(void **state)
{
    (void)state;
    struct world w;
    begin_world(&w);
    seal_world(&w);
    struct backfill_opts opts = opts_of(&w);
    for (int n = 1;; n++) {
        struct err e = {0};
        remove_set(&w);
        fail_alloc_at(n);
        int rc = make_set(&opts, NULL, &e);
        if (!fail_alloc_end())
            break;
        if (rc != ERR_NOMEM)
            fail_msg("allocation %d: %d: %s", n, rc, e.msg);
        if (n % 16 == 0 && make_set(&opts, NULL, &e))
            fail_msg("after allocation %d: %s", n, e.msg);
    }
    end_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_reads_what_was_before_it_and_is_labelled_by_what_came_after),
        cmocka_unit_test(what_is_refused_becomes_no_state_and_is_counted),
        cmocka_unit_test(whoever_is_told_to_stop_leaves_what_another_goes_on_with),
        cmocka_unit_test(a_set_of_other_options_is_not_gone_on_with),
        cmocka_unit_test(memory_that_cannot_be_had_is_an_error_and_the_next_run_goes_on),
    };
    return RUN(tests);
}
