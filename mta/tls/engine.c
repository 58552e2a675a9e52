/* SPDX-License-Identifier: MIT */
/*
 * Engine: one SSL object and the pipe it speaks through.
 *
 * The state only moves forward: HANDSHAKING, SECURE, then CLOSED or FAILED; in the last two nothing
 * that comes from the peer is looked at.  Feeding goes on with the handshake, and behind it looks
 * at the first record, so that tickets, close_notify and garbage are noticed before anybody reads.
 * What a peer can make us say after the handshake is counted: whoever asks for key updates without
 * end and never reads would otherwise fill our memory.
 */
#include "mta/tls/engine.h"
#include "mta/base/fault.h"
#include "mta/base/mem.h"
#include "mta/tls/context_inside.h"
#include "mta/tls/pipe.h"
#include "mta/tls/reason.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

enum {
    ERROR_TEXT_BYTES  = 200,
    CHATTER_BYTES_MAX = 65536, /* some 2000 key updates: one each 16 million records is usual */
};

struct tls_engine {
    struct tls_context *context;
    SSL *ssl;
    struct tls_pipe pipe;
    enum tls_state state;
    bool is_verified, is_closing, is_session_taken;
    size_t chatter_bytes; /* our answers to TLS messages after the handshake */
    struct tls_fresh fresh;
    char *name; /* NULL: none to verify */
    char error[ERROR_TEXT_BYTES];
};

/* Good for the same context (trust, level) and the same name only: resuming verifies nothing. */
struct tls_session {
    struct tls_context *context;
    char *name;
    SSL_SESSION *ssl;
};

static void set_error(struct tls_engine *e, const struct buf *text)
{
    tls_reason_copy(e->error, sizeof e->error, buf_span(text));
}

static void put_verify_result(const struct tls_engine *e, struct buf *text)
{
    buf_printf(text, "the certificate does not verify for %s: %s",
               e->name != NULL ? e->name : "any name",
               X509_verify_cert_error_string(SSL_get_verify_result(e->ssl)));
}

