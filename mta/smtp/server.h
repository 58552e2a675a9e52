/* SPDX-License-Identifier: MIT */
/*
 * SMTP server: one connection's worth of the protocol from the other side, without any I/O (RFC
 * 5321, 1870, 2034, 2920, 3030, 3207, 3461, 6152, 6531).
 *
 * The driver feeds bytes and pulls events; an event that asks is answered with
 * smtp_server_answer(), whenever the answer is known (the 250 to the end of data waits for the
 * disk).  Until then nothing more is taken from the input, so pipelined commands are answered in
 * order.
 *
 *     driver                          smtp_server                       client
 *       |-- feed(bytes) --------------->|  <- MAIL RCPT DATA -----------------|
 *       |<- event(): MAIL --------------|
 *       |-- answer(250) --------------->|
 *       |<- event(): RCPT ... ----------|
 *       |<- event(): BODY (a piece) ----|
 *       |-- body_taken() -------------->|
 *       |<- event(): END ---------------|
 *       |-- answer(250, when synced) -->|  -- output(): 250 ----------------->|
 *
 * The caller owns the memory.  One thread at a time.
 */
#pragma once
#include "mta/mail/address.h"
#include "mta/mail/dot.h"
#include "mta/mail/envelope.h"
#include "mta/smtp/ext.h"

enum {
    SMTP_SERVER_LINE_BYTES_MAX = 512, /* RFC 5321 4.5.3.1.4 */
    SMTP_SERVER_PATH_BYTES_MAX =
        2048, /* MAIL and RCPT with parameters (RFC 3461 5.4 asks for 1036) */
    SMTP_SERVER_AUTH_BYTES_MAX = 12288, /* RFC 4954 4; room for it comes with AUTH */
    SMTP_SERVER_OUTPUT_BYTES =
        4096,                      /* replies not yet written; input waits when it is nearly full */
    SMTP_SERVER_CHUNKS_MAX = 1000, /* BDATs in a transaction (security.md A20) */
    SMTP_SERVER_NAME_BYTES = 256,  /* of HELO that is kept */
};

/* Borrowed for the server's life. */
struct smtp_server_config {
    const char *hostname;
    unsigned offer; /* enum smtp_ext bits; STARTTLS only when a certificate stands ready */
    uint64_t message_bytes_max;
    unsigned rcpts_max;  /* per transaction; more gets 452 4.5.3 */
    unsigned errors_max; /* then 421 (default 10) */
    unsigned junk_max;   /* NOOP, RSET, VRFY, EHLO between transactions (default 50), then 421 */
    bool refuses_bare;   /* bare CR, LF, NUL in content: 550 5.6.0 at the end (submission, inbound);
                            else normalised and noted */
};

enum smtp_event {
    SMTP_EVENT_NONE,     /* feed more, or write output */
    SMTP_EVENT_MAIL,     /* asks: mail */
    SMTP_EVENT_RCPT,     /* asks: rcpt */
    SMTP_EVENT_BODY,     /* tells: body, a piece of content in canonical form; then body_taken() */
    SMTP_EVENT_END,      /* asks: the content is complete */
    SMTP_EVENT_RESET,    /* tells: the transaction in progress is void; then body_taken() */
    SMTP_EVENT_STARTTLS, /* the 220 is in the output: write it, start the handshake, then
                            smtp_server_secured() */
    SMTP_EVENT_CLOSE,    /* write what output there is, then close */
};

/* The parts of MAIL and RCPT; they hold until the answer.  Texts are "" when not given. */
struct smtp_server_mail {
    struct address sender; /* len 0: the null sender */
    uint64_t size_bytes;   /* SIZE=, 0 if not given */
    bool is_8bit, is_utf8; /* BODY=8BITMIME, SMTPUTF8 */
    enum envelope_ret ret;
    char envid[ENVELOPE_ENVID_BYTES_MAX + 1];
};

