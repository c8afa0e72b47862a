#include "stream/starved.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { FIRST_THREADS = 3 }; /* its main one, that for its own use, that of a first broker */

static atomic_bool is_starved;

static void *wait_for_the_others(void *lock)
{
    pthread_mutex_lock(lock);
    pthread_mutex_unlock(lock);
    return NULL;
}

int starved_probe(struct err *e)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[FIRST_THREADS];
    int started = 0, why = 0;
    pthread_mutex_lock(&lock);
    while (started < FIRST_THREADS &&
           !(why = pthread_create(&threads[started], NULL, wait_for_the_others, &lock)))
        started++;
    pthread_mutex_unlock(&lock);
    while (started)
        pthread_join(threads[--started], NULL);
    pthread_mutex_destroy(&lock);
    return why ? err_set(
                     e, ERR_NOMEM,
                     "the threads of a Kafka client cannot be started: %s: out of memory, or of "
                     "threads",
                     strerror(why))
               : 0;
}

void starved_note(const char *facility, const char *text)
{
    if (strcmp(facility, "THREAD") == 0 && strstr(text, "Unable to create"))
        atomic_store(&is_starved, true);
}

int starved_check(struct err *e)
{
    if (!atomic_load(&is_starved))
        return 0;
    return err_set(e, ERR_NOMEM,
                   "a thread for a broker could not be started: out of memory, or of threads");
}
