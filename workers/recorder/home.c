#include "recorder/home.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "stream/kafka.h"

#include <stdio.h>
#include <stdlib.h>

enum { KAFKA_TIMEOUT_MS = 5000 };

static const char label[] = "database ";

static rd_kafka_topic_partition_list_t *list_of(const struct partitions *p)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)p->count + 1);
    for (size_t i = 0; i < p->count; i++)
        rd_kafka_topic_partition_list_add(list, p->list[i].claim.topic, p->list[i].claim.partition);
    return list;
}

/* Takes in what stands beside the offset of a partition. Whether it is a note of ours that names
 * the same database as those before. */
static bool take_note(struct home *h, const rd_kafka_topic_partition_t *one, const char *partition)
{
    struct home_note note = {0};
    const char *text = one->metadata;
    size_t n = sizeof label - 1, i = 0;
    if (!text || one->metadata_size <= n || memcmp(text, label, n) != 0)
        return false;
    snprintf(note.id, sizeof note.id, "%.*s", (int)(one->metadata_size - n), text + n);
    snprintf(note.partition, sizeof note.partition, "%s", partition);
    while (i < 2 && *h->notes[i].id && strcmp(h->notes[i].id, note.id) != 0)
        i++;
    if (i < 2 && !*h->notes[i].id)
        h->notes[i] = note;
    return i == 0;
}

int home_recall(struct home *h, const struct partitions *p, rd_kafka_t *rk, struct err *e)
{
    rd_kafka_topic_partition_list_t *list = list_of(p);
    FAILPOINT("recorder.home.before_recall");
    rd_kafka_resp_err_t code = list->cnt ? rd_kafka_committed(rk, list, KAFKA_TIMEOUT_MS) : 0;
    FAILPOINT("recorder.home.recalled");
    for (int i = 0; i < list->cnt && !code; i++)
        code = list->elems[i].err;
    *h = (struct home){.is_recalled = !code, .is_noted = true};
    for (int i = 0; i < list->cnt && !code; i++)
        h->is_noted &= take_note(h, &list->elems[i], p->list[i].name);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? kafka_err(e, code, "read the group's offsets") : 0;
}

static bool has_no_tables(const struct db *d)
{
    return strcmp(db_sqlstate(d), "42P01") == 0;
}

/* The database's own word; none, and no error, where it has no tables. */
static int ask(struct home *h, struct db *d, struct err *e)
{
    PGresult *r = NULL;
    h->id[0] = 0;
    int rc = db_query(d, &r, "SELECT id FROM database_identity", 0, NULL, e);
    if (!rc && PQntuples(r) == 1)
        snprintf(h->id, sizeof h->id, "%s", PQgetvalue(r, 0, 0));
    else if (!rc)
        rc = err_set(e, ERR_FATAL, "database_identity has not one row: restore this database");
    PQclear(r);
    return rc == ERR_FATAL && has_no_tables(d) && *h->notes[0].id ? 0 : rc;
}

int home_check(struct home *h, struct db *d, const char *accepted, struct err *e)
{
    const struct home_note *note = h->notes;
    int rc = ask(h, d, e);
    if (rc)
        return rc;
    if (*note->id && strcmp(note->id, h->id) == 0)
        note++;
    if (!*note->id)
        return 0;
    if (*h->id && strcmp(h->id, accepted) == 0) {
        LOG_WARN("another_database", LOG_TEXT("recorded_before_in", note->id),
                 LOG_TEXT("recorder.database", accepted));
        h->is_noted = false;
        return 0;
    }
    if (!*h->id)
        return err_set(e, ERR_FATAL,
                       "this database has no tables, but %s was recorded in one (%s): correct "
                       "postgres.url or restore that database; to begin anew in this one, run "
                       "`flotilla migrate`, and start again to be told how",
                       note->partition, note->id);
    return err_set(e, ERR_FATAL,
                   "this is database %s, but %s was recorded in database %s: correct postgres.url "
                   "or restore that database; to begin anew in this one, with what the topics "
                   "still have, start with --set recorder.database=%s",
                   h->id, note->partition, note->id, h->id);
}

int home_tell(struct home *h, const struct partitions *p, rd_kafka_t *rk, bool waits, struct err *e)
{
    char note[sizeof label + HOME_BYTES];
    rd_kafka_topic_partition_list_t *list = list_of(p);
    int n = snprintf(note, sizeof note, "%s%s", label, h->id);
    bool ok = true;
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *one = &list->elems[i];
        int64_t has = p->list[i].claim.next_offset, at = has < 0 ? p->list[i].position : has;
        one->offset = at < 0 ? 0 : at;
        ok &= (one->metadata = strdup(note)) != NULL;
        one->metadata_size = one->metadata ? (size_t)n : 0;
    }
    FAILPOINT("recorder.home.before_note");
    rd_kafka_resp_err_t code = ok && list->cnt ? rd_kafka_commit(rk, list, !waits) : 0;
    FAILPOINT("recorder.home.noted");
    for (int i = 0; i < list->cnt && waits && !code; i++)
        code = list->elems[i].err;
    rd_kafka_topic_partition_list_destroy(list);
    if (!ok)
        return err_nomem(e);
    h->is_noted |= waits && !code;
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        return 0;
    case RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID:
    case RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
        return err_set(e, ERR_UNAVAILABLE, "note the group's offsets: the partitions are moving");
    default:
        return kafka_err(e, code, "note the group's offsets");
    }
}
