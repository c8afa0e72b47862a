/*
 * Replayed records in Kafka: written in transactions of one producer for the whole fleet, and
 * looked for where a replay was ended before it knew.
 *
 * The transactional id is the same for every replay: a new one fences those before it, and what
 * they had open is aborted. One thread.
 */
#pragma once

#include "replay_item.h"

struct replay_log;

/* Does not connect yet. Borrows conf. Fails with ERR_INVALID, ERR_FATAL, ERR_NOMEM. */
int replay_log_new(struct replay_log **out, const struct conf *conf, struct err *e);
void replay_log_free(struct replay_log *l); /* NULL is fine */

/* From here on, no replay that was begun before can write. Fails with ERR_UNAVAILABLE, ERR_FENCED,
 * ERR_FATAL. */
int replay_log_fence(struct replay_log *l, struct err *e);

/* Sets where an item goes, by its key as every producer of the fleet has it (its old partition
 * where it has none), and where that partition ends. Fails with ERR_NOT_FOUND, ERR_UNAVAILABLE,
 * ERR_FATAL.
 */
int replay_log_aim(struct replay_log *l, struct replay_item *item, struct err *e);

/*
 * Writes the items that are to be sent and are not taken, all in one transaction, and sets their
 * target_offset. An item that Kafka refuses for itself (too large) is not sent, with the reason in
 * its note; the others are. Fails with ERR_FENCED (another replay has begun), ERR_UNAVAILABLE,
 * ERR_FATAL: it is not known then whether they were written.
 */
int replay_log_send(struct replay_log *l, struct replay_item *items, size_t n, struct err *e);

/*
 * Sets target_offset of the items that are in their partition from log_end on, and -1 for the
 * others. After the fence, so that nothing of an earlier replay can come later. Fails with
 * ERR_NOT_FOUND (the log does not reach back so far: it cannot be known), ERR_UNAVAILABLE,
 * ERR_FATAL, ERR_ABORTED (asked to stop), ERR_NOMEM.
 */
int replay_log_find(const struct conf *conf, struct replay_item *items, size_t n, struct err *e);