struct smtp_server_rcpt {
    struct address address; /* a bare postmaster has got our host name as its domain */
    uint8_t notify;
    char orcpt[ENVELOPE_ORCPT_BYTES_MAX + 1];
};

enum smtp_server_phase {
    SMTP_SERVER_GREETING, /* nothing said yet */
    SMTP_SERVER_IDLE,
    SMTP_SERVER_MAIL, /* a sender was taken */
    SMTP_SERVER_RCPT, /* and a recipient */
    SMTP_SERVER_DATA,
    SMTP_SERVER_CHUNK,   /* inside a BDAT */
    SMTP_SERVER_BDAT,    /* between BDATs */
    SMTP_SERVER_SWALLOW, /* content that was refused runs to its end */
    SMTP_SERVER_TLS,     /* awaits secured() */
    SMTP_SERVER_CLOSING,
    SMTP_SERVER_PHASES
};

struct smtp_server {
    const struct smtp_server_config *config;
    enum smtp_server_phase phase;
    enum smtp_event event;
    bool is_esmtp, is_secured;
    bool saw_bare, saw_nul;            /* in the content of this transaction, normalised */
    char helo[SMTP_SERVER_NAME_BYTES]; /* as said, escaped; "" before */
    struct smtp_server_mail mail;
    struct smtp_server_rcpt rcpt;
    struct span body; /* the piece of SMTP_EVENT_BODY */
    unsigned rcpt_count, chunk_count, errors, junk;
    uint64_t content_bytes; /* of this transaction so far */
    uint64_t chunk_left;
    bool chunk_is_last;
    struct dot_reader dot;
    struct buf piece; /* content of the event, owned here: smtp_server_release() */
    int refuse_code;  /* what END of swallowed content will answer */
    char line[SMTP_SERVER_PATH_BYTES_MAX + 2];
    size_t line_len;
    bool line_is_long;
    char out[SMTP_SERVER_OUTPUT_BYTES];
    size_t out_len;
};

void smtp_server_init(struct smtp_server *s, const struct smtp_server_config *config);
void smtp_server_release(struct smtp_server *s);

/* Says 220; or refuses to serve: 421 (busy) or 554 with 'text', then closes. */
void smtp_server_greet(struct smtp_server *s);
void smtp_server_turn_away(struct smtp_server *s, int code, const char *text);

/*
 * Takes bytes and returns how many: fewer than given when an event came up or the output is full.
 * Handle that, then call again with the rest. Bytes that come before the greeting was written are
 * an early talker's (A4): the driver must not feed them, but turn the client away with 554.
 */
size_t smtp_server_feed(struct smtp_server *s, struct span bytes);

/* The event that waits.  BODY and RESET: go on with smtp_server_body_taken(). */
enum smtp_event smtp_server_event(const struct smtp_server *s);
void smtp_server_body_taken(struct smtp_server *s);
/* Answers MAIL, RCPT or END with a code, an enhanced code ("2.1.5") and a text (ASCII, one line).
 * A transaction ends with the answer to END, whatever it is. */
void smtp_server_answer(struct smtp_server *s, int code, const char *enhanced, const char *text);
/* While content streams in: it cannot be kept (451 4.3.0, 452 4.3.1, 552 5.3.4): the rest is
 * swallowed and END answers this by itself. */
void smtp_server_refuse_content(struct smtp_server *s, int code, const char *enhanced,
                                const char *text);
/* The handshake is done; everything said before is forgotten (RFC 3207 4.2). */
void smtp_server_secured(struct smtp_server *s);
/* The server is going away or the client was idle for too long: 421 goes out at the next place
 * where a reply may stand, then CLOSE. */
void smtp_server_shut(struct smtp_server *s, const char *enhanced, const char *text);

/* True while a transaction is open or content is underway. */
bool smtp_server_in_transaction(const struct smtp_server *s);

struct span smtp_server_output(const struct smtp_server *s);
void smtp_server_wrote(struct smtp_server *s, size_t n);
