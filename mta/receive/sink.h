/* SPDX-License-Identifier: MIT */
/*
 * Sink: who takes the mail for an address among ourselves: a list, its bounce and command
 * addresses.  Whoever does registers with receive_settings; receive never names it.
 *
 * The question is asked at RCPT and answered at once, from memory: no I/O, no waiting (mailman.md
 * 1).  A recipient that is taken is stored and answered 250 like any other; the queue then gives it
 * to the local taker (mta/local.h) and not to a site, so retries, reports and listings are those of
 * all mail.
 *
 * Engine thread.
 */
#pragma once
#include "mta/mail/address.h"

/* The door a client came in by. */
enum receive_role {
    RECEIVE_RELAY,      /* for clients of relay_from */
    RECEIVE_SUBMISSION, /* for users who have logged in */
    RECEIVE_INBOUND,    /* from anywhere, for addresses of ours only */
    RECEIVE_ROLES
};

/* Borrowed for the call. */
struct sink_query {
    const struct address *rcpt;
    const char *sender; /* of the envelope; "" the null sender */
    enum receive_role role;
    const char *user; /* who has logged in; "" nobody */
    bool is_trusted;  /* may relay: by its address, or because it has logged in */
};

enum sink_verdict {
    SINK_NOT_MINE, /* goes on as mail for elsewhere, or is refused where nothing is relayed */
    SINK_TAKE,
    SINK_REFUSE, /* for good: the code is 5xx, never 552 */
    SINK_DEFER,  /* 4xx, never 421 (mailman.md 3) */
};

/* Filled in by whoever answers; texts must hold until the next question. */
struct sink_answer {
    int code; /* REFUSE, DEFER; 0: 550 5.1.1, or 450 4.3.0, with our own words */
    const char *enhanced, *text;
    const char *data; /* TAKE: kept with the recipient, and in its job; NULL: nothing.  At most
                         ENVELOPE_DATA_BYTES_MAX, no controls, no white space (envelope.h) */
};

struct sink {
    void *owner;
    enum sink_verdict (*ask)(void *owner, const struct sink_query *query,
                             struct sink_answer *answer);
};
