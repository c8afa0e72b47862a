#include "stream/refusal.h"

#include "base/log.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

/* librdkafka tells an error that stays the same once in thirty seconds. */
enum { RECENT_MS = 60000 };

static const char certificate_failed[] = "certificate verify failed";

static const struct {
    const char *part; /* of what librdkafka or OpenSSL says */
    const char *advice;
} remedies[] = {
    {"Unsupported SASL mechanism",
     "set kafka.sasl.mechanisms to one that the broker's listener has (PLAIN, SCRAM-SHA-256, "
     "SCRAM-SHA-512)"},
    {"uthentication", "check kafka.sasl.mechanisms, kafka.sasl.username and kafka.sasl.password"},
    {"certificate required",
     "the broker wants to see a certificate: set kafka.ssl.certificate.location and "
     "kafka.ssl.key.location"},
    {"alert", "the broker does not take this client's certificate: check "
              "kafka.ssl.certificate.location, kafka.ssl.key.location and the broker's truststore"},
    {"mismatch", "the broker's certificate is not of this name: write the name that it has in "
                 "kafka.brokers and in the broker's advertised.listeners"},
    {"has expired", "renew the broker's certificate"},
    {"not yet valid", "check the clocks of both machines"},
    {"issuer", "kafka.ssl.ca.location must be the authority that signed the broker's certificate"},
    {"self-signed",
     "kafka.ssl.ca.location must be the authority that signed the broker's certificate"},
    {"unexpected eof", "does this listener speak TLS? Check kafka.security.protocol"},
    {"wrong version number", "does this listener speak TLS? Check kafka.security.protocol"},
    {"ApiVersion", "check kafka.security.protocol: the listener may want TLS, or a login"},
    {"PLAINTEXT broker", "check kafka.security.protocol"},
};

/* "[thrd:x]: sasl_ssl://host:port/bootstrap: what (after 3ms in state Y)" is "host:port: what". */
static void shorten(char *out, size_t size, const char *text)
{
    const char *bracket = *text == '[' ? strstr(text, "]: ") : NULL;
    text = bracket ? bracket + 3 : text;
    const char *end = strstr(text, " (after "), *scheme = strstr(text, "://");
    size_t n = end ? (size_t)(end - text) : strlen(text);
    const char *what = strstr(text, ": ");
    if (!what || what >= text + n || memchr(text, ' ', (size_t)(what - text))) {
        snprintf(out, size, "%.*s", (int)n, text);
        return;
    }
    const char *host = scheme && scheme < what ? scheme + 3 : text;
    const char *slash = memchr(host, '/', (size_t)(what - host));
    snprintf(out, size, "%.*s%.*s", (int)((slash ? slash : what) - host), host,
             (int)(text + n - what), what);
}

/* Until 2.6.1, librdkafka repeats its nonce where RFC 5802 does not; brokers take that for a wrong
 * password since Kafka 4.0. */
static bool is_old_scram(const char *text)
{
    return rd_kafka_version() < 0x020601ff && strstr(text, "uthentication") &&
           strstr(text, "SCRAM");
}

void refusal_tell(char out[REFUSAL_BYTES], const char *text)
{
    char what[220];
    const char *advice =
        is_old_scram(text)
            ? "Kafka 4 takes SCRAM of librdkafka 2.6.1 or newer only, and this one is older: use "
              "that one, PLAIN or a certificate; else check kafka.sasl.username and "
              "kafka.sasl.password"
            : NULL;
    shorten(what, sizeof what, text);
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies && !advice; i++)
        if (strstr(text, remedies[i].part))
            advice = remedies[i].advice;
    snprintf(out, REFUSAL_BYTES, "%s%s%s", what, advice ? ": " : "", advice ? advice : "");
}

void refusal_note(const char *facility, const char *text)
{
    char told[REFUSAL_BYTES];
    if (strcmp(facility, "FAIL") != 0 && strcmp(facility, "ERROR") != 0)
        return;
    /* Of a certificate more was kept a moment ago than this says; a closed connection says nothing
     * of itself. */
    if (strstr(text, certificate_failed) || strstr(text, "brokers are down"))
        return;
    refusal_tell(told, text);
    log_keep(told);
}

bool refusal_recent(char out[REFUSAL_BYTES])
{
    return log_kept(out, REFUSAL_BYTES, RECENT_MS);
}

void refusal_forget(void)
{
    log_keep("");
}

int refusal_of_certificate(rd_kafka_t *rk, const char *broker_name, int32_t broker_id,
                           int *x509_error, int depth, const char *bytes, size_t n, char *why,
                           size_t why_size, void *arg)
{
    char text[REFUSAL_BYTES], told[REFUSAL_BYTES];
    (void)rk, (void)broker_id, (void)depth, (void)bytes, (void)n, (void)arg;
    if (*x509_error == X509_V_OK)
        return 1;
    const char *reason = X509_verify_cert_error_string(*x509_error);
    snprintf(text, sizeof text, "%s: its certificate cannot be trusted: %s", broker_name, reason);
    snprintf(why, why_size, "%s", reason);
    refusal_tell(told, text);
    log_keep(told);
    return 0;
}
