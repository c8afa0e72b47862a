/*
 * Certificates for a test, made when it runs: a signer of its own, and what it signs for a host.
 */
#pragma once

#include "unit.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct certificate {
    EVP_PKEY *key;
    X509 *x509;
    char key_pem[4096], pem[4096];
};

static inline void certificate_extend(X509 *x, int what, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, what, value);
    assert_non_null(extension);
    assert_true(X509_add_ext(x, extension, -1));
    X509_EXTENSION_free(extension);
}

static inline void certificate_print(BIO *b, char *out, size_t size)
{
    int n = BIO_read(b, out, (int)size - 1);
    assert_true(n > 0);
    out[n] = 0;
    BIO_free(b);
}

/* names: as in a subjectAltName, "IP:127.0.0.1"; NULL: a signer, which signs itself. */
static inline void certificate_make(struct certificate *c, const char *name, const char *names,
                                    const struct certificate *signer, long serial)
{
    c->key = EVP_EC_gen("P-256");
    c->x509 = X509_new();
    assert_non_null(c->key);
    assert_non_null(c->x509);
    X509_set_version(c->x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c->x509), serial);
    X509_gmtime_adj(X509_getm_notBefore(c->x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(c->x509), 86400);
    X509_set_pubkey(c->x509, c->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c->x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(c->x509, X509_get_subject_name(signer ? signer->x509 : c->x509));
    certificate_extend(c->x509, NID_basic_constraints, names ? "CA:FALSE" : "critical,CA:TRUE");
    if (names)
        certificate_extend(c->x509, NID_subject_alt_name, names);
    assert_true(X509_sign(c->x509, signer ? signer->key : c->key, EVP_sha256()));
    BIO *b = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_PrivateKey(b, c->key, NULL, NULL, 0, NULL, NULL));
    certificate_print(b, c->key_pem, sizeof c->key_pem);
    b = BIO_new(BIO_s_mem());
    assert_true(PEM_write_bio_X509(b, c->x509));
    certificate_print(b, c->pem, sizeof c->pem);
}

static inline void certificate_free(struct certificate *c)
{
    EVP_PKEY_free(c->key);
    X509_free(c->x509);
}
