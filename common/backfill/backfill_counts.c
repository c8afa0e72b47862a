#include "backfill/backfill_parts.h"

#include "base/json.h"

static void put_count(struct buf *out, const char *name, uint64_t n)
{
    if (out->len && out->data[out->len - 1] != '{')
        buf_put_u8(out, ',');
    buf_printf(out, "\"%s\":%llu", name, (unsigned long long)n);
}

static void count_rankings(const struct backfill_counts *c, struct buf *out)
{
    buf_put_text(out, "\"requests\":{");
    put_count(out, "found", c->rankings);
    put_count(out, "used", c->used);
    put_count(out, "used_logged", c->used_logged);
    put_count(out, "used_impressions", c->used_impressions);
    put_count(out, "unreadable", c->unreadable);
    buf_put_text(out, ",\"not_used\":{");
    for (int i = 0; i < UNUSED_REASONS; i++)
        put_count(out, backfill_unused_name((enum backfill_unused)i), c->unused[i]);
    buf_put_text(out, "}}");
}

static void count_rows(const struct backfill *b, struct buf *out)
{
    const struct backfill_counts *c = &b->counts;
    buf_put_text(out, ",\"rows\":{");
    put_count(out, "all", c->rows);
    put_count(out, "shown", c->shown);
    put_count(out, "positive", c->positives);
    buf_put_text(out, ",\"by_label\":{");
    for (size_t i = 0; i < b->opts.labels.count; i++) {
        if (i)
            buf_put_u8(out, ',');
        json_put_text(out, b->opts.labels.rules[i].event);
        buf_printf(out, ":%llu", (unsigned long long)c->happened[i]);
    }
    buf_put_text(out, "}}");
}

void backfill_write_counts(const struct backfill *b, struct buf *out)
{
    const struct backfill_counts *c = &b->counts;
    buf_put_text(out, "{\"read\":");
    buf_put_str(out, journal_counts(b->opts.journal));
    buf_put_u8(out, ',');
    count_rankings(c, out);
    count_rows(b, out);
    buf_put_text(out, ",\"join\":{");
    put_count(out, "repeated_requests", c->join.repeated_requests);
    put_count(out, "replaced_requests", c->join.replaced_requests);
    put_count(out, "repeated_impressions", c->join.repeated_impressions);
    put_count(out, "shown_but_no_candidate", c->join.unknown_shown);
    put_count(out, "labels_met", c->join.labels);
    put_count(out, "labels_lost", c->join.lost_labels);
    buf_put_text(out, "},\"refused\":{");
    put_count(out, "events", c->refused_events);
    put_count(out, "entities", c->refused_entities);
    buf_put_text(out, "},\"attributes\":{");
    put_count(out, "first_known_behind_the_first_request", c->later_entities);
    buf_put_text(out, "},\"logged\":");
    comparison_write(&b->comparison, out);
    buf_put_u8(out, '}');
}
