#include "record_print.h"

#include "base/json.h"
#include "feature/fingerprint.h"

typedef void print_field(struct buf *out, const void *record);

static void put_hex(struct buf *out, struct str bytes)
{
    buf_put_u8(out, '"');
    for (size_t i = 0; i < bytes.len; i++)
        buf_printf(out, "%02x", (unsigned)(uint8_t)bytes.data[i]);
    buf_put_u8(out, '"');
}

static void put_fingerprints(struct buf *out, struct str bytes)
{
    if (bytes.len % FINGERPRINT_BYTES) {
        json_put_bytes(out, bytes);
        return;
    }
    buf_put_u8(out, '[');
    for (size_t i = 0; i < bytes.len; i += FINGERPRINT_BYTES) {
        buf_put_text(out, i ? "," : "");
        put_hex(out, str_bytes(bytes.data + i, FINGERPRINT_BYTES));
    }
    buf_put_u8(out, ']');
}

static void put_size(struct buf *out, struct str bytes)
{
    buf_printf(out, "{\"size\":%zu}", bytes.len);
}

/* ---- score.log ---- */

static void put_vector(struct buf *out, const struct str_list *names, const char *values)
{
    buf_put_u8(out, '{');
    for (size_t i = 0; i < names->count; i++) {
        float value;
        memcpy(&value, values + i * sizeof value, sizeof value);
        buf_put_text(out, i ? "," : "");
        json_put_text(out, names->items[i]);
        buf_put_u8(out, ':');
        json_put_number(out, (double)value);
    }
    buf_put_u8(out, '}');
}

static void score_log_vectors(struct buf *out, const void *record)
{
    const struct score_log *s = record;
    size_t stride = s->features.count * sizeof(float);
    if (s->vectors.len != s->candidates.count * stride) {
        json_put_bytes(out, s->vectors);
        return;
    }
    buf_put_u8(out, '[');
    for (size_t i = 0; i < s->candidates.count; i++) {
        buf_put_text(out, i ? "," : "");
        put_vector(out, &s->features, s->vectors.data + i * stride);
    }
    buf_put_u8(out, ']');
}

static void score_log_fingerprints(struct buf *out, const void *record)
{
    put_fingerprints(out, ((const struct score_log *)record)->fingerprints);
}

/* ---- model.artifacts ---- */

static void artifact_sha256(struct buf *out, const void *record)
{
    put_hex(out, ((const struct model_artifact *)record)->sha256);
}

static void artifact_fingerprints(struct buf *out, const void *record)
{
    put_fingerprints(out, ((const struct model_artifact *)record)->fingerprints);
}

static void artifact_rows(struct buf *out, const void *record)
{
    put_size(out, ((const struct model_artifact *)record)->canary_rows);
}

static void artifact_margins(struct buf *out, const void *record)
{
    put_size(out, ((const struct model_artifact *)record)->canary_margins);
}

static void artifact_bytes(struct buf *out, const void *record)
{
    put_size(out, ((const struct model_artifact *)record)->bytes);
}

/* ---- All ---- */

static const struct {
    const struct record_type *type;
    size_t offset;
    print_field *print;
} packed[] = {
    {&score_log_type, offsetof(struct score_log, vectors), score_log_vectors},
    {&score_log_type, offsetof(struct score_log, fingerprints), score_log_fingerprints},
    {&model_artifact_type, offsetof(struct model_artifact, sha256), artifact_sha256},
    {&model_artifact_type, offsetof(struct model_artifact, fingerprints), artifact_fingerprints},
    {&model_artifact_type, offsetof(struct model_artifact, canary_rows), artifact_rows},
    {&model_artifact_type, offsetof(struct model_artifact, canary_margins), artifact_margins},
    {&model_artifact_type, offsetof(struct model_artifact, bytes), artifact_bytes},
};

static print_field *printer_of(const struct record_type *type, size_t offset)
{
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
        if (packed[i].type == type && packed[i].offset == offset)
            return packed[i].print;
    return NULL;
}

void record_print(struct buf *out, const struct schema_node *schema, const struct record_type *type,
                  const void *record)
{
    buf_put_u8(out, '{');
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct schema_field *f = &schema->fields[i];
        print_field *print = printer_of(type, f->offset);
        buf_put_text(out, i ? "," : "");
        json_put_text(out, f->name);
        buf_put_u8(out, ':');
        if (print)
            print(out, record);
        else
            value_print_json(out, f->type, (const char *)record + f->offset);
    }
    buf_put_u8(out, '}');
}
