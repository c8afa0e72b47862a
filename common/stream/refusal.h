/*
 * Why a broker could not be used: refused the login, has a certificate that is not to be trusted,
 * speaks another protocol.
 *
 * librdkafka tries again for ever and tells the reason to its log and to nobody else; calls that
 * wait for a broker just time out. So the newest reason is kept beside the log (log_keep), all
 * clients of a process having the same brokers and the same login, and errors quote it. Any thread.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>

enum { REFUSAL_BYTES = 400 };

/* Looks at a line of librdkafka's log; keeps it if it says why a broker could not be used. */
void refusal_note(const char *facility, const char *text);

/* The newest reason of the last minute, with what to do about it; false: there is none. */
bool refusal_recent(char out[REFUSAL_BYTES]);

/* A broker was reached: what was kept is over. */
void refusal_forget(void);

/* A reason as a person wants to read it: the broker's address, what it said, what to do. */
void refusal_tell(char out[REFUSAL_BYTES], const char *text);

/* For rd_kafka_conf_set_ssl_cert_verify_cb: leaves OpenSSL's verdict as it is and keeps its reason,
 * which librdkafka does not tell. */
int refusal_of_certificate(rd_kafka_t *rk, const char *broker_name, int32_t broker_id,
                           int *x509_error, int depth, const char *bytes, size_t n, char *why,
                           size_t why_size, void *arg);
