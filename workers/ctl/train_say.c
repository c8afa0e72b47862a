#include "train_say.h"

#include "grid.h"

#include <stdio.h>
#include <time.h>

enum { NAMED_COLUMNS = 12 };

const char *train_time_text(char text[32], int64_t ms)
{
    struct tm tm;
    time_t seconds = (time_t)(ms / 1000 - (ms % 1000 < 0));
    if (!gmtime_r(&seconds, &tm) || !strftime(text, 32, "%Y-%m-%d %H:%M:%S", &tm))
        snprintf(text, 32, "%lld ms", (long long)ms);
    return text;
}

const char *train_metric_text(char text[32], enum metric_kind metric, int k)
{
    if (metric == METRIC_NDCG)
        snprintf(text, 32, "NDCG@%d", k);
    else
        snprintf(text, 32, "%s", metric == METRIC_RMSE ? "RMSE" : "log loss");
    return text;
}

static void put_parts(struct buf *out, const struct split *split, bool regression)
{
    struct grid g;
    char a[HUMAN_BYTES], b[HUMAN_BYTES], c[HUMAN_BYTES], from[32], to[32];
    grid_start(&g, regression ? "PART,>REQUESTS,>LABELLED ROWS,FROM (UTC),TO"
                              : "PART,>REQUESTS,>LABELLED ROWS,>POSITIVE,>RATE,FROM (UTC),TO");
    for (int p = 0; p < SPLIT_PARTS; p++) {
        const struct split_range *r = &split->parts[p];
        grid_put(&g, "%s", split_part_name((enum split_part)p));
        grid_put(&g, "%s", human_count(a, (int64_t)r->count));
        grid_put(&g, "%s", human_count(b, (int64_t)r->labelled));
        if (!regression) {
            grid_put(&g, "%s", human_count(c, (int64_t)r->positives));
            grid_put(&g, "%.2f %%", 100 * (double)r->positives / (double)r->labelled);
        }
        grid_put(&g, "%s", train_time_text(from, r->from_ms));
        grid_put(&g, "%s", train_time_text(to, r->to_ms));
    }
    grid_end(&g, out);
}

static void put_left_out(struct buf *out, const struct set_info *info, const struct survey *s,
                         enum survey_use use, const char *why)
{
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++)
        count += s->columns[i].use == use;
    if (!count)
        return;
    buf_printf(out, "not used, %s: ", why);
    for (size_t i = 0, named = 0; i < s->count && named < NAMED_COLUMNS; i++)
        if (s->columns[i].use == use)
            buf_printf(out, "%s%.*s", named++ ? ", " : "", STR_ARG(info->columns.items[i]));
    if (count > NAMED_COLUMNS)
        buf_printf(out, ", and %zu more", count - NAMED_COLUMNS);
    buf_put_text(out, "\n");
}

void train_say_found(struct buf *out, const struct set_info *info, const struct split *split,
                     const struct survey *survey, const struct instances *train, bool regression)
{
    put_parts(out, split, regression);
    buf_printf(out, "labels %.*s; %zu of %zu columns tell rows apart\n", STR_ARG(info->labels),
               survey->used_count, survey->count);
    put_left_out(out, info, survey, SURVEY_MISSING, "without a value in every training row");
    put_left_out(out, info, survey, SURVEY_CONSTANT, "the same in every training row");
    if (train->explored)
        buf_printf(out,
                   "rows count by 1 / the probability of their place, at most %g: %llu rows were "
                   "above that\n",
                   INSTANCES_MOST, (unsigned long long)train->cut);
}

void train_say_trial(struct buf *out, size_t trial, const struct search_trial *t,
                     enum metric_kind metric, int k, bool is_best)
{
    char name[32], time[HUMAN_BYTES];
    double score = metric_sign(metric) * t->score;
    buf_printf(out, "trial %zu: %s %.4f, %u trees, %s: ", trial, train_metric_text(name, metric, k),
               score, t->trees, human_ms(time, (int64_t)(t->seconds * 1000)));
    space_put_text(out, &t->point);
    buf_printf(out, "%s\n",
               t->stopped            ? " (stopped early)"
               : trial && is_best    ? " (the best so far)"
               : trial && !t->better ? " (not clearly better)"
                                     : "");
}
