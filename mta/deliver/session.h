/* SPDX-License-Identifier: MIT */
/*
 * Session: one connection to a site: it is dialled for a job, carries one job after the other,
 * rests in its pool between them, and quits.
 *
 * It glues the wire (socket and TLS), the SMTP client core and the renderer.  Events come from the
 * shard's turn; nothing here waits.
 *
 *     LOOKING_UP -> CONNECTING -> TALKING <-> IDLE -> QUITTING -> DEAD
 *          ^____________|____________|                      a host that cannot be reached, greeted
 * or secured gives way to the next
 */
#pragma once
#include "dns/mx.h"
#include "mta/base/heap.h"
#include "mta/deliver/dialer.h"
#include "mta/deliver/letter.h"
#include "mta/deliver/peers.h"
#include "mta/deliver/render.h"
#include "mta/deliver/shard.h"
#include "mta/smtp/client.h"
#include "mta/wire/wire.h"

struct pool;
struct shard;

enum session_state {
    SESSION_LOOKING_UP,
    SESSION_CONNECTING,
    SESSION_TALKING,
    SESSION_IDLE,
    SESSION_QUITTING,
    SESSION_DEAD,
    SESSION_STATES
};

enum {
    SESSION_KIND              = SHARD_CONN_KIND,
    SESSION_TLS_TEXT_BYTES    = 48,
    SESSION_PENDING_BYTES_MAX = 131072,
    SESSION_ATTEMPTS_MAX      = 2,     /* connections under way at one time */
    SESSION_SMALL_BYTES       = 65536, /* a body that is soon out of the way of the next */
};

/* A connection under way. */
struct dial {
    struct net_conn *conn; /* NULL: none */
    uint64_t begun_ms, until_ms;
};

/* A job in flight. */
struct carried {
    struct job *job;
    bool is_first; /* on this connection */
    bool had_reply;
    bool may_move;   /* nothing of it was answered: another connection may take it */
    bool is_settled; /* by us, not by the peer */
    bool has_body;   /* 'render' has begun */
    struct smtp_job smtp;
    struct envelope_rcpt *rcpts; /* kept for the next one */
    size_t rcpt_cap;
    struct buf sender; /* the return path of an individual message; its memory is kept */
    struct letter letter;
    enum status letter_status; /* not OK: it cannot be sent */
    struct render render;
    struct body *body; /* instead of 'render', where other jobs send the same; NULL: not */
    size_t body_at;    /* how much of it was given to the core */
};

struct session {
    unsigned kind;
    enum session_state state;
    struct shard *shard;
    struct pool *pool;
    struct list in_pool, in_shard, grave;
    struct heap_node deadline;
    bool awaits_dns; /* an answer with our name on it is still to come: we cannot be freed before */
    bool is_connected; /* 'wire' is open */

    struct dialer dialer; /* valid until a job was sent */
    struct dial attempts[SESSION_ATTEMPTS_MAX];
    bool has_second_place; /* of the pool, for the second attempt */
    uint64_t rival_ms;     /* when there may be one */
    struct wire wire;
    struct smtp_client_config config;
    struct smtp_client smtp;
    char host[MX_NAME_BYTES], ip[NET_ADDRESS_TEXT_BYTES], source[NET_ADDRESS_TEXT_BYTES];
    char tls_text[SESSION_TLS_TEXT_BYTES];
    uint16_t port;

    struct job *job; /* to be sent: what it was dialled for, or was given when idle */
    struct carried carried[SMTP_FLIGHT_MAX]; /* sent, oldest first, from carried_head on */
    unsigned carried_head, carried_count;
    struct peer_greeting expected; /* until it has greeted; until_ms 0: it is a stranger */
    unsigned messages;             /* jobs sent on this connection */
    enum policy_tls tls;           /* what was asked for when it was dialled */
    bool has_shown_ticket;
    bool peer_stumbled;  /* this host has stumbled before where one message met the next */
    bool is_out_of_step; /* it has just done so: the connection is of no use any more */
    bool found_trouble;  /* a job found the site busy or gone */
    uint64_t round_trip_ms;
    uint64_t heard_ms; /* when bytes came, or it began to be dialled, or to talk */
};

/* Dials for the job, which it takes. */
struct session *session_dial(struct pool *pool, struct job *job);
/* The next job, for a session that is idle, or that takes one behind what it has. */
void session_carry(struct session *session, struct job *job);
/* An idle session says good-bye. */
void session_quit(struct session *session);
/* Cuts it off now, whatever it does; its job comes home. */
void session_cut(struct session *session);

/* Events. */
void session_on_ready(struct session *session, unsigned ready);
void session_on_addresses(struct session *session, const struct address_result *result);
void session_on_deadline(struct session *session);

bool session_may_carry_more(const struct session *session);
/* Its last body is out of the way: session_carry() sends the next job behind it, now. */
bool session_takes_next(const struct session *session);
/* It soon will: when the job it has is half done, or it can send the one it is dialled for. */
bool session_will_take_next(const struct session *session);
/* Checks the kind behind a pointer that came from outside of C's types. */
struct session *session_of(void *data);
void session_free(struct session *session);
