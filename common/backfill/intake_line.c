#include "backfill/intake_line.h"

#include "feature/apply.h"
#include "serde/json_text.h"

/* What a line of a stream calls each kind, and what counts call it. */
static const struct {
    const char *name, *plural;
    const struct record_type *type;
} kinds[ENTRY_KINDS] = {
    [ENTRY_USER] = {"user", "users", &entity_type},
    [ENTRY_PROPOSITION] = {"proposition", "propositions", &entity_type},
    [ENTRY_REQUEST] = {"request", "requests", &rank_request_type},
    [ENTRY_SCORED] = {"scored", "scored", &score_log_type},
    [ENTRY_EVENT] = {"event", "events", &event_type},
};

const char *entry_kind_name(enum entry_kind kind)
{
    return kind == ENTRY_KINDS ? "lines" : kinds[kind].plural;
}

/* A line of a stream in its parts. */
struct parts {
    enum entry_kind kind; /* ENTRY_KINDS: none was named */
    struct str record;
    int64_t kafka_ms;
};

static int read_time(struct reading *r, int64_t *out)
{
    struct json_number number = {0};
    if (json_peek(r) == 'n')
        return json_word(r, "null");
    int rc = json_number(r, &number);
    if (!rc && !number.is_whole)
        rc = reading_fail(r, ERR_SCHEMA, "kafka_timestamp is no whole number of milliseconds");
    if (!rc)
        *out = number.whole;
    return rc;
}

/* What stands behind a name. */
static int read_member(struct reading *r, struct str name, struct parts *p)
{
    if (str_is(name, "kafka_timestamp"))
        return read_time(r, &p->kafka_ms);
    json_peek(r);
    const uint8_t *start = r->at;
    int rc = json_skip(r);
    for (int kind = 0; kind < ENTRY_KINDS && !rc; kind++)
        if (str_is(name, kinds[kind].name)) {
            p->kind = (enum entry_kind)kind;
            p->record = str_bytes(start, (size_t)(r->at - start));
        }
    return rc;
}

static int take_apart(struct parts *p, struct str line, struct arena *a, struct err *e)
{
    struct reading r;
    bool more = false;
    int rc = reading_start(&r, line, a, e);
    if (!rc)
        rc = json_next(&r, '{', true, &more);
    while (!rc && more) {
        struct str name = {0};
        rc = json_text(&r, &name);
        if (!rc)
            rc = json_expect(&r, ':');
        if (!rc)
            rc = read_member(&r, name, p);
        if (!rc)
            rc = json_next(&r, '{', false, &more);
    }
    if (!rc && (json_peek(&r) || r.at != r.end))
        rc = reading_fail(&r, ERR_CORRUPT, "not JSON: something stands behind the object");
    return rc;
}

int intake_line_read(struct intake_record *out, enum entry_kind kind, struct str line,
                     const struct codec *codec, struct arena *a, struct err *e)
{
    struct parts p = {.kind = kind, .record = line, .kafka_ms = APPLY_NO_TIME};
    *out = (struct intake_record){.entry.kind = kind};
    int rc = kind == ENTRY_KINDS ? take_apart(&p, line, a, e) : 0;
    if (rc)
        return rc;
    if (p.kind == ENTRY_KINDS)
        return err_set(e, ERR_SCHEMA,
                       "not a JSON object with \"event\", \"request\", \"user\", \"proposition\" "
                       "or \"scored\"");
    *out = (struct intake_record){.entry.kind = p.kind, .kafka_ms = p.kafka_ms};
    struct entry *n = &out->entry;
    void *record = p.kind == ENTRY_EVENT     ? (void *)&n->event
                   : p.kind == ENTRY_REQUEST ? (void *)&n->request
                   : p.kind == ENTRY_SCORED  ? (void *)&n->scored
                                             : &n->entity;
    return value_read_json(record, codec_schema(codec, kinds[p.kind].type), p.record, a, e);
}
