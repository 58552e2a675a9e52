/* SPDX-License-Identifier: MIT */
/*
 * SMTP client: one connection's worth of SMTP or LMTP, without any I/O (RFC 5321, 2033, 2920, 1870,
 * 6152, 6531, 3461, 3207, 4954, 2034, 9422).
 *
 * Bytes from the peer go in through smtp_client_feed(), bytes for the peer are read from
 * smtp_client_output().  The machine never calls back, never allocates and reads no clock: after
 * every call the driver asks smtp_client_wants() and smtp_client_result() what comes next.
 *
 *     driver                         smtp_client                      peer
 *       |-- feed(bytes) --------------->|  <- 220, 250-... -------------|   wants TLS? the driver
 * starts it, then smtp_client_secured()
 *       |-- send(job) ----------------->|                               |
 *       |<- output(): MAIL RCPT DATA ---|  -- (driver writes) --------->|
 *       |-- feed(bytes) --------------->|  <- 250 550 354 --------------|
 *       |<- result(): the refused one   |
 *       |-- body(piece) ... body(last) >|  -- (driver writes) --------->|
 *       |-- feed(bytes) --------------->|  <- 250 ----------------------|
 *       |<- result(): the others        |
 *
 * The caller owns the memory; a client may be dropped at any time.  One thread at a time.
 */
#pragma once
#include "mta/mail/envelope.h"
#include "mta/smtp/ext.h"
#include "mta/smtp/reply.h"

enum {
    SMTP_JOB_RCPT_MAX  = 1000, /* in one transaction; the driver's limits are lower (default 100) */
    SMTP_OWED_RUNS_MAX = 16,   /* runs of replies to the same verb, of two transactions in flight */
    SMTP_OUTPUT_BYTES  = 4096, /* commands not yet written; bodies are not copied */
    SMTP_COMMAND_BYTES = 2048, /* one command with all its parameters */
    SMTP_CREDENTIAL_BYTES_MAX = 255, /* of user and of password (RFC 4616 2) */
};

enum smtp_client_tls {
    SMTP_TLS_NEVER,
    SMTP_TLS_OFFERED,  /* STARTTLS if the peer offers it */
    SMTP_TLS_REQUIRED, /* no transaction in clear: not offered or refused ends the session */
};

/* Borrowed for the client's life. */
struct smtp_client_config {
    const char *helo;
    bool is_lmtp;    /* LHLO; one reply per recipient after the body */
    bool is_secured; /* TLS stands from the first byte (implicit TLS) */
    enum smtp_client_tls tls;
    unsigned ignore; /* enum smtp_ext bits to treat as not offered */
    const char *user,
        *password; /* AUTH PLAIN or LOGIN, only inside TLS unless auth_in_clear; NULL: none */
    bool auth_in_clear;
};

/* Borrowed until the last result has been taken. */
struct smtp_job {
    struct envelope envelope;
    const struct envelope_rcpt *rcpts;
    size_t rcpt_count;   /* 1 .. SMTP_JOB_RCPT_MAX */
    uint64_t size_bytes; /* of the content in CRLF form, without dot-stuffing (RFC 1870) */
};

/* What a reply answers; also where a session or transaction stopped. */
#define SMTP_VERBS(X)                                                                              \
    X(BANNER, "greeting")                                                                          \
    X(EHLO, "EHLO")                                                                                \
    X(HELO, "HELO")                                                                                \
    X(STARTTLS, "STARTTLS")                                                                        \
    X(AUTH, "AUTH")                                                                                \
    X(MAIL, "MAIL")                                                                                \
    X(RCPT, "RCPT")                                                                                \
    X(DATA, "DATA")                                                                                \
    X(DOT, "end of data")                                                                          \
    X(RSET, "RSET")                                                                                \
    X(QUIT, "QUIT")
#define SMTP_VERB(id, text) SMTP_##id,
enum smtp_verb { SMTP_VERBS(SMTP_VERB) SMTP_VERB_COUNT };
#undef SMTP_VERB
const char *smtp_verb_text(enum smtp_verb verb);

/*
 * What became of one recipient.  code 0 in the reply: the connection ended (or could not carry the
 * message) before a reply came.
 */
