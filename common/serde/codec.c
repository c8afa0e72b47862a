#include "serde/codec.h"

#include "base/table.h"
#include "serde/registry.h"
#include "serde/writers.h"

#include <assert.h>
#include <stdlib.h>

enum {
    CONFLUENT_BYTES = 5,
    SINGLE_BYTES = 10,
    MAX_DECLARED = 32,
    PATIENCE_MS = 200,
    SLICE_MS = 10,
    MAX_PLANS = 10000, /* over it, plans are compiled again */
};

/* A type as this program knows it: records that were written with the same schema are the common
 * case. */
struct own {
    const struct schema *schema; /* one of the writers' */
    struct str text;             /* of the schema */
    struct plan *plan;
};

/* A topic that records of a type are written to. */
struct declared {
    const char *topic;
    const struct record_type *type;
    uint32_t id; /* in the registry */
};

struct codec {
    struct own own[RECORD_TYPES];
    struct writers *writers; /* schemas known by their fingerprints */
    struct registry *registry;
    struct metrics *unseen; /* where the caller has none for the registry */
    struct table *plans;    /* type and address of the writer's schema: pointer to the plan */
    struct declared declared[MAX_DECLARED];
    size_t declared_count;
};

/* ------------------------------------------------------------ plans */

static struct plan *plan_at(const struct codec *c, uint32_t id)
{
    struct plan *p = NULL;
    struct str value = table_value(table_get(c->plans, id));
    if (value.len)
        memcpy(&p, value.data, sizeof p);
    return p;
}

static void forget_plans(struct codec *c)
{
    for (uint32_t id = table_first(c->plans); id != TABLE_NONE; id = table_next(c->plans, id))
        plan_free(plan_at(c, id));
    table_clear(c->plans);
}

/* A schema that goes takes all plans with it: it is rare, and they are made again. */
static bool let_go(void *arg, uint32_t id)
{
    (void)id;
    forget_plans(arg);
    return true;
}

/* ------------------------------------------------------------ making */

static int own_new(struct codec *c, const struct record_type *type, struct err *e)
{
    struct own *o = &c->own[type->place];
    o->schema = writers_named(c->writers, type->name, &o->text);
    if (!o->schema)
        return err_set(e, ERR_FATAL, "the program was built without schemas/%s.avsc", type->name);
    const struct schema_node *root = schema_root(o->schema);
    assert(root->size == type->size);
    return plan_new(&o->plan, root, root, e);
}

int codec_new(struct codec **out, const struct conf *conf, struct metrics *m, struct err *e)
{
    struct codec *c = calloc(1, sizeof *c);
    if (!c)
        return err_nomem(e);
    c->plans = table_new();
    int rc = c->plans ? writers_new(&c->writers, conf ? conf_text(conf, "schemas.dir") : "", e)
                      : err_nomem(e);
    for (int i = 0; i < RECORD_TYPES && !rc; i++)
        rc = own_new(c, record_types[i], e);
    if (!rc && !m)
        rc = metrics_new(&c->unseen, e);
    if (!rc && conf)
        rc = registry_new(&c->registry, conf, m ? m : c->unseen, e);
    if (!rc && c->registry)
        registry_on_evict(c->registry, let_go, c);
    if (rc)
        codec_free(c);
    else
        *out = c;
    return rc;
}

void codec_free(struct codec *c)
{
    if (!c)
        return;
    if (c->plans)
        forget_plans(c);
    table_free(c->plans);
    for (int i = 0; i < RECORD_TYPES; i++)
        plan_free(c->own[i].plan);
    registry_free(c->registry);
    metrics_free(c->unseen);
    writers_free(c->writers);
    free(c);
}

const struct schema_node *codec_schema(const struct codec *c, const struct record_type *type)
{
    return schema_root(c->own[type->place].schema);
}

uint64_t codec_fingerprint(const struct codec *c, const struct record_type *type)
{
    return schema_fingerprint(c->own[type->place].schema);
}

/* ------------------------------------------------------------ reading */

static int plan_for(struct codec *c, const struct plan **out, const struct record_type *type,
                    const struct schema *writer, struct err *e)
{
    const struct own *own = &c->own[type->place];
    const void *key[] = {type, writer};
    if (writer == own->schema) {
        *out = own->plan;
        return 0;
    }
    uint32_t id = table_find(c->plans, str_bytes(key, sizeof key));
    if (id != TABLE_NONE && (*out = plan_at(c, id)))
        return 0;
    struct plan *plan = NULL;
    int rc = plan_new(&plan, schema_root(writer), schema_root(own->schema), e);
    if (rc)
        return rc;
    id = table_insert(c->plans, str_bytes(key, sizeof key));
    if (id == TABLE_NONE || !table_set(c->plans, id, str_bytes(&plan, sizeof plan))) {
        plan_free(plan);
        return err_nomem(e);
    }
    *out = plan;
    return 0;
}

/* What was registered by this program needs no asking. */
static const struct schema *own_of_id(const struct codec *c, uint32_t id)
{
    for (size_t i = 0; i < c->declared_count; i++)
        if (c->declared[i].id == id)
            return c->own[c->declared[i].type->place].schema;
    return NULL;
}

