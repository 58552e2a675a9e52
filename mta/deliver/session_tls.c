/* SPDX-License-Identifier: MIT */
/* Securing a connection. */
#include "mta/base/fault.h"
#include "mta/deliver/session_inside.h"
#include <stdio.h>

enum { SESSION_HANDSHAKE_MS = 60000 };

enum policy_tls session_tls_policy(const struct session *s)
{
    return s->job->target->is_mx ? s->job->limits.tls : s->job->target->tls;
}

/*
 * Clear text after TLS failed: only opportunistic, only for a message that has waited one back-off,
 * or while this host is known to work that way (security.md 4.6).
 */
static bool goes_plain(struct session *s)
{
    const struct peer *peer = session_find_peer(s);
    if (peer == NULL || !peer->tls_failed || s->job->target->user != NULL)
        return false;
    return s->job->attempts > 0 || s->shard->now_ms < peer->plain_until_ms;
}

enum smtp_client_tls session_tls_wish(struct session *s)
{
    switch (session_tls_policy(s)) {
    case POLICY_TLS_NONE:
        return SMTP_TLS_NEVER;
    case POLICY_TLS_REQUIRED:
        return SMTP_TLS_REQUIRED;
    case POLICY_TLS_OPPORTUNISTIC:
        break;
    }
    if (!goes_plain(s))
        return SMTP_TLS_OFFERED;
    atomic_fetch_add(&s->shard->stats.plain_fallbacks, 1);
    return SMTP_TLS_NEVER;
}

/* The system's trust store is read at its first use. */
static struct tls_context *required(struct shard *shard)
{
    struct buf error = {0};
    if (shard->tls_required == NULL)
        shard->tls_required = tls_context_client(TLS_REQUIRED, NULL, &error);
    must(shard->tls_required != NULL); /* a store that is not there is an empty one */
    return shard->tls_required;
}

void session_start_tls(struct session *s)
{
    struct peer *peer           = session_meet_peer(s);
    bool is_required            = session_tls_policy(s) == POLICY_TLS_REQUIRED;
    struct tls_context *context = is_required ? required(s->shard) : s->shard->tls_opportunistic;
    struct tls_session *resume =
        is_required ? NULL : tls_tickets_show(&peer->tickets, s->shard->now_ms);
    s->has_shown_ticket = resume != NULL;
    wire_start_tls(&s->wire, tls_engine_client(context, s->host, resume));
    session_set_deadline(s, SESSION_HANDSHAKE_MS);
}

void session_note_handshake(struct session *s)
{
    struct peer *peer = session_meet_peer(s);
    peer->tls_failed  = false;
    (void)snprintf(s->tls_text, sizeof s->tls_text, "%s %s",
                   session_tls_policy(s) == POLICY_TLS_REQUIRED ? "pkix" : "opportunistic",
                   tls_engine_version(s->wire.tls));
    atomic_fetch_add(&s->shard->stats.tls_handshakes, 1);
    if (tls_engine_was_resumed(s->wire.tls))
        atomic_fetch_add(&s->shard->stats.tls_resumed, 1);
    else if (s->has_shown_ticket)
        tls_tickets_refused(&peer->tickets);
}

void session_tls_failed(struct session *s)
{
    struct peer *peer    = session_meet_peer(s);
    peer->tls_failed     = true;
    peer->plain_until_ms = 0;
    tls_tickets_forget(&peer->tickets); /* it may be that which it does not like */
    unsigned char status[3] = {4, 7, 5};
    atomic_fetch_add(&s->shard->stats.tls_failures, 1);
    session_dial_failed(s, DIAL_UNREACHABLE, 0, status, "TLS handshake failed",
                        span_of(tls_engine_error(s->wire.tls)));
}