enum smtp_cause {
    SMTP_CAUSE_REPLY,     /* the reply decided */
    SMTP_CAUSE_LOST,      /* the connection was lost before the end of data was sent: surely not
                             delivered */
    SMTP_CAUSE_IN_DOUBT,  /* lost after it: it may be delivered, trying again may duplicate it */
    SMTP_CAUSE_PROTOCOL,  /* the peer does not speak SMTP as we know it; reply holds what it said */
    SMTP_CAUSE_TOO_LARGE, /* above the SIZE the peer announces: permanent, 5.3.4 */
    SMTP_CAUSE_NEEDS_UTF8, /* the peer lacks SMTPUTF8: permanent, 5.6.7 */
    SMTP_CAUSE_NEEDS_8BIT, /* reserved: we send 8-bit content as it is where 8BITMIME lacks
                              (docs/decisions) */
    SMTP_CAUSE_LIMIT,  /* this transaction is full: RCPT 452 or 552 after others were taken (stage
                          RCPT,  with the reply), or LIMITS (stage MAIL, not tried); send it again in
                          a new  transaction at once */
    SMTP_CAUSE_POLICY, /* a session failure only: what our configuration demands is not to be had;
                          stage STARTTLS (TLS required) or AUTH; reply: the refusal, code 0 if it
                          was not offered.  Says nothing about a recipient: defer */
};

struct smtp_result {
    size_t rcpt; /* index into job->rcpts */
    enum smtp_cause cause;
    enum smtp_verb stage;           /* the verb whose reply decided, or which was underway */
    const struct smtp_reply *reply; /* holds until the next feed; code 0 if none */
    bool dsn_passed; /* the peer offers DSN: with a success, it has taken over the DSN duties (RFC
                        3461 5.2.1) */
};

enum smtp_want {
    SMTP_WANT_READ  = 1,   /* more bytes from the peer */
    SMTP_WANT_WRITE = 2,   /* output() is not empty */
    SMTP_WANT_JOB   = 4,   /* idle, all results taken: send() or quit() may be called */
    SMTP_WANT_BODY  = 8,   /* the next piece of the body: body() */
    SMTP_WANT_TLS   = 16,  /* 220 to STARTTLS came, and nothing behind it: start the handshake, then
                              secured() or lost() */
    SMTP_WANT_RESULT = 32, /* result() has something; feed() takes nothing before it is taken */
    SMTP_WANT_CLOSE  = 64, /* finished: close the connection */
};

/* What may be sent next. */
enum smtp_phase {
    SMTP_PHASE_HELLO,
    SMTP_PHASE_TLS,
    SMTP_PHASE_AUTH,
    SMTP_PHASE_IDLE,
    SMTP_PHASE_ENVELOPE,
    SMTP_PHASE_AWAIT_354,
    SMTP_PHASE_BODY,
    SMTP_PHASE_IN_DOUBT, /* the end of data is out, its reply is not in */
    SMTP_PHASE_QUITTING,
    SMTP_PHASE_DONE,
    SMTP_PHASES
};

/*
 * Why a session ended before or between transactions, or in one without being its recipients'
 * matter.  With 4xx and 5xx the client says QUIT by itself, as RFC 5321 4.1.1.10 wants it, and when
 * that is written it wants to be closed.
 */
struct smtp_failure {
    enum smtp_cause cause; /* REPLY, LOST, PROTOCOL, POLICY */
    enum smtp_verb stage;
    struct smtp_reply reply;
};

/* One bit a recipient. */
enum { SMTP_RCPT_WORDS = (SMTP_JOB_RCPT_MAX + 63) / 64 };
struct smtp_rcpt_set {
    uint64_t words[SMTP_RCPT_WORDS];
};

/*
 * What belongs to one job.  Recipients are replied to in the order they were sent, so an owed RCPT
 * needs no index: rcpts_replied is it.
 */
struct smtp_transaction {
    const struct smtp_job *job;
    bool is_utf8, mail_was_sent, mail_was_refused;
    unsigned short rcpt_end; /* recipients that take part: fewer than the job has under RCPTMAX */
    unsigned short rcpts_sent, rcpts_replied;
    unsigned short dot_next; /* LMTP: accepted recipients before it have their reply to the data */
    unsigned short accepted_count; /* by RCPT */
    unsigned short open_count;
    struct smtp_rcpt_set open;     /* no result told yet */
    struct smtp_rcpt_set accepted; /* by RCPT */
};

