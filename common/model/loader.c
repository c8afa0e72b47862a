#include "model/loader.h"

#include "model/model_columns.h"
#include "model/trial.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum { THREAD_NICE = 10 };

/* An artifact on its way, and what became of it. */
struct job {
    struct job *next;
    struct artifact *artifact; /* NULL once it is done */
    struct loaded result;
};

struct loader {
    const struct feature_set *set;
    char *program, *argument;
    struct trial_opts trial;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* over what follows */
    pthread_cond_t given;
    struct job *first; /* done ones, then the one at hand, then those that wait */
    bool stopping;
};

/* ---- The thread ---- */

static struct model *make(struct loader *l, const struct model_parts *parts, struct err *e)
{
    struct model_columns columns = {0};
    struct arena a = {0};
    struct model *m = NULL;
    int rc = model_find_columns(&columns, l->set, parts, &a, e);
    if (!rc)
        rc = trial_run(&l->trial, parts, columns.shared, e);
    if (!rc)
        rc = model_new(&m, l->set, parts, e);
    arena_free(&a);
    return rc ? NULL : m;
}

/* The first job that is not done; called with the lock. */
static struct job *next_job(struct loader *l)
{
    struct job *j = l->first;
    while (j && !j->artifact)
        j = j->next;
    return j;
}

static void *run(void *arg)
{
    struct loader *l = arg;
    /* Of this thread alone, and of the children it starts: answers come first. */
    setpriority(PRIO_PROCESS, 0, THREAD_NICE);
    pthread_mutex_lock(&l->lock);
    while (!l->stopping) {
        struct job *j = next_job(l);
        if (!j) {
            pthread_cond_wait(&l->given, &l->lock);
            continue;
        }
        pthread_mutex_unlock(&l->lock);
        struct err why = {0};
        struct model *m = make(l, &j->artifact->parts, &why);
        artifact_free(j->artifact);
        pthread_mutex_lock(&l->lock);
        j->artifact = NULL;
        j->result.model = m;
        j->result.why = why;
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- Life ---- */

static int start(struct loader *l, const struct loader_opts *opts, struct err *e)
{
    l->program = strdup(opts && opts->program ? opts->program : "/proc/self/exe");
    l->argument = strdup(opts && opts->argument ? opts->argument : LOADER_ARGUMENT);
    if (!l->program || !l->argument)
        return err_nomem(e);
    l->trial.program = l->program;
    l->trial.argument = l->argument;
    l->trial.limit_ms = opts && opts->limit_ms ? opts->limit_ms : LOADER_LIMIT_MS;
    l->trial.stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->trial.stop_fd < 0)
        return err_set(e, ERR_UNAVAILABLE, "no event for the thread that loads models: %s",
                       strerror(errno));
    int why = pthread_create(&l->thread, NULL, run, l);
    if (why)
        return err_set(e, ERR_UNAVAILABLE, "no thread to load models: %s", strerror(why));
    l->has_thread = true;
    return 0;
}

int loader_new(struct loader **out, const struct feature_set *set, const struct loader_opts *opts,
               struct err *e)
{
    struct loader *l = calloc(1, sizeof *l);
    if (!l)
        return err_nomem(e);
    l->set = set;
    l->trial.stop_fd = -1;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->given, NULL);
    int rc = start(l, opts, e);
    if (rc) {
        loader_free(l);
        return rc;
    }
    *out = l;
    return 0;
}

static void stop(struct loader *l)
{
    pthread_mutex_lock(&l->lock);
    l->stopping = true;
    pthread_cond_signal(&l->given);
    pthread_mutex_unlock(&l->lock);
    eventfd_write(l->trial.stop_fd, 1);
    pthread_join(l->thread, NULL);
}

void loader_free(struct loader *l)
{
    if (!l)
        return;
    if (l->has_thread)
        stop(l);
    for (struct job *j = l->first, *next; j; j = next) {
        next = j->next;
        artifact_free(j->artifact);
        model_free(j->result.model);
        free(j);
    }
    if (l->trial.stop_fd >= 0)
        close(l->trial.stop_fd);
    pthread_cond_destroy(&l->given);
    pthread_mutex_destroy(&l->lock);
    free(l->program);
    free(l->argument);
    free(l);
}

/* ---- The other thread ---- */

int loader_give(struct loader *l, struct artifact *a, struct err *e)
{
    struct job *j = calloc(1, sizeof *j), **at = &l->first;
    if (!j) {
        artifact_free(a);
        return err_nomem(e);
    }
    snprintf(j->result.name, sizeof j->result.name, "%.*s", STR_ARG(a->parts.name));
    j->result.version = a->parts.version;
    j->artifact = a;
    pthread_mutex_lock(&l->lock);
    while (*at)
        at = &(*at)->next;
    *at = j;
    pthread_cond_signal(&l->given);
    pthread_mutex_unlock(&l->lock);
    return 0;
}

bool loader_take(struct loader *l, struct loaded *out)
{
    pthread_mutex_lock(&l->lock);
    struct job *j = l->first;
    bool done = j && !j->artifact;
    if (done)
        l->first = j->next;
    pthread_mutex_unlock(&l->lock);
    if (!done)
        return false;
    *out = j->result;
    free(j);
    return true;
}

size_t loader_waiting(struct loader *l)
{
    size_t n = 0;
    pthread_mutex_lock(&l->lock);
    for (const struct job *j = l->first; j; j = j->next)
        n++;
    pthread_mutex_unlock(&l->lock);
    return n;
}

/* ---- The child ---- */

bool loader_is_child(int argc, char **argv)
{
    return argc == 2 && strcmp(argv[1], LOADER_ARGUMENT) == 0;
}

int loader_child_main(void)
{
    return trial_main();
}
