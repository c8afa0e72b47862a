/* flotilla dead-letters show: everything that is known of one of them. */
#include "ctl.h"
#include "hexdump.h"
#include "letters.h"

#include "base/json.h"
#include "base/utf8.h"
#include "stream/headers.h"
#include "stream/topics.h"

#include <inttypes.h>
#include <stdio.h>

static void put_line(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "%-11s %s\n", name, text);
}

/* As a JSON text where it is one, which shows what cannot be seen; else its bytes. */
static void put_bytes(struct buf *out, struct str bytes)
{
    if (!bytes.data) {
        buf_put_text(out, "none");
    } else if (utf8_is_valid(bytes)) {
        json_put_text(out, bytes);
    } else {
        buf_put_text(out, "bytes ");
        for (size_t i = 0; i < bytes.len; i++)
            buf_printf(out, "%02x", (uint8_t)bytes.data[i]);
    }
}

static int put_headers(struct buf *out, const struct letter *l, struct err *e)
{
    struct buf headers = {0};
    struct header h;
    if (!l->headers) {
        put_line(out, "headers", "not recorded");
        return 0;
    }
    int rc = headers_read_json(&headers, str_of(l->headers), e);
    struct cursor c = cursor_of(headers.data, headers.len);
    if (!rc && !headers.len)
        put_line(out, "headers", "none");
    for (const char *name = "headers"; !rc && headers_next(&c, &h); name = "") {
        buf_printf(out, "%-11s ", name);
        put_bytes(out, h.name);
        buf_put_text(out, " = ");
        put_bytes(out, h.value);
        buf_put_u8(out, '\n');
    }
    buf_free(&headers);
    return rc;
}

/* What can be read of the value; nothing where it cannot be decoded. */
static void put_record(struct buf *out, const struct letter *l, const struct ctl *c)
{
    struct arena arena = {0};
    struct err why = {0};
    const struct topic *t = topics_find(c->conf, l->place.topic);
    void *record = t && l->value.data ? arena_alloc(&arena, t->type->size) : NULL;
    if (record && !ctl_decode(c, record, t->type, l->value, &arena, &why)) {
        buf_printf(out, "%-11s ", "record");
        value_print_json(out, codec_schema(c->codec, t->type), record);
        buf_put_u8(out, '\n');
    }
    arena_free(&arena);
}

static void put_value(struct buf *out, const struct letter *l, bool all)
{
    struct hexdump h = {.all = all};
    if (!l->value.data) {
        put_line(out, "value", "none (a tombstone)");
        return;
    }
    buf_printf(out, "%-11s %zu bytes%s\n", "value", l->value.len, l->is_cut ? ", cut" : "");
    hexdump_mark(&h, l->detail);
    hexdump_print(out, &h, l->value);
}

static int put_replay(struct buf *out, struct db *d, const struct letter *l, struct err *e)
{
    static const char sql[] =
        "SELECT p.state || coalesce(', in ' || p.topic || '/' || p.target_partition || '/' || "
        "p.target_offset, '') || coalesce(': ' || p.note, ''), "
        "to_char(p.changed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC by ' || "
        "u.actor || ' (' || u.os_user || '), attempt ' || p.attempts || "
        "coalesce(', repaired by: ' || u.command, ', as it was') || "
        "coalesce(', ' || p.sent_bytes || ' bytes, sha256 ' || encode(p.sent_sha256, 'hex'), '') "
        "FROM dead_letter_replays p JOIN dead_letter_replay_runs u ON u.run = p.run "
        "WHERE p.topic = $1 AND p.partition = $2::integer AND p.\"offset\" = $3::bigint";
    char partition[16], offset[32];
    PGresult *r = NULL;
    snprintf(partition, sizeof partition, "%d", l->place.partition);
    snprintf(offset, sizeof offset, "%" PRId64, l->place.offset);
    int rc = db_query(d, &r, sql, 3, (const char *const[]){l->place.topic, partition, offset}, e);
    if (rc)
        return rc;
    put_line(out, "replay", PQntuples(r) ? PQgetvalue(r, 0, 0) : "none");
    if (PQntuples(r))
        put_line(out, "", PQgetvalue(r, 0, 1));
    PQclear(r);
    return 0;
}

static int print(const struct ctl *c, struct db *d, const struct letter *l, struct err *e)
{
    char place[LETTER_PLACE_BYTES];
    struct buf out = {0};
    put_line(&out, "place", letter_place_print(place, &l->place));
    put_line(&out, "reason", l->reason);
    put_line(&out, "detail", l->detail);
    put_line(&out, "worker", l->worker);
    buf_printf(&out, "%-11s %s UTC", "recorded", l->recorded_at);
    if (l->times > 1)
        buf_printf(&out, "; %d times, this is the newest", l->times);
    buf_printf(&out, "\n%-11s %s%s\n", "timestamp", l->timestamp ? l->timestamp : "none",
               l->timestamp ? " UTC" : "");
    buf_printf(&out, "%-11s ", "key");
    put_bytes(&out, l->key);
    buf_put_u8(&out, '\n');
    int rc = put_headers(&out, l, e);
    if (!rc)
        rc = put_replay(&out, d, l, e);
    if (!rc) {
        put_record(&out, l, c);
        put_value(&out, l, ctl_option(c, "all"));
        rc = ctl_print(&out, e);
    }
    buf_free(&out);
    return rc;
}

static enum ctl_status show(const struct ctl *c, struct err *e)
{
    struct letter_place place;
    struct letter l = {0};
    struct db *d = NULL;
    int rc = letter_place_parse(&place, c->conf, c->args[0], e);
    if (!rc)
        rc = letters_open(&d, c, e);
    if (!rc)
        rc = letter_read(&l, d, &place, e);
    if (!rc)
        rc = print(c, d, &l, e);
    letter_free(&l);
    db_free(d);
    return rc == ERR_INVALID ? CTL_USAGE : rc ? CTL_FAILED : CTL_OK;
}

const struct command dead_letters_show_command = {
    .name = "dead-letters show",
    .arguments = "TOPIC/PARTITION/OFFSET",
    .least = 1,
    .most = 1,
    .purpose = "print one record that could not be used, with its bytes and what became of it",
    .example = "flotilla dead-letters show events/3/1041\n\n"
               "The bytes that the detail names stand between > and <",
    .options = {{"all", NULL, "all bytes, where there are many"}},
    .run = show,
};
