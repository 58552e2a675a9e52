/* SPDX-License-Identifier: MIT */
/*
 * TLS fixture: certificates made on the spot, in a directory of their own, and a foreign peer that
 * is OpenSSL without our rules, to do what our own engine never would.
 */
#pragma once
#include "mta/base/buf.h"
#include "mta/tls/context.h"
#include "mta/tls/engine.h"
#include "tests/unit/check.h"
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIXTURE_PATH_BYTES = 96, FIXTURE_DAY_SECONDS = 86400 };

struct fixture_pair {
    EVP_PKEY *key;
    X509 *certificate;
    char certificate_path[FIXTURE_PATH_BYTES], key_path[FIXTURE_PATH_BYTES];
};

struct fixture {
    char dir[32];
    struct fixture_pair ca, good, expired, selfsigned, other, named_in_cn, rsa, short_rsa, wildcard;
    struct fixture_pair other_ca;
};

static inline void fixture_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    assert_int_equal(1, X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

static inline FILE *fixture_file(char path[FIXTURE_PATH_BYTES], const struct fixture *f,
                                 const char *name, const char *ending)
{
    assert_true(snprintf(path, FIXTURE_PATH_BYTES, "%s/%s.%s", f->dir, name, ending) > 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    return file;
}

static inline void fixture_save(const struct fixture *f, struct fixture_pair *pair,
                                const char *name)
{
    FILE *file = fixture_file(pair->certificate_path, f, name, "pem");
    assert_int_equal(1, PEM_write_X509(file, pair->certificate));
    assert_int_equal(0, fclose(file));
    file = fixture_file(pair->key_path, f, name, "key");
    assert_int_equal(1, PEM_write_PrivateKey(file, pair->key, NULL, NULL, 0, NULL, NULL));
    assert_int_equal(0, fclose(file));
}

/* How a certificate differs from the good one. */
struct fixture_wish {
    const char *name, *cn, *san;       /* file, common name, subjectAltName */
    const struct fixture_pair *issuer; /* NULL: itself */
    unsigned rsa_bits;                 /* 0: P-256 */
    bool is_ca, is_expired;
};

static inline void fixture_make(const struct fixture *f, struct fixture_pair *pair,
                                struct fixture_wish wish)
{
    static long serial = 1;
    X509 *c            = X509_new();

    pair->key = wish.rsa_bits > 0 ? EVP_RSA_gen(wish.rsa_bits) : EVP_EC_gen("P-256");
    assert_non_null(pair->key);
    pair->certificate = c;
    X509 *issuer      = wish.issuer != NULL ? wish.issuer->certificate : c;
    EVP_PKEY *signer  = wish.issuer != NULL ? wish.issuer->key : pair->key;

    X509_set_version(c, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c), serial++);
    X509_gmtime_adj(X509_getm_notBefore(c), -10L * FIXTURE_DAY_SECONDS);
    X509_gmtime_adj(X509_getm_notAfter(c), (wish.is_expired ? -1L : 10L) * FIXTURE_DAY_SECONDS);
    X509_set_pubkey(c, pair->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                               (const unsigned char *)wish.cn, -1, -1, 0);
    X509_set_issuer_name(c, X509_get_subject_name(issuer));
    fixture_extension(c, issuer, NID_basic_constraints,
                      wish.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (wish.san != NULL)
        fixture_extension(c, issuer, NID_subject_alt_name, wish.san);
    assert_true(X509_sign(c, signer, EVP_sha256()) > 0);
    fixture_save(f, pair, wish.name);
}

static inline void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.dir = "/tmp/mailrace-tls-XXXXXX"};
    assert_non_null(mkdtemp(f->dir));
    tls_global_init();
    fixture_make(f, &f->ca, (struct fixture_wish){.name = "ca", .cn = "Test CA", .is_ca = true});
    fixture_make(f, &f->other_ca,
                 (struct fixture_wish){.name = "other-ca", .cn = "Other CA", .is_ca = true});
    const struct {
        struct fixture_pair *pair;
        struct fixture_wish wish;
    } leaves[] = {
        {&f->good,        {.name = "good", .cn = "x", .san = "DNS:mx.example,IP:192.0.2.1"}          },
        {&f->expired,     {.name = "expired", .cn = "x", .san = "DNS:mx.example", .is_expired = true}},
        {&f->other,       {.name = "other", .cn = "x", .san = "DNS:other.example"}                   },
        {&f->named_in_cn, {.name = "cn", .cn = "mx.example"}                                         },
        {&f->rsa,         {.name = "rsa", .cn = "x", .san = "DNS:mx.example", .rsa_bits = 2048}      },
        {&f->short_rsa,   {.name = "short", .cn = "x", .san = "DNS:mx.example", .rsa_bits = 1024}    },
        {&f->wildcard,
         {.name = "wild", .cn = "x", .san = "DNS:*.wild.example,DNS:m*.partial.example"}             },
    };
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
        struct fixture_wish wish = leaves[i].wish;
        wish.issuer              = &f->ca;
        fixture_make(f, leaves[i].pair, wish);
    }
    fixture_make(f, &f->selfsigned,
                 (struct fixture_wish){.name = "self", .cn = "x", .san = "DNS:mx.example"});
}

