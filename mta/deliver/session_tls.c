/* SPDX-License-Identifier: MIT */
/* Securing a connection, and what the shard remembers of the host for the next one. */
#include "mta/deliver/session_inside.h"
#include <stdio.h>

enum { SESSION_HANDSHAKE_MS = 60000 };

static struct span peer_name(const struct session *s,
                             char into[MX_NAME_BYTES + NET_ADDRESS_TEXT_BYTES + 16])
{
    int len = snprintf(into, MX_NAME_BYTES + NET_ADDRESS_TEXT_BYTES + 16, "%s[%s]:%u", s->host,
                       s->ip, s->port);
    return span_make(into, (size_t)len);
}

static struct peer *meet_peer(struct session *s)
{
    char name[MX_NAME_BYTES + NET_ADDRESS_TEXT_BYTES + 16];
    return peers_meet(&s->shard->peers, peer_name(s, name));
}

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
    char name[MX_NAME_BYTES + NET_ADDRESS_TEXT_BYTES + 16];
    const struct peer *peer = peers_find(&s->shard->peers, peer_name(s, name));
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

void session_start_tls(struct session *s)
{
    struct peer *peer = meet_peer(s);
    bool is_required  = session_tls_policy(s) == POLICY_TLS_REQUIRED;
    struct tls_context *context =
        is_required ? s->shard->tls_required : s->shard->tls_opportunistic;
    struct tls_session *resume = is_required ? NULL : peer->session;
    if (resume != NULL)
        peer->session = NULL;
    wire_start_tls(&s->wire, tls_engine_client(context, s->host, resume));
    session_set_deadline(s, SESSION_HANDSHAKE_MS);
}

void session_note_handshake(struct session *s)
{
    struct peer *peer = meet_peer(s);
    peer->tls_failed  = false;
    (void)snprintf(s->tls_text, sizeof s->tls_text, "%s %s",
                   session_tls_policy(s) == POLICY_TLS_REQUIRED ? "pkix" : "opportunistic",
                   tls_engine_version(s->wire.tls));
    atomic_fetch_add(&s->shard->stats.tls_handshakes, 1);
    if (tls_engine_was_resumed(s->wire.tls))
        atomic_fetch_add(&s->shard->stats.tls_resumed, 1);
}

/* TLS 1.3 hands out tickets after the handshake: what came with this job is kept for the next
 * connection. */
static void keep_tls_session(struct session *s)
{
    if (s->wire.tls == NULL || wire_tls(&s->wire) != WIRE_SECURE)
        return;
    struct tls_session *fresh = tls_engine_take_session(s->wire.tls);
    if (fresh == NULL)
        return;
    struct peer *peer = meet_peer(s);
    tls_session_free(peer->session);
    peer->session = fresh;
}

void session_tls_failed(struct session *s)
{
    struct peer *peer       = meet_peer(s);
    peer->tls_failed        = true;
    peer->plain_until_ms    = 0;
    unsigned char status[3] = {4, 7, 5};
    atomic_fetch_add(&s->shard->stats.tls_failures, 1);
    session_dial_failed(s, DIAL_UNREACHABLE, 0, status, "TLS handshake failed",
                        span_of(tls_engine_error(s->wire.tls)));
}

void session_remember_host(struct session *s)
{
    bool was_asked_for = session_tls_policy(s) == POLICY_TLS_OPPORTUNISTIC;
    keep_tls_session(s);
    if (s->wire.tls == NULL && s->config.tls == SMTP_TLS_NEVER && was_asked_for)
        meet_peer(s)->plain_until_ms = s->shard->now_ms + PEER_PLAIN_MS;
}
