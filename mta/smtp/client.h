/* SPDX-License-Identifier: MIT */
/*
 * SMTP client: one connection's worth of SMTP or LMTP, without any I/O (RFC 5321, 2033, 2920, 1870,
 * 6152, 6531, 3461, 3207, 4954, 2034, 3030, 9422).
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
 * Where the peer offers PIPELINING the next job may be sent as soon as the last piece of the body
 * before is in hand (WANT_NEXT): its envelope goes out in the same group, behind the end of data
 * (RFC 2920 3.1), so a message costs one round trip.  With BDAT a message goes out whole, envelope
 * and content, so it costs one too, whatever was before it; and several may be unanswered.
 * The transactions in flight are a queue: replies, results and ends come in the order of send().
 *
 * The caller owns the memory; a client may be dropped at any time.  One thread at a time.
 */
#pragma once
#include "mta/mail/envelope.h"
#include "mta/smtp/ext.h"
#include "mta/smtp/reply.h"

enum {
    SMTP_JOB_RCPT_MAX  = 1000, /* in one transaction; the driver's limits are lower (default 100) */
    SMTP_FLIGHT_MAX    = 4,    /* transactions in flight with BDAT; two with DATA */
    SMTP_OWED_RUNS_MAX = 4 * SMTP_FLIGHT_MAX + 2, /* runs of replies to the same verb */
    SMTP_OUTPUT_BYTES  = 6144,       /* commands not yet written; bodies are not copied */
    SMTP_OUTPUT_PARTS  = 8,          /* what a driver best has room for in output() */
    SMTP_COMMAND_BYTES = 2048,       /* one command with all its parameters */
    SMTP_CREDENTIAL_BYTES_MAX = 255, /* of user and of password (RFC 4616 2) */
    /* A chunk up to this size goes out with its envelope, a larger one when the recipients are
     * answered: it may be for nobody. */
    SMTP_CHUNK_AHEAD_BYTES = 65536,
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
    unsigned ignore;    /* enum smtp_ext bits to treat as not offered */
    bool is_one_by_one; /* never an envelope before the body before is answered */
    /* BDAT where it is offered, with so many messages unanswered; 0: DATA.  At most
     * SMTP_FLIGHT_MAX. */
    unsigned chunk_window;
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
    SMTP_CAUSE_LIMIT,   /* this transaction is full: RCPT 452 or 552 after others were taken (stage
                           RCPT,  with the reply), or LIMITS (stage MAIL, not tried); send it again in
                           a new  transaction at once */
    SMTP_CAUSE_POLICY,  /* a session failure only: what our configuration demands is not to be had;
                           stage STARTTLS (TLS required) or AUTH; reply: the refusal, code 0 if it
                           was not offered.  Says nothing about a recipient: defer */
    SMTP_CAUSE_NO_BDAT, /* the peer does not know the BDAT that it offers: nothing was delivered,
                           send it again with DATA on another connection */
};

struct smtp_result {
    const struct smtp_job *job; /* the oldest that is not done */
    size_t rcpt;                /* index into job->rcpts */
    bool is_behind;             /* it was sent before the one before it was answered */
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
    SMTP_WANT_NEXT   = 128, /* a job in flight has its body in hand: send() may be called for the
                               one behind it, best before its last piece is written */
};

/* Where the session is. */
enum smtp_phase {
    SMTP_PHASE_HELLO,
    SMTP_PHASE_TLS,
    SMTP_PHASE_AUTH,
    SMTP_PHASE_READY, /* for jobs; the steps of those in flight say more */
    SMTP_PHASE_QUITTING,
    SMTP_PHASE_DONE,
    SMTP_PHASES
};

