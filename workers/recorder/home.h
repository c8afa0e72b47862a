/*
 * The database that topics are recorded in: whether this is it.
 *
 * Offsets stand in PostgreSQL beside the rows, so a database that is empty, or another one, looks
 * like one that nothing was recorded in yet: recording would begin anew, without what Kafka has
 * deleted meanwhile, and nobody would see that rows are missing. So every database has an identity
 * (table database_identity), and each partition's offset in Kafka's group carries that of the
 * database as its metadata. Kafka's offsets say nothing else: where to read from is PostgreSQL's to
 * say. They are kept up to date for Kafka's own tools; Kafka forgets them where a group had no
 * member for offsets.retention.minutes (7 days): then any database is taken.
 *
 * One thread; the connection's or the consumer's.
 */
#pragma once

#include "recorder/partitions.h"

enum { HOME_BYTES = 40 };

/* What Kafka has beside the offset of a partition. */
struct home_note {
    char id[HOME_BYTES]; /* of the database; "": nothing */
    char partition[280]; /* features-0 */
};

struct home {
    char id[HOME_BYTES];       /* of the database, as it said last; "": it has none */
    struct home_note notes[2]; /* the first, and the first that names another database */
    bool is_recalled;          /* Kafka was asked for what it has */
    bool is_noted;             /* Kafka has the database's identity for all of the partitions */
};

/* Asks Kafka's group for these partitions. Fails with ERR_UNAVAILABLE, ERR_FATAL. */
int home_recall(struct home *h, const struct partitions *p, rd_kafka_t *rk, struct err *e);

/*
 * Asks the database, and compares. accepted: the setting recorder.database. Fails with ERR_FATAL
 * (another database, or one without tables: says what to do), ERR_UNAVAILABLE.
 */
int home_check(struct home *h, struct db *d, const char *accepted, struct err *e);

/* Notes in Kafka's group how far the partitions are, and in which database. waits: until Kafka has
 * it; fails with ERR_UNAVAILABLE, ERR_FATAL then. Else nobody hears of a failure. */
int home_tell(struct home *h, const struct partitions *p, rd_kafka_t *rk, bool waits,
              struct err *e);
