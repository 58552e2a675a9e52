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
    SMTP_SERVER_LINE_BYTES_MAX = 512,   /* RFC 5321 4.5.3.1.4 */
    SMTP_SERVER_PATH_BYTES_MAX = 2048,  /* MAIL and RCPT with parameters (RFC 3461 5.4: 1036) */
    SMTP_SERVER_AUTH_BYTES_MAX = 12288, /* AUTH and the lines of its exchange (RFC 4954 4) */
    SMTP_SERVER_OUTPUT_BYTES =
        4096, /* replies not written yet; input waits when it is nearly full */
    SMTP_SERVER_CHUNKS_MAX          = 1000, /* BDATs in a transaction (security.md A20) */
    SMTP_SERVER_NAME_BYTES          = 256,  /* of HELO that is kept, with a NUL */
    SMTP_SERVER_TEXT_BYTES          = 200,  /* of a reply's text that is said, with a NUL */
    SMTP_SERVER_STATUS_BYTES        = 12,   /* an enhanced status code and its NUL */
    SMTP_SERVER_MECHANISM_BYTES     = 21,   /* RFC 4422 3.1: 20, and a NUL */
    SMTP_SERVER_CHALLENGE_BYTES_MAX = 1024, /* in base64 */
};

/* Borrowed for the server's life. */
struct smtp_server_config {
    const char *hostname;
    unsigned offer;   /* enum smtp_ext bits; STARTTLS only when a certificate stands ready; AUTH is
                         announced by 'auth' */
    const char *auth; /* the mechanisms of AUTH, "PLAIN LOGIN", announced and taken only inside TLS;
                         NULL: it is not implemented */
    bool needs_auth;  /* no mail before AUTH (RFC 6409 4.3) */
    uint64_t message_bytes_max; /* in canonical form; 0: no limit */
    unsigned rcpts_max;         /* RCPT commands in a transaction; more get 452 4.5.3 */
    unsigned errors_max; /* between successful transactions (default 10), then 421; RCPT never
                            counts and never gets 421 (mailman.md 3) */
    unsigned junk_max;   /* NOOP, RSET, VRFY, EHLO and the like (default 50), then 421 */
    bool refuses_bare; /* submission, inbound: bare CR, LF, NUL get 550 5.6.0 at the end of content,
                          and 500, 421 in a command; else normalised and noted */
};

enum smtp_event {
    SMTP_EVENT_NONE,  /* feed more, or write output */
    SMTP_EVENT_AUTH,  /* asks: auth; answer it with smtp_server_challenge() or the verdict */
    SMTP_EVENT_MAIL,  /* asks: mail */
    SMTP_EVENT_RCPT,  /* asks: rcpt */
    SMTP_EVENT_BODY,  /* tells: body, a piece of content in canonical form; then body_taken() */
    SMTP_EVENT_END,   /* asks: the content is complete */
    SMTP_EVENT_RESET, /* tells: the transaction in progress is void (RSET, EHLO, QUIT, content that
                         is refused here); then body_taken() */
    SMTP_EVENT_STARTTLS, /* the 220 is in the output: write it, start the handshake, then
                            smtp_server_secured() */
    SMTP_EVENT_CLOSE,    /* write what output there is, then close */
};

/* A step of an exchange (RFC 4954 4); it holds until the answer. */
struct smtp_server_auth {
    char mechanism[SMTP_SERVER_MECHANISM_BYTES]; /* one of config->auth, as it stands there */
    bool is_first;        /* the command itself: whatever exchange was before is over */
    bool has_response;    /* false: AUTH without an initial response */
    struct span response; /* good base64, maybe empty */
};

/* The parts of MAIL and RCPT; they hold until the answer.  Texts are "" when not given. */
struct smtp_server_mail {
    struct address sender; /* len 0: the null sender */
    uint64_t size_bytes;   /* SIZE=, 0 if not given */
    bool is_8bit, is_utf8; /* BODY=8BITMIME, SMTPUTF8 */
    enum envelope_ret ret;
    char envid[ENVELOPE_ENVID_BYTES_MAX + 1];
    char verp[ENVELOPE_VERP_BYTES + 1]; /* XVERP's delimiters */
};

struct smtp_server_rcpt {
    struct address address; /* a bare postmaster has got our host name as its domain */
    uint8_t notify;
    char orcpt[ENVELOPE_ORCPT_BYTES_MAX + 1];
};

enum smtp_server_phase {
    SMTP_SERVER_GREETING, /* no HELO or EHLO yet */
    SMTP_SERVER_IDLE,
    SMTP_SERVER_MAIL, /* a sender was taken */
    SMTP_SERVER_RCPT, /* and a recipient */
    SMTP_SERVER_DATA,
    SMTP_SERVER_CHUNK,   /* inside a BDAT */
    SMTP_SERVER_BDAT,    /* between BDATs */
    SMTP_SERVER_SWALLOW, /* content that was refused runs to its end */
    SMTP_SERVER_AUTH,    /* an exchange: each line is a response */
    SMTP_SERVER_TLS,     /* awaits secured() */
    SMTP_SERVER_CLOSING,
    SMTP_SERVER_PHASES
};