static int decode_confluent(struct codec *c, void *out, const struct record_type *type,
                            struct str bytes, struct arena *a, struct err *e)
{
    const uint8_t *b = (const uint8_t *)bytes.data;
    const struct schema *writer = NULL;
    const struct plan *plan = NULL;
    if (bytes.len < CONFLUENT_BYTES)
        return err_set(e, ERR_CORRUPT, "byte %zu: the id of the schema is cut off", bytes.len);
    uint32_t id = (uint32_t)b[1] << 24 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 8 | b[4];
    if (!c->registry)
        return err_set(
            e, ERR_NOT_FOUND,
            "byte 1: written with schema id %u of a registry: give the registry's address "
            "as schema_registry.url",
            (unsigned)id);
    writer = own_of_id(c, id);
    int rc = writer ? 0 : registry_schema(c->registry, id, &writer, e);
    if (!rc)
        rc = plan_for(c, &plan, type, writer, e);
    if (!rc)
        rc = plan_decode(plan, out, bytes, CONFLUENT_BYTES, a, e);
    if (rc && rc != ERR_NOMEM)
        err_wrap(e, "written with schema id %u", (unsigned)id);
    return rc;
}

static int decode_single(struct codec *c, void *out, const struct record_type *type,
                         struct str bytes, struct arena *a, struct err *e)
{
    const struct own *own = &c->own[type->place];
    const struct plan *plan = own->plan;
    uint64_t fingerprint = 0;
    if (bytes.len < SINGLE_BYTES)
        return err_set(e, ERR_CORRUPT, "byte %zu: the fingerprint of the schema is cut off",
                       bytes.len);
    memcpy(&fingerprint, bytes.data + 2, sizeof fingerprint);
    if (fingerprint == schema_fingerprint(own->schema))
        return plan_decode(plan, out, bytes, SINGLE_BYTES, a, e);
    const struct schema *writer = writers_find(c->writers, fingerprint);
    if (!writer)
        return err_set(
            e, ERR_NOT_FOUND,
            "byte 2: written with schema %016llx, which nobody knows here: put it into the "
            "directory schemas.dir",
            (unsigned long long)fingerprint);
    int rc = plan_for(c, &plan, type, writer, e);
    if (!rc)
        rc = plan_decode(plan, out, bytes, SINGLE_BYTES, a, e);
    if (rc && rc != ERR_NOMEM)
        err_wrap(e, "written with schema %016llx", (unsigned long long)fingerprint);
    return rc;
}

int codec_decode(struct codec *c, void *out, const struct record_type *type, struct str bytes,
                 struct arena *a, struct err *e)
{
    const uint8_t *b = (const uint8_t *)bytes.data;
    if (bytes.len && b[0] == '{')
        return value_read_json(out, codec_schema(c, type), bytes, a, e);
    if (bytes.len >= 2 && b[0] == 0xc3 && b[1] == 0x01)
        return decode_single(c, out, type, bytes, a, e);
    if (bytes.len && b[0] == 0)
        return decode_confluent(c, out, type, bytes, a, e);
    return err_set(
        e, ERR_CORRUPT,
        "byte 0: neither Confluent framing (00), nor Avro single-object encoding (C3 01), "
        "nor JSON ({)");
}

/* ------------------------------------------------------------ writing */

static const struct declared *declared(const struct codec *c, const char *topic,
                                       const struct record_type *type)
{
    for (size_t i = 0; i < c->declared_count; i++)
        if (c->declared[i].type == type && strcmp(c->declared[i].topic, topic) == 0)
            return &c->declared[i];
    return NULL;
}

int codec_declare(struct codec *c, const char *topic, const struct record_type *type, struct err *e)
{
    struct declared d = {topic, type, 0};
    struct buf subject = {0};
    if (!c->registry || declared(c, topic, type))
        return 0;
    assert(c->declared_count < MAX_DECLARED);
    buf_printf(&subject, "%s-value", topic);
    buf_put_u8(&subject, 0);
    int rc = buf_ok(&subject) ? registry_register(c->registry, (const char *)subject.data,
                                                  c->own[type->place].text, &d.id, e)
                              : err_nomem(e);
    buf_free(&subject);
    if (!rc)
        c->declared[c->declared_count++] = d;
    return rc;
}

static void put_header(const struct codec *c, struct buf *out, const char *topic,
                       const struct record_type *type)
{
    if (!c->registry) {
        buf_put(out, "\xc3\x01", 2);
        buf_put_u64(out, codec_fingerprint(c, type));
        return;
    }
    const struct declared *d = declared(c, topic, type);
    assert(d);
    uint8_t header[CONFLUENT_BYTES] = {0, (uint8_t)(d->id >> 24), (uint8_t)(d->id >> 16),
                                       (uint8_t)(d->id >> 8), (uint8_t)d->id};
    buf_put(out, header, sizeof header);
}

void codec_encode(const struct codec *c, struct buf *out, const char *topic,
                  const struct record_type *type, const void *record)
{
    put_header(c, out, topic, type);
    value_encode(out, codec_schema(c, type), record);
}

/* ------------------------------------------------------------ the registry */

void codec_turn(struct codec *c, int wait_ms)
{
    if (!c->registry)
        return;
    registry_turn(c->registry, wait_ms);
    if (table_count(c->plans) > MAX_PLANS)
        forget_plans(c);
}

bool codec_patience(struct codec *c, int *spent_ms)
{
    if (*spent_ms >= PATIENCE_MS || *codec_waiting(c))
        return false;
    codec_turn(c, SLICE_MS);
    *spent_ms += SLICE_MS;
    return true;
}

const char *codec_waiting(const struct codec *c)
{
    return c->registry ? registry_waiting(c->registry) : "";
}
