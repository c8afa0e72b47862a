/*
 * From when attributes count: an entity's records in order of arrival get their times.
 *
 * The record with the oldest timestamp counts from the beginning of time, others from their
 * timestamps; of two with the oldest one the later arrival counts alone. A tombstone removes from
 * its time on, or from the newest record before it where that is later; what arrives behind it
 * counts from its timestamp, but not from before the tombstone.
 *
 * One thread. Holds one entry.
 */
#pragma once

#include "backfill/journal_collect.h"

/* Reads attributes, those of an entity beside each other in order of arrival, and adds them with
 * their times; counts[kind]: how many. Fails as merge_next() and collector_add(). */
int entities_give_times(struct merge *from, struct collector *into, uint64_t counts[ENTRY_KINDS],
                        struct err *e);
