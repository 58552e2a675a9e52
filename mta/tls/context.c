/* SPDX-License-Identifier: MIT */
/*
 * Context: an SSL_CTX made from one row of the table of levels (RFC 9325, RFC 8996).
 *
 * Everything that must hold for each connection stands here: no compression, no renegotiation, no
 * early data, a floor for the version, and that a client keeps the newest tickets (they land in
 * what its engine set as app data).  A context is made, held by engines, and dies with the last
 * holder; a changed certificate is a new context.
 */
#include "mta/base/buf.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/tls/context_inside.h"
#include "mta/tls/pipe.h"
#include "mta/tls/reason.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

enum {
    SESSION_SECONDS_MAX = 3600, /* a ticket of ours is good for an hour */
    TICKETS_PER_SESSION = 1,    /* sent after a TLS 1.3 handshake; two by default */
};

#define STRONG_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
/* Everything that is better than clear text. */
#define ANY_CIPHERS                                                                                \
    "ALL:!aNULL:!eNULL:!PSK:!SRP:!RC4:!3DES:!DES:!RC2:!MD5:!EXPORT:!LOW:!DSS:!SEED:!IDEA"

struct level {
    int floor;
    int security_level; /* SSL_CTX_set_security_level(3) */
    const char *ciphers;
    int verify;
    uint64_t options;
};

/*
 * Opportunistic goes below RFC 8996 on purpose: the alternative is clear text (RFC 9325 5.2), also
 * for a server that lacks RFC 5746; we never renegotiate.  Encrypt takes any certificate, so a
 * short key is no reason to refuse it.
 */
static const struct level client_levels[] = {
    [TLS_OPPORTUNISTIC] = {TLS1_VERSION,   0, ANY_CIPHERS,    SSL_VERIFY_NONE,
                           SSL_OP_LEGACY_SERVER_CONNECT                         },
    [TLS_REQUIRED]      = {TLS1_2_VERSION, 2, STRONG_CIPHERS, SSL_VERIFY_PEER, 0},
    [TLS_ENCRYPT]       = {TLS1_2_VERSION, 1, STRONG_CIPHERS, SSL_VERIFY_NONE, 0},
};

static const struct level server_level = {TLS1_2_VERSION, 2, STRONG_CIPHERS, SSL_VERIFY_NONE,
                                          SSL_OP_CIPHER_SERVER_PREFERENCE};

void tls_global_init(void)
{
    must(OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS |
                              OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                          NULL) == 1);
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
    context->holders++;
    return context;
}

void tls_context_release(struct tls_context *context)
{
    if (context == NULL)
        return;
    must(context->holders > 0);
    if (--context->holders > 0)
        return;
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->pipe);
    mem_free(context);
}

