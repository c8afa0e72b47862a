/* flotilla models list | show | export: what the registry has. */
#include "grid.h"
#include "models.h"
#include "plans.h"

#include "base/json.h"
#include "db/model_registry.h"
#include "feature/fingerprint.h"
#include "model/model_check.h"

#include <errno.h>
#include <stdio.h>

/* The registry's answer with the plans, as far as Kafka can be asked. */
struct listing {
    struct model_entries entries;
    struct plans plans;
    bool plans_known;
};

static void finish(struct listing *l)
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

static void put_json(struct buf *b, const struct listing *l, const struct model_entry *m)
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
    buf_printf(b, "],\"metrics\":%s,\"serves\":", m->metrics ? m->metrics : "null");
    model_put_duties(&duties, plans_find(&l->plans, m->parts.name.data), m->parts.version);
    if (l->plans_known)
        json_put_text(b, buf_str(&duties));
    else
        buf_put_text(b, "null");
    buf_put_text(b, "}\n");
    b->failed |= duties.failed;
    buf_free(&duties);
}

/* ---- list ---- */

static void put_table(struct buf *b, const struct listing *l)
{
    struct grid g;
    char size[HUMAN_BYTES];
    grid_start(&g, "MODEL,>VERSION,CREATED (UTC),BY,>TREES,>DEPTH,>COLUMNS,>BYTES,SERVES,NOTE");
    for (size_t i = 0; i < l->entries.count; i++) {
        const struct model_entry *m = &l->entries.items[i];
        struct buf duties = {0};
        model_put_duties(&duties, plans_find(&l->plans, m->parts.name.data), m->parts.version);
        grid_put(&g, "%.*s", STR_ARG(m->parts.name));
        grid_put(&g, "%lld", (long long)m->parts.version);
        grid_put(&g, "%s", m->created_at);
        grid_put(&g, "%s", m->os_user);
        grid_put(&g, "%lld", (long long)m->trees);
        grid_put(&g, "%lld", (long long)m->depth);
        grid_put(&g, "%zu", m->parts.features.count);
        grid_put(&g, "%s", human_count(size, (int64_t)m->bytes_size));
        grid_put(&g, "%.*s", STR_ARG(buf_str(&duties)));
        grid_put(&g, "%s", m->note ? m->note : "");
        b->failed |= duties.failed;
        buf_free(&duties);
    }
    grid_end(&g, b);
}

static enum ctl_status list(const struct ctl *c, struct err *e)
{
    struct listing l = {0};
    struct buf b = {0};
    int rc = read_all(&l, c, c->arg_count ? c->args[0] : NULL, 0, false, e);
    if (!rc && l.entries.count == 0)
        fprintf(stderr, "there are none\n");
    else if (!rc && !ctl_option(c, "json"))
        put_table(&b, &l);
    for (size_t i = 0; !rc && i < l.entries.count && ctl_option(c, "json"); i++)
        put_json(&b, &l, &l.entries.items[i]);
    if (!rc)
        rc = ctl_print(&b, e);
    buf_free(&b);
    finish(&l);
    return rc ? CTL_FAILED : CTL_OK;
}

const struct command models_list_command = {
    .name = "models list",
    .arguments = "[NAME]",
    .most = 1,
    .purpose = "list versions in the registry, the newest first, and what they do",
    .example = "flotilla models list shop",
    .options = {{"json", NULL, "a line of JSON for each"}},
    .run = list,
};

/* ---- show ---- */

