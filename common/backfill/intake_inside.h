/*
 * The inside of struct intake, shared by intake.c (what is done with a record), intake_kafka.c
 * (where Kafka's come from) and intake_counts.c (what came of them).
 */
#pragma once

#include "backfill/intake.h"
#include "backfill/intake_repeats.h"
#include "backfill/journal_entry.h"

#define LEFT_REPEATED    "repeated_event_id"
#define LEFT_AFTER_RANGE "after_range"

enum { LEFT_OUT_MOST = 64, EXAMPLE_BYTES = 256 };

/* Records of a kind that are of no use for one reason, with the first of them. */
struct left_out {
    enum entry_kind kind;
    const char *reason;
    uint64_t count;
    char example[EXAMPLE_BYTES];
    char detail[sizeof(((struct err *)0)->msg)];
};

/* A partition that was read. */
struct intake_partition {
    const char *topic; /* as topics.h names it */
    const char *name;  /* in Kafka; borrowed from conf */
    enum entry_kind kind;
    int partition;
    int64_t first, end;
    int64_t newest_ms; /* of Kafka's timestamps so far */
};

struct intake {
    struct intake_opts opts;
    struct journal *journal; /* borrowed */
    struct repeats *repeats;
    struct arena arena; /* of one record */
    int64_t lines;
    uint64_t read[ENTRY_KINDS], kept[ENTRY_KINDS];
    struct left_out left_out[LEFT_OUT_MOST];
    size_t left_out_count;
    struct intake_partition *partitions;
    size_t partition_count;
};

/* Where a record comes from, for an example. */
struct origin {
    const char *name; /* of a file or a topic */
    int partition;    /* -1: a file */
    int64_t number;   /* line or offset */
};

/* Counts a record that is left out. reason is kept for ever. */
void intake_leave_out(struct intake *in, enum entry_kind kind, const char *reason,
                      const struct origin *origin, const char *detail);

/* A record that is well as far as its topic goes: its place is set, and of an event its time. Fails
 * as journal_add(). */
int intake_take(struct intake *in, struct entry *entry, const struct origin *origin, struct err *e);
