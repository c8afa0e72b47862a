#include "admin.h"

#include "stream/kafka.h"

#include <string.h>

int admin_open(struct admin *a, const struct conf *conf, struct err *e)
{
    rd_kafka_conf_t *k = NULL;
    *a = (struct admin){0};
    int rc = kafka_conf_new(&k, conf, KAFKA_ADMIN, e);
    if (!rc)
        rc = kafka_new(&a->rk, k, KAFKA_ADMIN, e);
    if (!rc)
        a->answers = rd_kafka_queue_new(a->rk);
    return rc;
}

void admin_close(struct admin *a)
{
    if (a->options)
        rd_kafka_AdminOptions_destroy(a->options);
    if (a->answers)
        rd_kafka_queue_destroy(a->answers);
    if (a->rk)
        rd_kafka_destroy(a->rk);
    *a = (struct admin){0};
}

rd_kafka_AdminOptions_t *admin_ask(struct admin *a, rd_kafka_admin_op_t what)
{
    char why[128];
    if (a->options)
        rd_kafka_AdminOptions_destroy(a->options);
    a->options = rd_kafka_AdminOptions_new(a->rk, what);
    rd_kafka_AdminOptions_set_request_timeout(a->options, ADMIN_TIMEOUT_MS, why, sizeof why);
    return a->options;
}

int admin_answer(rd_kafka_event_t **out, struct admin *a, const char *what, struct err *e)
{
    rd_kafka_event_t *answer = rd_kafka_queue_poll(a->answers, 2 * ADMIN_TIMEOUT_MS);
    *out = NULL;
    if (!answer)
        return kafka_err(e, RD_KAFKA_RESP_ERR__TIMED_OUT, what);
    if (!rd_kafka_event_error(answer)) {
        *out = answer;
        return 0;
    }
    kafka_err(e, rd_kafka_event_error(answer), what);
    rd_kafka_event_destroy(answer);
    return e ? e->code : ERR_FATAL;
}
