/* SPDX-License-Identifier: MIT */
/*
 * TLS context: what many connections share: protocol floor, ciphers, certificate, trust.  One per
 * policy and thread; engines hold a reference, so a context may be released (reload) while
 * connections made from it live on. OpenSSL is started without the system's openssl.cnf
 * (security.md 4.6: a stricter default means more clear text).
 */
#pragma once
#include "mta/base/status.h"

struct buf;
struct tls_context;

enum tls_level {
    TLS_OPPORTUNISTIC, /* >= TLS 1.0, nothing verified */
    TLS_REQUIRED,      /* >= TLS 1.2, forward secrecy, certificate and name must verify */
    TLS_ENCRYPT,       /* >= TLS 1.2, not verified: "required but unauthenticated" */
};

/* Once, before any thread is started. */
void tls_global_init(void);

/*
 * 'ca_file' NULL: the system's trust store for TLS_REQUIRED (some 140 certificates, read now: 60 ms
 * or so); the other levels do without one and then do not look at certificates at all.  NULL on
 * failure, with a sentence in 'error'.
 */
struct tls_context *tls_context_client(enum tls_level level, const char *ca_file,
                                       struct buf *error);
/* Reads certificate chain and key (PEM) and checks that they belong together.  'listener' keeps
 * sessions of different listeners apart (A10). */
struct tls_context *tls_context_server(const char *certificate, const char *key,
                                       const char *listener, struct buf *error);
void tls_context_release(struct tls_context *context);
