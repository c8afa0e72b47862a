#include "models_listing.h"

#include "models.h"

#include "base/json.h"

#include <stdio.h>

void listing_free(struct listing *l)
{
    model_entries_free(&l->entries);
    plans_free(&l->plans);
}

static int read_all(struct listing *l, const struct ctl *c, const char *name, int64_t version,
                    bool one, struct err *e)
{
    struct db *d = NULL;
    struct err why = {0};
    int rc = ctl_open_db(&d, c, e);
    if (!rc)
        rc = one ? model_registry_find(&l->entries, d, name, version, e)
                 : model_registry_list(&l->entries, d, name, e);
    db_free(d);
    if (rc)
        return rc;
    l->plans_known = plans_read(&l->plans, c, &why) == 0;
    if (!l->plans_known)
        fprintf(stderr, "who is served by what is not known: %s\n", why.msg);
    return 0;
}

int listing_read(struct listing *l, const struct ctl *c, const char *name, struct err *e)
{
    return read_all(l, c, name, 0, false, e);
}

int listing_find(struct listing *l, const struct ctl *c, const char *name, int64_t version,
                 struct err *e)
{
    return read_all(l, c, name, version, true, e);
}

const char *listing_calibration(const struct model_entry *m)
{
    struct calibration *c = NULL;
    if (calibration_read(&c, m->parts.calibration, NULL))
        return "damaged";
    const char *name = calibration_name(c->kind);
    calibration_free(c);
    return name;
}

/* ---- JSON ---- */

static void put_name(struct buf *b, const char *name)
{
    buf_printf(b, ",\"%s\":", name);
}

static void put_text(struct buf *b, const char *name, const char *text)
{
    put_name(b, name);
    if (text)
        json_put_text(b, str_of(text));
    else
        buf_put_text(b, "null");
}

static void put_hex(struct buf *b, struct str bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        buf_printf(b, "%02x", (unsigned char)bytes.data[i]);
}

static void put_whole(struct buf *b, const char *name, int64_t number)
{
    put_name(b, name);
    if (number)
        buf_printf(b, "%lld", (long long)number);
    else
        buf_put_text(b, "null");
}

/* null where nothing is known of it. */
static void put_training(struct buf *b, const struct model_training *t)
{
    put_name(b, "training");
    if (!t->requests) {
        buf_put_text(b, "null");
        return;
    }
    buf_printf(b, "{\"requests\":%llu,\"rows\":%llu,\"positives\":%llu",
               (unsigned long long)t->requests, (unsigned long long)t->rows,
               (unsigned long long)t->positives);
    put_text(b, "labels", t->labels);
    put_whole(b, "label_window_ms", t->label_window_ms);
    put_whole(b, "from_ms", t->from_ms);
    put_whole(b, "to_ms", t->to_ms);
    put_whole(b, "validation_from_ms", t->validation_from_ms);
    put_whole(b, "test_from_ms", t->test_from_ms);
    buf_put_u8(b, '}');
}

static void put_report(struct buf *b, const struct model_entry *m)
{
    put_name(b, "report");
    model_entry_report_json(b, m);
}

/* Texts that are JSON themselves. */
static void put_lineage(struct buf *b, const struct model_entry *m)
{
    put_whole(b, "parent", m->parent);
    put_name(b, "calibration");
    buf_put_str(b, m->parts.calibration.len ? m->parts.calibration : str_of("null"));
    put_name(b, "parameters");
    buf_put_text(b, m->parameters ? m->parameters : "null");
    put_name(b, "drift_reference");
    buf_put_text(b, m->drift_reference ? m->drift_reference : "null");
    put_training(b, &m->training);
    put_report(b, m);
}

void listing_put_json(struct buf *b, const struct listing *l, const struct model_entry *m)
{
    struct buf duties = {0};
    buf_put_text(b, "{\"model\":");
    json_put_text(b, m->parts.name);
    buf_printf(b, ",\"version\":%lld", (long long)m->parts.version);
    put_text(b, "created_at", m->created_at);
    put_text(b, "actor", m->actor);
    put_text(b, "os_user", m->os_user);
    put_text(b, "note", m->note);
    put_text(b, "objective", m->objective);
    buf_printf(b, ",\"trees\":%lld,\"depth\":%lld,\"bytes\":%zu,\"sha256\":\"", (long long)m->trees,
               (long long)m->depth, m->bytes_size);
    put_hex(b, m->parts.sha256);
    buf_put_text(b, "\",\"features\":[");
    for (size_t i = 0; i < m->parts.features.count; i++) {
        buf_put_text(b, i ? "," : "");
        json_put_text(b, m->parts.features.items[i]);
    }
    buf_printf(b, "],\"metrics\":%s", m->metrics ? m->metrics : "null");
    put_lineage(b, m);
    put_name(b, "serves");
    model_put_duties(&duties, plans_find(&l->plans, m->parts.name.data), m->parts.version);
    if (l->plans_known)
        json_put_text(b, buf_str(&duties));
    else
        buf_put_text(b, "null");
    buf_put_text(b, "}\n");
    b->failed |= duties.failed;
    buf_free(&duties);
}
