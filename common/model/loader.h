/*
 * Models made ready to serve beside the processing thread: a thread of its own that tries each
 * artifact in a child process first.
 *
 * A file that would crash, hang or swallow all memory does that in the child: the same program,
 * started anew with LOADER_ARGUMENT, the artifact on its standard input, one line of reason on its
 * standard output, limited in memory, killed after a time. Only what the child has read and scored
 * is read here. loader_give() and loader_take() belong to one thread and never wait.
 */
#pragma once

#include "model/artifact.h"
#include "model/model.h"

#define LOADER_ARGUMENT "--verify-model"

enum { LOADER_LIMIT_MS = 30000 };

struct loader;

struct loader_opts {
    const char *program;  /* NULL: this one (/proc/self/exe) */
    const char *argument; /* NULL: LOADER_ARGUMENT */
    int limit_ms;         /* 0: LOADER_LIMIT_MS */
};

/* What became of an artifact. */
struct loaded {
    char name[MODEL_NAME_BYTES + 1];
    int64_t version;
    struct model *model; /* the taker's; NULL: it cannot serve, and why says for what reason */
    struct err why;      /* codes as model_new(); ERR_UNAVAILABLE: no child could be started */
};

/* Starts the thread. Borrows set, which must outlive the loader; copies opts (NULL: all standard).
 * Fails with ERR_NOMEM, ERR_UNAVAILABLE (no thread, no descriptor). */
int loader_new(struct loader **out, const struct feature_set *set, const struct loader_opts *opts,
               struct err *e);

/* Ends the child at hand and the thread, and frees what was not taken. NULL is fine. */
void loader_free(struct loader *l);

/* Puts an artifact in the queue, and takes it in any case. Fails with ERR_NOMEM. */
int loader_give(struct loader *l, struct artifact *a, struct err *e);

/* What is done, in the order given. False: nothing is, at the moment. */
bool loader_take(struct loader *l, struct loaded *out);

/* Artifacts that were given and not yet taken. */
size_t loader_waiting(struct loader *l);

/* For the start of main() of every program with a loader: whether it was started as such a child,
 * and then its main, which returns the exit status. */
bool loader_is_child(int argc, char **argv);
int loader_child_main(void);
