/* SPDX-License-Identifier: MIT */
/*
 * Auth: one authentication exchange as the server sees it (RFC 4422, 4616, 5802, 7677): GNU SASL's
 * machine for the mechanism, fed one response at a time.
 *
 *     auth_new -> auth_step: CHALLENGE ... -> RIGHT, WRONG or MALFORMED
 *                            or CHECK: whoever drives compares auth_password() with the user's
 *
 * Who does not exist, or may not log in, is led through the same steps to WRONG.  No I/O, and
 * nothing that takes longer than an HMAC.  Engine thread.
 */
#pragma once
#include "mta/receive/users.h"

/* As AUTH announces them; the first ones only where the connection has a channel binding. */
#define AUTH_MECHANISMS_BOUND "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN"
#define AUTH_MECHANISMS       "SCRAM-SHA-256 PLAIN LOGIN"

enum { AUTH_CHALLENGE_BYTES = 1025, AUTH_BINDING_TEXT_BYTES = 89 };

struct sasl; /* what all exchanges share */
struct auth;

/* Channel bindings in base64, "" none (tls_engine_binding()). */
struct auth_bindings {
    char exporter[AUTH_BINDING_TEXT_BYTES], unique[AUTH_BINDING_TEXT_BYTES];
};

struct sasl *sasl_new(void);
void sasl_free(struct sasl *sasl); /* behind all exchanges */

/* NULL: there is no such mechanism.  'bindings' is borrowed until auth_free(). */
struct auth *auth_new(struct sasl *sasl, const char *mechanism,
                      const struct auth_bindings *bindings);
void auth_free(struct auth *auth); /* NULL is fine */

enum auth_step {
    AUTH_CHALLENGE, /* 'challenge' goes to the client, and its response into the next step */
    AUTH_CHECK,     /* the client has said a password */
    AUTH_RIGHT,
    AUTH_WRONG,
    AUTH_MALFORMED, /* what it says is none of the mechanism */
};
/* 'response' is base64; has_response false: the command came without.  'users' for this call. */
enum auth_step auth_step(struct auth *auth, const struct users *users, bool has_response,
                         struct span response, char challenge[AUTH_CHALLENGE_BYTES]);
/* Whom the client says it is, prepared as far as it can be; "" as long as it has not. */
const char *auth_user(const struct auth *auth);
/* Behind CHECK: what it said, prepared. */
const char *auth_password(const struct auth *auth);
