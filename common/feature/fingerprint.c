#include "feature/fingerprint.h"

#include "base/json.h"

#include <math.h>
#include <openssl/sha.h>
#include <stdio.h>

static const char *const part_names[] = {"hour_of_day", "day_of_week", "day_of_month", "month"};

static void put_text(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, "\"%s\":", name);
    json_put_text(b, str_of(value));
}

static void put_number(struct buf *b, const char *name, double value)
{
    buf_printf(b, "\"%s\":", name);
    json_put_number(b, value);
}

static void put_windows(struct buf *b, const struct feature *f)
{
    buf_put_text(b, "\"windows\":[");
    for (size_t i = 0; i < f->window_count; i++)
        buf_printf(b, "%s%lld", i ? "," : "", (long long)f->windows[i].ms);
    buf_put_u8(b, ']');
}

static void put_values(struct buf *b, const struct feature *f)
{
    if (!f->has_values)
        return;
    buf_put_text(b, ",\"values\":[");
    for (size_t i = 0; i < f->value_count; i++) {
        if (i)
            buf_put_u8(b, ',');
        json_put_text(b, str_of(f->values[i]));
    }
    buf_put_u8(b, ']');
}

static void put_dimension(struct buf *b, const struct dimension *d)
{
    static const char *const sides[] = {"user", "proposition", "context"};
    struct buf text = {0};
    buf_printf(&text, "%s%s%s", sides[d->side], d->field ? "." : "", d->field ? d->field : "");
    buf_put_text(b, "\"of\":");
    json_put_text(b, buf_str(&text));
    b->failed |= text.failed;
    buf_free(&text);
}

static void put_standing(struct buf *b, const struct output *of)
{
    char text[2 * FINGERPRINT_BYTES + 1];
    fingerprint_text(text, of->feature->fingerprint);
    buf_printf(b, "\"of\":\"%s", text);
    /* A distinct has one window, which is no part of its name. */
    if (of->feature->window_count && of->feature->kind != FEATURE_DISTINCT)
        buf_printf(b, ":%lld", (long long)of->feature->windows[of->window].ms);
    buf_put_u8(b, '"');
}

/* Names in the order of RFC 8785, which for these is that of their bytes. */
static void put_parameters(struct buf *b, const struct feature *f, const struct output *outputs)
{
    switch (f->kind) {
    case FEATURE_RATE:
        put_text(b, "of", f->event_name);
        buf_put_u8(b, ',');
        put_text(b, "per", f->per_name);
        buf_put_u8(b, ',');
        if (isnan(f->prior))
            put_text(b, "prior", "global");
        else
            put_number(b, "prior", f->prior);
        buf_put_u8(b, ',');
        put_number(b, "weight", f->weight);
        buf_put_u8(b, ',');
        put_windows(b, f);
        break;
    case FEATURE_GAP:
        put_text(b, "attribute", f->dimension.field);
        buf_put_u8(b, ',');
        put_text(b, "event", f->event_name);
        buf_put_u8(b, ',');
        put_windows(b, f);
        break;
    case FEATURE_RECENCY:
        put_text(b, "event", f->event_name);
        break;
    case FEATURE_DECAY:
        put_text(b, "event", f->event_name);
        buf_printf(b, ",\"half_life\":%lld", (long long)f->half_life_ms);
        break;
    case FEATURE_DISTINCT:
        put_text(b, "event", f->event_name);
        buf_put_u8(b, ',');
        put_dimension(b, &f->dimension);
        buf_printf(b, ",\"window\":%lld", (long long)f->windows[0].ms);
        break;
    case FEATURE_OVERLAP:
        put_text(b, "attribute", f->dimension.field);
        buf_put_u8(b, ',');
        put_text(b, "event", f->event_name);
        buf_printf(b, ",\"last\":%zu,\"within\":%lld", f->last, (long long)f->within_ms);
        break;
    case FEATURE_ATTRIBUTE:
        put_text(b, "field", f->dimension.field);
        put_values(b, f);
        break;
    case FEATURE_AGE:
        put_text(b, "field", f->dimension.field);
        break;
    case FEATURE_TIME:
        put_text(b, "part", part_names[f->part]);
        buf_put_u8(b, ',');
        put_text(b, "zone", f->zone_name);
        break;
    case FEATURE_MATCH:
        put_text(b, "attribute", f->dimension.field);
        buf_put_u8(b, ',');
        put_text(b, "context", f->context);
        break;
    case FEATURE_STANDING:
        put_standing(b, &outputs[f->standing_of]);
        break;
    case FEATURE_POSITION:
        put_number(b, "at_serving", f->at_serving);
        break;
    default: /* count, sum, mean, min, max */
        put_text(b, "event", f->event_name);
        buf_put_u8(b, ',');
        put_windows(b, f);
    }
}

void feature_canonical(struct buf *out, const struct feature *f, const struct output *outputs)
{
    const char *kind = feature_kind_name(f->kind);
    bool scope_first = strcmp("scope", kind) < 0;
    buf_put_u8(out, '{');
    if (scope_first) {
        put_text(out, "scope", f->scope_text);
        buf_put_u8(out, ',');
    }
    buf_printf(out, "\"%s\":{", kind);
    put_parameters(out, f, outputs);
    buf_put_u8(out, '}');
    if (!scope_first) {
        buf_put_u8(out, ',');
        put_text(out, "scope", f->scope_text);
    }
    buf_put_u8(out, '}');
}

int feature_fingerprint(struct feature *f, const struct output *outputs, struct err *e)
{
    struct buf text = {0};
    uint8_t digest[SHA256_DIGEST_LENGTH];
    feature_canonical(&text, f, outputs);
    int rc = buf_ok(&text) ? 0 : err_nomem(e);
    if (!rc) {
        SHA256(text.data, text.len, digest);
        memcpy(f->fingerprint, digest, FINGERPRINT_BYTES);
    }
    buf_free(&text);
    return rc;
}

void fingerprint_text(char text[2 * FINGERPRINT_BYTES + 1],
                      const uint8_t fingerprint[FINGERPRINT_BYTES])
{
    for (size_t i = 0; i < FINGERPRINT_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", fingerprint[i]);
}
