#include "model/artifact.h"

#include "model/artifact_memory.h"

#include <stdlib.h>

enum { SEPARATOR = 0x1f };

void artifact_free(struct artifact *a)
{
    if (!a)
        return;
    if (a->memory) {
        arena_free(&a->memory->arena);
        free(a->memory->bytes);
        free(a->memory);
    }
    free(a);
}

int artifact_part_count(const struct model_parts *parts)
{
    size_t n = (parts->bytes.len + ARTIFACT_PART_BYTES - 1) / ARTIFACT_PART_BYTES;
    return n ? (int)n : 1;
}

struct model_artifact artifact_part(const struct model_parts *parts, int part)
{
    size_t at = (size_t)part * ARTIFACT_PART_BYTES, left = parts->bytes.len - at;
    struct model_artifact record = {
        .model = parts->name,
        .version = parts->version,
        .part = part,
        .parts = artifact_part_count(parts),
        .sha256 = parts->sha256,
        .bytes = {parts->bytes.data + at,
                  left < ARTIFACT_PART_BYTES ? left : (size_t)ARTIFACT_PART_BYTES},
    };
    if (part > 0)
        return record;
    record.features = parts->features;
    record.fingerprints = parts->fingerprints;
    record.canary_rows = parts->canary_rows;
    record.canary_margins = parts->canary_margins;
    record.calibration = parts->calibration;
    return record;
}

void artifact_key(struct buf *out, struct str model, int64_t version, int part)
{
    buf_put_str(out, model);
    buf_printf(out, "%c%lld%c%d", SEPARATOR, (long long)version, SEPARATOR, part);
}

/* A number without sign or leading zero, up to the separator or the end. */
static bool take_number(struct str *text, int64_t *out, int64_t most)
{
    size_t i = 0;
    for (*out = 0; i < text->len && text->data[i] != SEPARATOR; i++) {
        int digit = text->data[i] - '0';
        if (digit < 0 || digit > 9 || (i == 1 && text->data[0] == '0') ||
            *out > (most - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    bool has = i > 0;
    i += i < text->len;
    *text = (struct str){text->data + i, text->len - i};
    return has;
}

bool artifact_parse_key(struct str key, struct str *model, int64_t *version, int *part)
{
    const char *end = key.len ? memchr(key.data, SEPARATOR, key.len) : NULL;
    int64_t number;
    if (!end)
        return false;
    *model = (struct str){key.data, (size_t)(end - key.data)};
    struct str rest = {end + 1, key.len - model->len - 1};
    if (model->len == 0 || model->len > MODEL_NAME_BYTES ||
        !take_number(&rest, version, INT64_MAX) || *version < 1 ||
        !take_number(&rest, &number, ARTIFACT_MAX_PARTS - 1) || rest.len)
        return false;
    *part = (int)number;
    return true;
}
