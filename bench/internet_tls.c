/* SPDX-License-Identifier: MIT */
/*
 * One context for all hosts, so that a ticket works wherever the client shows it; one key for all
 * certificates, because making keys would cost more than the handshakes.  Bytes travel through
 * memory BIOs: 'in' is what the wire brought, 'out' what it must take.
 */
#include "bench/internet_tls.h"
#include "mta/base/mem.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { VALID_DAYS = 30, READ_BYTES = 16384, SERIAL_BITS = 63 };

struct internet_tls {
    SSL_CTX *context;
    EVP_PKEY *ca_key, *key;
    X509 *ca;
};

struct tls_stream {
    SSL *ssl;
    BIO *in, *out;
    const char *error;
    bool is_refused;
};

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok                   = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool set_serial(X509 *certificate)
{
    BIGNUM *serial = BN_new();
    bool ok        = serial != NULL && BN_rand(serial, SERIAL_BITS, BN_RAND_TOP_ANY, 0) == 1 &&
              BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate)) != NULL;
    BN_free(serial);
    return ok;
}

/* A certificate for 'name', without extensions and signature. */
static X509 *blank_certificate(const char *name, X509 *issuer, EVP_PKEY *key)
{
    X509 *certificate  = X509_new();
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    (void)set_serial(certificate);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), (long)VALID_DAYS * 24 * 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer == NULL ? certificate : issuer));
    return certificate;
}

static bool make_ca(struct internet_tls *tls)
{
    tls->ca = blank_certificate("mailrace-bench CA", NULL, tls->ca_key);
    return add_extension(tls->ca, tls->ca, NID_basic_constraints, "critical,CA:TRUE") &&
           add_extension(tls->ca, tls->ca, NID_key_usage, "critical,keyCertSign") &&
           add_extension(tls->ca, tls->ca, NID_subject_key_identifier, "hash") &&
           X509_sign(tls->ca, tls->ca_key, EVP_sha256()) != 0;
}

static X509 *certificate_of(struct internet_tls *tls, struct host *host)
{
    if (host->certificate != NULL)
        return host->certificate;
    char san[WORLD_NAME_BYTES_MAX + 8], name[65]; /* a CN has at most 64 */
    (void)snprintf(san, sizeof san, "DNS:%.*s", (int)host->by_name.key.len, host->by_name.key.at);
    (void)snprintf(name, sizeof name, "%.*s", (int)host->by_name.key.len, host->by_name.key.at);
    X509 *certificate = blank_certificate(name, tls->ca, tls->key);
    (void)add_extension(certificate, tls->ca, NID_subject_alt_name, san);
    (void)add_extension(certificate, tls->ca, NID_ext_key_usage, "serverAuth");
    X509_sign(certificate, tls->ca_key, EVP_sha256());
    host->certificate = certificate;
    return certificate;
}

void internet_tls_forget_host(struct host *host)
{
    X509_free(host->certificate);
    host->certificate = NULL;
}

static bool write_ca(const struct internet_tls *tls, const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL)
        return false;
    bool ok = PEM_write_X509(file, tls->ca) == 1;
    return fclose(file) == 0 && ok;
}

static bool make_context(struct internet_tls *tls)
{
    static const unsigned char id[] = "mailrace-bench";
    tls->context                    = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_mode(tls->context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_id_context(tls->context, id, sizeof id - 1);
    SSL_CTX_set_session_cache_mode(tls->context, SSL_SESS_CACHE_SERVER);
    return SSL_CTX_use_PrivateKey(tls->context, tls->key) == 1;
}

struct internet_tls *internet_tls_new(const char *ca_path, struct buf *error)
{
    struct internet_tls *tls = mem_new(sizeof *tls);
    tls->ca_key              = EVP_EC_gen("P-256");
    tls->key                 = EVP_EC_gen("P-256");
    if (tls->ca_key == NULL || tls->key == NULL || !make_ca(tls) || !make_context(tls))
        buf_printf(error, "cannot make certificates: %s",
                   ERR_reason_error_string(ERR_peek_last_error()));
    else if (ca_path != NULL && !write_ca(tls, ca_path))
        buf_printf(error, "cannot write '%s'", ca_path);
    if (error->len == 0)
        return tls;
    internet_tls_free(tls);
    return NULL;
}

void internet_tls_free(struct internet_tls *tls)
{
    SSL_CTX_free(tls->context);
    X509_free(tls->ca);
    EVP_PKEY_free(tls->key);
    EVP_PKEY_free(tls->ca_key);
    mem_free(tls);
}

struct tls_stream *tls_stream_new(struct internet_tls *tls, struct host *host)
{
    struct tls_stream *stream = mem_new(sizeof *stream);
    stream->ssl               = SSL_new(tls->context);
    stream->in                = BIO_new(BIO_s_mem());
    stream->out               = BIO_new(BIO_s_mem());
    SSL_set_bio(stream->ssl, stream->in, stream->out);
    SSL_set_accept_state(stream->ssl);
    SSL_use_certificate(stream->ssl, certificate_of(tls, host));
    if (host->p.no_tls13)
        SSL_set_max_proto_version(stream->ssl, TLS1_2_VERSION);
    return stream;
}

void tls_stream_free(struct tls_stream *stream)
{
    if (stream == NULL)
        return;
    SSL_free(stream->ssl);
    mem_free(stream);
}

/* After a read that gave nothing: true when the stream goes on. */
static bool goes_on(struct tls_stream *stream, int result)
{
    int why = SSL_get_error(stream->ssl, result);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return true;
    if (why != SSL_ERROR_ZERO_RETURN) {
        unsigned long code = ERR_peek_last_error();
        stream->error      = ERR_reason_error_string(code);
        stream->error      = stream->error == NULL ? "broken TLS" : stream->error;
        stream->is_refused = ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET;
    }
    ERR_clear_error();
    return false;
}

bool tls_stream_feed(struct tls_stream *stream, struct span wire, struct buf *plain)
{
    ERR_clear_error();
    BIO_write(stream->in, wire.at, (int)wire.len);
    for (;;) {
        int got = SSL_read(stream->ssl, buf_reserve(plain, READ_BYTES), READ_BYTES);
        if (got <= 0)
            return goes_on(stream, got);
        plain->len += (size_t)got;
    }
}

void tls_stream_say(struct tls_stream *stream, struct span plain)
{
    if (plain.len > 0)
        (void)SSL_write(stream->ssl, plain.at, (int)plain.len);
}

void tls_stream_end(struct tls_stream *stream)
{
    (void)SSL_shutdown(stream->ssl);
    ERR_clear_error();
}

void tls_stream_output(struct tls_stream *stream, struct buf *wire)
{
    int got;
    size_t waiting = BIO_ctrl_pending(stream->out);
    if (waiting == 0)
        return;
    got = BIO_read(stream->out, buf_reserve(wire, waiting), (int)waiting);
    wire->len += got > 0 ? (size_t)got : 0;
}

bool tls_stream_is_ready(const struct tls_stream *stream)
{
    return SSL_is_init_finished(stream->ssl);
}

const char *tls_stream_version(const struct tls_stream *stream)
{
    return SSL_get_version(stream->ssl);
}

bool tls_stream_is_resumed(const struct tls_stream *stream)
{
    return SSL_session_reused(stream->ssl);
}

const char *tls_stream_error(const struct tls_stream *stream)
{
    return stream->error == NULL ? "" : stream->error;
}

bool tls_stream_is_refused(const struct tls_stream *stream)
{
    return stream->is_refused;
}
