/* What a backfill found, for a person. */
#include "backfill.h"
#include "grid.h"

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- What was read ---- */

static void print_read(const json_t *counts, struct buf *out)
{
    static const char *const kinds[] = {"events", "requests", "scored", "users", "propositions"};
    const json_t *read = json_object_get(counts, "read"),
                 *left = json_object_get(counts, "left_out");
    char text[HUMAN_BYTES];
    buf_put_text(out, "read       ");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        buf_printf(out, "%s%s %s", i ? ", " : "",
                   human_count(text, json_integer_value(json_object_get(read, kinds[i]))),
                   strcmp(kinds[i], "scored") == 0 ? "records of score.log" : kinds[i]);
    buf_put_u8(out, '\n');
    for (size_t i = 0; i < json_array_size(left); i++) {
        const json_t *l = json_array_get(left, i);
        const char *detail = json_string_value(json_object_get(l, "detail"));
        buf_printf(out, "left out   %s %s: %s; the first: %s%s%s\n",
                   human_count(text, json_integer_value(json_object_get(l, "count"))),
                   json_string_value(json_object_get(l, "kind")),
                   json_string_value(json_object_get(l, "reason")),
                   json_string_value(json_object_get(l, "example")), detail && *detail ? ": " : "",
                   detail ? detail : "");
    }
}

static void print_warnings(const struct backfill_job *job, const struct backfill_counts *c,
                           struct buf *out)
{
    char text[HUMAN_BYTES];
    if (job->gone > 0)
        buf_printf(out,
                   "note       %s events were removed by retention before they could be read: "
                   "features know nothing of them\n",
                   human_count(text, job->gone));
    if (c->refused_events)
        buf_printf(out, "note       %s events became no state, as with the features worker\n",
                   human_count(text, (int64_t)c->refused_events));
    if (c->refused_entities)
        buf_printf(out, "note       %s records of attributes cannot be used\n",
                   human_count(text, (int64_t)c->refused_entities));
    if (c->later_entities)
        buf_printf(
            out,
            "note       %s users and propositions have their first record behind the first "
            "request: what they are then is read before it, too (a compacted topic keeps the "
            "newest record alone)\n",
            human_count(text, (int64_t)c->later_entities));
    if (c->unreadable)
        buf_printf(out,
                   "note       vectors of %s requests cannot be read; their rows are unknown: %s\n",
                   human_count(text, (int64_t)c->unreadable), c->why_unreadable);
}

/* ---- What was used ---- */

static const char *const why_unused[UNUSED_REASONS] = {
    [UNUSED_OUT_OF_RANGE] = "outside --from and --to",
    [UNUSED_KIND] = "of the other kind (--only)",
    [UNUSED_NO_CANDIDATES] = "with nothing to rank: no candidates, and nothing was shown",
    [UNUSED_NOT_SHOWN] = "never shown, so nothing is known of them (--with-unshown takes them)",
    [UNUSED_EARLY] = "shown before they were asked for: clocks differ; their impressions are used",
    [UNUSED_INCOMPLETE] =
        "whose labels are not complete yet: the log ends (--incomplete takes them)",
    [UNUSED_SAMPLE] = "not in the sample (--sample)",
};

static void print_used(const struct backfill_counts *c, struct buf *out)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES];
    buf_printf(out, "used       %s of %s requests", human_count(a, (int64_t)c->used),
               human_count(b, (int64_t)c->rankings));
    if (c->used_impressions)
        buf_printf(out, ", %s of them impressions without one that is known",
                   human_count(a, (int64_t)c->used_impressions));
    if (c->used_logged)
        buf_printf(out, ", %s with the vectors of score.log",
                   human_count(a, (int64_t)c->used_logged));
    if (c->kept)
        buf_printf(out, "; %s were in the set already", human_count(a, (int64_t)c->kept));
    buf_put_u8(out, '\n');
    for (int i = 0; i < UNUSED_REASONS; i++)
        if (c->unused[i])
            buf_printf(out, "not used   %s %s\n", human_count(a, (int64_t)c->unused[i]),
                       why_unused[i]);
}

/* What did not fit together, though nothing is wrong with each of them. */
static void print_joins(const struct join_counts *c, struct buf *out)
{
    const struct {
        uint64_t count;
        const char *what;
    } notes[] = {
        {c->repeated_requests, "requests have the id of an earlier one, and were not used"},
        {c->repeated_impressions,
         "impressions have the request_id of an earlier one: the first says what was shown"},
        {c->unknown_shown, "propositions were shown that had not been among the candidates"},
    };
    char text[HUMAN_BYTES];
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (notes[i].count)
            buf_printf(out, "note       %s %s\n", human_count(text, (int64_t)notes[i].count),
                       notes[i].what);
}

static void print_labels(const struct backfill_job *job, const struct backfill_counts *c,
                         struct buf *out)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES];
    const struct labels *l = &job->opts.labels;
    buf_printf(out, "rows       %s, %s of them shown, %.2f %% of these with a label above 0 (",
               human_count(a, (int64_t)c->rows), human_count(b, (int64_t)c->shown),
               c->shown ? 100 * (double)c->positives / (double)c->shown : 0);
    for (size_t i = 0; i < l->count; i++)
        buf_printf(out, "%s%.*s %s", i ? ", " : "", STR_ARG(l->rules[i].event),
                   human_count(a, (int64_t)c->happened[i]));
    buf_put_text(out, ")\n");
    buf_printf(out, "labels     within %s after the impression%s\n",
               human_ms(a, job->opts.label_window_ms),
               job->is_window_fitted
                   ? ", a tenth of what the log spans (--label-window says another)"
                   : "");
    if (c->join.lost_labels)
        buf_printf(
            out,
            "           %s events met what was shown, %s did not: no such impression, or its "
            "label window was over\n",
            human_count(a, (int64_t)c->join.labels), human_count(b, (int64_t)c->join.lost_labels));
    if (c->shown && !c->positives)
        buf_put_text(out, "note       no label is above 0: nothing can be learned from this; are "
                          "--labels the names of events that users have?\n");
}

