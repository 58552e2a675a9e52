/* SPDX-License-Identifier: MIT */
/*
 * Login: AUTH on one connection: exchanges, one at a time, until one is right or three were not
 * (smtplib spends up to three on one bad password).
 *
 * A wrong answer is said a second late, and each further one a second later still.  All that can be
 * wrong (name, password, a disabled account) is answered with the same words.  Pure but for the
 * porter's crew; the clock is an argument.
 */
#pragma once
#include "mta/receive/porter.h"
#include "mta/smtp/server.h"

enum { LOGIN_FAILURES_MAX = 3, LOGIN_DELAY_MS = 1000 };

struct login {
    struct porter *porter;
    struct net_address from;
    bool is_trusted; /* many users share the address */
    struct auth_bindings bindings;
    struct auth *auth;   /* the exchange under way; NULL: none */
    struct check *check; /* its password is being compared */
    struct guard_try attempt;
    bool is_tried; /* the guard has let it in */
    unsigned failures;
    char mechanism[SMTP_SERVER_MECHANISM_BYTES];
    char user[USER_NAME_BYTES_MAX + 1]; /* who has logged in; "" nobody yet */
};

enum login_next {
    LOGIN_CHALLENGE, /* say 'challenge' */
    LOGIN_ANSWER,    /* say 'answer' after 'delay_ms', then close if 'is_last' */
    LOGIN_WAIT,      /* login_checked() tells */
};

struct login_said {
    enum login_next next;
    char challenge[AUTH_CHALLENGE_BYTES];
    struct smtp_server_reply answer;
    uint64_t delay_ms;
    bool is_last;
    char user[USER_NAME_BYTES_MAX + 1]; /* whom the client said it is: for the log */
    const char *cause;                  /* of a failure, for the log: more than the client hears */
};

void login_init(struct login *login, struct porter *porter, const struct net_address *from,
                bool is_trusted);
void login_release(struct login *login);
/* A step of the client.  'owner' comes back with the check, if there is one. */
void login_step(struct login *login, const struct smtp_server_auth *asked, void *owner,
                uint64_t now_ms, struct login_said *said);
void login_checked(struct login *login, bool is_right, uint64_t now_ms, struct login_said *said);
/* The client gave up, or is going. */
void login_abandon(struct login *login);