static bool set_level(SSL_CTX *ssl, const struct level *level)
{
    SSL_CTX_set_security_level(ssl, level->security_level);
    SSL_CTX_set_verify(ssl, level->verify, NULL);
    SSL_CTX_set_options(ssl, level->options | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return SSL_CTX_set_max_early_data(ssl, 0) && SSL_CTX_set_recv_max_early_data(ssl, 0) &&
           SSL_CTX_set_min_proto_version(ssl, level->floor) &&
           SSL_CTX_set_cipher_list(ssl, level->ciphers);
}

static struct tls_context *context_new(const SSL_METHOD *method, const struct level *level)
{
    struct tls_context *context = mem_new(sizeof *context);

    ERR_clear_error();
    context->holders = 1;
    context->ssl     = SSL_CTX_new(method);
    context->pipe    = tls_pipe_method_new();
    if (context->ssl != NULL && context->pipe != NULL && set_level(context->ssl, level))
        return context;
    tls_context_release(context);
    return NULL;
}

/* "<what>: <why>", and the context is gone. */
static struct tls_context *give_up(struct tls_context *context, struct buf *error)
{
    buf_put_text(error, ": ");
    tls_reason_put(error);
    tls_context_release(context);
    return NULL;
}

/* OpenSSL calls this for each ticket; where there are many, older ones are worth less and go. */
static int keep_newest_sessions(SSL *ssl, SSL_SESSION *session)
{
    struct tls_fresh *fresh = SSL_get_app_data(ssl);

    if (fresh->count == TLS_FRESH_MAX) {
        SSL_SESSION_free(fresh->at[0]);
        memmove(fresh->at, fresh->at + 1, (TLS_FRESH_MAX - 1) * sizeof fresh->at[0]);
        fresh->count--;
    }
    fresh->at[fresh->count++] = session;
    return 1; /* it is ours now */
}

/* A chain that nobody judges is not worth the signatures it would cost to follow. */
static int take_any_certificate(X509_STORE_CTX *chain, void *data)
{
    (void)chain, (void)data;
    return 1;
}

static bool load_trust(struct tls_context *context, const char *ca_file)
{
    context->has_trust = ca_file != NULL || context->level == TLS_REQUIRED;
    if (!context->has_trust)
        SSL_CTX_set_cert_verify_callback(context->ssl, take_any_certificate, NULL);
    else if (ca_file == NULL)
        return SSL_CTX_set_default_verify_paths(context->ssl) == 1;
    else
        return SSL_CTX_load_verify_file(context->ssl, ca_file) == 1;
    return true;
}

struct tls_context *tls_context_client(enum tls_level level, const char *ca_file, struct buf *error)
{
    must((size_t)level < sizeof client_levels / sizeof *client_levels);

    struct tls_context *context = context_new(TLS_client_method(), &client_levels[level]);
    if (context == NULL) {
        buf_put_text(error, "cannot prepare TLS for connections to others");
        return give_up(NULL, error);
    }
    context->level = level;
    SSL_CTX_set_session_cache_mode(context->ssl,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context->ssl, keep_newest_sessions);
    if (load_trust(context, ca_file))
        return context;
    buf_printf(error, "%s: cannot read the trusted certificates",
               ca_file == NULL ? "the system's trust store" : ca_file);
    return give_up(context, error);
}

/* Sessions of another listener are not resumed, whoever offers them (A10). */
static bool set_session_context(SSL_CTX *ssl, const char *listener)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (!EVP_Digest(listener, strlen(listener), digest, &len, EVP_sha256(), NULL))
        return false;
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets only: no memory of ours */
    SSL_CTX_set_timeout(ssl, SESSION_SECONDS_MAX);
    return SSL_CTX_set_num_tickets(ssl, TICKETS_PER_SESSION) &&
           SSL_CTX_set_session_id_context(ssl, digest, len);
}

/* Without this OpenSSL would ask for the key's password on the terminal. */
static int no_password(char *into, int cap, int writing, void *data)
{
    (void)writing;
    (void)data;
    if (cap > 0)
        *into = '\0';
    return -1;
}

static bool is_mismatch(unsigned long error)
{
    int reason = ERR_GET_REASON(error);
    return ERR_GET_LIB(error) == ERR_LIB_X509 &&
           (reason == X509_R_KEY_VALUES_MISMATCH || reason == X509_R_KEY_TYPE_MISMATCH);
}

/* A key of the other kind (RSA, EC) is accepted at first and found to have no certificate. */
static bool load_key(SSL_CTX *ssl, const char *certificate, const char *key, struct buf *error)
{
    bool is_read = SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) == 1;

    if (is_read && SSL_CTX_check_private_key(ssl))
        return true;
    if (is_read || is_mismatch(ERR_peek_error()))
        buf_printf(error, "%s: the key does not belong to the certificate in %s", key, certificate);
    else
        buf_printf(error, "%s: cannot read the private key", key);
    return false;
}

struct tls_context *tls_context_server(const char *certificate, const char *key,
                                       const char *listener, struct buf *error)
{
    struct tls_context *context = context_new(TLS_server_method(), &server_level);
    if (context == NULL || !set_session_context(context->ssl, listener)) {
        buf_printf(error, "cannot prepare TLS for %s", listener);
        return give_up(context, error);
    }
    context->is_server = true;
    SSL_CTX_set_default_passwd_cb(context->ssl, no_password);
    if (SSL_CTX_use_certificate_chain_file(context->ssl, certificate) != 1) {
        buf_printf(error, "%s: cannot read the certificate", certificate);
        return give_up(context, error);
    }
    if (!load_key(context->ssl, certificate, key, error))
        return give_up(context, error);
    return context;
}