/* The results being told: all open recipients of [next, end). */
struct smtp_telling {
    unsigned short next, end;
    unsigned char cause, stage; /* enum smtp_cause, enum smtp_verb */
    bool has_reply;             /* the reply in the reader decided */
};

struct smtp_client {
    const struct smtp_client_config *config;
    enum smtp_phase phase;
    bool is_secured, is_esmtp, tls_was_refused;
    bool ehlo_first_line; /* the next line of the reply to EHLO holds no keyword */
    bool needs_rset;      /* the transaction before did not reach its end of data */
    bool body_is_wanted, body_is_last;
    bool is_leaving; /* QUIT was our own idea: its reply is not awaited */
    unsigned char auth_offered, auth_tried, auth_now; /* sets of bits of client_auth.c */
    unsigned char auth_step;
    unsigned offered;            /* enum smtp_ext bits of the last EHLO */
    unsigned rcpt_max, mail_max; /* LIMITS RCPTMAX, MAILMAX; 0: none given */
    unsigned mails_sent;
    uint64_t size_max; /* 0: no limit known */

    /* Replies we are owed, oldest first.  This queue *is* the receiving half of the machine. */
    struct smtp_owed {
        unsigned char verb;
        unsigned short count;
    } owed[SMTP_OWED_RUNS_MAX];
    unsigned owed_head, owed_count; /* runs */

    struct smtp_transaction transaction;
    struct smtp_telling telling, last; /* 'last' follows when 'telling' is told */
    struct span body;                  /* what is left of the piece in hand */
    struct smtp_failure failure;

    struct reply_reader reader;
    unsigned short out_len;
    char out[SMTP_OUTPUT_BYTES];
};

/* The peer speaks first. */
void smtp_client_init(struct smtp_client *c, const struct smtp_client_config *config);

/*
 * Takes bytes from the peer and returns how many: all of them, or fewer because results wait to be
 * taken (WANT_RESULT) or TLS is to be started; call again with the rest. A peer that breaks the
 * protocol ends the client.
 */
size_t smtp_client_feed(struct smtp_client *c, struct span bytes);

/* The connection died or a timer ran out: every recipient still undecided gets LOST or IN_DOUBT. */
void smtp_client_lost(struct smtp_client *c);
/* The handshake succeeded: says EHLO anew, forgetting all that was said in clear. */
void smtp_client_secured(struct smtp_client *c);

/* Only while the client wants a job. */
void smtp_client_send(struct smtp_client *c, const struct smtp_job *job);
/* QUIT; its reply need not be waited for. */
void smtp_client_quit(struct smtp_client *c);
/*
 * The next piece of the body as it goes out: CRLF line ends, dot-stuffed (mail/dot.h), with the end
 * mark in the last piece.  Borrowed until output() has passed it. Only while WANT_BODY.
 */
void smtp_client_body(struct smtp_client *c, struct span piece, bool is_last);
/* The body cannot be completed (the content cannot be read): the connection must be closed without
 * the end mark; recipients get LOST. */
void smtp_client_abandon(struct smtp_client *c);

/* A set of smtp_want bits. */
unsigned smtp_client_wants(const struct smtp_client *c);

/* What to write next; the bytes stay where they are until smtp_client_wrote() says they left. */
struct span smtp_client_output(const struct smtp_client *c);
/*
 * Call it when bytes are handed on to where they cannot be called back from (the TLS engine, the
 * kernel), not when that was confirmed: from the last byte of the last piece on, a lost connection
 * leaves recipients IN_DOUBT.
 */
void smtp_client_wrote(struct smtp_client *c, size_t n);

/* The next recipient that is decided; false if there is none. */
bool smtp_client_result(struct smtp_client *c, struct smtp_result *r);

/* What the driver's timer should guard now (RFC 5321 4.5.3.2). */
enum smtp_timer {
    SMTP_TIMER_GREETING,
    SMTP_TIMER_COMMAND,
    SMTP_TIMER_DATA,
    SMTP_TIMER_BLOCK,
    SMTP_TIMER_END_OF_DATA,
    SMTP_TIMER_IDLE
};
enum smtp_timer smtp_client_timer(const struct smtp_client *c);
/* Why the session is over; cause REPLY with code 0: it was quit in peace, or it is not over. */
const struct smtp_failure *smtp_client_failure(const struct smtp_client *c);
