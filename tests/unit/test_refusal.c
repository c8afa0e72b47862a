#include "stream/refusal.h"
#include "unit.h"

#include <openssl/x509_vfy.h>
#include <stdio.h>

static void told(const char *text, const char *expected)
{
    char out[REFUSAL_BYTES];
    refusal_tell(out, text);
    assert_string_equal(out, expected);
}

/* Lines as librdkafka 2.0.2 has written them. */
static void a_line_of_librdkafka_becomes_address_reason_and_remedy(void **state)
{
    (void)state;
    told(
        "[thrd:sasl_ssl://kafka:9093/bootstrap]: sasl_ssl://kafka:9093/bootstrap: SASL "
        "authentication error: Authentication failed: Invalid username or password (after 302ms in "
        "state AUTH_REQ, 1 identical error(s) suppressed)",
        "kafka:9093: SASL authentication error: Authentication failed: Invalid username or "
        "password: check kafka.sasl.mechanisms, kafka.sasl.username and kafka.sasl.password");
    told("[thrd:kafka:9092/bootstrap]: kafka:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed: "
         "Connection refused (after 0ms in state CONNECT)",
         "kafka:9092: Connect to ipv4#10.0.0.1:9092 failed: Connection refused");
    told("[thrd:ssl://kafka:9093/1]: ssl://kafka:9093/1: Receive failed: error:0A00045C:SSL "
         "routines::tlsv13 alert certificate required: SSL alert number 116 (after 1ms in state "
         "APIVERSION_QUERY)",
         "kafka:9093: Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate "
         "required: SSL alert number 116: the broker wants to see a certificate: set "
         "kafka.ssl.certificate.location and kafka.ssl.key.location");
}

static void what_has_no_address_or_remedy_stays_as_it_is(void **state)
{
    (void)state;
    told("", "");
    told("something else", "something else");
    told("[thrd:main]: no colon in here", "no colon in here");
    told("[unclosed", "[unclosed");
    told("a sentence: with a colon", "a sentence: with a colon");
}

static void a_long_line_is_cut_and_not_written_past_its_end(void **state)
{
    (void)state;
    char text[3000], out[REFUSAL_BYTES + 1];
    memset(text, 'x', sizeof text);
    memcpy(text, "uthentication ", 14);
    text[sizeof text - 1] = 0;
    out[REFUSAL_BYTES] = 'E';
    refusal_tell(out, text);
    assert_int_equal(out[REFUSAL_BYTES], 'E');
    assert_true(strlen(out) < REFUSAL_BYTES);
}

static void the_newest_reason_is_kept_until_a_broker_was_reached(void **state)
{
    (void)state;
    char out[REFUSAL_BYTES];
    refusal_forget();
    assert_false(refusal_recent(out));
    refusal_note("FAIL", "kafka:9092/bootstrap: Connect failed: Connection refused");
    refusal_note("REQTMOUT", "kafka:9092/bootstrap: Timed out ApiVersionRequest in flight");
    assert_true(refusal_recent(out));
    assert_string_equal(out, "kafka:9092: Connect failed: Connection refused");
    refusal_note("ERROR", "2/2 brokers are down");
    assert_true(refusal_recent(out));
    assert_string_equal(out, "kafka:9092: Connect failed: Connection refused");
    refusal_forget();
    assert_false(refusal_recent(out));
}

static int verdict(int error, char *why, size_t size)
{
    return refusal_of_certificate(NULL, "kafka:9093/bootstrap", -1, &error, 0, "", 0, why, size,
                                  NULL);
}

static void openssls_verdict_on_a_certificate_stands_and_its_reason_is_kept(void **state)
{
    (void)state;
    char why[128] = "", out[REFUSAL_BYTES];
    refusal_forget();
    assert_int_equal(verdict(X509_V_OK, why, sizeof why), 1);
    assert_false(refusal_recent(out));
    assert_int_equal(verdict(X509_V_ERR_CERT_HAS_EXPIRED, why, sizeof why), 0);
    assert_string_equal(why, "certificate has expired");
    /* librdkafka's own line comes after and says less. */
    refusal_note("FAIL", "ssl://kafka:9093/bootstrap: SSL handshake failed: certificate verify "
                         "failed: broker certificate could not be verified");
    assert_true(refusal_recent(out));
    assert_string_equal(out, "kafka:9093: its certificate cannot be trusted: certificate has "
                             "expired: renew the broker's certificate");
    assert_int_equal(verdict(X509_V_ERR_HOSTNAME_MISMATCH, why, sizeof why), 0);
    assert_true(refusal_recent(out));
    assert_contains(out, "hostname mismatch: the broker's certificate is not of this name");
    refusal_forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_librdkafka_becomes_address_reason_and_remedy),
        cmocka_unit_test(what_has_no_address_or_remedy_stays_as_it_is),
        cmocka_unit_test(a_long_line_is_cut_and_not_written_past_its_end),
        cmocka_unit_test(the_newest_reason_is_kept_until_a_broker_was_reached),
        cmocka_unit_test(openssls_verdict_on_a_certificate_stands_and_its_reason_is_kept),
    };
    return RUN(tests);
}
