#include "shelf.h"

#include "plans.h"

#include "stream/topics.h"

#include <stdlib.h>

static struct shelved *find(const struct shelf *s, int64_t version)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->items[i].version == version)
            return &s->items[i];
    return NULL;
}

static struct shelved *add(struct shelf *s, int64_t version)
{
    struct shelved *longer = realloc(s->items, (s->count + 1) * sizeof *longer);
    if (!longer)
        return NULL;
    s->items = longer;
    longer[s->count] = (struct shelved){.version = version};
    return &longer[s->count++];
}

static void note(struct shelved *v, const struct model_artifact *record, int part)
{
    size_t n = record->sha256.len < sizeof v->sha256 ? record->sha256.len : sizeof v->sha256;
    if (v->part_count != record->parts || memcmp(v->sha256, record->sha256.data, n) != 0) {
        for (int i = 0; i < ARTIFACT_MAX_PARTS; i++)
            v->parts[i] = v->parts[i] ? PART_STALE : PART_ABSENT;
        v->part_count = record->parts;
        memcpy(v->sha256, record->sha256.data, n);
    }
    v->parts[part] = PART_THERE;
}

static int take(void *arg, const rd_kafka_message_t *m, struct err *e)
{
    struct shelf *s = arg;
    struct arena a = {0};
    struct model_artifact record;
    struct str model;
    int64_t version;
    int part, rc = 0;
    if (!artifact_parse_key(str_bytes(m->key, m->key_len), &model, &version, &part) ||
        !str_equal(model, s->model))
        return 0;
    struct shelved *v = find(s, version);
    if (!m->payload) {
        if (v)
            v->parts[part] = PART_ABSENT;
        return 0;
    }
    if (!v && !(v = add(s, version)))
        return err_nomem(e);
    rc = ctl_decode(s->ctl, &record, &model_artifact_type, str_bytes(m->payload, m->len), &a, e);
    if (rc)
        err_wrap(e, "%s, offset %lld", rd_kafka_topic_name(m->rkt), (long long)m->offset);
    else
        note(v, &record, part);
    arena_free(&a);
    return rc;
}

int shelf_read(struct shelf *s, const struct ctl *c, const char *model, struct err *e)
{
    *s = (struct shelf){.ctl = c, .model = str_of(model)};
    return topic_read(c, "model.artifacts", take, s, e);
}

void shelf_free(struct shelf *s)
{
    free(s->items);
    *s = (struct shelf){0};
}

bool shelf_has(const struct shelf *s, int64_t version)
{
    const struct shelved *v = find(s, version);
    bool has = v && v->part_count > 0 && v->part_count <= ARTIFACT_MAX_PARTS;
    for (int i = 0; has && i < v->part_count; i++)
        has = v->parts[i] == PART_THERE;
    return has;
}

bool shelf_has_some(const struct shelved *v)
{
    for (int i = 0; i < ARTIFACT_MAX_PARTS; i++)
        if (v->parts[i])
            return true;
    return false;
}

static int put_part(const struct shelf *s, struct sender *to, int64_t version, int part,
                    struct str value, struct err *e)
{
    struct buf key = {0};
    artifact_key(&key, s->model, version, part);
    int rc = buf_ok(&key) ? 0 : err_nomem(e);
    if (!rc)
        rc = sender_put(
            to,
            &(struct sender_record){.topic = topics_find(s->ctl->conf, "model.artifacts"),
                                    .key = buf_str(&key),
                                    .value = value},
            e);
    buf_free(&key);
    return rc ? err_wrap(e, "version %lld, part %d", (long long)version, part) : 0;
}

int shelf_put(const struct shelf *s, struct sender *to, const struct model_parts *parts,
              struct err *e)
{
    struct buf value = {0};
    int rc = 0;
    for (int part = 0; part < artifact_part_count(parts) && !rc; part++) {
        struct model_artifact record = artifact_part(parts, part);
        buf_reset(&value);
        codec_encode(s->ctl->codec, &value, conf_topic(s->ctl->conf, "model.artifacts"),
                     &model_artifact_type, &record);
        rc = buf_ok(&value) ? put_part(s, to, parts->version, part, buf_str(&value), e)
                            : err_nomem(e);
    }
    buf_free(&value);
    return rc;
}

int shelf_remove(const struct shelf *s, struct sender *to, const struct shelved *v, struct err *e)
{
    int rc = 0;
    for (int part = 0; part < ARTIFACT_MAX_PARTS && !rc; part++)
        if (v->parts[part])
            rc = put_part(s, to, v->version, part, (struct str){NULL, 0}, e);
    return rc;
}
