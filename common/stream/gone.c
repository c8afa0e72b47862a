#include "stream/gone.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char kept[256]; /* guarded by lock: the first reason */
static atomic_bool is_gone;

/* The first two are librdkafka's own, of its newest metadata. */
static bool says_so(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION ||
           code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

void gone_note(rd_kafka_resp_err_t code, const char *reason)
{
    if (!says_so(code))
        return;
    pthread_mutex_lock(&lock);
    if (!atomic_load(&is_gone))
        snprintf(kept, sizeof kept, "%s", reason);
    atomic_store(&is_gone, true);
    pthread_mutex_unlock(&lock);
}

int gone_check(struct err *e)
{
    if (!atomic_load(&is_gone))
        return 0;
    pthread_mutex_lock(&lock);
    int rc = err_set(e, ERR_FATAL,
                     "a topic was deleted while it was read: %s. Restore it, or run `flotilla "
                     "topics create`; the worker then says whether its state is still right",
                     kept);
    pthread_mutex_unlock(&lock);
    return rc;
}
