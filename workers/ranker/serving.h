/*
 * The models in service: rollout plans, and the versions they name, loaded.
 *
 * Plans and artifacts come in as records; versions are loaded beside the processing thread
 * (loader.h) and taken over in serving_turn(). A version stays loaded as long as its plan names it,
 * so that going back to the previous champion is a change of plan and nothing else. One thread.
 */
#pragma once

#include "base/buf.h"
#include "model/loader.h"
#include "model/rollout.h"
#include "net/metrics.h"
#include "serde/codec.h"
#include "stream/input.h"

struct serving;

/* Borrows all; opts as in loader.h, may be NULL. Fails with ERR_NOMEM, ERR_UNAVAILABLE (no
 * thread). */
int serving_new(struct serving **out, const struct feature_set *set, struct codec *codec,
                struct metrics *m, const struct loader_opts *opts, struct err *e);
void serving_free(struct serving *s); /* NULL is fine */

/*
 * Records of the topics `models` and `model.artifacts`. A plan that cannot be followed, or a part
 * that cannot be used, is logged and changes nothing. Fail with ERR_UNAVAILABLE (the schema
 * registry has to be asked; come again), ERR_NOMEM.
 */
int serving_plan(struct serving *s, const struct input *in, struct err *e);
int serving_artifact(struct serving *s, const struct input *in, struct err *e);

/* Whether model.artifacts has to be read from its beginning again; serving_reread() says that it
 * begins. */
bool serving_lost(const struct serving *s);
void serving_reread(struct serving *s);

/* Gives complete artifacts to the loader and takes over what is loaded. What serving_pick() has
 * given before is not good any more. Never waits. Fails with ERR_NOMEM. */
int serving_turn(struct serving *s, struct err *e);

/* Whether all versions that plans name are loaded, or known not to be loadable: at start, nothing
 * is answered before. */
bool serving_is_settled(const struct serving *s);

/* What ranks for a user. */
struct pick {
    const struct model *model; /* NULL: rules */
    const char *variant;       /* champion, previous, a challenger's name; "rules" */
    const char *degraded;      /* why it is not what the plan says: no_model, fingerprint, loading;
                                  NULL: it is */
};
struct pick serving_pick(const struct serving *s, struct str model, struct str user_id);

/* The loaded shadows of a plan, at most `most`; returns how many. */
size_t serving_shadows(const struct serving *s, struct str model, struct pick *out, size_t most);

/* Appends a JSON array: what is loaded of each model, and what is wrong. Any thread. */
void serving_print(struct serving *s, struct buf *json);
