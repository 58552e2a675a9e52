/* SPDX-License-Identifier: MIT */
/* What the engine needs to know of a context.  Only mta/tls includes this. */
#pragma once
#include "mta/tls/context.h"
#include <openssl/ssl.h>
#include <stdbool.h>

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *pipe; /* tls/pipe.h */
    bool is_server;
    enum tls_level level; /* of a client */
    bool has_trust;       /* of a client: certificates are looked at */
    unsigned holders;     /* whoever made it, its engines, and the sessions taken from those */
};

/* Tickets that came and were not taken yet, oldest first.  What OpenSSL has of an engine. */
enum { TLS_FRESH_MAX = 2 };
struct tls_fresh {
    SSL_SESSION *at[TLS_FRESH_MAX];
    unsigned count;
};

struct tls_context *tls_context_hold(struct tls_context *context);
