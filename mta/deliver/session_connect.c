/* SPDX-License-Identifier: MIT */
/*
 * One connection to a host, by whichever of its addresses takes it (RFC 8305 in small): an address
 * that has not answered after a quarter of a second gets a rival, the next one; the first that is
 * connected wins, and the other is closed.  Never more than two are under way, and the second has a
 * place of its own among the site's connections, or is not tried.  Who lost or did not answer goes
 * last for a while (peers.h), so the next connections do not even try.
 */
#include "mta/base/fault.h"
#include "mta/deliver/pool.h"
#include "mta/deliver/session_inside.h"
#include <stdio.h>

enum {
    SESSION_RIVAL_MS = 250,   /* RFC 8305 5: Connection Attempt Delay */
    SESSION_TRY_MS   = 10000, /* while there is another address: three lost packets of the system */
};

static unsigned attempts_open(const struct session *s)
{
    unsigned open = 0;
    for (unsigned i = 0; i < SESSION_ATTEMPTS_MAX; i++)
        open += s->attempts[i].conn != NULL;
    return open;
}

static struct dial *free_attempt(struct session *s)
{
    unsigned i = 0;
    while (i < SESSION_ATTEMPTS_MAX && s->attempts[i].conn != NULL)
        i++;
    must(i < SESSION_ATTEMPTS_MAX);
    return &s->attempts[i];
}

/* Logs and reports name the address that is spoken of. */
static void name_address(struct session *s, const struct net_address *address)
{
    char ip[NET_ADDRESS_TEXT_BYTES];
    (void)snprintf(s->ip, sizeof s->ip, "%s", net_address_text(address, ip));
    s->port = address->port;
}

static void give_place_back(struct session *s)
{
    if (s->has_second_place)
        pool_return_place(s->pool);
    s->has_second_place = false;
}

static void close_attempt(struct session *s, struct dial *a)
{
    net_close(a->conn);
    a->conn = NULL;
    if (attempts_open(s) < SESSION_ATTEMPTS_MAX)
        give_place_back(s);
}

void session_drop_attempts(struct session *s)
{
    for (unsigned i = 0; i < SESSION_ATTEMPTS_MAX; i++)
        if (s->attempts[i].conn != NULL)
            close_attempt(s, &s->attempts[i]);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void set_alarm(struct session *s)
{
    uint64_t next = s->rival_ms;
    for (unsigned i = 0; i < SESSION_ATTEMPTS_MAX; i++)
        if (s->attempts[i].conn != NULL)
            next = earlier(next, s->attempts[i].until_ms);
    session_set_deadline(s, next > s->shard->now_ms ? next - s->shard->now_ms : 0);
}

static const struct net_address *source_for(const struct session *s, const struct net_address *to)
{
    const struct deliver_settings *settings = s->shard->settings;
    const struct net_address *fit[DELIVER_SOURCES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < settings->source_count; i++)
        if (settings->sources[i].family == to->family)
            fit[count++] = &settings->sources[i];
    return count == 0 ? NULL : fit[rng_below(&s->shard->rng, count)];
}

void session_connect(struct session *s, const struct net_address *address)
{
    struct dial *a  = free_attempt(s);
    uint64_t now_ms = s->shard->now_ms, most_ms = s->shard->settings->connect_ms;
    bool has_another = dialer_has_another(&s->dialer);
    name_address(s, address);
    a->conn     = net_dial(s->shard->loop, address, source_for(s, address), s);
    a->begun_ms = now_ms;
    a->until_ms = now_ms + (has_another ? earlier(most_ms, SESSION_TRY_MS) : most_ms);
    s->rival_ms = has_another ? now_ms + SESSION_RIVAL_MS : UINT64_MAX;
    atomic_fetch_add(&s->shard->stats.dials, 1);
    session_enter(s, SESSION_CONNECTING);
    session_expect_greeting(s);
    set_alarm(s);
}

/* It goes last the next time. */
static void lose(struct session *s, struct dial *a)
{
    name_address(s, net_peer(a->conn));
    session_note_slow(s);
    close_attempt(s, a);
}

static void win(struct session *s, struct dial *a)
{
    struct net_conn *conn = a->conn;
    a->conn               = NULL;
    for (unsigned i = 0; i < SESSION_ATTEMPTS_MAX; i++)
        if (s->attempts[i].conn != NULL)
            lose(s, &s->attempts[i]);
    give_place_back(s);
    name_address(s, net_peer(conn));
    wire_init(&s->wire, conn);
    s->is_connected  = true;
    s->round_trip_ms = s->shard->now_ms - a->begun_ms;
    session_begin_to_talk(s);
    session_pump(s);
}

static void fail(struct session *s, struct dial *a, const char *why)
{
    static const unsigned char status[3] = {4, 4, 1};
    name_address(s, net_peer(a->conn));
    session_note_failure(s, DIAL_UNREACHABLE, 0, status, "cannot connect", span_of(why));
    lose(s, a);
    s->rival_ms = s->shard->now_ms; /* RFC 8305 5: then the next need not wait */
}

/* False: it has won. */
static bool look_at(struct session *s, struct dial *a)
{
    enum status result = a->conn == NULL ? AGAIN : net_connect_result(a->conn);
    if (a->conn == NULL)
        return true;
    if (result == OK) {
        win(s, a);
        return false;
    }
    if (result != AGAIN)
        fail(s, a, status_text(result));
    else if (a->until_ms <= s->shard->now_ms)
        fail(s, a, "timed out");
    return true;
}

static void send_rival(struct session *s)
{
    struct net_address address;
    s->rival_ms = UINT64_MAX;
    if (attempts_open(s) == SESSION_ATTEMPTS_MAX || !dialer_has_another(&s->dialer) ||
        !pool_lend_place(s->pool))
        return;
    s->has_second_place = true;
    must(dialer_next(&s->dialer, &address) == DIAL_CONNECT);
    session_connect(s, &address);
}

void session_on_connecting(struct session *s)
{
    for (unsigned i = 0; i < SESSION_ATTEMPTS_MAX; i++)
        if (!look_at(s, &s->attempts[i]))
            return;
    if (attempts_open(s) == 0) {
        session_dial_on(s);
        return;
    }
    if (s->rival_ms <= s->shard->now_ms)
        send_rival(s);
    set_alarm(s);
}
