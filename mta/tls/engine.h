/* SPDX-License-Identifier: MIT */
/*
 * TLS engine: one TLS connection over memory, without sockets.  Cipher bytes from the peer go in
 * through tls_engine_feed(), cipher bytes for it come out of tls_engine_output(); plain bytes go
 * through read and write. Nothing calls back.  One thread at a time.  (OpenSSL, memory BIOs.)
 */
#pragma once
#include "mta/base/span.h"
#include "mta/base/status.h"

struct tls_context; /* context.h */
struct tls_engine;
struct tls_session; /* a resumable session, owned by whoever took it */

enum tls_state { TLS_HANDSHAKING, TLS_SECURE, TLS_CLOSED /* close_notify came */, TLS_FAILED };

/*
 * 'name': SNI and the name to verify (client, A-label or IP address, may be NULL: then nothing is
 * verified, and TLS_REQUIRED fails at once); 'resume': a session for the same peer or NULL, used up
 * here.  One of another context or name is dropped: resuming verifies nothing anew.  NULL only if
 * OpenSSL cannot.  A client's first flight is in the output at once.
 */
struct tls_engine *tls_engine_client(struct tls_context *context, const char *name,
                                     struct tls_session *resume);
struct tls_engine *tls_engine_server(struct tls_context *context);
void tls_engine_free(struct tls_engine *engine);

/*
 * Takes all of 'cipher' and goes on with the handshake as far as it gets.  Behind the handshake
 * feed again only when tls_engine_read() says AGAIN: what is not read waits in memory.  CLOSED
 * comes after the last plain byte was read.
 */
enum tls_state tls_engine_feed(struct tls_engine *engine, struct span cipher);
enum tls_state tls_engine_state(const struct tls_engine *engine);

/* Plain bytes that were decrypted: OK with *got > 0, AGAIN, END after close_notify, IO_ERROR. */
enum status tls_engine_read(struct tls_engine *engine, char *into, size_t cap, size_t *got);
/* Encrypts all of it into the output.  Only while TLS_SECURE: else CLOSED (also behind
 * tls_engine_close()) or IO_ERROR. */
enum status tls_engine_write(struct tls_engine *engine, struct span plain);
/* Queues a close_notify. */
void tls_engine_close(struct tls_engine *engine);

/* Cipher bytes to send; they stay where they are until tls_engine_sent() or the next call that
 * writes. */
struct span tls_engine_output(struct tls_engine *engine);
void tls_engine_sent(struct tls_engine *engine, size_t n);

/* After the handshake. */
const char *tls_engine_version(const struct tls_engine *engine); /* "TLSv1.3" */
const char *tls_engine_cipher(const struct tls_engine *engine);
/*
 * What names this very connection to both its ends, for SCRAM-...-PLUS (RFC 5056): tls-exporter
 * (RFC 9266), or tls-unique (RFC 5929) below TLS 1.3.  0: there is none, or not one that can be
 * trusted (no extended master secret, RFC 7627); else how many bytes are in 'into'.
 */
enum { TLS_BINDING_BYTES_MAX = 64 };
enum tls_binding { TLS_BINDING_EXPORTER, TLS_BINDING_UNIQUE };
size_t tls_engine_binding(const struct tls_engine *engine, enum tls_binding kind,
                          char into[TLS_BINDING_BYTES_MAX]);
bool tls_engine_was_resumed(const struct tls_engine *engine);
/* The peer's certificate was verified against the trust store and 'name'. */
bool tls_engine_is_verified(const struct tls_engine *engine);
/* Why it failed (or why it is not verified), for log and report; escaped, never empty. */
const char *tls_engine_error(const struct tls_engine *engine);
/*
 * A session that the peer offered for resumption, the newest first, each once; NULL if there is
 * none (any more).  With TLS 1.3 they come behind the handshake, so ask again when something was
 * read; the newest two are kept here.  Give it to tls_tickets_put() (tickets.h),
 * tls_engine_client() or tls_session_free(), on the same thread; its owner drops it after an hour
 * at most.
 */
struct tls_session *tls_engine_take_session(struct tls_engine *engine);
/* Another hold on the same session: several connections may resume it.  NULL: it serves no more. */
struct tls_session *tls_session_share(const struct tls_session *session);
void tls_session_free(struct tls_session *session);