/* Where a transaction is. */
enum smtp_step {
    SMTP_STEP_ENVELOPE,
    SMTP_STEP_AWAIT_354,
    SMTP_STEP_BODY,
    SMTP_STEP_IN_DOUBT, /* the end of data is out, its reply is not in */
    SMTP_STEP_OVER,     /* all its recipients are decided; some may not be told yet */
    SMTP_STEPS
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
    enum smtp_step step;
    bool is_utf8, is_chunked, is_behind, mail_was_sent, mail_was_refused;
    bool is_doomed;                       /* told as a whole, when its turn comes: */
    unsigned char doom_cause, doom_stage; /* enum smtp_cause, enum smtp_verb */
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
    bool says_exim;       /* the greeting names Exim */
    bool is_leaving;      /* QUIT was our own idea: its reply is not awaited */
    unsigned char auth_offered, auth_tried, auth_now; /* sets of bits of client_auth.c */
    unsigned char auth_step;
    unsigned offered;            /* enum smtp_ext bits of the last EHLO */
    unsigned rcpt_max, mail_max; /* LIMITS RCPTMAX, MAILMAX; 0: none given */
    unsigned mails_sent;
    unsigned chunk_window; /* as the configuration has it, 1 after any anomaly */
    uint64_t size_max;     /* 0: no limit known */

    /* Replies we are owed, oldest first.  This queue *is* the receiving half of the machine. */
    struct smtp_owed {
        unsigned char verb;
        unsigned short count;
    } owed[SMTP_OWED_RUNS_MAX];
    unsigned owed_head, owed_count; /* runs */

    struct smtp_transaction flight[SMTP_FLIGHT_MAX]; /* oldest first, from flight_head on */
    unsigned flight_head, flight_count;
    struct smtp_telling telling, last; /* of the oldest; 'last' follows when 'telling' is told */

    struct smtp_body {
        enum smtp_body_state { SMTP_BODY_NONE, SMTP_BODY_WANTED, SMTP_BODY_IN_HAND } state;
        bool is_last;
        unsigned flight; /* whose it is */
        uint64_t left;   /* of a chunk: bytes that are still to be given */
        const struct span *parts;
        size_t part_count, skip; /* skip: of the first part, what was written */
    } body;
    struct smtp_failure failure;

    struct reply_reader reader;
    unsigned short out_len, out_before; /* out_before: of it, what goes out before the body */
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

/* Only while the client wants a job, or the next. */
void smtp_client_send(struct smtp_client *c, const struct smtp_job *job);
/* QUIT; its reply need not be waited for.  Only while the client wants a job. */
void smtp_client_quit(struct smtp_client *c);
/* Whether the body that is wanted is a BDAT chunk: no dots, no end mark, size_bytes in all. */
bool smtp_client_is_chunk(const struct smtp_client *c);
/* The oldest in flight is out as a chunk, and not answered. */
bool smtp_client_awaits_chunk(const struct smtp_client *c);
/* Whose body is wanted. */
const struct smtp_job *smtp_client_body_job(const struct smtp_client *c);
/*
 * The next piece of the body as it goes out, in parts: CRLF line ends, dot-stuffed (mail/dot.h),
 * with the end mark in the last piece; or, of a chunk, as it is.  Parts and bytes are borrowed
 * until output() has passed them.  Only while WANT_BODY.
 */
void smtp_client_body(struct smtp_client *c, const struct span *parts, size_t count, bool is_last);
/* The body cannot be completed (the content cannot be read): the connection must be closed without
 * the end mark; recipients get LOST. */
void smtp_client_abandon(struct smtp_client *c);

/* A set of smtp_want bits. */
unsigned smtp_client_wants(const struct smtp_client *c);

/*
 * What to write next, as one group: commands, the piece of the body in hand, commands behind it.
 * Returns how many parts; those that do not fit 'max' come next time.  The bytes stay where they
 * are until smtp_client_wrote() says they left.
 */
size_t smtp_client_output(const struct smtp_client *c, struct span *parts, size_t max);
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
    SMTP_TIMER_BEHIND, /* for an envelope that was sent ahead of a reply: a peer that lost it never
                          answers.  A chunk is waited for as long as any body: it may have arrived
                        */
    SMTP_TIMER_IDLE
};
enum smtp_timer smtp_client_timer(const struct smtp_client *c);
/* Why the session is over; cause REPLY with code 0: it was quit in peace, or it is not over. */
const struct smtp_failure *smtp_client_failure(const struct smtp_client *c);
