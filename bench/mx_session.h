/* SPDX-License-Identifier: MIT */
/*
 * Mx session: one connection to one host of the simulated Internet, as a machine of bytes in, bytes
 * out and a given time.  Whoever drives it
 *
 *     feeds it what came        taken = mx_session_feed(s, bytes, now_ms); keep the rest, feed
 * again sends what it says        s->out, no earlier than s->due_ms; then buf_clear() waits until
 * s->hold_ms it takes nothing (a tarpit) looks at s->phase         MX_HANDSHAKE: speak TLS next,
 * then mx_session_secured(); MX_DEAF: stop reading; MX_CLOSED: close when all is sent
 */
#pragma once
#include "bench/greylist.h"
#include "bench/mx_transaction.h"

enum {
    MX_LINE_BYTES          = 512,   /* RFC 5321 4.5.3.1.4 */
    MX_ENVELOPE_LINE_BYTES = 2048,  /* MAIL and RCPT with parameters; RFC 3461 5.4 wants 1036 */
    MX_AUTH_LINE_BYTES     = 12288, /* RFC 4954 4 */
    MX_PEER_BYTES          = 48,
    MX_HELO_BYTES          = 256
};

enum mx_phase {
    MX_COMMAND,   /* lines */
    MX_AUTH,      /* the line that answers 334 */
    MX_DATA,      /* content until the dot */
    MX_CHUNK,     /* content of a BDAT */
    MX_HANDSHAKE, /* 220 was said: TLS begins */
    MX_BABBLE,    /* whatever comes next is answered with nonsense */
    MX_SILENT,    /* takes everything, says nothing */
    MX_DEAF,      /* takes nothing */
    MX_CLOSED
};

/* What all sessions share. */
struct mx_common {
    struct world *world;
    struct ledger *ledger;
    struct greylist greylist;
    bool no_hash;
    uint64_t wall_us; /* since 1970; whoever drives the sessions keeps it */
};

struct mx_session {
    struct mx_common *common;
    struct host *host;
    enum mx_phase phase;
    struct buf out;
    uint64_t due_ms, hold_ms, greeting_due_ms, now_ms;

    char peer[MX_PEER_BYTES], helo[MX_HELO_BYTES];
    const char *tls;     /* the version; NULL: in the clear */
    bool has_met_before; /* a handshake with this host was completed before this one began */
    bool has_hello, is_extended, is_authenticated;
    bool scolds; /* the next command came before the reply to the last */
    bool has_quit, was_broken;
    bool has_spoken;                  /* all that was said has left, and nothing has come since */
    bool is_turn_warm, is_turn_fresh; /* the round trip counted last; nothing of it was taken yet */
    bool has_refused_mail, has_tried_rcpt; /* in this transaction, or what was to be one */
    bool has_begun_bdat, body_seen;
    enum stage end_stage; /* at which the end of this content is answered */
    const char *said;     /* the last reply, while it is being decided */
    uint64_t messages, chunk_left;
    bool chunk_is_last, chunk_is_void;
    struct mx_transaction transaction;
    struct mx_body body;
};

/* Greets, or refuses: look at s->phase. */
void mx_session_init(struct mx_session *s, struct mx_common *common, struct host *host,
                     const char *peer, uint64_t now_ms);
void mx_session_release(struct mx_session *s);

/* All that was said has left.  Bytes have come: if that was so, the client had waited for it. */
void mx_session_flushed(struct mx_session *s);
void mx_session_heard(struct mx_session *s);
size_t mx_session_feed(struct mx_session *s, struct span bytes, uint64_t now_ms);
/* The handshake begins.  TLS stands: EHLO must come again; 'version' lives as long as the session.
 */
void mx_session_shakes_hands(struct mx_session *s);
void mx_session_secured(struct mx_session *s, const char *version, bool is_resumed);
/* The handshake broke, by the client's will (an alert) or by its fault. */
void mx_session_tls_failed(struct mx_session *s, const char *why, bool is_refused);
/* Nothing came for too long: 421. */
void mx_session_idle(struct mx_session *s, uint64_t now_ms);
/* The connection has ended, whoever ended it; counted. */
void mx_session_ended(struct mx_session *s);

/* For the commands (mx_command.c). */

/* Says 'text' ('|' between lines), without its enhanced code where the host knows none. */
void mx_session_say(struct mx_session *s, const char *text);
/* Says 'normal', or what the host's personality wants at this stage; true: it was a success, and
 * the command takes effect.  'normal' NULL: no reply is due here. */
bool mx_session_answer(struct mx_session *s, enum stage stage, const char *normal);
void mx_session_violation(struct mx_session *s, enum violation violation, struct span what);
/* Counts one of TALLIES (its offset) for the host and for everything. */
void mx_session_count(struct mx_session *s, size_t field);
void mx_session_count_refusal(struct mx_session *s, struct domain *domain, struct span rcpt,
                              const char *reply);
/* The transaction is over, whatever became of it. */
void mx_session_forget(struct mx_session *s);
/* The content is complete: answers it and records it. */
void mx_session_finish_content(struct mx_session *s);
