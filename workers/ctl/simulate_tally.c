#include "ctl/simulate_tally.h"

#include <math.h>
#include <stdio.h>

static const double width = 1.01;

void tally_request(struct tally *t)
{
    t->requests++;
}

static void count_name(struct tally_names *n, const char *text)
{
    int i = 0;
    while (i < n->count && strcmp(n->items[i].text, text) != 0)
        i++;
    if (i == TALLY_NAMES)
        i = TALLY_NAMES - 1;
    else if (i == n->count)
        snprintf(n->items[n->count++].text, TALLY_NAME_BYTES, "%s",
                 i == TALLY_NAMES - 1 ? "others" : text);
    n->items[i].count++;
}

static void count_ranker(struct tally *t, const struct ranking *r)
{
    char text[TALLY_NAME_BYTES];
    if (str_is(r->model, "rules"))
        snprintf(text, sizeof text, "rules");
    else if (str_is(r->variant, "champion"))
        snprintf(text, sizeof text, "%.*s v%lld", STR_ARG(r->model), (long long)r->version);
    else
        snprintf(text, sizeof text, "%.*s v%lld (%.*s)", STR_ARG(r->model), (long long)r->version,
                 STR_ARG(r->variant));
    count_name(&t->rankers, text);
}

void tally_answer(struct tally *t, const struct ranking *answer, int64_t latency_us)
{
    char why[TALLY_NAME_BYTES];
    int bucket = latency_us > 1 ? (int)(log((double)latency_us) / log(width)) : 0;
    t->latencies[bucket < TALLY_BUCKETS ? bucket : TALLY_BUCKETS - 1]++;
    t->answers++;
    count_ranker(t, answer);
    if (!answer->degraded.data)
        return;
    snprintf(why, sizeof why, "%.*s", STR_ARG(answer->degraded));
    count_name(&t->degraded, why);
}

double tally_latency_ms(const struct tally *t, double share)
{
    int64_t wanted = (int64_t)ceil(share * (double)t->answers), seen = 0;
    if (t->answers == 0)
        return NAN;
    int bucket = 0;
    while (bucket < TALLY_BUCKETS - 1 && (seen += t->latencies[bucket]) < wanted)
        bucket++;
    return pow(width, bucket + 0.5) / 1000;
}

static void print_names(const struct tally_names *n, int64_t of, struct buf *out)
{
    for (int i = 0; i < n->count; i++) {
        double percent = 100 * (double)n->items[i].count / (double)of;
        buf_printf(out, "%s%s %.*f %%", i ? ", " : "", n->items[i].text,
                   percent < 10 && percent > 0 ? 1 : 0, percent);
    }
}

void tally_print(const struct tally *t, double seconds, struct buf *out)
{
    seconds = seconds > 0.001 ? seconds : 0.001;
    buf_printf(out, "requests    %.0f/s, answers %.0f/s", (double)t->requests / seconds,
               (double)t->answers / seconds);
    if (t->answers)
        buf_printf(out, ", latency median %.1f ms, p99 %.1f ms", tally_latency_ms(t, 0.5),
                   tally_latency_ms(t, 0.99));
    buf_put_text(out, "\nranked by   ");
    if (t->answers) {
        print_names(&t->rankers, t->answers, out);
        buf_put_text(out, t->degraded.count ? "; degraded: " : "; none degraded");
        print_names(&t->degraded, t->answers, out);
    } else {
        buf_put_text(out, "nobody: no answers came");
    }
    buf_put_u8(out, '\n');
}
