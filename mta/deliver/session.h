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
#include "mta/deliver/render.h"
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

enum { SESSION_KIND = 0x5e551047, SESSION_TLS_TEXT_BYTES = 48, SESSION_PENDING_BYTES_MAX = 131072 };

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
    struct wire wire;
    struct smtp_client_config config;
    struct smtp_client smtp;
    char host[MX_NAME_BYTES], ip[NET_ADDRESS_TEXT_BYTES], source[NET_ADDRESS_TEXT_BYTES];
    char tls_text[SESSION_TLS_TEXT_BYTES];
    uint16_t port;

    struct job *job;
    bool job_is_sent, job_had_reply, job_may_move; /* nothing of it was answered on a reused
                                                      connection: another one may take it */
    struct smtp_job smtp_job;
    struct envelope_rcpt *rcpts;
    size_t rcpt_cap;
    struct render render;
    unsigned messages; /* jobs sent on this connection */
};

/* Dials for the job, which it takes. */
struct session *session_dial(struct pool *pool, struct job *job);
/* An idle session takes the next job. */
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
/* Checks the kind behind a pointer that came from outside of C's types. */
struct session *session_of(void *data);
void session_free(struct session *session);