static bool is_verify_failure(void)
{
    unsigned long error = ERR_peek_error();
    return ERR_GET_LIB(error) == ERR_LIB_SSL &&
           ERR_GET_REASON(error) == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

/* Takes its reason from OpenSSL's queue. */
static void fail(struct tls_engine *e)
{
    struct buf text = {0};

    if (is_verify_failure()) {
        put_verify_result(e, &text);
    } else {
        buf_put_text(&text, e->state == TLS_HANDSHAKING ? "TLS handshake failed: "
                                                        : "TLS connection failed: ");
        tls_reason_put(&text);
    }
    set_error(e, &text);
    buf_release(&text);
    e->state = TLS_FAILED;
}

static void fail_for(struct tls_engine *e, const char *reason)
{
    tls_reason_copy(e->error, sizeof e->error, span_of(reason));
    e->state = TLS_FAILED;
}

/* What a call that did not succeed means; 'result' is what it returned. */
static void note_result(struct tls_engine *e, int result)
{
    switch (SSL_get_error(e->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        break;
    case SSL_ERROR_ZERO_RETURN:
        e->state = TLS_CLOSED;
        break;
    default:
        fail(e);
        break;
    }
    ERR_clear_error();
}

static void note_verified(struct tls_engine *e)
{
    struct buf text = {0};

    e->is_verified = e->context->has_trust && e->name != NULL &&
                     SSL_get0_peer_certificate(e->ssl) != NULL &&
                     SSL_get_verify_result(e->ssl) == X509_V_OK;
    if (e->is_verified || e->context->is_server)
        return;
    if (e->name == NULL)
        buf_put_text(&text, "the certificate is not verified: there is no name to expect");
    else if (!e->context->has_trust)
        buf_put_text(&text, "the certificate is not verified: it does not have to be");
    else
        put_verify_result(e, &text);
    set_error(e, &text);
    buf_release(&text);
}

static void shake_hands(struct tls_engine *e)
{
    ERR_clear_error();
    int result = SSL_do_handshake(e->ssl);
    if (result != 1) {
        note_result(e, result);
        return;
    }
    e->state = TLS_SECURE;
    note_verified(e);
}

static void count_chatter(struct tls_engine *e, size_t output_bytes_before)
{
    e->chatter_bytes += tls_pipe_output(&e->pipe).len - output_bytes_before;
    if (e->state == TLS_SECURE && e->chatter_bytes > CHATTER_BYTES_MAX)
        fail_for(e, "TLS connection failed: the peer asks for answers of TLS itself without end");
}

static void look_ahead(struct tls_engine *e)
{
    size_t before = tls_pipe_output(&e->pipe).len;
    char byte;

    ERR_clear_error();
    int result = SSL_peek(e->ssl, &byte, 1);
    if (result <= 0)
        note_result(e, result);
    count_chatter(e, before);
}

static void advance(struct tls_engine *e)
{
    if (e->state == TLS_HANDSHAKING)
        shake_hands(e);
    if (e->state == TLS_SECURE)
        look_ahead(e);
}

static struct tls_engine *engine_new(struct tls_context *context)
{
    struct tls_engine *e = mem_new(sizeof *e);

    ERR_clear_error();
    e->context = tls_context_hold(context);
    e->ssl     = SSL_new(context->ssl);
    BIO *bio   = tls_pipe_bio(context->pipe, &e->pipe);
    if (e->ssl == NULL || bio == NULL || !SSL_set_app_data(e->ssl, &e->fresh)) {
        BIO_free(bio);
        tls_engine_free(e);
        return NULL;
    }
    SSL_set_bio(e->ssl, bio, bio);
    return e;
}

/* A leading dot would match any host below; nobody is called that. */
static bool is_usable_name(const char *name)
{
    return name != NULL && *name != '\0' && *name != '.';
}

static bool is_ip(const char *name)
{
    ASN1_OCTET_STRING *ip = a2i_IPADDRESS(name);
    bool yes              = ip != NULL;

    ASN1_OCTET_STRING_free(ip);
    ERR_clear_error();
    return yes;
}

/* SNI names hosts only (RFC 6066 3); the certificate is matched by its alternative names only. */
static bool expect_name(struct tls_engine *e)
{
    if (e->name == NULL)
        return true;
    SSL_set_hostflags(e->ssl,
                      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(e->ssl, e->name) == 1 &&
           (is_ip(e->name) || SSL_set_tlsext_host_name(e->ssl, e->name) == 1);
}

static bool same_name(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* An unfit session means a full handshake, never a failure. */
static void resume_session(struct tls_engine *e, struct tls_session *session)
{
    if (session != NULL && session->context == e->context && same_name(session->name, e->name) &&
        SSL_SESSION_is_resumable(session->ssl))
        (void)SSL_set_session(e->ssl, session->ssl);
    tls_session_free(session);
    ERR_clear_error();
}

struct tls_engine *tls_engine_client(struct tls_context *context, const char *name,
                                     struct tls_session *resume)
{
    must(!context->is_server);

    struct tls_engine *e = engine_new(context);
    if (e != NULL) {
        e->name = is_usable_name(name) ? mem_text(name) : NULL;
        SSL_set_connect_state(e->ssl);
    }
    if (e == NULL || !expect_name(e)) {
        tls_session_free(resume);
        tls_engine_free(e);
        return NULL;
    }
    resume_session(e, resume);
    if (context->level == TLS_REQUIRED && e->name == NULL)
        fail_for(e, "TLS handshake failed: there is no name to verify the certificate for");
    advance(e); /* the first flight */
    return e;
}

struct tls_engine *tls_engine_server(struct tls_context *context)
{
    must(context->is_server);

    struct tls_engine *e = engine_new(context);
    if (e != NULL)
        SSL_set_accept_state(e->ssl);
    return e;
}

void tls_engine_free(struct tls_engine *e)
{
    if (e == NULL)
        return;
    /* Else OpenSSL takes back the sessions of a connection that ended without good-bye. */
    if (e->ssl != NULL && e->state != TLS_FAILED)
        SSL_set_shutdown(e->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(e->ssl);
    while (e->fresh.count > 0)
        SSL_SESSION_free(e->fresh.at[--e->fresh.count]);
    tls_pipe_release(&e->pipe);
    tls_context_release(e->context);
    mem_free(e->name);
    mem_free(e);
}

enum tls_state tls_engine_feed(struct tls_engine *e, struct span cipher)
{
    if (e->state == TLS_HANDSHAKING || e->state == TLS_SECURE) {
        tls_pipe_feed(&e->pipe, cipher);
        advance(e);
    }
    return e->state;
}

enum tls_state tls_engine_state(const struct tls_engine *e)
{
    return e->state;
}

static enum status status_of(enum tls_state state)
{
    switch (state) {
    case TLS_HANDSHAKING:
    case TLS_SECURE:
        return AGAIN;
    case TLS_CLOSED:
        return END;
    case TLS_FAILED:
        break;
    }
    return IO_ERROR;
}

enum status tls_engine_read(struct tls_engine *e, char *into, size_t cap, size_t *got)
{
    *got = 0;
    must(cap > 0);
    if (e->state != TLS_SECURE)
        return status_of(e->state);

    size_t before = tls_pipe_output(&e->pipe).len;
    ERR_clear_error();
    int result = SSL_read_ex(e->ssl, into, cap, got);
    if (result != 1)
        note_result(e, result);
    count_chatter(e, before);
    return *got > 0 ? OK : status_of(e->state);
}

enum status tls_engine_write(struct tls_engine *e, struct span plain)
{
    while (plain.len > 0) {
        size_t taken = 0;
        if (e->state != TLS_SECURE || e->is_closing)
            return e->state == TLS_FAILED ? IO_ERROR : CLOSED;
        ERR_clear_error();
        if (SSL_write_ex(e->ssl, plain.at, plain.len, &taken) != 1)
            fail(e); /* the pipe takes everything, so there is nothing to wait for */
        plain = span_skip(plain, taken);
    }
    return OK;
}

void tls_engine_close(struct tls_engine *e)
{
    if (e->is_closing || (e->state != TLS_SECURE && e->state != TLS_CLOSED))
        return;
    e->is_closing = true;
    (void)SSL_shutdown(e->ssl);
    ERR_clear_error();
}

struct span tls_engine_output(struct tls_engine *e)
{
    return tls_pipe_output(&e->pipe);
}

void tls_engine_sent(struct tls_engine *e, size_t n)
{
    tls_pipe_sent(&e->pipe, n);
}

const char *tls_engine_version(const struct tls_engine *e)
{
    return SSL_get_version(e->ssl);
}

const char *tls_engine_cipher(const struct tls_engine *e)
{
    return SSL_get_cipher_name(e->ssl);
}

static size_t exporter_of(SSL *ssl, char into[TLS_BINDING_BYTES_MAX])
{
    static const char label[] = "EXPORTER-Channel-Binding"; /* RFC 9266 4.1 */
    enum { EXPORTER_BYTES = 32 };
    bool is_good =
        SSL_export_keying_material(ssl, (unsigned char *)into, EXPORTER_BYTES, label,
                                   sizeof label - 1, (const unsigned char *)"", 0, 1) == 1;
    return is_good ? EXPORTER_BYTES : 0;
}

/* RFC 5929 3.1: the first Finished of the handshake: the client's, or, where a session was resumed,
 * the server's. */
static size_t unique_of(SSL *ssl, char into[TLS_BINDING_BYTES_MAX])
{
    bool is_ours = (SSL_is_server(ssl) == 1) == (SSL_session_reused(ssl) == 1);
    size_t len   = is_ours ? SSL_get_finished(ssl, into, TLS_BINDING_BYTES_MAX)
                           : SSL_get_peer_finished(ssl, into, TLS_BINDING_BYTES_MAX);
    return len <= TLS_BINDING_BYTES_MAX ? len : 0;
}

size_t tls_engine_binding(const struct tls_engine *e, enum tls_binding kind,
                          char into[TLS_BINDING_BYTES_MAX])
{
    bool is_tls13 = SSL_version(e->ssl) >= TLS1_3_VERSION;
    if (e->state != TLS_SECURE || (!is_tls13 && SSL_get_extms_support(e->ssl) != 1))
        return 0;
    if (kind == TLS_BINDING_EXPORTER)
        return exporter_of(e->ssl, into);
    return is_tls13 ? 0 : unique_of(e->ssl, into);
}

bool tls_engine_was_resumed(const struct tls_engine *e)
{
    return SSL_session_reused(e->ssl) == 1;
}

bool tls_engine_is_verified(const struct tls_engine *e)
{
    return e->is_verified;
}

const char *tls_engine_error(const struct tls_engine *e)
{
    if (e->error[0] != '\0')
        return e->error;
    return e->state == TLS_HANDSHAKING ? "the TLS handshake did not end" : "no TLS error";
}

/* Until TLS 1.2 the session itself is what may be resumed, and OpenSSL does not tell a resumed one
 * anew. */
static SSL_SESSION *newest_session(struct tls_engine *e)
{
    if (e->fresh.count > 0)
        return e->fresh.at[--e->fresh.count];
    bool has_own = !e->is_session_taken && SSL_version(e->ssl) < TLS1_3_VERSION;
    return has_own ? SSL_get1_session(e->ssl) : NULL;
}

struct tls_session *tls_engine_take_session(struct tls_engine *e)
{
    if (e->context->is_server || (e->state != TLS_SECURE && e->state != TLS_CLOSED))
        return NULL;

    SSL_SESSION *ssl = newest_session(e);
    if (ssl == NULL || !SSL_SESSION_is_resumable(ssl)) {
        SSL_SESSION_free(ssl);
        return NULL;
    }
    struct tls_session *session = mem_new(sizeof *session);
    e->is_session_taken         = true;
    session->context            = tls_context_hold(e->context);
    session->name               = e->name != NULL ? mem_text(e->name) : NULL;
    session->ssl                = ssl;
    return session;
}

/* A copy of the ticket, for OpenSSL spoils it at the end of a TLS 1.3 handshake. */
struct tls_session *tls_session_share(const struct tls_session *session)
{
    bool is_fit      = SSL_SESSION_is_resumable(session->ssl) == 1;
    SSL_SESSION *ssl = is_fit ? SSL_SESSION_dup(session->ssl) : NULL;
    if (ssl == NULL)
        return NULL;
    struct tls_session *shared = mem_new(sizeof *shared);
    shared->context            = tls_context_hold(session->context);
    shared->name               = session->name != NULL ? mem_text(session->name) : NULL;
    shared->ssl                = ssl;
    return shared;
}

void tls_session_free(struct tls_session *session)
{
    if (session == NULL)
        return;
    SSL_SESSION_free(session->ssl);
    tls_context_release(session->context);
    mem_free(session->name);
    mem_free(session);
}
