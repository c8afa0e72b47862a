/* What became of the records that were read, as JSON, and what they were. */
#include "backfill/intake_inside.h"
#include "backfill/intake_line.h"
#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static void put_name(struct buf *out, const char *name)
{
    json_put_text(out, str_of(name));
    buf_put_u8(out, ':');
}

static void put_kinds(struct buf *out, const char *name, const uint64_t *numbers)
{
    put_name(out, name);
    for (int kind = 0; kind < ENTRY_KINDS; kind++) {
        buf_put_u8(out, kind ? ',' : '{');
        put_name(out, entry_kind_name((enum entry_kind)kind));
        buf_printf(out, "%llu", (unsigned long long)numbers[kind]);
    }
    buf_put_u8(out, '}');
}

static void put_left_out(struct buf *out, const struct left_out *l)
{
    buf_put_text(out, "{\"kind\":");
    json_put_text(out, str_of(entry_kind_name(l->kind)));
    buf_put_text(out, ",\"reason\":");
    json_put_text(out, str_of(l->reason));
    buf_printf(out, ",\"count\":%llu,\"example\":", (unsigned long long)l->count);
    json_put_text(out, str_of(l->example));
    buf_put_text(out, ",\"detail\":");
    json_put_text(out, str_of(l->detail));
    buf_put_u8(out, '}');
}

void intake_counts(const struct intake *in, struct buf *out)
{
    buf_put_u8(out, '{');
    put_kinds(out, "read", in->read);
    buf_put_u8(out, ',');
    put_kinds(out, "kept", in->kept);
    buf_put_text(out, ",\"left_out\":[");
    for (size_t i = 0; i < in->left_out_count; i++) {
        buf_put_text(out, i ? "," : "");
        put_left_out(out, &in->left_out[i]);
    }
    buf_put_text(out, "],\"partitions\":[");
    for (size_t i = 0; i < in->partition_count; i++) {
        const struct intake_partition *p = &in->partitions[i];
        buf_printf(out, "%s{\"topic\":\"%s\",\"partition\":%d,\"first\":%lld,\"end\":%lld}",
                   i ? "," : "", p->topic, p->partition, (long long)p->first, (long long)p->end);
    }
    buf_put_text(out, "]}");
}

int intake_seal(struct intake *in, struct err *e)
{
    struct buf counts = {0};
    intake_counts(in, &counts);
    int rc = buf_ok(&counts) ? journal_seal(in->journal, buf_str(&counts), e) : err_nomem(e);
    buf_free(&counts);
    return rc;
}

/* ---- Identities ---- */

static void put_range(struct buf *out, const struct intake_opts *opts)
{
    buf_printf(out, "to %lld\nlabel window %lld\nclock skew %lld\n", (long long)opts->to_ms,
               (long long)opts->label_window_ms, (long long)opts->max_clock_skew_ms);
}

int intake_kafka_identity(struct buf *out, const struct conf *conf, const struct intake_opts *opts,
                          struct err *e)
{
    buf_printf(out, "brokers %s\nprefix %s\n", conf_text(conf, "kafka.brokers"),
               conf_text(conf, "kafka.prefix"));
    put_range(out, opts);
    return buf_ok(out) ? 0 : err_nomem(e);
}

int intake_files_identity(struct buf *out, const char *const *paths, size_t count,
                          const struct intake_opts *opts, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        struct stat s = {0};
        if (strcmp(paths[i], "-") == 0) {
            buf_printf(out, "standard input of process %lld at %lld\n", (long long)getpid(),
                       (long long)clock_now_ms());
            continue;
        }
        if (stat(paths[i], &s))
            return err_set(e, ERR_IO, "cannot open %s: %s", paths[i], strerror(errno));
        buf_printf(out, "file %s\n%lld bytes of %lld.%09ld\n", paths[i], (long long)s.st_size,
                   (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    }
    put_range(out, opts);
    return buf_ok(out) ? 0 : err_nomem(e);
}
