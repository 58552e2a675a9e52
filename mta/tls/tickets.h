/* SPDX-License-Identifier: MIT */
/*
 * Tickets: the sessions kept of one peer under one policy, for the next connections to it.
 *
 * A ticket that no connection has shown is given out first.  When there is none, one is shown
 * again: RFC 8446 C.4 advises against that because whoever listens could tell that both connections
 * come from the same client; a mail server's address and EHLO say that anyway, and a full handshake
 * costs both sides many times as much.  A server that takes each ticket once answers with a full
 * handshake: nothing is lost.
 *
 * Bounded: the oldest goes, one that was shown before one that was not.  One thread.
 */
#pragma once
#include "mta/tls/engine.h"

enum {
    TLS_TICKETS_MAX = 3,       /* a server sends one or two in each connection */
    TLS_TICKET_MS   = 3600000, /* the key that made it may be found out later (RFC 9325 3.4) */
};

struct tls_ticket {
    struct tls_session *session;
    uint64_t until_ms;
    bool was_shown;
};

struct tls_tickets {
    struct tls_ticket at[TLS_TICKETS_MAX]; /* oldest first */
    unsigned count;
};

/* Takes the session; it is the newest. */
void tls_tickets_put(struct tls_tickets *tickets, struct tls_session *session, uint64_t now_ms);
/* For one connection, which owns it; NULL: there is none. */
struct tls_session *tls_tickets_show(struct tls_tickets *tickets, uint64_t now_ms);
/* The peer did not take one: its key is gone, or it takes each once.  Those never shown stay. */
void tls_tickets_refused(struct tls_tickets *tickets);
void tls_tickets_forget(struct tls_tickets *tickets);