/* ---- Logged against replayed ---- */

static void print_columns(const struct comparison *cmp, enum comparison_class class,
                          struct buf *out)
{
    struct grid g;
    grid_start(&g, "  column,>compared,>different,>share,>an event was late or close");
    for (size_t i = 0; i < cmp->set->output_count; i++) {
        const struct compared_column *c = &cmp->columns[i];
        if (c->class != class || !(c->different + c->late))
            continue;
        grid_put(&g, "  %s", cmp->set->outputs[i].name);
        grid_put(&g, "%llu", (unsigned long long)c->values);
        grid_put(&g, "%llu", (unsigned long long)c->different);
        grid_put(&g, "%.4f %%", 100 * (double)c->different / (double)c->values);
        grid_put(&g, "%llu", (unsigned long long)c->late);
    }
    grid_end(&g, out);
}

static void print_examples(const struct comparison *cmp, struct buf *out)
{
    struct grid g;
    grid_start(&g, "  request,proposition,column,>logged,>replayed");
    for (size_t i = 0; i < cmp->example_count; i++) {
        const struct compared_example *x = &cmp->examples[i];
        grid_put(&g, "  %s", x->request);
        grid_put(&g, "%s", x->proposition);
        grid_put(&g, "%s", cmp->set->outputs[x->column].name);
        grid_put(&g, "%.9g", (double)x->logged);
        grid_put(&g, "%.9g", (double)x->replayed);
    }
    grid_end(&g, out);
}

static bool any_late(const struct comparison *cmp)
{
    for (size_t i = 0; i < cmp->set->output_count; i++)
        if (cmp->columns[i].class == COMPARED_EXACT && cmp->columns[i].late)
            return true;
    return false;
}

static void print_comparison(const struct comparison *cmp, bool is_defect, struct buf *out)
{
    char a[HUMAN_BYTES];
    uint64_t values = 0, defects = comparison_defects(cmp), lags = comparison_lags(cmp);
    if (cmp->unusable)
        buf_printf(out,
                   "note       %s records of score.log do not fit together and were not used\n",
                   human_count(a, (int64_t)cmp->unusable));
    if (!cmp->requests)
        return;
    for (size_t i = 0; i < cmp->set->output_count; i++)
        values += cmp->columns[i].values;
    buf_printf(out, "compared   %s logged values with what was computed: %s differ\n",
               human_count(a, (int64_t)values), defects + lags ? "some" : "none");
    if (defects || any_late(cmp)) {
        buf_printf(out,
                   "%s of the user's own events, the context and the time, which must be equal but "
                   "where events came late or were close:\n",
                   is_defect ? "DEFECT     values" : "           values");
        print_columns(cmp, COMPARED_EXACT, out);
    }
    if (lags) {
        buf_put_text(
            out, "warning    values of shared scopes and of attributes, which may lag: a ranker "
                 "has them a commit and a checkpoint later:\n");
        print_columns(cmp, COMPARED_SHARED, out);
    }
    if (cmp->example_count)
        print_examples(cmp, out);
}

/* ---- The set ---- */

static int64_t bytes_of(const char *dir)
{
    int64_t bytes = 0;
    char path[4096];
    struct stat s;
    DIR *d = opendir(dir);
    const struct dirent *entry;
    while (d && (entry = readdir(d))) {
        int n = snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
        if (n > 0 && (size_t)n < sizeof path && stat(path, &s) == 0 && S_ISREG(s.st_mode))
            bytes += s.st_size;
    }
    if (d)
        closedir(d);
    return bytes;
}

void backfill_print(const struct backfill_job *job, const struct backfill *b, struct buf *out)
{
    const struct backfill_counts *c = backfill_counts(b);
    struct str text = journal_counts(job->journal);
    json_t *counts = json_loadb(text.data, text.len, 0, NULL);
    char first[HUMAN_BYTES], second[HUMAN_BYTES];
    double made_s = (double)(job->made_us > 0 ? job->made_us : 1) / 1e6;
    print_read(counts, out);
    print_used(c, out);
    print_labels(job, c, out);
    print_joins(&c->join, out);
    print_warnings(job, c, out);
    print_comparison(backfill_comparison(b),
                     comparison_defects(backfill_comparison(b)) && !job->gone, out);
    buf_printf(out, "time       %s to read%s, ", human_ms(first, job->read_us / 1000),
               job->was_sealed ? " (it was read before: nothing newer is in it)" : "");
    buf_printf(out, "%s to compute and write: %s vectors a second\n",
               human_ms(first, job->made_us / 1000),
               human_count(second, (int64_t)((double)c->computed / made_s)));
    buf_printf(out, "set        %s, %.1f MiB\n", job->dir,
               (double)bytes_of(job->dir) / (1024 * 1024));
    json_decref(counts);
}
