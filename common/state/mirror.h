/*
 * A copy of the state that features workers write, kept by somebody who only reads: attributes,
 * cells of shared scopes, and the users of some partitions.
 *
 * Everything shared comes from topics that are tailed whole. A partition's users come from its
 * checkpoints in state.user, then from `events`, from the low-water mark on: an event is applied to
 * a user only if its offset is past the user's. So a user's record is always that of a features
 * worker that has handled the same events.
 *
 * One thread; no I/O; no clock: records in, state out.
 */
#pragma once

#include "feature/vector.h"
#include "serde/codec.h"
#include "stream/input.h"

struct mirror;

struct mirror_opts {
    const struct feature_set *set; /* borrowed, as the codec */
    struct codec *codec;
    int64_t max_clock_skew_ms;
    uint32_t max_keys_per_user;
    /* A proposition was put, or removed (record NULL). NULL: nobody wants to know. */
    int (*on_proposition)(void *arg, struct str id, const struct entity *record, struct err *e);
    /* A key of a shared scope has another cell. NULL: nobody wants to know. */
    void (*on_shared)(void *arg, size_t scope, struct str key);
    void *arg;
};

int mirror_new(struct mirror **out, const struct mirror_opts *opts, struct err *e);
void mirror_free(struct mirror *m); /* NULL is fine */

/*
 * Records of the topics that are tailed whole. What cannot be used changes nothing: whoever owns
 * the topic has reported it. Fail with ERR_UNAVAILABLE (the schema registry has to be asked; come
 * again), ERR_CORRUPT (state.shared has what is no checkpoint), ERR_NOMEM.
 */
int mirror_entity(struct mirror *m, enum side side, const struct input *in, struct err *e);
int mirror_shared(struct mirror *m, const struct input *in, struct err *e);
int mirror_total(struct mirror *m, const struct input *in, struct err *e);

/* Keys that the marks of state.shared count and that were not read: once all of it was, more than 0
 * says that the topic was emptied or made anew, and that features workers have to write it again.
 */
int64_t mirror_shared_missing(const struct mirror *m);

/* The users of one partition. */
struct mirror_users;

int mirror_users_new(struct mirror_users **out, struct mirror *m, struct err *e); /* borrows m */
void mirror_users_free(struct mirror_users *u);                                   /* NULL is fine */

/* A record of state.user. Fails as mirror_shared(). */
int mirror_checkpoint(struct mirror_users *u, const struct input *in, struct err *e);

/* Where reading `events` has to begin once the checkpoints are read. -1: at the first record; 0:
 * there as well, and it must be the first there ever was, since keys are missing that the mark
 * counts (the topic was emptied or made anew). */
int64_t mirror_low_water(const struct mirror_users *u);

/* A record of `events`. What cannot be used is passed over, as features workers do. Fails with
 * ERR_UNAVAILABLE (as above), ERR_CORRUPT (the state is damaged), ERR_NOMEM. */
int mirror_event(struct mirror_users *u, const struct input *in, struct err *e);

size_t mirror_user_count(const struct mirror_users *u);
size_t mirror_user_bytes(const struct mirror_users *u);

/* What vectors are read from, for users of the partition. Good until the mirror changes. */
struct state_view mirror_view(const struct mirror_users *u);

/* The same for nobody in particular: values of propositions. */
struct state_view mirror_shared_view(const struct mirror *m);
