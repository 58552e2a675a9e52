/* SPDX-License-Identifier: MIT */
/*
 * What the shard remembers of a host for the next connection to it: a TLS session, that clear text
 * had to do, and which parts of the protocol it stumbled over.
 */
#include "mta/deliver/pool.h"
#include "mta/deliver/session_inside.h"
#include <stdio.h>

enum { PEER_NAME_BYTES = MX_NAME_BYTES + NET_ADDRESS_TEXT_BYTES + 16 };

static struct span peer_name(const char *host, const char *ip, unsigned port,
                             char into[PEER_NAME_BYTES])
{
    int len = snprintf(into, PEER_NAME_BYTES, "%s[%s]:%u", host, ip, port);
    return span_make(into, (size_t)len);
}

struct peer *session_meet_peer(struct session *s)
{
    char name[PEER_NAME_BYTES];
    return peers_meet(&s->shard->peers, peer_name(s->host, s->ip, s->port, name));
}

const struct peer *session_find_peer(struct session *s)
{
    char name[PEER_NAME_BYTES];
    return peers_find(&s->shard->peers, peer_name(s->host, s->ip, s->port, name));
}

/* Clear text that we chose ourselves says nothing of the host. */
static bool chose_clear_text(const struct session *s)
{
    return s->wire.tls == NULL && s->config.tls == SMTP_TLS_NEVER;
}

void session_note_greeting(struct session *s)
{
    struct peer *peer                   = session_meet_peer(s);
    const struct peer_greeting greeting = {
        .extensions  = s->smtp.offered,
        .mail_max    = s->smtp.mail_max,
        .says_exim   = s->smtp.says_exim,
        .was_secured = s->wire.tls != NULL || (chose_clear_text(s) && peer->greeting.was_secured),
    };
    s->job->lost_tls = peer_hear(peer, &greeting, s->shard->now_ms);
}

void session_expect_greeting(struct session *s)
{
    const struct peer *peer = session_find_peer(s);
    bool is_known           = peer != NULL && s->shard->now_ms < peer->greeting.until_ms;
    s->expected             = is_known ? peer->greeting : (struct peer_greeting){0};
    if (is_known && !session_will_take_next(s))
        pool_wake(s->pool); /* what waits for it would have to wait longer than for another */
}

void session_note_slow(struct session *s)
{
    if (s->dialer.address_count > 1) /* else there is nothing to choose from */
        session_meet_peer(s)->slow_until_ms = s->shard->now_ms + PEER_SLOW_MS;
}

static bool is_slow(struct session *s, const struct net_address *address)
{
    char name[PEER_NAME_BYTES], ip[NET_ADDRESS_TEXT_BYTES];
    const struct dialer *d = &s->dialer;
    struct span key =
        peer_name(dialer_host(d), net_address_text(address, ip), dialer_port(d), name);
    const struct peer *peer = peers_find(&s->shard->peers, key);
    return peer != NULL && s->shard->now_ms < peer->slow_until_ms;
}

void session_put_slow_last(struct session *s)
{
    bool slow[MX_ADDRESSES_MAX];
    struct dialer *d = &s->dialer;
    if (d->address_count < 2)
        return;
    for (size_t i = 0; i < d->address_count; i++)
        slow[i] = is_slow(s, &d->addresses[i]);
    dialer_put_last(d, slow);
}

/*
 * TLS 1.3 hands out tickets behind the handshake, so this is asked whenever something was read: the
 * next connection may begin before the first job of this one is done.  A connection that had to be
 * verified leaves none: each of those looks at a certificate of its own.
 */
void session_keep_tickets(struct session *s)
{
    struct tls_session *fresh;
    if (s->wire.tls == NULL || s->tls == POLICY_TLS_REQUIRED)
        return;
    while ((fresh = tls_engine_take_session(s->wire.tls)) != NULL)
        tls_tickets_put(&session_meet_peer(s)->tickets, fresh, s->shard->now_ms);
}

void session_remember_host(struct session *s)
{
    if (s->wire.tls == NULL && s->config.tls == SMTP_TLS_NEVER &&
        s->tls == POLICY_TLS_OPPORTUNISTIC)
        session_meet_peer(s)->plain_until_ms = s->shard->now_ms + PEER_PLAIN_MS;
}

void session_trust(struct session *s)
{
    const struct site_limits *limits = &s->job->limits;
    const struct peer *peer          = session_find_peer(s);
    uint64_t now_ms                  = s->shard->now_ms;
    s->tls                           = session_tls_policy(s);
    s->is_out_of_step                = false;
    s->peer_stumbled                 = peer != NULL && peer->stumbles > 0;
    s->config.ignore                 = limits->ignore_ehlo;
    if (!peer_may(peer, PEER_OUT_OF_STEP, now_ms))
        s->config.ignore |= SMTP_EXT_PIPELINING;
    s->config.is_one_by_one = !limits->pipeline_messages || !peer_may(peer, PEER_STUMBLED, now_ms);
    s->config.chunk_window =
        limits->bdat && peer_may(peer, PEER_NO_BDAT, now_ms) ? limits->bdat_window : 0;
    if (s->config.chunk_window > 1 && s->config.is_one_by_one)
        s->config.chunk_window = 1;
}

void session_note_trouble(struct session *s, enum peer_trouble trouble)
{
    if (trouble == PEER_WALKS)
        s->peer_stumbled = false;
    else
        atomic_fetch_add(&s->shard->stats.stumbles, 1);
    peer_note(session_meet_peer(s), trouble, s->shard->now_ms);
}