/* A reply that is said later. */
struct smtp_server_reply {
    int code; /* 0: none */
    char enhanced[SMTP_SERVER_STATUS_BYTES];
    char text[SMTP_SERVER_TEXT_BYTES];
};

struct smtp_server {
    const struct smtp_server_config *config;
    enum smtp_server_phase phase;
    enum smtp_event event; /* read it through smtp_server_event() */
    bool is_esmtp, is_secured, is_authenticated;
    char helo[SMTP_SERVER_NAME_BYTES]; /* as said, escaped; "" before */

    struct smtp_server_auth auth;

    /* The transaction; all of it is forgotten in one place, server_reset(). */
    struct smtp_server_mail mail;
    struct smtp_server_rcpt rcpt;
    struct span body;                 /* the piece of SMTP_EVENT_BODY */
    bool saw_bare, saw_nul, saw_8bit; /* in the content so far; bare and NUL were normalised */
    uint64_t content_bytes;           /* so far, in canonical form */
    unsigned rcpt_count, rcpt_tries;  /* taken, asked for */
    unsigned chunk_count;             /* BDATs */
    bool is_chunked, chunk_is_last, content_is_over;
    uint64_t chunk_bytes, chunk_left;
    struct smtp_server_reply refusal; /* what swallowed content will be answered */
    struct dot_reader dot;
    struct buf piece; /* the bytes of 'body'; owned: smtp_server_release() */

    bool needs_rset;                  /* a BDAT failed and more may be on their way */
    bool must_wait;                   /* the client may not speak before it has our last reply */
    bool feed_has_more;               /* behind the line being run */
    struct smtp_server_reply goodbye; /* 421 is to be said at the next place for a reply */
    unsigned errors, junk;
    bool line_is_long;
    size_t line_len, out_len;
    char line[SMTP_SERVER_PATH_BYTES_MAX];
    struct buf long_line; /* of AUTH, when it does not fit there; owned */
    char out[SMTP_SERVER_OUTPUT_BYTES];
};

void smtp_server_init(struct smtp_server *s, const struct smtp_server_config *config);
void smtp_server_release(struct smtp_server *s);
/* Gives back what an idle connection does not need; it grows again. */
void smtp_server_rest(struct smtp_server *s);

/* Says 220; or refuses to serve: 421 (busy) or 554 with 'text', then closes. */
void smtp_server_greet(struct smtp_server *s);
void smtp_server_turn_away(struct smtp_server *s, int code, const char *text);

/*
 * Takes bytes and returns how many: fewer than given when an event came up or the output is full.
 * Handle that, then call again with the rest. Bytes that come before the greeting was written are
 * an early talker's (A4): the driver must not feed them, but turn the client away with 554.  Bytes
 * behind EHLO, HELO, AUTH, DATA and STARTTLS that are fed before the reply was written get 554 and
 * CLOSE here: RFC 2920 3.1 wants the client to wait.
 */
size_t smtp_server_feed(struct smtp_server *s, struct span bytes);

/* The event that waits.  BODY and RESET: go on with smtp_server_body_taken(). */
enum smtp_event smtp_server_event(const struct smtp_server *s);
void smtp_server_body_taken(struct smtp_server *s);
/*
 * Answers AUTH, MAIL, RCPT or END with a code, an enhanced code ("2.1.5") and a text (ASCII, one
 * line). A transaction ends with the answer to END, whatever it is; an exchange with that to AUTH,
 * and 2xx means that the client is who it says.  421 closes.
 */
void smtp_server_answer(struct smtp_server *s, int code, const char *enhanced, const char *text);
/* Answers AUTH with a challenge in base64 ("": an empty one); the client's response is the next
 * SMTP_EVENT_AUTH.  The client may also give up: then the exchange is over without a word to the
 * driver, smtp_server_in_auth() tells. */
void smtp_server_challenge(struct smtp_server *s, const char *base64);
bool smtp_server_in_auth(const struct smtp_server *s);
/* While content streams in: it cannot be kept (451 4.3.0, 452 4.3.1, 552 5.3.4): the rest is
 * swallowed and END answers this by itself. */
void smtp_server_refuse_content(struct smtp_server *s, int code, const char *enhanced,
                                const char *text);
/* The handshake is done; everything said before is forgotten (RFC 3207 4.2). */
void smtp_server_secured(struct smtp_server *s);
/*
 * The server is going away or the client was idle for too long: 421 goes out at the next place
 * where a reply may stand, then CLOSE.  In a transaction, between RCPTs, that is at once; a list
 * manager may lose recipients by it (mailman.md 3), so without need wait until
 * smtp_server_in_transaction() is false.
 */
void smtp_server_shut(struct smtp_server *s, const char *enhanced, const char *text);

/* True while a transaction is open or content is underway. */
bool smtp_server_in_transaction(const struct smtp_server *s);

struct span smtp_server_output(const struct smtp_server *s);
/* Call it when bytes are handed on to where they cannot be called back from (the TLS engine, the
 * kernel), not when that was confirmed. */
void smtp_server_wrote(struct smtp_server *s, size_t n);