static void put_entry(struct buf *b, const struct listing *l, const struct model_entry *m)
{
    const struct rollout_plan *plan = plans_find(&l->plans, m->parts.name.data);
    struct buf duties = {0};
    struct grid g;
    model_put_duties(&duties, plan, m->parts.version);
    buf_printf(b, "%.*s version %lld\n", STR_ARG(m->parts.name), (long long)m->parts.version);
    buf_printf(b, "  registered  %s UTC by %s (%s)\n", m->created_at, m->os_user, m->actor);
    buf_printf(b, "  note        %s\n", m->note ? m->note : "-");
    buf_printf(b, "  serves as   %.*s\n",
               STR_ARG(duties.len ? buf_str(&duties) : str_of(l->plans_known ? "-" : "not known")));
    buf_printf(b, "  objective   %s\n  trees       %lld, depth %lld\n", m->objective,
               (long long)m->trees, (long long)m->depth);
    buf_printf(b, "  file        %zu bytes, SHA-256 ", m->bytes_size);
    put_hex(b, m->parts.sha256);
    buf_printf(b, "\n  metrics     %s\n\n", m->metrics ? m->metrics : "-");
    grid_start(&g, ">COLUMN,VALUE,FINGERPRINT");
    for (size_t i = 0; i < m->parts.fingerprints.len / FINGERPRINT_BYTES; i++) {
        char text[2 * FINGERPRINT_BYTES + 1];
        fingerprint_text(text, (const uint8_t *)m->parts.fingerprints.data + i * FINGERPRINT_BYTES);
        grid_put(&g, "%zu", i);
        grid_put(&g, "%.*s", STR_ARG(m->parts.features.items[i]));
        grid_put(&g, "%s", text);
    }
    grid_end(&g, b);
    b->failed |= duties.failed;
    buf_free(&duties);
}

static enum ctl_status show(const struct ctl *c, struct err *e)
{
    struct listing l = {0};
    struct buf b = {0};
    int64_t version = 0;
    if (c->arg_count > 1 && model_version_parse(&version, c->args[1], 1, e))
        return CTL_USAGE;
    int rc = read_all(&l, c, c->args[0], version, true, e);
    if (!rc && ctl_option(c, "json"))
        put_json(&b, &l, l.entries.items);
    else if (!rc)
        put_entry(&b, &l, l.entries.items);
    if (!rc)
        rc = ctl_print(&b, e);
    buf_free(&b);
    finish(&l);
    return rc ? CTL_FAILED : CTL_OK;
}

const struct command models_show_command = {
    .name = "models show",
    .arguments = "NAME [VERSION]",
    .least = 1,
    .most = 2,
    .purpose = "show a version (default: the newest) with its columns and metrics",
    .example = "flotilla models show shop 3",
    .options = {{"json", NULL, "one line of JSON"}},
    .run = show,
};

/* ---- export ---- */

static int write_file(const char *path, struct str bytes, struct err *e)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return err_set(e, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    bool good = fwrite(bytes.data, 1, bytes.len, f) == bytes.len;
    good &= fclose(f) == 0;
    return good ? 0 : err_set(e, ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

static int check_sum(const struct model_parts *parts, struct err *e)
{
    uint8_t sum[MODEL_SHA256_BYTES];
    int rc = model_sha256(sum, parts->bytes, e);
    if (!rc && !str_equal(parts->sha256, str_bytes(sum, sizeof sum)))
        rc = err_set(e, ERR_CORRUPT,
                     "what the registry has is not what was registered: the "
                     "SHA-256 of the file differs");
    return rc;
}

static enum ctl_status export(const struct ctl *c, struct err *e) {
    const char *path = ctl_option(c, "to"); struct model_entries found = {0}; struct db *d = NULL;
    int64_t version;
    if (!path) err_set(e, ERR_INVALID, "--to is needed");
    if (!path || model_version_parse(&version, c->args[1], 1, e)) return CTL_USAGE;
    int rc = ctl_open_db(&d, c, e);
    if (!rc) rc = model_registry_find(&found, d, c->args[0], version, e);
    if (!rc) rc = check_sum(&found.items[0].parts, e);
    if (!rc) rc = write_file(path, found.items[0].parts.bytes, e);
    model_entries_free(&found);
    db_free(d);
    return rc ? CTL_FAILED : CTL_OK;
}

const struct command models_export_command = {
    .name = "models export",
    .arguments = "NAME VERSION",
    .least = 2,
    .most = 2,
    .purpose = "write a version's file as it was registered",
    .example = "flotilla models export shop 3 --to shop-3.ubj",
    .options = {{"to", "FILE", "where to"}},
    .run = export,
};