static inline void fixture_release(struct fixture *f)
{
    struct fixture_pair *pairs[] = {&f->ca,          &f->good,     &f->expired, &f->selfsigned,
                                    &f->other,       &f->other_ca, &f->rsa,     &f->short_rsa,
                                    &f->named_in_cn, &f->wildcard};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        X509_free(pairs[i]->certificate);
        EVP_PKEY_free(pairs[i]->key);
        (void)unlink(pairs[i]->certificate_path);
        (void)unlink(pairs[i]->key_path);
    }
    assert_int_equal(0, rmdir(f->dir));
}

static inline struct tls_context *fixture_server(const struct fixture_pair *pair,
                                                 const char *listener)
{
    struct buf error = {0};
    struct tls_context *to =
        tls_context_server(pair->certificate_path, pair->key_path, listener, &error);
    if (to == NULL)
        fail_msg("%s", buf_text(&error));
    buf_release(&error);
    return to;
}

static inline struct tls_context *fixture_client(const struct fixture *f, enum tls_level level)
{
    struct buf error       = {0};
    struct tls_context *to = tls_context_client(level, f->ca.certificate_path, &error);
    if (to == NULL)
        fail_msg("%s", buf_text(&error));
    buf_release(&error);
    return to;
}

/* Moves what 'from' has to send, in pieces of 'chunk' bytes; whether there was anything. */
static inline bool fixture_move(struct tls_engine *from, struct tls_engine *to, size_t chunk)
{
    bool moved = false;
    while (tls_engine_output(from).len > 0) {
        struct span piece = span_first(tls_engine_output(from), chunk);
        (void)tls_engine_feed(to, piece);
        tls_engine_sent(from, piece.len);
        moved = true;
    }
    return moved;
}

/* Both ways, until both are silent. */
static inline void fixture_talk(struct tls_engine *a, struct tls_engine *b, size_t chunk)
{
    bool moved = true;
    while (moved) {
        moved = fixture_move(a, b, chunk);
        moved = fixture_move(b, a, chunk) || moved;
    }
}

/* A foreign peer: OpenSSL at its most permissive. */
struct foreign {
    SSL_CTX *context;
    SSL *ssl;
};

static inline void foreign_init(struct foreign *p, const struct fixture_pair *pair, int version)
{
    p->context = SSL_CTX_new(TLS_method());
    SSL_CTX_set_security_level(p->context, 0);
    assert_int_equal(1, SSL_CTX_set_min_proto_version(p->context, version));
    assert_int_equal(1, SSL_CTX_set_max_proto_version(p->context, version));
    assert_int_equal(1, SSL_CTX_set_cipher_list(p->context, "ALL"));
    if (pair != NULL) {
        assert_int_equal(1, SSL_CTX_use_certificate(p->context, pair->certificate));
        assert_int_equal(1, SSL_CTX_use_PrivateKey(p->context, pair->key));
    }
    SSL_CTX_set_options(p->context, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    p->ssl = SSL_new(p->context);
    SSL_set_bio(p->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    BIO_set_mem_eof_return(SSL_get_rbio(p->ssl), -1);
    if (pair != NULL)
        SSL_set_accept_state(p->ssl);
    else
        SSL_set_connect_state(p->ssl);
}

static inline void foreign_release(struct foreign *p)
{
    SSL_free(p->ssl);
    SSL_CTX_free(p->context);
    ERR_clear_error();
}

/* Moves bytes both ways; what the foreigner makes of them is up to the test. */
static inline bool foreign_move(struct foreign *p, struct tls_engine *e)
{
    char bytes[4096];
    bool moved      = false;
    struct span out = tls_engine_output(e);
    if (out.len > 0) {
        assert_int_equal((int)out.len, BIO_write(SSL_get_rbio(p->ssl), out.at, (int)out.len));
        tls_engine_sent(e, out.len);
        moved = true;
    }
    for (int n; (n = BIO_read(SSL_get_wbio(p->ssl), bytes, sizeof bytes)) > 0; moved = true)
        (void)tls_engine_feed(e, span_make(bytes, (size_t)n));
    return moved;
}

static inline void foreign_shake_hands(struct foreign *p, struct tls_engine *e)
{
    do {
        (void)SSL_do_handshake(p->ssl);
    } while (foreign_move(p, e));
    ERR_clear_error();
}
